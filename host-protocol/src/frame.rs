//! Frames: a message's bytes after their number, as four bytes, little end first.

use std::io;

use crate::Envelope;

/// Finds the frames in a stream of bytes, however the stream was cut.
///
/// It does no reading of its own: it is handed what has arrived. A frame that arrived whole is handed on
/// where it lies; one that arrived in parts is put together in a buffer, which grows with what has arrived
/// and not with what a header announces.
///
/// ```
/// # use codemode_host_protocol::FrameDecoder;
/// # fn main() -> Result<(), codemode_host_protocol::FrameError> {
/// let mut decoder = FrameDecoder::new();
/// let mut bodies = Vec::new();
/// for mut chunk in [&b"\x02\x00"[..], b"\x00\x00{", b"}\x02\x00\x00\x00[]"] {
///     while let Some(body) = decoder.next_frame(&mut chunk)? {
///         bodies.push(body.to_vec());
///     }
/// }
/// decoder.finish()?;
/// assert_eq!(bodies, [b"{}", b"[]"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct FrameDecoder {
    state: State,
    buffer: Vec<u8>,
}

impl FrameDecoder {
    /// A decoder at the start of a stream.
    pub fn new() -> FrameDecoder {
        FrameDecoder::default()
    }

    /// Takes bytes off the front of `input` up to the end of the next frame, and gives that frame's body.
    /// `None` when `input` ends first; it is then empty and what it held is kept.
    ///
    /// # Errors
    /// [`FrameError::Oversized`] as soon as a header announces too much. There is no way back into step from
    /// that, so every later call fails in the same way.
    pub fn next_frame<'a, 'input: 'a>(
        &'a mut self,
        input: &mut &'input [u8],
    ) -> Result<Option<&'a [u8]>, FrameError> {
        if matches!(self.state, State::Done) {
            self.reset();
        }
        if let State::Header { bytes, have } = &mut self.state {
            let taken = take(input, HEADER_LEN - *have);
            bytes[*have..*have + taken.len()].copy_from_slice(taken);
            *have += taken.len();
            if *have < HEADER_LEN {
                return Ok(None);
            }
            let len = u32::from_le_bytes(*bytes) as usize;
            self.state =
                if len > MAX_FRAME_LEN { State::Oversized { len } } else { State::Body { len } };
        }
        let len = match self.state {
            State::Body { len } => len,
            State::Oversized { len } => return Err(FrameError::Oversized { len }),
            State::Header { .. } | State::Done => return Ok(None),
        };
        if self.buffer.is_empty() && input.len() >= len {
            self.state = State::Done;
            return Ok(Some(take(input, len)));
        }
        let taken = take(input, len - self.buffer.len());
        self.make_room(taken.len(), len);
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() < len {
            return Ok(None);
        }
        self.state = State::Done;
        Ok(Some(&self.buffer))
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] if it ended inside a frame, [`FrameError::Oversized`] if the decoder had
    /// failed before.
    pub fn finish(&self) -> Result<(), FrameError> {
        match self.state {
            State::Done | State::Header { have: 0, .. } => Ok(()),
            State::Header { have, .. } => {
                Err(FrameError::Truncated { part: "header", have, len: HEADER_LEN })
            }
            State::Body { len } => {
                Err(FrameError::Truncated { part: "body", have: self.buffer.len(), len })
            }
            State::Oversized { len } => Err(FrameError::Oversized { len }),
        }
    }

    /// Grows the buffer for `more` bytes of a body of `len`: by doubling, so that the work stays linear, yet
    /// never beyond the body.
    fn make_room(&mut self, more: usize, len: usize) {
        let needed = self.buffer.len() + more;
        if needed > self.buffer.capacity() {
            let capacity = needed.max(self.buffer.capacity() * 2).min(len);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
    }

    /// Gets ready for the next frame. The room of a rare large frame is given back.
    fn reset(&mut self) {
        self.state = State::default();
        self.buffer.clear();
        if self.buffer.capacity() > KEPT_LEN {
            self.buffer = Vec::new();
        }
    }
}

/// Where in the stream a [`FrameDecoder`] stands.
#[derive(Debug)]
enum State {
    Header {
        bytes: [u8; HEADER_LEN],
        have: usize,
    },
    Body {
        len: usize,
    },
    /// The frame has been handed on; the buffer may still hold it.
    Done,
    Oversized {
        len: usize,
    },
}

impl Default for State {
    fn default() -> State {
        State::Header { bytes: [0; HEADER_LEN], have: 0 }
    }
}

/// What is wrong with a stream of frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame that is larger than the protocol allows.
    #[error("a frame of {len} bytes is announced, and {MAX_FRAME_LEN} is the most that is taken")]
    Oversized {
        /// What its header announces, in bytes.
        len: usize,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame, after {have} of the {len} bytes of its {part}")]
    Truncated {
        /// In its header or its body.
        part: &'static str,
        /// The bytes that arrived of that part.
        have: usize,
        /// The bytes that it has.
        len: usize,
    },
}

/// Appends `message` to `buffer` as one frame. The buffer is left as it was when there is an error.
///
/// # Errors
/// [`EncodeError::Oversized`] when the message is larger than a frame may be. It is given up as soon as that
/// shows.
pub fn encode_frame<E: Envelope>(message: &E, buffer: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_within(message, buffer, MAX_FRAME_LEN)
}

fn encode_within<E: Envelope>(
    message: &E,
    buffer: &mut Vec<u8>,
    max: usize,
) -> Result<(), EncodeError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_LEN]);
    let body = start + HEADER_LEN;
    let result = serde_json::to_writer(Bounded { buffer, end: body + max }, message);
    if let Err(error) = result {
        buffer.truncate(start);
        return Err(match error.is_io() {
            true => EncodeError::Oversized,
            false => EncodeError::Json(error.to_string()),
        });
    }
    // At most MAX_FRAME_LEN, which fits.
    let len = (buffer.len() - body) as u32;
    buffer[start..body].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

/// Why a message makes no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// It is larger than a frame may be.
    #[error("the message is larger than the {MAX_FRAME_LEN} bytes that a frame may have")]
    Oversized,
    /// It cannot be written as JSON.
    #[error("the message cannot be written as JSON: {0}")]
    Json(String),
}

/// Writes to the end of a buffer, up to a length.
struct Bounded<'a> {
    buffer: &'a mut Vec<u8>,
    end: usize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.end - self.buffer.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes up to `count` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    taken
}

/// The largest body of a frame, in bytes: 64 MiB.
pub const MAX_FRAME_LEN: usize = 64 << 20;

/// The number of bytes before a body that say how long it is.
pub const HEADER_LEN: usize = 4;

/// The room that a decoder keeps from one frame to the next.
const KEPT_LEN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::{Answer, HostToClient, OperationValue, RequestId, SessionId};

    use super::*;

    #[test]
    fn frames_are_found_however_the_stream_is_cut() {
        let bodies = [&b"{\"a\":1}"[..], b"", b"[]", &[b'x'; 300]];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        for first in 0..=stream.len() {
            for step in [1, 2, 3, 5, 7, stream.len()] {
                let (head, tail) = stream.split_at(first);
                let chunks = std::iter::once(head).chain(tail.chunks(step));
                assert_eq!(
                    decode_all(chunks).unwrap(),
                    bodies,
                    "cut at {first}, then every {step}"
                );
            }
        }
    }

    #[test]
    fn a_frame_that_arrives_whole_is_not_copied() {
        let stream = [frame(b"{}"), frame(b"[1]")].concat();
        let mut input = &stream[..];
        let mut decoder = FrameDecoder::new();
        let first = decoder.next_frame(&mut input).unwrap().unwrap().as_ptr();
        assert_eq!(first, stream[HEADER_LEN..].as_ptr());
        let second = decoder.next_frame(&mut input).unwrap().unwrap().as_ptr();
        assert_eq!(second, stream[2 * HEADER_LEN + 2..].as_ptr());
    }

    #[test]
    fn memory_follows_what_arrives_and_not_what_is_announced() {
        let mut decoder = FrameDecoder::new();
        let header = (MAX_FRAME_LEN as u32).to_le_bytes();
        assert_eq!(decoder.next_frame(&mut &header[..]), Ok(None));
        assert_eq!(decoder.buffer.capacity(), 0);
        let chunk = vec![b' '; 64 << 10];
        for arrived in (1..=MAX_FRAME_LEN / chunk.len()).map(|count| count * chunk.len()) {
            let whole = decoder.next_frame(&mut &chunk[..]).unwrap().is_some();
            assert_eq!(whole, arrived == MAX_FRAME_LEN);
            assert!(decoder.buffer.capacity() <= (2 * arrived).min(MAX_FRAME_LEN));
        }
        assert_eq!(decoder.next_frame(&mut &frame(b"{}")[..]), Ok(Some(&b"{}"[..])));
        assert_eq!(decoder.buffer.capacity(), 0, "the room of a large frame is given back");
    }

    #[test]
    fn an_oversized_frame_is_refused_for_good_before_its_body() {
        let mut decoder = FrameDecoder::new();
        let header = (MAX_FRAME_LEN as u32 + 1).to_le_bytes();
        let refused = FrameError::Oversized { len: MAX_FRAME_LEN + 1 };
        assert_eq!(decoder.next_frame(&mut &header[..]), Err(refused.clone()));
        assert_eq!(decoder.next_frame(&mut &frame(b"{}")[..]), Err(refused.clone()));
        assert_eq!(decoder.finish(), Err(refused));
    }

    #[test]
    fn a_stream_may_end_between_frames_only() {
        let stream = frame(b"abc");
        for end in 1..stream.len() {
            let error = decode_all([&stream[..end]].into_iter()).unwrap_err();
            let expected = match end {
                ..HEADER_LEN => {
                    FrameError::Truncated { part: "header", have: end, len: HEADER_LEN }
                }
                _ => FrameError::Truncated { part: "body", have: end - HEADER_LEN, len: 3 },
            };
            assert_eq!(error, expected);
        }
        assert_eq!(decode_all([&stream[..]].into_iter()).unwrap(), [b"abc"]);
        assert_eq!(decode_all(std::iter::empty()).unwrap(), [b""; 0]);
    }

    #[test]
    fn encoding_appends_one_frame() {
        let mut buffer = b"before".to_vec();
        encode_frame(&ready(RequestId(-2), "s".to_owned()), &mut buffer).unwrap();
        let body = br#"{"type":"operation/response","id":-2,"result":{"status":"ok","value":{"type":"session/ready","sessionId":"s"}}}"#;
        assert_eq!(buffer, [&b"before"[..], &frame(body)].concat());
    }

    #[test]
    fn encoding_stops_at_the_largest_frame() {
        let max = 1000;
        let mut buffer = Vec::new();
        encode_frame(&ready(RequestId(1), "s".to_owned()), &mut buffer).unwrap();
        let room = max - (buffer.len() - HEADER_LEN) + 1;

        buffer.clear();
        encode_within(&ready(RequestId(1), "s".repeat(room)), &mut buffer, max).unwrap();
        assert_eq!(buffer.len(), HEADER_LEN + max);

        let mut buffer = b"before".to_vec();
        let too_long = ready(RequestId(1), "s".repeat(room + 1));
        assert_eq!(encode_within(&too_long, &mut buffer, max), Err(EncodeError::Oversized));
        assert_eq!(buffer, b"before");
    }

    fn ready(id: RequestId, session: String) -> HostToClient {
        let session_id = SessionId::new(session).unwrap();
        let result = Answer::ok(OperationValue::SessionReady { session_id });
        HostToClient::OperationResponse { id, result }
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_le_bytes()[..], body].concat()
    }

    fn decode_all<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut decoder = FrameDecoder::new();
        let mut bodies = Vec::new();
        for mut chunk in chunks {
            while let Some(body) = decoder.next_frame(&mut chunk)? {
                bodies.push(body.to_vec());
            }
            assert!(chunk.is_empty());
        }
        decoder.finish()?;
        Ok(bodies)
    }
}
