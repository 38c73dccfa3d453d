//! Lists of tools that come with request after request, read once.

use memchr::memmem;

use crate::{
    ClientToHost, DecodeError, Envelope as _, Operation, ToolList, decode::decode_with_known,
    outline::value_end,
};

/// Reads what one client sends, as [`Envelope::decode`](crate::Envelope::decode) of [`ClientToHost`] does, with the same results and the
/// same errors.
///
/// A client sends all of a step's tools with each cell, and seldom others than with the last. So it keeps the text of the
/// last few lists, and what they were read as: a list that is the same text, byte for byte, is not read again, and is the
/// same [`ToolList`] in memory. Two thousand tools of 350 bytes take 0.05 ms instead of 3.
///
/// It keeps 8 MiB of text at most, and what was read of that.
#[derive(Debug, Default)]
pub struct RequestDecoder {
    /// The list that came last is the first.
    lists: Vec<Recalled>,
    /// Room for a message without its tools.
    rest: Vec<u8>,
}

/// A list of tools, and the text that it was read from.
#[derive(Debug)]
struct Recalled {
    text: Box<[u8]>,
    tools: ToolList,
}

impl RequestDecoder {
    /// A decoder that has read nothing.
    pub fn new() -> RequestDecoder {
        RequestDecoder::default()
    }

    /// Reads a message from the body of a frame.
    ///
    /// # Errors
    /// Those of [`Envelope::decode`](crate::Envelope::decode).
    pub fn decode(&mut self, body: &[u8]) -> Result<ClientToHost, DecodeError> {
        let place = place_of_tools(body);
        if let Some(message) = place.and_then(|place| self.recall(body, place)) {
            return Ok(message);
        }
        let message = ClientToHost::decode(body)?;
        if let (Some(place), Some(tools)) = (place, tools_of(&message)) {
            self.keep(body, place, tools);
        }
        Ok(message)
    }

    /// Keeps nothing of what it has read.
    pub fn forget(&mut self) {
        *self = RequestDecoder::default();
    }

    /// The message, if a list that is known stands at `place`, and is its tools.
    fn recall(&mut self, body: &[u8], place: usize) -> Option<ClientToHost> {
        let index = self.lists.iter().position(|list| body[place..].starts_with(&list.text))?;
        self.lists[..=index].rotate_right(1);
        let Recalled { text, tools } = &self.lists[0];
        without_tools(body, place..place + text.len(), tools, &mut self.rest)
    }

    /// Keeps the list at `place` of a message that was read, if it is the message's tools.
    fn keep(&mut self, body: &[u8], place: usize, tools: &ToolList) {
        let text = &body[place..value_end(body, place)];
        if tools.is_empty() || text.len() > MAX_TEXT_BYTES {
            return;
        }
        if without_tools(body, place..place + text.len(), tools, &mut self.rest).is_none() {
            return;
        }
        self.lists.insert(0, Recalled { text: text.into(), tools: tools.clone() });
        let mut bytes = 0;
        let fit = self.lists.iter().take(MAX_LISTS).take_while(|list| {
            bytes += list.text.len();
            bytes <= MAX_TEXT_BYTES
        });
        let fit = fit.count();
        self.lists.truncate(fit);
    }
}

/// Reads a message of which `list` is the text of `tools`, without that: an empty list is put in its place, and taken for
/// `tools`. `None` unless what stands there is the tools of a request.
///
/// It is then the message that reading all of it would give. What stands before the list is the same text, so what is read at
/// its place is the tools, in both; an empty list is one whole value there, and so is `list`, which was read there before
/// with nothing wrong, in a message that has it as deep. And what follows is the same text again.
fn without_tools(
    body: &[u8],
    list: std::ops::Range<usize>,
    tools: &ToolList,
    rest: &mut Vec<u8>,
) -> Option<ClientToHost> {
    rest.clear();
    rest.extend_from_slice(&body[..list.start]);
    rest.extend_from_slice(b"[]");
    rest.extend_from_slice(&body[list.end..]);
    let message = decode_with_known(rest, list.start, tools.clone());
    if rest.capacity() > KEPT_BYTES {
        *rest = Vec::new();
    }
    // If the place was another's, they were not taken.
    message.filter(|message| tools_of(message).is_some_and(|taken| taken.is(tools)))
}

/// Where the tools may stand, if the message is a request that has them: behind what looks like their name.
fn place_of_tools(body: &[u8]) -> Option<usize> {
    // Places are counted from the start of the object.
    if body.first() != Some(&b'{') {
        return None;
    }
    let name = memmem::find(&body[..body.len().min(SEARCHED_BYTES)], NAME)?;
    let mut place = name + NAME.len();
    let skip_space = |place: usize| {
        let space = body[place..].iter().take_while(|byte| byte.is_ascii_whitespace());
        place + space.count()
    };
    place = skip_space(place);
    if body.get(place) != Some(&b':') {
        return None;
    }
    place = skip_space(place + 1);
    (body.get(place) == Some(&b'[')).then_some(place)
}

fn tools_of(message: &ClientToHost) -> Option<&ToolList> {
    match message {
        ClientToHost::OperationRequest { request: Operation::Execute { request, .. }, .. } => {
            Some(&request.enabled_tools)
        }
        _ => None,
    }
}

const NAME: &[u8] = b"\"enabled_tools\"";

/// So far from its start their name is looked for in a message: every client known writes the source, which can be long,
/// behind them.
const SEARCHED_BYTES: usize = 4 << 10;

/// As many as a client may have agents with tools of their own, before it matters that one is read anew.
const MAX_LISTS: usize = 4;

const MAX_TEXT_BYTES: usize = 8 << 20;

/// Of the room for a message.
const KEPT_BYTES: usize = 64 << 10;
