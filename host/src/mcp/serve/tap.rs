//! What goes by on its way in, so that who sent a message that is left out can be told which one it was.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rmcp::model::RequestId;
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::mpsc,
};

/// Reads what `inner` does, and looks for lines that are too long.
pub(super) struct Tap<R> {
    inner: R,
    max_bytes: usize,
    line: Line,
    tell: mpsc::UnboundedSender<TooLong>,
}

/// A line that was too long.
#[derive(Debug)]
pub(super) struct TooLong {
    /// With its end.
    pub(super) bytes: usize,
    /// Of the message in it, if it has one.
    pub(super) id: Option<RequestId>,
    /// Whether it is an answer to a request of ours.
    pub(super) is_answer: bool,
}

impl<R> Tap<R> {
    pub(super) fn new(inner: R, max_bytes: usize, tell: mpsc::UnboundedSender<TooLong>) -> Tap<R> {
        Tap { inner, max_bytes, line: Line::default(), tell }
    }

    fn watch(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.read(part);
            if !part.ends_with(b"\n") {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if line.bytes > self.max_bytes {
                // Without a receiver there is no connection any more.
                let _ = self.tell.send(line.into_too_long());
            }
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Tap<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        this.watch(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

/// What is known of a line, however long it is: of the object in it the fields at the top.
#[derive(Debug, Default)]
struct Line {
    bytes: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    in_value: bool,
    /// The beginning of the last field's name, and of the value of `id`, as they are written.
    name: Vec<u8>,
    id: Vec<u8>,
    is_answer: bool,
}

impl Line {
    fn read(&mut self, part: &[u8]) {
        self.bytes += part.len();
        for &byte in part {
            let at_top = self.depth == 1;
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    b':' if at_top => {
                        self.in_value = true;
                        self.is_answer |= matches!(&self.name[..], b"\"result\"" | b"\"error\"");
                        continue;
                    }
                    b',' if at_top => {
                        self.in_value = false;
                        self.name.clear();
                        continue;
                    }
                    _ => {}
                }
            }
            if !at_top || self.depth != 1 {
                continue;
            }
            if !self.in_value {
                note(&mut self.name, byte);
            } else if self.name == b"\"id\"" {
                note(&mut self.id, byte);
            }
        }
    }

    fn into_too_long(self) -> TooLong {
        // What is no id, or is longer than one, does not parse.
        let id = serde_json::from_slice(&self.id).ok();
        TooLong { bytes: self.bytes, id, is_answer: self.is_answer }
    }
}

/// Adds to what is short, but for the space around it.
fn note(text: &mut Vec<u8>, byte: u8) {
    if text.len() < MAX_NOTE_BYTES && !(text.is_empty() && byte.is_ascii_whitespace()) {
        text.push(byte);
    }
}

/// Ids are numbers or short strings.
const MAX_NOTE_BYTES: usize = 256;
