//! A host as a child process, driven from this thread and no other.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use codemode_host_protocol::FrameDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{error::Error, frames, rows::millis_since, subject::Subject};

/// A host that runs, and the connection to it.
pub(crate) struct Host {
    child: Child,
    /// Its standard input, until we hang up.
    stdin: Option<File>,
    stdout: File,
    decoder: FrameDecoder,
    buffer: Box<[u8]>,
    /// The part of `buffer` that has been read from the host and not decoded.
    unread: std::ops::Range<usize>,
    last_id: i64,
}

/// What the host said, as far as a benchmark needs to know.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) id: i64,
    /// Of a cell that was started.
    pub(crate) cell: Option<String>,
}

/// What a host has as its standard input and output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    Pipes,
    /// Two pairs of them, as Node.js gives its child processes.
    Sockets,
}

impl Line {
    /// One direction: the end to write to, and the one to read from.
    fn pair(self) -> io::Result<(OwnedFd, OwnedFd)> {
        match self {
            Line::Pipes => {
                let (reader, writer) = io::pipe()?;
                Ok((writer.into(), reader.into()))
            }
            Line::Sockets => {
                let (one, other) = UnixStream::pair()?;
                Ok((one.into(), other.into()))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ready,
    /// The answer to an operation; of an execute, that the cell has started.
    Response,
    /// A cell's first result or yield.
    Initial,
    ToolCall,
    Cancel,
    Closed,
}

impl Host {
    /// Starts the host and shakes hands, over pipes. Also says how long both took together.
    pub(crate) fn start(subject: &Subject) -> Result<(Host, Duration), Error> {
        Host::start_over(Line::Pipes, subject)
    }

    /// The same, over `line`.
    pub(crate) fn start_over(line: Line, subject: &Subject) -> Result<(Host, Duration), Error> {
        let hello = frames::hello();
        let mut command = subject.command();
        let began = Instant::now();
        let ((stdin, its_stdin), (its_stdout, stdout)) = (line.pair()?, line.pair()?);
        command.stdin(its_stdin).stdout(its_stdout).stderr(Stdio::null());
        let child =
            command.spawn().map_err(|e| Error::new(format!("cannot start {subject}: {e}")))?;
        // With our copies of its ends.
        drop(command);
        let mut host = Host {
            child,
            stdin: Some(File::from(stdin)),
            stdout: File::from(stdout),
            decoder: FrameDecoder::new(),
            buffer: vec![0; BUFFER_BYTES].into(),
            unread: 0..0,
            last_id: 0,
        };
        host.send(&hello)?;
        host.until(Kind::Ready)?;
        Ok((host, began.elapsed()))
    }

    /// Hangs up, and waits until the host has ended.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        self.stdin = None;
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::new(format!("the host ended with {status}")))
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An id that no request had.
    pub(crate) fn id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<(), Error> {
        let Some(stdin) = &mut self.stdin else { return Err(Error::new("we have hung up")) };
        stdin.write_all(frame).map_err(|e| Error::new(format!("the host reads no more: {e}")))
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(message);
            }
            let mut ready = [PollFd::new(&self.stdout, PollFlags::IN)];
            let patience = Timespec { tv_sec: PATIENCE_SECONDS, tv_nsec: 0 };
            if poll(&mut ready, Some(&patience)).map_err(io::Error::from)? == 0 {
                return Err(Error::new(format!("the host is silent for {PATIENCE_SECONDS} s")));
            }
            let read = self.stdout.read(&mut self.buffer)?;
            if read == 0 {
                return Err(Error::new("the host closed its stdout"));
            }
            self.unread = 0..read;
        }
    }

    /// The next message, if the host has said it already and it was read along with another.
    pub(crate) fn buffered(&mut self) -> Result<Option<Message>, Error> {
        let mut rest = &self.buffer[self.unread.clone()];
        let body = self.decoder.next_frame(&mut rest).map_err(|e| Error::new(e.to_string()))?;
        self.unread.start = self.unread.end - rest.len();
        body.map(decode).transpose()
    }

    /// The next message of that kind; others are passed over.
    pub(crate) fn until(&mut self, kind: Kind) -> Result<Message, Error> {
        loop {
            let message = self.next()?;
            if message.kind == kind {
                return Ok(message);
            }
        }
    }

    pub(crate) fn open(&mut self, session: &str) -> Result<(), Error> {
        let id = self.id();
        self.send(&frames::open(id, session))?;
        self.until(Kind::Response).map(drop)
    }

    /// Starts a cell; says what it is called once it has started.
    pub(crate) fn execute(
        &mut self,
        session: &str,
        source: &str,
        yield_time_ms: u64,
    ) -> Result<String, Error> {
        let id = self.id();
        self.send(&frames::execute(id, session, source, yield_time_ms))?;
        let started = self.until(Kind::Response)?;
        started.cell.ok_or_else(|| Error::new("a cell was started without a name"))
    }

    /// Starts a cell with this frame, or what ends with it. Returns the milliseconds until its result, once it is closed.
    pub(crate) fn time_cell(&mut self, request: &[u8]) -> Result<f64, Error> {
        let began = Instant::now();
        self.send(request)?;
        self.until(Kind::Initial)?;
        let took = millis_since(began);
        self.until(Kind::Closed)?;
        Ok(took)
    }

    /// Runs cells that nothing is measured of.
    pub(crate) fn warm_up(&mut self, session: &str, cells: usize) -> Result<(), Error> {
        for _ in 0..cells {
            self.execute(session, "text('hi')", YIELD_NEVER_MS)?;
            self.until(Kind::Initial)?;
            self.until(Kind::Closed)?;
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Nobody waits for an answer; a host that is gone by now is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn decode(body: &[u8]) -> Result<Message, Error> {
    let garbled = || Error::new(format!("the host said {}", String::from_utf8_lossy(body)));
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|_| garbled())?;
    let kind = match envelope.kind {
        "connection/ready" => Kind::Ready,
        "operation/response" => Kind::Response,
        "execute/initialResponse" => Kind::Initial,
        "delegate/request" => Kind::ToolCall,
        "delegate/cancel" => Kind::Cancel,
        "cell/closed" => Kind::Closed,
        _ => return Err(garbled()),
    };
    let mut message = Message { kind, id: envelope.id, cell: None };
    if let Some(result) = envelope.result {
        let result: Outcome = serde_json::from_str(result.get()).map_err(|_| garbled())?;
        if result.status != "ok" {
            return Err(garbled());
        }
        message.cell = result.value.and_then(|value| value.cell_id);
    }
    Ok(message)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    id: i64,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    status: &'a str,
    value: Option<Value>,
}

#[derive(Deserialize)]
struct Value {
    #[serde(rename = "cellId")]
    cell_id: Option<String>,
}

/// As good as never, for a cell that a benchmark runs.
pub(crate) const YIELD_NEVER_MS: u64 = 600_000;

/// More than a pipe holds.
const BUFFER_BYTES: usize = 256 << 10;

const PATIENCE_SECONDS: i64 = 60;
