//! The connection to a process: frames sent without ever waiting for it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, Read, Write as _},
    os::unix::net::UnixStream,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::wire::Frame;

/// The sending half of a connection that does not block. What the connection does not take now is queued.
pub(crate) struct Outgoing {
    socket: Arc<UnixStream>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    parts: VecDeque<Vec<u8>>,
    /// How much of the first part is on its way.
    sent: usize,
    /// Of all parts.
    bytes: usize,
    /// When the connection last took something while more was queued.
    moved: Option<Instant>,
}

impl Queue {
    fn push(&mut self, part: Vec<u8>) {
        if self.parts.is_empty() {
            self.moved = Some(Instant::now());
        }
        self.bytes += part.len();
        self.parts.push_back(part);
    }
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The connection has it, or there is no connection any more, which its reader will notice.
    Done,
    /// Somebody has to call [`Outgoing::flush`] once the connection takes more.
    Queued,
}

impl Outgoing {
    /// `socket` must be non-blocking.
    pub(crate) fn new(socket: Arc<UnixStream>) -> Outgoing {
        Outgoing { socket, queue: Mutex::default() }
    }

    /// Sends a frame after all that were sent before.
    pub(crate) fn send(&self, frame: Frame) -> Sent {
        let Frame { head, body } = frame;
        let mut queue = self.queue.lock();
        if !queue.parts.is_empty() {
            queue.push(head);
            queue.push(body);
            return Sent::Queued;
        }
        match write(&self.socket, &[&head, &body]) {
            Ok(sent) if sent == head.len() + body.len() => Sent::Done,
            Ok(sent) if sent < head.len() => {
                queue.sent = sent;
                queue.push(head);
                queue.push(body);
                Sent::Queued
            }
            Ok(sent) => {
                queue.sent = sent - head.len();
                queue.push(body);
                Sent::Queued
            }
            Err(_) => Sent::Done,
        }
    }

    /// Sends what is queued, as far as the connection takes it. Whether nothing is left.
    pub(crate) fn flush(&self) -> bool {
        let mut queue = self.queue.lock();
        while let Some(part) = queue.parts.front() {
            let rest = &part[queue.sent..];
            match write(&self.socket, &[rest]) {
                Ok(sent) if sent == rest.len() => {
                    queue.bytes -= part.len();
                    queue.moved = Some(Instant::now());
                    queue.parts.pop_front();
                    queue.sent = 0;
                }
                Ok(sent) => {
                    if sent > 0 {
                        queue.moved = Some(Instant::now());
                    }
                    queue.sent += sent;
                    return false;
                }
                Err(_) => *queue = Queue::default(),
            }
        }
        true
    }

    /// Whether much is queued, and nothing was taken of it for long: who is at the other end asks for more than they read.
    pub(crate) fn is_stuck(&self) -> bool {
        let queue = self.queue.lock();
        let still = queue.moved.is_some_and(|moved| moved.elapsed() > PATIENCE);
        queue.bytes > MUCH_BYTES && still
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.lock().parts.is_empty()
    }
}

/// The receiving half of the same connection.
pub(crate) struct Incoming(pub(crate) Arc<UnixStream>);

impl Read for Incoming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

/// Writes until all is written or the connection takes no more. How much it took.
fn write(mut socket: &UnixStream, parts: &[&[u8]]) -> io::Result<usize> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut left = slices.as_mut_slice();
    let mut written = 0;
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match socket.write_vectored(left) {
            Ok(n) => {
                written += n;
                IoSlice::advance_slices(&mut left, n);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// So much waits for a worker that lags behind.
const MUCH_BYTES: usize = 64 << 20;

/// A worker reads at once, whatever its cells do.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_not_taken_at_once_arrives_in_order() {
        let (host, mut worker) = UnixStream::pair().unwrap();
        host.set_nonblocking(true).unwrap();
        let outgoing = Outgoing::new(Arc::new(host));
        let frame = |byte: u8, len: usize| Frame { head: vec![byte; 3], body: vec![byte; len] };
        assert!(outgoing.send(frame(0, 10)) == Sent::Done);
        assert!(outgoing.send(frame(1, 10 << 20)) == Sent::Queued);
        assert!(outgoing.send(frame(2, 0)) == Sent::Queued);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            worker.read_to_end(&mut all).unwrap();
            all
        });
        while !outgoing.flush() {
            std::thread::yield_now();
        }
        assert!(outgoing.send(frame(3, 1)) != Sent::Queued || outgoing.flush());
        drop(outgoing);
        let expected = [vec![0; 13], vec![1; (10 << 20) + 3], vec![2; 3], vec![3; 4]].concat();
        assert!(reader.join().unwrap() == expected);
    }

    #[test]
    fn who_does_not_read_is_noticed() {
        let (host, _worker) = UnixStream::pair().unwrap();
        host.set_nonblocking(true).unwrap();
        let outgoing = Outgoing::new(Arc::new(host));
        let part = || Frame { head: Vec::new(), body: vec![0; MUCH_BYTES] };
        assert!(outgoing.send(part()) == Sent::Queued);
        assert!(outgoing.send(part()) == Sent::Queued);
        assert!(!outgoing.is_stuck(), "it may have had no time yet");
        outgoing.queue.lock().moved = Instant::now().checked_sub(2 * PATIENCE);
        assert!(outgoing.is_stuck());
    }
}
