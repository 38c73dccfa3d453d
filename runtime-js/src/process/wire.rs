//! What an engine and its worker processes say to each other.
//!
//! A frame is a head and a body: two lengths of four bytes, little-endian, then the head as JSON and the body as it
//! is. What can be large (a source, a tool's result, an item's text) is the body, so that it is neither escaped nor
//! searched.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    time::Duration,
};

use codemode_host_protocol::{
    Budget, ContentItem, FailureKind, ImageDetail, Json, LimitExceeded, MAX_DEPTH, ToolFailure,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::lockdown::Report;
use crate::{CallId, Limits, Outcome, TenantLimits, Usage, WhenStuck, catalog::Entry};

/// What an engine tells a worker.
#[derive(Debug)]
pub(crate) enum ToWorker {
    /// The first frame: what the worker is to be like.
    Begin(Beginning),
    /// The tools of a step, which cells to come refer to.
    Catalog { id: u64, entries: Vec<Entry> },
    /// No cell to come refers to these tools.
    Forget { catalog: u64 },
    /// Run a cell.
    Start(Start),
    /// Answer a tool call.
    Deliver { cell: u64, call: CallId, result: Result<Json, ToolFailure> },
    /// End a cell.
    Terminate { cell: u64 },
    /// What is stored under the key that a cell asked for, or what else it asked.
    Loaded { cell: u64, value: Option<Json> },
    /// A cell's notification was taken.
    Taken { cell: u64 },
    /// Say which cells run now, and do not wait for anything.
    WhoRuns,
    /// What was asked for with [`FromWorker::Borrow`]: how much it is in all, or why there is not as much.
    Lent { budget: Budget, answer: Result<usize, LimitExceeded> },
}

/// What a worker is like.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Beginning {
    pub(crate) warm_heap_bytes: usize,
    /// Threads that it may have.
    pub(crate) threads: u64,
    /// Private memory that it may take beyond what it has once it is ready, stacks counted in full.
    pub(crate) memory_bytes: u64,
}

/// A cell to run.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) cell: u64,
    pub(crate) catalog: u64,
    pub(crate) source: String,
    pub(crate) setting: Setting,
}

/// What a cell is started with beside its source and its tools.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) file: String,
    pub(crate) limits: Limits,
    pub(crate) tenant: TenantLimits,
    pub(crate) console: bool,
    pub(crate) has_discovery: bool,
    pub(crate) when_stuck: WhenStuck,
}

/// What a worker tells its engine. Of a worker that was taken over by a cell it can be anything that this type can hold.
#[derive(Debug)]
pub(crate) enum FromWorker {
    /// It can run cells, behind these layers.
    Ready { report: Report },
    /// One of its cells did something.
    Cell { cell: u64, said: Said },
    /// The cells that run now, and do not wait for anything.
    Running { cells: Vec<u64> },
    /// Of what its tenant's cells may use together, it wants this in all: at least, and at best.
    Borrow { budget: Budget, least: usize, most: usize },
    /// It needs no more than this of what it was lent.
    GiveBack { budget: Budget, keeps: usize },
}

/// What a cell says by way of its worker.
#[derive(Debug)]
pub(crate) enum Said {
    /// Its code is about to run, on this thread, which has used so much processor time before.
    Begins {
        thread: u32,
        cpu: Duration,
    },
    /// The thread turns to other cells. This one has used so much processor time.
    Rests {
        cpu: Duration,
    },
    Output(ContentItem),
    Yield,
    /// A call of the tool at this place in the cell's catalog.
    ToolCall {
        call: CallId,
        entry: u32,
        input: Option<Json>,
    },
    /// Stands still until [`ToWorker::Taken`].
    Notify(String),
    /// Stands still until [`ToWorker::Loaded`].
    Load {
        key: String,
    },
    /// Stands still until [`ToWorker::Loaded`], with an array of [`FoundTool`](crate::FoundTool)s.
    Search {
        query: String,
        limit: usize,
    },
    /// Stands still until [`ToWorker::Loaded`], with the declaration of the tool at this place.
    Describe {
        place: usize,
    },
    /// A value that it stored; all of them come before the end.
    Stored {
        key: String,
        value: Json,
    },
    End {
        outcome: Outcome,
        usage: Usage,
    },
}

/// A frame as it travels.
pub(crate) struct Frame {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// A frame that says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFrame {
    #[error("a frame of {0} bytes")]
    Long(usize),
    #[error("a head that cannot be read: {0}")]
    Head(serde_json::Error),
    #[error("a body that is no text")]
    Text,
    #[error("a body that is no JSON: {0}")]
    Json(serde_json::Error),
    #[error("a value nested {0} levels deep")]
    Depth(usize),
    #[error("a key that ends outside of the body")]
    Key,
}

impl Frame {
    fn new(head: &impl Serialize, body: impl Into<Vec<u8>>) -> Frame {
        let mut bytes = vec![0; PREFIX];
        serde_json::to_writer(&mut bytes, head).expect("a head is plain data");
        let body = body.into();
        let head_len = u32::try_from(bytes.len() - PREFIX).expect("a head is short");
        let body_len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&head_len.to_le_bytes());
        bytes[4..PREFIX].copy_from_slice(&body_len.to_le_bytes());
        Frame { head: bytes, body }
    }
}

impl ToWorker {
    /// The frame, the lengths in its head.
    pub(crate) fn encode(self) -> Frame {
        match self {
            ToWorker::Catalog { id, entries } => {
                let entries = serde_json::to_vec(&entries).expect("entries are plain data");
                Frame::new(&ToHead::Catalog { id }, entries)
            }
            ToWorker::Forget { catalog } => Frame::new(&ToHead::Forget { catalog }, ""),
            ToWorker::Start(Start { cell, catalog, source, setting }) => {
                Frame::new(&ToHead::Start { cell, catalog, setting }, source)
            }
            ToWorker::Deliver { cell, call, result } => {
                let call = call.0;
                match result {
                    Ok(value) => Frame::new(&ToHead::Result { cell, call }, value.text()),
                    Err(failure) => {
                        let kind = failure.kind;
                        Frame::new(&ToHead::Failure { cell, call, kind }, failure.message)
                    }
                }
            }
            ToWorker::Terminate { cell } => Frame::new(&ToHead::Terminate { cell }, ""),
            ToWorker::Loaded { cell, value: Some(value) } => {
                Frame::new(&ToHead::Loaded { cell, found: true }, value.text())
            }
            ToWorker::Loaded { cell, value: None } => {
                Frame::new(&ToHead::Loaded { cell, found: false }, "")
            }
            ToWorker::Taken { cell } => Frame::new(&ToHead::Taken { cell }, ""),
            ToWorker::WhoRuns => Frame::new(&ToHead::WhoRuns, ""),
            ToWorker::Lent { budget, answer } => Frame::new(&ToHead::Lent { budget, answer }, ""),
            ToWorker::Begin(beginning) => Frame::new(&ToHead::Begin(beginning), ""),
        }
    }

    pub(crate) fn decode(Frame { head, body }: Frame) -> Result<ToWorker, BadFrame> {
        Ok(match read_head(&head)? {
            ToHead::Catalog { id } => {
                let entries = serde_json::from_slice(&body).map_err(BadFrame::Json)?;
                ToWorker::Catalog { id, entries }
            }
            ToHead::Forget { catalog } => ToWorker::Forget { catalog },
            ToHead::Start { cell, catalog, setting } => {
                ToWorker::Start(Start { cell, catalog, source: text(body)?, setting })
            }
            ToHead::Result { cell, call } => {
                ToWorker::Deliver { cell, call: CallId(call), result: Ok(json(body)?) }
            }
            ToHead::Failure { cell, call, kind } => {
                let result = Err(ToolFailure { kind, ..ToolFailure::new(text(body)?) });
                ToWorker::Deliver { cell, call: CallId(call), result }
            }
            ToHead::Terminate { cell } => ToWorker::Terminate { cell },
            ToHead::Loaded { cell, found } => {
                let value = if found { Some(json(body)?) } else { None };
                ToWorker::Loaded { cell, value }
            }
            ToHead::Taken { cell } => ToWorker::Taken { cell },
            ToHead::WhoRuns => ToWorker::WhoRuns,
            ToHead::Lent { budget, answer } => ToWorker::Lent { budget, answer },
            ToHead::Begin(beginning) => ToWorker::Begin(beginning),
        })
    }
}

impl FromWorker {
    pub(crate) fn encode(self) -> Frame {
        let (cell, said) = match self {
            FromWorker::Ready { report } => return Frame::new(&FromHead::Ready { report }, ""),
            FromWorker::Running { cells } => {
                return Frame::new(&FromHead::Running { cells }, "");
            }
            FromWorker::Borrow { budget, least, most } => {
                return Frame::new(&FromHead::Borrow { budget, least, most }, "");
            }
            FromWorker::GiveBack { budget, keeps } => {
                return Frame::new(&FromHead::GiveBack { budget, keeps }, "");
            }
            FromWorker::Cell { cell, said } => (cell, said),
        };
        match said {
            Said::Begins { thread, cpu } => Frame::new(&FromHead::Begins { cell, thread, cpu }, ""),
            Said::Rests { cpu } => Frame::new(&FromHead::Rests { cell, cpu }, ""),
            Said::Output(ContentItem::InputText { text }) => {
                Frame::new(&FromHead::Text { cell }, text)
            }
            Said::Output(ContentItem::InputImage { image_url, detail }) => {
                Frame::new(&FromHead::Image { cell, detail }, image_url)
            }
            Said::Output(ContentItem::InputAudio { audio_url }) => {
                Frame::new(&FromHead::Audio { cell }, audio_url)
            }
            Said::Yield => Frame::new(&FromHead::Yield { cell }, ""),
            Said::ToolCall { call, entry, input } => {
                let head = FromHead::ToolCall { cell, call: call.0, entry, given: input.is_some() };
                Frame::new(&head, input.as_ref().map_or("", Json::text))
            }
            Said::Notify(text) => Frame::new(&FromHead::Notify { cell }, text),
            Said::Load { key } => Frame::new(&FromHead::Load { cell }, key),
            Said::Search { query, limit } => Frame::new(&FromHead::Search { cell, limit }, query),
            Said::Describe { place } => Frame::new(&FromHead::Describe { cell, place }, ""),
            Said::Stored { key, value } => {
                let head = FromHead::Stored { cell, key_bytes: key.len() };
                Frame::new(&head, [key.as_bytes(), value.text().as_bytes()].concat())
            }
            Said::End { outcome, usage } => {
                let outcome = serde_json::to_vec(&outcome).expect("an outcome is plain data");
                Frame::new(&FromHead::End { cell, usage }, outcome)
            }
        }
    }

    pub(crate) fn decode(Frame { head, body }: Frame) -> Result<FromWorker, BadFrame> {
        let (cell, said) = match read_head(&head)? {
            FromHead::Ready { report } => return Ok(FromWorker::Ready { report }),
            FromHead::Running { cells } => return Ok(FromWorker::Running { cells }),
            FromHead::Borrow { budget, least, most } => {
                return Ok(FromWorker::Borrow { budget, least, most });
            }
            FromHead::GiveBack { budget, keeps } => {
                return Ok(FromWorker::GiveBack { budget, keeps });
            }
            FromHead::Begins { cell, thread, cpu } => (cell, Said::Begins { thread, cpu }),
            FromHead::Rests { cell, cpu } => (cell, Said::Rests { cpu }),
            FromHead::Text { cell } => {
                (cell, Said::Output(ContentItem::InputText { text: text(body)? }))
            }
            FromHead::Image { cell, detail } => {
                let image_url = text(body)?;
                (cell, Said::Output(ContentItem::InputImage { image_url, detail }))
            }
            FromHead::Audio { cell } => {
                (cell, Said::Output(ContentItem::InputAudio { audio_url: text(body)? }))
            }
            FromHead::Yield { cell } => (cell, Said::Yield),
            FromHead::ToolCall { cell, call, entry, given } => {
                let input = if given { Some(shallow_json(body)?) } else { None };
                (cell, Said::ToolCall { call: CallId(call), entry, input })
            }
            FromHead::Notify { cell } => (cell, Said::Notify(text(body)?)),
            FromHead::Load { cell } => (cell, Said::Load { key: text(body)? }),
            FromHead::Search { cell, limit } => (cell, Said::Search { query: text(body)?, limit }),
            FromHead::Describe { cell, place } => (cell, Said::Describe { place }),
            FromHead::Stored { cell, key_bytes } => {
                let mut key = body;
                if key_bytes > key.len() {
                    return Err(BadFrame::Key);
                }
                let value = shallow_json(key.split_off(key_bytes))?;
                (cell, Said::Stored { key: text(key)?, value })
            }
            FromHead::End { cell, usage } => {
                let outcome = serde_json::from_slice(&body).map_err(BadFrame::Json)?;
                (cell, Said::End { outcome, usage })
            }
        };
        Ok(FromWorker::Cell { cell, said })
    }
}

/// Puts frames together from the bytes of a connection, which may be a blocking one or not.
pub(crate) struct FrameReader<R> {
    from: BufReader<R>,
    max_body_bytes: usize,
    prefix: [u8; PREFIX],
    prefix_filled: usize,
    /// The frame that is being read, and how long its parts are to be.
    frame: Option<(Frame, usize, usize)>,
}

impl<R: Read> FrameReader<R> {
    /// Takes no body that is longer than `max_body_bytes`.
    pub(crate) fn new(from: R, max_body_bytes: usize) -> FrameReader<R> {
        FrameReader {
            from: BufReader::with_capacity(READ_BYTES, from),
            max_body_bytes,
            prefix: [0; PREFIX],
            prefix_filled: 0,
            frame: None,
        }
    }

    /// Whether bytes were read that belong to no frame yet that was given out.
    pub(crate) fn has_more(&self) -> bool {
        !self.from.buffer().is_empty()
    }

    /// The next frame; `None` where the other side has closed the connection between two. Memory is taken as bytes arrive,
    /// not as they are announced.
    ///
    /// # Errors
    /// The connection's own, `WouldBlock` too: the next call goes on where this one was. `InvalidData` for what cannot be a
    /// frame, `UnexpectedEof` for one that was cut off.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if self.frame.as_ref().is_some_and(|(frame, head_len, body_len)| {
                frame.head.len() == *head_len && frame.body.len() == *body_len
            }) {
                return Ok(self.frame.take().map(|(frame, _, _)| frame));
            }
            let bytes = match self.from.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                return match self.prefix_filled == 0 && self.frame.is_none() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
            let taken = match &mut self.frame {
                Some((frame, head_len, body_len)) => {
                    let (part, len) = match frame.head.len() < *head_len {
                        true => (&mut frame.head, *head_len),
                        false => (&mut frame.body, *body_len),
                    };
                    let taken = bytes.len().min(len - part.len());
                    part.extend_from_slice(&bytes[..taken]);
                    taken
                }
                None => {
                    let taken = bytes.len().min(PREFIX - self.prefix_filled);
                    self.prefix[self.prefix_filled..][..taken].copy_from_slice(&bytes[..taken]);
                    self.prefix_filled += taken;
                    if self.prefix_filled == PREFIX {
                        let (head_len, body_len) = lengths(self.prefix, self.max_body_bytes)
                            .map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
                        let frame = Frame {
                            head: Vec::with_capacity(head_len.min(READ_BYTES)),
                            body: Vec::with_capacity(body_len.min(READ_BYTES)),
                        };
                        self.frame = Some((frame, head_len, body_len));
                        self.prefix_filled = 0;
                    }
                    taken
                }
            };
            self.from.consume(taken);
        }
    }
}

/// The lengths of the head and of the body, from the bytes before them.
fn lengths(prefix: [u8; PREFIX], max_body_bytes: usize) -> Result<(usize, usize), BadFrame> {
    let [a, b, c, d, e, f, g, h] = prefix;
    let head = u32::from_le_bytes([a, b, c, d]) as usize;
    let body = u32::from_le_bytes([e, f, g, h]) as usize;
    if head > MAX_HEAD_BYTES || body > max_body_bytes {
        return Err(BadFrame::Long(head.saturating_add(body)));
    }
    Ok((head, body))
}

#[derive(Serialize, Deserialize)]
enum ToHead {
    Begin(Beginning),
    Catalog { id: u64 },
    Forget { catalog: u64 },
    Start { cell: u64, catalog: u64, setting: Setting },
    Result { cell: u64, call: u64 },
    Failure { cell: u64, call: u64, kind: Option<FailureKind> },
    Terminate { cell: u64 },
    Loaded { cell: u64, found: bool },
    Taken { cell: u64 },
    WhoRuns,
    Lent { budget: Budget, answer: Result<usize, LimitExceeded> },
}

#[derive(Serialize, Deserialize)]
enum FromHead {
    Ready { report: Report },
    Running { cells: Vec<u64> },
    Borrow { budget: Budget, least: usize, most: usize },
    GiveBack { budget: Budget, keeps: usize },
    Begins { cell: u64, thread: u32, cpu: Duration },
    Rests { cell: u64, cpu: Duration },
    Text { cell: u64 },
    Image { cell: u64, detail: Option<ImageDetail> },
    Audio { cell: u64 },
    Yield { cell: u64 },
    ToolCall { cell: u64, call: u64, entry: u32, given: bool },
    Notify { cell: u64 },
    Load { cell: u64 },
    Search { cell: u64, limit: usize },
    Describe { cell: u64, place: usize },
    Stored { cell: u64, key_bytes: usize },
    End { cell: u64, usage: Usage },
}

fn read_head<T: DeserializeOwned>(head: &[u8]) -> Result<T, BadFrame> {
    serde_json::from_slice(head).map_err(BadFrame::Head)
}

fn text(body: Vec<u8>) -> Result<String, BadFrame> {
    String::from_utf8(body).map_err(|_| BadFrame::Text)
}

fn json(body: Vec<u8>) -> Result<Json, BadFrame> {
    Json::parse(text(body)?).map_err(BadFrame::Json)
}

/// A value that a cell made, which other readers can take.
fn shallow_json(body: Vec<u8>) -> Result<Json, BadFrame> {
    let json = json(body)?;
    match json.depth() {
        depth if depth > MAX_DEPTH => Err(BadFrame::Depth(depth)),
        _ => Ok(json),
    }
}

/// The two lengths.
const PREFIX: usize = 8;

/// Longest are the list of cells over memory, and the name of a source.
const MAX_HEAD_BYTES: usize = 1 << 20;

/// Read at once, and room made for a part before it has arrived.
const READ_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn bytes(message: FromWorker) -> Vec<u8> {
        let Frame { head, body } = message.encode();
        [head, body].concat()
    }

    fn said(said: Said) -> Vec<u8> {
        bytes(FromWorker::Cell { cell: 7, said })
    }

    #[test]
    fn frames_are_put_together_from_any_pieces() {
        let value = Json::parse(r#"{"a": [1]}"#).unwrap();
        let input = Some(value.clone());
        let all = [
            said(Said::Output(ContentItem::text("a\u{1f600}"))),
            said(Said::ToolCall { call: CallId(1), entry: 0, input }),
            said(Said::Stored { key: String::from("k\0"), value }),
            bytes(FromWorker::Running { cells: vec![7] }),
        ];
        let whole = all.concat();
        for at_a_time in [1, 2, 7, whole.len()] {
            let chunks = whole.chunks(at_a_time).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let mut reader = FrameReader::new(Pieces(chunks.into()), 100);
            for expected in &all {
                let frame = reader.next().unwrap().unwrap();
                let message = FromWorker::decode(frame).unwrap();
                assert_eq!(&bytes(message), expected);
            }
            assert!(reader.next().unwrap().is_none());
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let refuse = |bytes: &[u8]| match FrameReader::new(bytes, 100).next() {
            Err(error) => error.to_string(),
            Ok(None) => String::from("nothing"),
            Ok(Some(frame)) => FromWorker::decode(frame).unwrap_err().to_string(),
        };
        let long = said(Said::Notify("x".repeat(101)));
        assert_eq!(refuse(&long), "a frame of 122 bytes");
        let cut = said(Said::Yield);
        assert_eq!(refuse(&cut[..cut.len() - 1]), "unexpected end of file");
        let mut head = said(Said::Yield);
        head[PREFIX] = b'[';
        assert!(refuse(&head).starts_with("a head that cannot be read: "));
        let mut text = said(Said::Notify(String::from("x")));
        *text.last_mut().unwrap() = 0xff;
        assert_eq!(refuse(&text), "a body that is no text");
        let deep =
            Json::parse(format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1)));
        let deep = Said::Stored { key: String::new(), value: deep.unwrap() };
        let frame = FromWorker::Cell { cell: 7, said: deep }.encode();
        let frame = Frame { head: frame.head[PREFIX..].to_vec(), body: frame.body };
        assert!(matches!(FromWorker::decode(frame), Err(BadFrame::Depth(_))));
    }

    /// Gives one piece at a time.
    struct Pieces(std::collections::VecDeque<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = self.0.pop_front() else { return Ok(0) };
            buf[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }
}
