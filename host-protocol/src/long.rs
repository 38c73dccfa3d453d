//! Frames with long texts, written without being whole.

use std::{collections::VecDeque, mem};

use memchr::memmem;

use crate::{
    content::ContentItem,
    envelope::HostToClient,
    frame::{EncodeError, HEADER_LEN, MAX_FRAME_LEN, encode_frame},
    response::{Answer, OperationValue, RuntimeResponse},
};

/// A frame with long texts in it, which are escaped part by part as it is written: the same bytes as [`encode_frame`] makes of the message,
/// without a second copy of what a cell showed.
///
/// ```
/// use codemode_host_protocol::{Answer, HostToClient, LongFrame, RequestId};
///
/// # fn main() -> Result<(), codemode_host_protocol::EncodeError> {
/// let message = HostToClient::OperationResponse {
///     id: RequestId(1),
///     result: Answer::error("no such cell"),
/// };
/// assert!(!LongFrame::is_due(&message));
/// let mut frame = LongFrame::new(message)?;
/// let mut bytes = Vec::new();
/// while frame.next_part(&mut bytes) {}
/// assert_eq!(bytes.len(), frame.len_bytes());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LongFrame {
    pieces: VecDeque<Piece>,
    len: usize,
}

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    /// How many of them were taken.
    taken: usize,
    /// What stands between quotes, rather than JSON.
    is_text: bool,
}

impl LongFrame {
    /// Whether the message holds a text for which this pays: an item of a cell's output of 128 KiB and more.
    pub fn is_due(message: &HostToClient) -> bool {
        let response = response(message);
        response.is_some_and(|response| response.content_items().iter().any(is_long))
    }

    /// The message as a frame.
    ///
    /// # Errors
    /// [`EncodeError::Oversized`] when the message is larger than a frame may be.
    pub fn new(mut message: HostToClient) -> Result<LongFrame, EncodeError> {
        let texts = take_texts(items(&mut message));
        let mut plain = Vec::new();
        encode_frame(&message, &mut plain)?;
        let Some(places) = places(&plain, texts.len()) else {
            // The cell showed the very words that stand for a text here.
            put_back(items(&mut message), texts);
            plain.clear();
            encode_frame(&message, &mut plain)?;
            let len = plain.len();
            return Ok(LongFrame { pieces: VecDeque::from([Piece::json(plain)]), len });
        };
        let stands_in: usize = (0..texts.len()).map(|n| stand_in_json(n).len()).sum();
        let quoted: usize = texts.iter().map(|(_, text)| escaped_len(text.as_bytes()) + 2).sum();
        let len = plain.len() - stands_in + quoted;
        if len - HEADER_LEN > MAX_FRAME_LEN {
            return Err(EncodeError::Oversized);
        }
        // At most MAX_FRAME_LEN, which fits.
        plain[..HEADER_LEN].copy_from_slice(&((len - HEADER_LEN) as u32).to_le_bytes());
        let mut pieces = VecDeque::new();
        let mut from = 0;
        for (n, ((_, text), at)) in texts.into_iter().zip(places).enumerate() {
            // The quotes of what stands for the text become the text's.
            pieces.push_back(Piece::json(plain[from..=at].to_vec()));
            pieces.push_back(Piece { bytes: text.into_bytes(), taken: 0, is_text: true });
            from = at + stand_in_json(n).len() - 1;
        }
        pieces.push_back(Piece::json(plain.split_off(from)));
        Ok(LongFrame { pieces, len })
    }

    /// How many bytes the whole frame has, its header included.
    pub fn len_bytes(&self) -> usize {
        self.len
    }

    /// Appends the next part of the frame to `buffer`: 64 KiB at most before texts are escaped, which makes six bytes of one at most.
    /// `false` when there was nothing left.
    pub fn next_part(&mut self, buffer: &mut Vec<u8>) -> bool {
        let most = buffer.len() + PART_LEN;
        let before = buffer.len();
        while buffer.len() < most
            && let Some(piece) = self.pieces.front_mut()
        {
            let rest = &piece.bytes[piece.taken..];
            let part = &rest[..rest.len().min(most - buffer.len())];
            match piece.is_text {
                true => escape(part, buffer),
                false => buffer.extend_from_slice(part),
            }
            if part.len() == rest.len() {
                self.pieces.pop_front();
            } else {
                piece.taken += part.len();
            }
        }
        buffer.len() > before
    }
}

impl Piece {
    fn json(bytes: Vec<u8>) -> Piece {
        Piece { bytes, taken: 0, is_text: false }
    }
}

fn response(message: &HostToClient) -> Option<&RuntimeResponse> {
    match message {
        HostToClient::ExecuteInitialResponse { result: Answer::Ok { value }, .. } => Some(value),
        HostToClient::OperationResponse {
            result: Answer::Ok { value: OperationValue::WaitCompleted { outcome } },
            ..
        } => Some(outcome.response()),
        _ => None,
    }
}

fn items(message: &mut HostToClient) -> &mut [ContentItem] {
    let response = match message {
        HostToClient::ExecuteInitialResponse { result: Answer::Ok { value }, .. } => value,
        HostToClient::OperationResponse {
            result: Answer::Ok { value: OperationValue::WaitCompleted { outcome } },
            ..
        } => outcome.response_mut(),
        _ => return &mut [],
    };
    response.content_items_mut()
}

/// The long texts with their places among the items, where something stands for them from here on.
fn take_texts(items: &mut [ContentItem]) -> Vec<(usize, String)> {
    let long = items.iter_mut().enumerate().filter(|(_, item)| is_long(item));
    let take = |(n, (place, item))| (place, mem::replace(payload(item), stand_in(n)));
    long.enumerate().map(take).collect()
}

fn put_back(items: &mut [ContentItem], texts: Vec<(usize, String)>) {
    for (place, text) in texts {
        *payload(&mut items[place]) = text;
    }
}

fn is_long(item: &ContentItem) -> bool {
    item.len_bytes() >= LONG_LEN
}

fn payload(item: &mut ContentItem) -> &mut String {
    match item {
        ContentItem::InputText { text } => text,
        ContentItem::InputImage { image_url, .. } => image_url,
        ContentItem::InputAudio { audio_url } => audio_url,
    }
}

/// What stands for the n-th long text while the rest is encoded.
fn stand_in(n: usize) -> String {
    format!("\u{1}long text {n}")
}

/// The same as JSON.
fn stand_in_json(n: usize) -> String {
    format!("{STAND_IN}{n}\"")
}

/// Where what stands for the texts is, if it stands there only. Looks at each byte once, however many texts there are.
fn places(json: &[u8], texts: usize) -> Option<Vec<usize>> {
    let places: Vec<usize> = memmem::find_iter(json, STAND_IN).take(texts + 1).collect();
    let is_there = |(n, &at): (usize, &usize)| json[at..].starts_with(stand_in_json(n).as_bytes());
    (places.len() == texts && places.iter().enumerate().all(is_there)).then_some(places)
}

/// How each of them begins.
const STAND_IN: &str = "\"\\u0001long text ";

/// Appends `text` to `out` as it stands in a JSON string, as `serde_json` writes it.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut plain = 0;
    for (n, block) in text.chunks(BLOCK_LEN).enumerate() {
        if !has_special(block) {
            continue;
        }
        for (i, &byte) in block.iter().enumerate() {
            if !is_special(byte) {
                continue;
            }
            let at = n * BLOCK_LEN + i;
            out.extend_from_slice(&text[plain..at]);
            plain = at + 1;
            match short_escape(byte) {
                Some(letter) => out.extend_from_slice(&[b'\\', letter]),
                None => out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    HEX[usize::from(byte >> 4)],
                    HEX[usize::from(byte & 15)],
                ]),
            }
        }
    }
    out.extend_from_slice(&text[plain..]);
}

/// How long it is then.
fn escaped_len(text: &[u8]) -> usize {
    let more = |&byte: &u8| match (is_special(byte), short_escape(byte)) {
        (false, _) => 0,
        (true, Some(_)) => 1,
        (true, None) => 5,
    };
    let blocks = text.chunks(BLOCK_LEN).filter(|block| has_special(block));
    text.len() + blocks.flatten().map(more).sum::<usize>()
}

/// Looked at as a whole, for the processor to do so at once.
fn has_special(block: &[u8]) -> bool {
    block.iter().fold(false, |found, &byte| found | is_special(byte))
}

fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0x08 => Some(b'b'),
        0x0c => Some(b'f'),
        _ => None,
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

const BLOCK_LEN: usize = 64;

/// What a pipe of Linux holds.
const PART_LEN: usize = 64 << 10;

/// Below that, to copy is faster than to look for places.
const LONG_LEN: usize = 128 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::{
        ids::{CellId, RequestId},
        response::WaitOutcome,
    };

    fn yielded(items: Vec<ContentItem>) -> RuntimeResponse {
        RuntimeResponse::Yielded {
            cell_id: CellId::new("1"),
            content_items: items,
            code_mode_host_duration_ns: 1,
        }
    }

    fn message(items: Vec<ContentItem>) -> HostToClient {
        let result = Answer::ok(yielded(items));
        HostToClient::ExecuteInitialResponse { id: RequestId(7), result }
    }

    fn check(message: HostToClient) {
        let mut whole = Vec::new();
        encode_frame(&message, &mut whole).unwrap();
        let mut frame = LongFrame::new(message).unwrap();
        assert_eq!(frame.len_bytes(), whole.len());
        let (mut parts, mut before) = (Vec::new(), 0);
        while frame.next_part(&mut parts) {
            // A byte takes six at most.
            assert!(parts.len() - before <= 6 * PART_LEN);
            before = parts.len();
        }
        assert!(parts == whole);
    }

    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[ -~]{0,80}",
            "\\PC{0,20}",
            "[\\x00-\\x1f\"\\\\]{1,8}",
            Just("\u{1}long text 0".to_owned()),
            Just("\"\\u0001long text 0\"".to_owned()),
        ];
        (prop::collection::vec(piece, 1..40), 1..4_000_usize).prop_map(|(pieces, times)| {
            pieces.concat().repeat(times.min(1 + 300_000 / pieces.concat().len().max(1)))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_the_frame_that_encoding_makes(texts in prop::collection::vec(text(), 0..4)) {
            check(message(texts.into_iter().map(ContentItem::text).collect()));
        }
    }

    #[test]
    fn who_shows_what_stands_for_a_text_confuses_nobody() {
        let long = || ContentItem::text("x\n".repeat(LONG_LEN));
        let same = || ContentItem::text(stand_in(0));
        check(message(vec![same(), long()]));
        check(message(vec![long(), same(), long()]));
        check(message(vec![long(), ContentItem::text(stand_in_json(0)), long()]));
    }

    #[test]
    fn whatever_shows_it_in_whatever_response() {
        let url = || format!("data:image/png;base64,{}", "AAAA".repeat(LONG_LEN / 4));
        let items = vec![
            ContentItem::InputImage { image_url: url(), detail: None },
            ContentItem::text("short"),
            ContentItem::InputAudio { audio_url: url() },
        ];
        let terminated = RuntimeResponse::Terminated {
            cell_id: CellId::new("1"),
            content_items: items.clone(),
            code_mode_host_duration_ns: 1,
        };
        let result = RuntimeResponse::Result {
            cell_id: CellId::new("1"),
            content_items: items.clone(),
            error_text: Some("\u{1}long text 0".repeat(LONG_LEN)),
            limit_exceeded: None,
            result_buffered_for_ns: 0,
            code_mode_host_duration_ns: 1,
        };
        for response in [yielded(items), terminated, result] {
            let outcome = WaitOutcome::LiveCell(response.clone());
            let result = Answer::ok(OperationValue::WaitCompleted { outcome });
            let waited = HostToClient::OperationResponse { id: RequestId(7), result };
            assert!(LongFrame::is_due(&waited));
            check(waited);
            let result = Answer::ok(response);
            check(HostToClient::ExecuteInitialResponse { id: RequestId(7), result });
        }
    }

    #[test]
    fn only_what_is_long_is_worth_it() {
        let with = |len| message(vec![ContentItem::text("x"), ContentItem::text("x".repeat(len))]);
        assert!(!LongFrame::is_due(&with(LONG_LEN - 1)));
        assert!(LongFrame::is_due(&with(LONG_LEN)));
    }

    #[test]
    fn a_frame_is_as_large_as_one_may_be_and_no_larger() {
        let plain = LongFrame::new(message(vec![ContentItem::text("x".repeat(LONG_LEN))])).unwrap();
        let room = MAX_FRAME_LEN - (plain.len_bytes() - HEADER_LEN) + LONG_LEN;
        let of = |text: String| LongFrame::new(message(vec![ContentItem::text(text)]));
        assert_eq!(of("x".repeat(room)).unwrap().len_bytes(), HEADER_LEN + MAX_FRAME_LEN);
        assert_eq!(of("x".repeat(room + 1)).unwrap_err(), EncodeError::Oversized);
        assert_eq!(of("\n".repeat(room / 2 + 1)).unwrap_err(), EncodeError::Oversized);
    }
}
