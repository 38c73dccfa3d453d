//! What a client's sessions, and the dispatcher of its connection, have in common.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use codemode_cells::{Delivery, SessionError, Step};
use codemode_host_protocol::{
    CellId, ClientToHost, ContentItem, DelegateId, Known, Negotiated, Operation, RequestId,
    RuntimeResponse, SessionId, SessionUsage, ToolDefinition, WaitOutcome,
};
use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    task::AbortHandle,
};

use crate::client::wire::Outgoing;

/// The client's side of one connection.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Arc<State>,
    outgoing: Outgoing,
    agreed: Negotiated,
    next_session: AtomicU64,
}

impl Shared {
    pub(super) fn new(state: Arc<State>, outgoing: Outgoing, agreed: Negotiated) -> Shared {
        Shared { state, outgoing, agreed, next_session: AtomicU64::new(1) }
    }

    pub(super) fn agreed(&self) -> &Negotiated {
        &self.agreed
    }

    pub(super) fn has(&self, capability: Known) -> bool {
        self.agreed.capabilities.has(capability)
    }

    pub(super) fn next_session_id(&self) -> SessionId {
        let number = self.next_session.fetch_add(1, Ordering::Relaxed);
        SessionId::new(format!("session-{number}")).expect("it is not blank")
    }

    pub(super) async fn open(&self, request: Operation) -> Result<(), SessionError> {
        let (reply, answer) = oneshot::channel();
        self.request(request, |_, _| Waiting::Opened(reply))?;
        received(answer).await
    }

    /// Sends a request, and has its answer go to what `waiting` makes of its id. At once.
    pub(super) fn request(
        &self,
        request: Operation,
        waiting: impl FnOnce(RequestId, &mut Tables) -> Waiting,
    ) -> Result<RequestId, SessionError> {
        let mut tables = self.state.0.lock();
        if let Some(reason) = &tables.lost {
            return Err(SessionError::Disconnected(reason.clone()));
        }
        let id = tables.next_id();
        let message = ClientToHost::OperationRequest { id, request };
        self.agreed.permits(&message).map_err(|error| SessionError::Refused(error.to_string()))?;
        // Under the lock, so that ids leave in order.
        self.outgoing.send(message).map_err(SessionError::Refused)?;
        let waiting = waiting(id, &mut tables);
        tables.operations.insert(id, waiting);
        Ok(id)
    }

    /// Ends a cell that started although its execute was given up: nobody knows its name.
    pub(super) fn end_unknown(&self, cell: &(SessionId, CellId)) {
        self.state.0.lock().end_unknown(cell, &self.outgoing);
    }

    /// Adds to an outcome what came before it for somebody who had given up.
    pub(super) fn with_left(
        &self,
        cell: &(SessionId, CellId),
        outcome: Delivery<WaitOutcome>,
    ) -> Delivery<WaitOutcome> {
        let left = match self.state.0.lock().cells.get_mut(cell) {
            Some(entry) if matches!(*outcome, WaitOutcome::LiveCell(_)) => {
                mem::take(&mut entry.stash.items)
            }
            _ => return outcome,
        };
        outcome.map(|mut outcome| {
            if let WaitOutcome::LiveCell(response) = &mut outcome {
                items_of(response).splice(0..0, left);
            }
            outcome
        })
    }

    /// Forgets a cell of which nothing is to come, and nothing is left.
    pub(super) fn forget_if_done(&self, cell: &(SessionId, CellId)) {
        let done = self.state.0.lock().take_if_done(cell);
        drop(done);
    }

    /// The error of one whose answer will not come.
    pub(super) fn gone(&self) -> SessionError {
        let reason = self.state.0.lock().lost.clone();
        SessionError::Disconnected(reason.unwrap_or_else(|| NOBODY_LEFT.to_owned()))
    }

    /// Gives up a wait, or an execute that has not started.
    pub(super) fn cancel(&self, id: RequestId) {
        let _ = self.outgoing.send(ClientToHost::OperationCancel { id });
    }

    /// Asks for an answer now, where the host can be asked that.
    pub(super) fn yield_now(&self, id: RequestId) {
        if self.has(Known::YieldObservation) {
            let _ = self.outgoing.send(ClientToHost::OperationYield { id });
        }
    }
}

/// Who waits for what from the host, and which step each cell belongs to.
#[derive(Debug, Default)]
pub(super) struct State(pub(super) Mutex<Tables>);

#[derive(Debug, Default)]
pub(super) struct Tables {
    last_id: i64,
    pub(super) operations: HashMap<RequestId, Waiting>,
    pub(super) cells: HashMap<(SessionId, CellId), CellEntry>,
    /// Tool calls and notifications that were not answered yet.
    pub(super) calls: HashMap<DelegateId, AbortHandle>,
    /// Why the host cannot be reached any more.
    pub(super) lost: Option<String>,
}

impl Tables {
    fn next_id(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }

    pub(super) fn end_unknown(&mut self, cell: &(SessionId, CellId), outgoing: &Outgoing) {
        let Some(entry) = self.cells.get_mut(cell) else { return };
        entry.unknown = true;
        entry.observations = 0;
        let first = entry.observer.and_then(|id| self.operations.get_mut(&id));
        if let Some(Waiting::Response { reply, .. }) = first {
            *reply = None;
        }
        let id = self.next_id();
        let request = Operation::Terminate {
            session_id: cell.0.clone(),
            cell_id: cell.1.clone(),
            max_output_tokens: None,
        };
        let waiting = Waiting::Response { cell: cell.clone(), observes: false, reply: None };
        if outgoing.send(ClientToHost::OperationRequest { id, request }).is_ok() {
            self.operations.insert(id, waiting);
        }
    }

    /// Takes the cells of a session that ended. To be dropped outside of the lock.
    pub(super) fn take_session(&mut self, session: &SessionId) -> Vec<CellEntry> {
        self.cells.extract_if(|(id, _), _| id == session).map(|(_, entry)| entry).collect()
    }

    /// Takes the entry of a cell of which nothing is to come, and nothing is left. To be dropped outside of the
    /// lock.
    pub(super) fn take_if_done(&mut self, cell: &(SessionId, CellId)) -> Option<CellEntry> {
        self.cells.get(cell)?.is_done().then(|| self.cells.remove(cell)).flatten()
    }
}

impl State {
    /// Fails all who wait, and all who will ask.
    pub(super) fn lose(&self, reason: &str) {
        let (operations, cells, calls) = {
            let mut tables = self.0.lock();
            tables.lost = Some(reason.to_owned());
            (
                mem::take(&mut tables.operations),
                mem::take(&mut tables.cells),
                mem::take(&mut tables.calls),
            )
        };
        for call in calls.into_values() {
            call.abort();
        }
        for operation in operations.into_values() {
            operation.fail(SessionError::Disconnected(reason.to_owned()));
        }
        // Outside of the lock: with them, cells are reported closed.
        drop(cells);
    }
}

/// Who waits for the answer to a request.
#[derive(Debug)]
pub(super) enum Waiting {
    /// One who opens a session.
    Opened(Reply<()>),
    /// One who ends a session.
    ShutDown { session: SessionId, reply: Reply<()> },
    /// One who asks what a session has used.
    Usage(Reply<SessionUsage>),
    /// One who asks for the host's tools.
    Tools(Reply<Vec<ToolDefinition>>),
    /// One whose cell is to start.
    Started { session: SessionId, step: Arc<Step>, reply: Option<Reply<Started>> },
    /// One who wants a cell's first response, its next or its last.
    Response {
        cell: (SessionId, CellId),
        /// Whether this is the cell's one observer. Who ends it is not.
        observes: bool,
        /// `None` once nobody wants it any more.
        reply: Option<Reply<Delivery<WaitOutcome>>>,
    },
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, SessionError>>;

/// A cell that has started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) cell_id: CellId,
    /// The execute, whose first response is to come.
    pub(super) id: RequestId,
    pub(super) response: oneshot::Receiver<Result<Delivery<WaitOutcome>, SessionError>>,
}

impl Waiting {
    fn fail(self, error: SessionError) {
        match self {
            Waiting::Opened(reply) | Waiting::ShutDown { reply, .. } => {
                drop(reply.send(Err(error)))
            }
            Waiting::Usage(reply) => drop(reply.send(Err(error))),
            Waiting::Tools(reply) => drop(reply.send(Err(error))),
            Waiting::Started { reply, .. } => send(reply, Err(error)),
            Waiting::Response { reply, .. } => send(reply, Err(error)),
        }
    }
}

/// A cell that has not been reported closed, or of which something is left to be fetched.
#[derive(Debug)]
pub(super) struct CellEntry {
    pub(super) step: Arc<Step>,
    /// `None` once the host said that the cell is closed.
    pub(super) closing: Option<Arc<Closing>>,
    /// The execute or wait that the cell's next response goes to.
    pub(super) observer: Option<RequestId>,
    /// How many requests are on their way whose sender has given up on the answer.
    pub(super) orphans: watch::Sender<usize>,
    /// What came in answer to those, for the next who waits.
    pub(super) stash: Stash,
    /// Whether somebody will wait for the cell as soon as those requests are answered.
    pub(super) reserved: bool,
    /// How many wait for a response, or have one that they have not looked at.
    pub(super) observations: usize,
    /// Whether nobody knows the cell, and what it shows is for nobody.
    pub(super) unknown: bool,
}

impl CellEntry {
    /// Of a cell that has just started.
    pub(super) fn new(step: Arc<Step>, cell: CellId, execute: RequestId) -> CellEntry {
        let closing = Closing { step: Arc::clone(&step), cell };
        CellEntry {
            step,
            closing: Some(Arc::new(closing)),
            observer: Some(execute),
            orphans: watch::Sender::new(0),
            stash: Stash::default(),
            reserved: false,
            observations: 0,
            unknown: false,
        }
    }

    /// Keeps a response that nobody took, for the next who waits.
    pub(super) fn keep(&mut self, outcome: Delivery<WaitOutcome>) {
        if self.unknown || !matches!(*outcome, WaitOutcome::LiveCell(_)) {
            return;
        }
        let response = outcome.map(into_response);
        if response.is_terminal() {
            self.stash.last = Some(response);
        } else {
            let mut response = response.into_inner();
            self.stash.items.append(items_of(&mut response));
        }
    }

    /// The cell's last response, if it was left, with all that was left before it.
    pub(super) fn take_last(&mut self) -> Option<Delivery<RuntimeResponse>> {
        let last = self.stash.last.take()?;
        let left = mem::take(&mut self.stash.items);
        Some(last.map(|mut response| {
            items_of(&mut response).splice(0..0, left);
            response
        }))
    }

    fn is_done(&self) -> bool {
        self.closing.is_none()
            && !self.reserved
            && self.observations == 0
            && self.stash.is_empty()
            && *self.orphans.borrow() == 0
    }
}

/// Output that arrived for somebody who had given up.
#[derive(Debug, Default)]
pub(super) struct Stash {
    pub(super) items: Vec<ContentItem>,
    /// The cell's last response, with `items` before it.
    pub(super) last: Option<Delivery<RuntimeResponse>>,
}

impl Stash {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.last.is_none()
    }
}

/// Reports a cell closed when the last that have something of it let go.
pub(super) struct Closing {
    pub(super) step: Arc<Step>,
    pub(super) cell: CellId,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let report = || self.step.runtime.cell_closed(&self.cell);
        // The report may come from whoever drops a response; a panic in it is not theirs.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(report)).is_err() {
            tracing::error!(cell = %self.cell, "the tool runtime panicked when a cell was closed");
        }
    }
}

impl std::fmt::Debug for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closing").field("cell", &self.cell).finish_non_exhaustive()
    }
}

/// Waits for an answer that comes in any case: when the connection is lost, an error.
pub(super) async fn received<T>(
    answer: oneshot::Receiver<Result<T, SessionError>>,
) -> Result<T, SessionError> {
    answer.await.unwrap_or_else(|_| Err(SessionError::Disconnected(NOBODY_LEFT.to_owned())))
}

pub(super) fn send<T>(reply: Option<oneshot::Sender<T>>, value: T) {
    if let Some(reply) = reply {
        let _ = reply.send(value);
    }
}

pub(super) fn into_response(outcome: WaitOutcome) -> RuntimeResponse {
    match outcome {
        WaitOutcome::LiveCell(response) | WaitOutcome::MissingCell(response) => response,
    }
}

fn items_of(response: &mut RuntimeResponse) -> &mut Vec<ContentItem> {
    match response {
        RuntimeResponse::Result { content_items, .. }
        | RuntimeResponse::Yielded { content_items, .. }
        | RuntimeResponse::Terminated { content_items, .. } => content_items,
    }
}

const NOBODY_LEFT: &str = "the task that reads from it was ended";
