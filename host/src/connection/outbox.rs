//! What a connection has to send and has not sent yet.

use std::{collections::VecDeque, sync::Arc};

use codemode_host_protocol::{EncodeError, HostToClient, LongFrame, encode_frame};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::connection::ConnectionEnd;

/// The messages on their way to one client, in order.
///
/// Pushing never waits, so no cell and no other connection is held up by a client that reads slowly. What that
/// costs is bounded: [`Outbox::room`] holds back what can wait, and a client that leaves more unread than [`LIMITS`]
/// allow loses its connection.
pub(crate) struct Outbox {
    form: Form,
    limits: Limits,
    state: Mutex<State>,
    /// Something was pushed, or there will be nothing more.
    pushed: Notify,
    /// Something was written.
    written: Notify,
    /// The end was decided by a push.
    overflowed: Notify,
}

struct State {
    queue: VecDeque<Batch>,
    /// Bytes pushed and not written, those that the writer has taken included.
    queued: usize,
    finished: bool,
    overflow: bool,
}

/// Messages that are written together.
pub(crate) enum Batch {
    /// Frames, one after another.
    Frames(Vec<u8>),
    /// One frame.
    Long(LongFrame),
    /// The messages themselves, for a client in this process.
    Messages(VecDeque<HostToClient>),
}

/// In what form a client takes messages.
#[derive(Clone, Copy)]
enum Form {
    Frames,
    Messages,
}

impl Outbox {
    /// For a client that takes frames.
    pub(crate) fn of_frames() -> Arc<Outbox> {
        Outbox::new(Form::Frames, LIMITS)
    }

    /// For a client in this process.
    pub(crate) fn of_messages() -> Arc<Outbox> {
        Outbox::new(Form::Messages, LIMITS)
    }

    fn new(form: Form, limits: Limits) -> Arc<Outbox> {
        let state = State { queue: VecDeque::new(), queued: 0, finished: false, overflow: false };
        Arc::new(Outbox {
            form,
            limits,
            state: Mutex::new(state),
            pushed: Notify::new(),
            written: Notify::new(),
            overflowed: Notify::new(),
        })
    }

    /// Sends `message` after all that were pushed before. Once the connection ends, it goes nowhere.
    ///
    /// # Errors
    /// When the message makes no frame; nothing is sent then.
    pub(crate) fn push(&self, message: HostToClient) -> Result<(), EncodeError> {
        let next = match self.form {
            // Before the lock is taken: it takes a while.
            Form::Frames if LongFrame::is_due(&message) => Next::Long(LongFrame::new(message)?),
            _ => Next::Short(message),
        };
        let mut state = self.state.lock();
        if state.finished {
            return Ok(());
        }
        if state.queued > self.limits.queued {
            state.finished = true;
            state.overflow = true;
            state.queue.clear();
            drop(state);
            self.pushed.notify_one();
            self.overflowed.notify_one();
            return Ok(());
        }
        let bytes = append(&mut state.queue, self.form, next)?;
        state.queued += bytes;
        drop(state);
        self.pushed.notify_one();
        Ok(())
    }

    /// Ready when there is room for what can wait, or when the connection has ended.
    pub(crate) async fn room(&self) {
        loop {
            let mut written = std::pin::pin!(self.written.notified());
            written.as_mut().enable();
            if self.has_room() {
                return;
            }
            written.await;
        }
    }

    fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.finished || state.queued <= self.limits.roomy
    }

    /// Takes nothing more. What was pushed is still written.
    pub(crate) fn finish(&self) {
        self.state.lock().finished = true;
        self.pushed.notify_one();
        self.written.notify_waiters();
    }

    /// Waits for the connection to be ended because its client does not read.
    pub(crate) async fn overflowed(&self) -> ConnectionEnd {
        loop {
            if self.state.lock().overflow {
                return ConnectionEnd::SlowReader { queued: self.limits.queued };
            }
            self.overflowed.notified().await;
        }
    }

    /// For the one writer: what was pushed and goes out next, as soon as there is something. `None` when there will be nothing more.
    ///
    /// Cancel safe.
    pub(crate) async fn next_batch(&self) -> Option<Batch> {
        loop {
            {
                let mut state = self.state.lock();
                if let Some(batch) = state.queue.pop_front() {
                    return Some(batch);
                }
                if state.finished {
                    return None;
                }
            }
            self.pushed.notified().await;
        }
    }

    /// For the one writer: `bytes` of a batch have left.
    pub(crate) fn wrote(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.queued = state.queued.saturating_sub(bytes);
        drop(state);
        self.written.notify_waiters();
    }
}

/// What is pushed.
enum Next {
    Short(HostToClient),
    Long(LongFrame),
}

/// Appends a message; how many bytes that takes.
fn append(queue: &mut VecDeque<Batch>, form: Form, next: Next) -> Result<usize, EncodeError> {
    let message = match next {
        Next::Long(frame) => {
            let len = frame.len_bytes();
            queue.push_back(Batch::Long(frame));
            return Ok(len);
        }
        Next::Short(message) => message,
    };
    match (form, queue.back_mut()) {
        // The dispatcher at the other end never waits, so what is in the queue is on its way out.
        (Form::Messages, Some(Batch::Messages(messages))) => {
            messages.push_back(message);
            Ok(0)
        }
        (Form::Messages, _) => {
            queue.push_back(Batch::Messages(VecDeque::from([message])));
            Ok(0)
        }
        (Form::Frames, Some(Batch::Frames(bytes))) => {
            let before = bytes.len();
            encode_frame(&message, bytes)?;
            Ok(bytes.len() - before)
        }
        (Form::Frames, _) => {
            let mut bytes = Vec::new();
            encode_frame(&message, &mut bytes)?;
            let len = bytes.len();
            queue.push_back(Batch::Frames(bytes));
            Ok(len)
        }
    }
}

/// How many bytes a client may leave unread.
#[derive(Clone, Copy)]
struct Limits {
    /// With more it gets no more tool calls and notifications until it has read some.
    roomy: usize,
    /// With more, when one more message is due, it loses its connection. One frame may come on top.
    queued: usize,
}

/// `queued` is four of the largest frames: a client that does read has to be far behind.
const LIMITS: Limits = Limits { roomy: 32 << 20, queued: 256 << 20 };

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use codemode_host_protocol::{
        Answer, CellId, ContentItem, DelegateId, RequestId, RuntimeResponse,
    };

    use super::*;

    #[tokio::test]
    async fn what_is_pushed_together_is_written_together_and_in_order() {
        let outbox = Outbox::of_frames();
        for id in 1..=3 {
            outbox.push(HostToClient::DelegateCancel { id: DelegateId(id) }).unwrap();
        }
        let Some(Batch::Frames(bytes)) = outbox.next_batch().await else { panic!("no batch") };
        let text = String::from_utf8_lossy(&bytes);
        let places: Vec<_> = (1..=3).map(|id| text.find(&format!("\"id\":{id}"))).collect();
        assert!(places.is_sorted() && places[0].is_some(), "{text}");
        outbox.push(HostToClient::DelegateCancel { id: DelegateId(4) }).unwrap();
        outbox.finish();
        outbox.push(HostToClient::DelegateCancel { id: DelegateId(5) }).unwrap();
        let Some(Batch::Frames(bytes)) = outbox.next_batch().await else { panic!("no batch") };
        assert!(bytes.ends_with(b"\"id\":4}"));
        assert!(outbox.next_batch().await.is_none());
    }

    #[tokio::test]
    async fn a_long_message_keeps_its_place_and_its_bytes_count() {
        let outbox = Outbox::new(Form::Frames, Limits { roomy: 1_000, queued: 10_000_000 });
        let cancel = |id| HostToClient::DelegateCancel { id: DelegateId(id) };
        let value = RuntimeResponse::Yielded {
            cell_id: CellId::new("1"),
            content_items: vec![ContentItem::text("x\n".repeat(200_000))],
            code_mode_host_duration_ns: 1,
        };
        let long =
            HostToClient::ExecuteInitialResponse { id: RequestId(2), result: Answer::ok(value) };
        let mut expected = Vec::new();
        for message in [cancel(1), long, cancel(3), cancel(4)] {
            encode_frame(&message, &mut expected).unwrap();
            outbox.push(message).unwrap();
        }
        outbox.finish();
        assert_eq!(outbox.state.lock().queued, expected.len());
        let (mut written, mut batches) = (Vec::new(), 0);
        while let Some(batch) = outbox.next_batch().await {
            batches += 1;
            match batch {
                Batch::Frames(bytes) => written.extend(bytes),
                Batch::Long(mut frame) => while frame.next_part(&mut written) {},
                Batch::Messages(_) => panic!("no frames"),
            }
        }
        assert!(written == expected);
        assert_eq!(batches, 3);
        outbox.wrote(written.len());
        assert_eq!(outbox.state.lock().queued, 0);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_bounded() {
        let limits = Limits { roomy: 1_000, queued: 2_000 };
        let outbox = Outbox::new(Form::Frames, limits);
        let push = || {
            let result = Answer::error("x".repeat(900));
            outbox.push(HostToClient::OperationResponse { id: RequestId(1), result }).unwrap();
        };
        push();
        outbox.room().await;
        push();
        let waits = tokio::time::timeout(std::time::Duration::ZERO, outbox.room()).await;
        assert!(waits.is_err(), "there is no room for what can wait");
        outbox.wrote(1_000);
        outbox.room().await;
        for _ in 0..3 {
            push();
        }
        outbox.room().await;
        assert!(matches!(outbox.overflowed().await, ConnectionEnd::SlowReader { .. }));
        assert!(outbox.next_batch().await.is_none());
    }
}
