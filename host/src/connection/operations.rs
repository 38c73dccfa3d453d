//! The operations that a client waits for.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use codemode_cells::{Delivery, SessionError, SessionFuture};
use codemode_host_protocol::{
    Answer, CellId, EncodeError, HostToClient, OperationValue, RequestId, RuntimeResponse,
    SessionId, WaitOutcome,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::connection::outbox::Outbox;

/// The operations of one connection that are under way, and how they are answered.
pub(crate) struct Operations(Arc<Shared>);

/// The cell that an operation is about.
pub(crate) type Observation = (SessionId, CellId);

struct Shared {
    outbox: Arc<Outbox>,
    /// Whether the client has asked for budgets.
    has_budgets: bool,
    open: Mutex<HashMap<RequestId, Open>>,
}

/// An operation that waits for a cell.
struct Open {
    cell: Observation,
    kind: Kind,
    /// The answer of a terminate, which goes first.
    after: Option<oneshot::Receiver<()>>,
}

enum Kind {
    /// An execute whose cell has started.
    Execute,
    /// A wait, which can be given up.
    Wait(Arc<Revocable<SessionFuture<Delivery<WaitOutcome>>>>),
    Terminate,
    Shutdown,
}

impl Operations {
    pub(crate) fn new(outbox: Arc<Outbox>, has_budgets: bool) -> Operations {
        Operations(Arc::new(Shared { outbox, has_budgets, open: Mutex::default() }))
    }

    /// Answers an operation now.
    pub(crate) fn answer(&self, id: RequestId, result: Answer<OperationValue>) {
        self.0.answer(id, result);
    }

    /// Follows up an execute that was answered: sends what its cell shows first.
    pub(crate) fn started(
        &self,
        id: RequestId,
        cell: Observation,
        response: SessionFuture<Delivery<RuntimeResponse>>,
    ) {
        self.0.begin(id, cell, Kind::Execute);
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let result = response.await;
            shared.end(id).await;
            match result {
                Ok(delivery) => {
                    delivery.hand_over(|response| shared.initial_response(id, response))
                }
                Err(error) => shared.send_initial(id, Answer::error(error)),
            }
        });
    }

    /// Answers a wait when its outcome is there.
    pub(crate) fn wait(
        &self,
        id: RequestId,
        cell: Observation,
        outcome: SessionFuture<Delivery<WaitOutcome>>,
    ) {
        let outcome = Arc::new(Revocable::new(outcome));
        self.0.begin(id, cell, Kind::Wait(Arc::clone(&outcome)));
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let outcome = std::future::poll_fn(|cx| outcome.poll(cx)).await;
            shared.end(id).await;
            match outcome {
                Some(outcome) => shared.wait_completed(id, outcome),
                None => shared.answer(id, Answer::error(CANCELLED)),
            }
        });
    }

    /// Terminates a cell. Answers that when its outcome is there, and whoever observes the cell after that.
    pub(crate) fn terminate(
        &self,
        id: RequestId,
        cell: Observation,
        terminate: impl FnOnce() -> SessionFuture<Delivery<WaitOutcome>>,
    ) {
        let (answered, after) = oneshot::channel::<()>();
        // First, because the observer's answer may be there as soon as the cell is told to end.
        self.0.put_behind(&cell, after);
        self.0.begin(id, cell, Kind::Terminate);
        let outcome = terminate();
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let outcome = outcome.await;
            shared.end(id).await;
            shared.wait_completed(id, outcome);
            drop(answered);
        });
    }

    /// Answers a shutdown when it is done.
    pub(crate) fn shut_down(
        &self,
        id: RequestId,
        session_id: SessionId,
        closed: impl Future<Output = Result<(), SessionError>> + Send + 'static,
    ) {
        self.0.begin(id, (session_id.clone(), CellId::new("")), Kind::Shutdown);
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let result = closed.await;
            shared.end(id).await;
            let result = result.map(|()| OperationValue::SessionClosed { session_id });
            shared.answer(id, result.into());
        });
    }

    /// Gives up a wait, at once: its cell can be waited for by the next message. Leaves other operations alone.
    pub(crate) fn cancel(&self, id: RequestId) {
        let wait = match self.0.open.lock().get(&id) {
            Some(Open { kind: Kind::Wait(wait), .. }) => Arc::clone(wait),
            _ => return,
        };
        wait.revoke();
    }

    /// The cell whose next response the operation waits for.
    pub(crate) fn observed(&self, id: RequestId) -> Option<Observation> {
        match self.0.open.lock().get(&id)? {
            Open { kind: Kind::Execute | Kind::Wait(_), cell, .. } => Some(cell.clone()),
            _ => None,
        }
    }

    /// Whether all have been answered.
    pub(crate) fn are_none(&self) -> bool {
        self.0.open.lock().is_empty()
    }

    /// Gives up all waits. Other operations end with their cells.
    pub(crate) fn end(&self) {
        let open = std::mem::take(&mut *self.0.open.lock());
        for operation in open.into_values() {
            if let Kind::Wait(wait) = operation.kind {
                wait.revoke();
            }
        }
    }
}

impl Shared {
    fn begin(&self, id: RequestId, cell: Observation, kind: Kind) {
        self.open.lock().insert(id, Open { cell, kind, after: None });
    }

    /// Takes an operation off the list; ready when it is its turn to be answered.
    async fn end(&self, id: RequestId) {
        let after = self.open.lock().remove(&id).and_then(|open| open.after);
        if let Some(after) = after {
            // An error is as good: the sender is dropped.
            let _ = after.await;
        }
    }

    fn put_behind(&self, cell: &Observation, after: oneshot::Receiver<()>) {
        let mut open = self.open.lock();
        let observer = open
            .values_mut()
            .find(|open| open.cell == *cell && matches!(open.kind, Kind::Execute | Kind::Wait(_)));
        if let Some(observer) = observer
            && observer.after.is_none()
        {
            observer.after = Some(after);
        }
    }

    fn wait_completed(&self, id: RequestId, outcome: Result<Delivery<WaitOutcome>, SessionError>) {
        match outcome {
            Ok(delivery) => delivery.hand_over(|outcome| {
                let outcome = match outcome {
                    WaitOutcome::LiveCell(response) => WaitOutcome::LiveCell(self.said(response)),
                    WaitOutcome::MissingCell(response) => {
                        WaitOutcome::MissingCell(self.said(response))
                    }
                };
                self.answer(id, Answer::ok(OperationValue::WaitCompleted { outcome }));
            }),
            Err(error) => self.answer(id, Answer::error(error)),
        }
    }

    fn answer(&self, id: RequestId, result: Answer<OperationValue>) {
        let sent = self.outbox.push(HostToClient::OperationResponse { id, result });
        if let Err(error) = sent {
            let result = Answer::error(too_large("response", &error));
            self.send_or_log(HostToClient::OperationResponse { id, result });
        }
    }

    /// A response in the words that were agreed on.
    fn said(&self, response: RuntimeResponse) -> RuntimeResponse {
        match self.has_budgets {
            true => response,
            false => response.without_limit(),
        }
    }

    fn initial_response(&self, id: RequestId, response: RuntimeResponse) {
        self.send_initial(id, Answer::ok(self.said(response)));
    }

    fn send_initial(&self, id: RequestId, result: Answer<RuntimeResponse>) {
        let sent = self.outbox.push(HostToClient::ExecuteInitialResponse { id, result });
        if let Err(error) = sent {
            let result = Answer::error(too_large("initial response", &error));
            self.send_or_log(HostToClient::ExecuteInitialResponse { id, result });
        }
    }

    fn send_or_log(&self, message: HostToClient) {
        if let Err(error) = self.outbox.push(message) {
            tracing::error!(%error, "an answer was not sent");
        }
    }
}

/// A future that can be dropped from outside, at once, wherever it is being awaited.
struct Revocable<F>(Mutex<Slot<F>>);

struct Slot<F> {
    future: Option<F>,
    waker: Option<Waker>,
}

impl<F: Future + Unpin> Revocable<F> {
    fn new(future: F) -> Revocable<F> {
        Revocable(Mutex::new(Slot { future: Some(future), waker: None }))
    }

    /// The future's output, or `None` when it was revoked before it had one.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let mut slot = self.0.lock();
        let Some(future) = &mut slot.future else { return Poll::Ready(None) };
        match Pin::new(future).poll(cx) {
            Poll::Ready(output) => {
                slot.future = None;
                Poll::Ready(Some(output))
            }
            Poll::Pending => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn revoke(&self) {
        let (future, waker) = {
            let mut slot = self.0.lock();
            (slot.future.take(), slot.waker.take())
        };
        drop(future);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn too_large(what: &str, error: &EncodeError) -> String {
    format!("code-mode {what} exceeds the IPC frame limit: {error}; show less at a time")
}

/// The reference host's words.
const CANCELLED: &str = "code-mode request cancelled";
