//! What cells ask of the client, and what it answers.

use std::{
    collections::HashMap,
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use codemode_cells::{ToolFuture, ToolRuntime};
use codemode_host_protocol::{
    Answer, CellId, DelegateId, DelegateRequest, DelegateValue, EncodeError, HostToClient, Json,
    SessionId, ToolFailure, ToolInvocation,
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::connection::outbox::Outbox;

/// The delegate requests of one connection.
pub(crate) struct Delegates {
    outbox: Arc<Outbox>,
    pending: Mutex<Pending>,
    /// One for each request that may be unanswered.
    places: Arc<Semaphore>,
    /// Who is next when there is room to send. Fair, so that requests leave in the order in which they came.
    turnstile: tokio::sync::Mutex<()>,
    /// Bytes of requests that wait for room.
    held_back: AtomicUsize,
}

#[derive(Default)]
struct Pending {
    last: i64,
    requests: HashMap<DelegateId, Request>,
    ended: bool,
}

/// A request that the client has not answered.
struct Request {
    answer: oneshot::Sender<Result<DelegateValue, String>>,
    _place: OwnedSemaphorePermit,
}

impl Delegates {
    /// `capacity` requests may be unanswered at a time.
    pub(crate) fn new(outbox: Arc<Outbox>, capacity: usize) -> Delegates {
        Delegates {
            outbox,
            pending: Mutex::default(),
            places: Arc::new(Semaphore::new(capacity)),
            turnstile: tokio::sync::Mutex::new(()),
            held_back: AtomicUsize::new(0),
        }
    }

    /// Hands on what the client answered. An answer that nobody waits for is dropped: it crossed a cancel, or
    /// comes twice.
    pub(crate) fn answered(&self, id: DelegateId, answer: Answer<DelegateValue>) {
        let request = self.pending.lock().requests.remove(&id);
        match request {
            Some(request) => drop(request.answer.send(answer.into_result())),
            None => tracing::debug!(id = id.0, "nobody waits for this delegate/response"),
        }
    }

    /// Ends all requests, those to come included.
    pub(crate) fn end(&self) {
        let mut pending = self.pending.lock();
        pending.ended = true;
        let requests = std::mem::take(&mut pending.requests);
        drop(pending);
        self.places.close();
        drop(requests);
    }

    /// Sends a request as soon as there is room, and waits for the answer.
    ///
    /// Cancel safety: dropped after the request was sent, the client is told that it is off.
    async fn ask(
        &self,
        session: &SessionId,
        request: DelegateRequest,
        place: OwnedSemaphorePermit,
    ) -> Result<DelegateValue, ToolFailure> {
        let held = self.hold_back(&request)?;
        let turn = self.turnstile.lock().await;
        self.outbox.room().await;
        drop(held);
        let (answer, mut answered) = oneshot::channel();
        let id = {
            let mut pending = self.pending.lock();
            if pending.ended {
                return Err(gone());
            }
            pending.last += 1;
            let id = DelegateId(pending.last);
            pending.requests.insert(id, Request { answer, _place: place });
            id
        };
        let mut open = Open { delegates: self, id, sent: false };
        let request = HostToClient::DelegateRequest { id, session_id: session.clone(), request };
        let mut unsent = Some((request, turn));
        // Answers reach a cell in the order in which they wake: so it listens before the client can answer, and looks at
        // nothing before it is woken.
        let answer = poll_fn(|cx| {
            let answer = Pin::new(&mut answered).poll(cx);
            let Some((request, turn)) = unsent.take() else { return answer.map(Ok) };
            if let Err(error) = self.outbox.push(request) {
                return Poll::Ready(Err(too_large(error)));
            }
            open.sent = true;
            drop(turn);
            Poll::Pending
        });
        match answer.await? {
            Ok(answer) => answer.map_err(ToolFailure::new),
            Err(_) => Err(gone()),
        }
    }

    /// Counts a request among those that wait for room.
    fn hold_back(&self, request: &DelegateRequest) -> Result<HeldBack<'_>, ToolFailure> {
        let bytes = match request {
            DelegateRequest::ToolInvoke { invocation } => {
                invocation.input.as_ref().map_or(0, |input| input.text().len())
            }
            DelegateRequest::NotificationSend { text, .. } => text.len(),
        };
        let before = self.held_back.fetch_add(bytes, Ordering::Relaxed);
        let held = HeldBack { delegates: self, bytes };
        if before > MAX_HELD_BACK {
            return Err(ToolFailure::new(format!(
                "the client does not read: {before} bytes of tool calls and notifications wait for it"
            )));
        }
        Ok(held)
    }
}

/// Makes sure that a request is forgotten, and that the client hears of it if it was sent.
struct Open<'a> {
    delegates: &'a Delegates,
    id: DelegateId,
    sent: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let unanswered = self.delegates.pending.lock().requests.remove(&self.id).is_some();
        if unanswered && self.sent {
            // So small a message always makes a frame.
            let _ = self.delegates.outbox.push(HostToClient::DelegateCancel { id: self.id });
        }
    }
}

struct HeldBack<'a> {
    delegates: &'a Delegates,
    bytes: usize,
}

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        self.delegates.held_back.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The tool runtime of one cell: the client at the other end.
pub(crate) struct CellDelegate {
    delegates: Arc<Delegates>,
    session: SessionId,
    /// Held while the cell is being started, so that nothing of it is sent before `execution/started`.
    gate: Mutex<()>,
}

impl CellDelegate {
    pub(crate) fn new(delegates: Arc<Delegates>, session: SessionId) -> CellDelegate {
        CellDelegate { delegates, session, gate: Mutex::new(()) }
    }

    /// Does `start`, and lets nothing of the cell pass meanwhile.
    pub(crate) fn before_all_else<T>(&self, start: impl FnOnce() -> T) -> T {
        let _closed = self.gate.lock();
        start()
    }

    fn pass_gate(&self) {
        drop(self.gate.lock());
    }
}

impl ToolRuntime for CellDelegate {
    fn invoke(&self, invocation: ToolInvocation) -> ToolFuture<Json> {
        self.pass_gate();
        let Ok(place) = Arc::clone(&self.delegates.places).try_acquire_owned() else {
            return Box::pin(std::future::ready(Err(ToolFailure::new(TOO_MANY))));
        };
        let delegates = Arc::clone(&self.delegates);
        let session = self.session.clone();
        Box::pin(async move {
            let request = DelegateRequest::ToolInvoke { invocation };
            match delegates.ask(&session, request, place).await? {
                DelegateValue::ToolResult { result } => Ok(result),
                DelegateValue::NotificationDelivered => Err(ToolFailure::new(NOT_A_RESULT)),
            }
        })
    }

    fn notify(&self, call_id: &str, cell: &CellId, text: String) -> ToolFuture<()> {
        self.pass_gate();
        let delegates = Arc::clone(&self.delegates);
        let session = self.session.clone();
        let request = DelegateRequest::NotificationSend {
            call_id: call_id.to_owned(),
            cell_id: cell.clone(),
            text,
        };
        Box::pin(async move {
            // Where a tool call would be refused, a notification waits: its cell cannot know, nor try again.
            let place = Arc::clone(&delegates.places).acquire_owned().await.map_err(|_| gone())?;
            match delegates.ask(&session, request, place).await? {
                DelegateValue::NotificationDelivered => Ok(()),
                DelegateValue::ToolResult { .. } => Err(ToolFailure::new(NOT_DELIVERED)),
            }
        })
    }

    fn cell_closed(&self, cell: &CellId) {
        self.pass_gate();
        let closed =
            HostToClient::CellClosed { session_id: self.session.clone(), cell_id: cell.clone() };
        // A session id takes at most what the frame took that it came in.
        if let Err(error) = self.delegates.outbox.push(closed) {
            tracing::error!(%cell, %error, "cell/closed was not sent");
        }
    }
}

fn too_large(error: EncodeError) -> ToolFailure {
    ToolFailure::new(format!("the request was not sent to the client: {error}"))
}

fn gone() -> ToolFailure {
    ToolFailure::new("the client is gone")
}

/// The reference host's words.
const TOO_MANY: &str = "code-mode host has too many pending delegate calls";

/// The reference host's words.
const NOT_A_RESULT: &str = "code-mode client returned an invalid tool result";

const NOT_DELIVERED: &str = "the client answered a notification with a tool result";

/// Bytes of tool calls and notifications, of all cells of a connection, that wait for a client to read.
const MAX_HELD_BACK: usize = 64 << 20;
