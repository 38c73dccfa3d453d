//! What may follow what on a connection.

use std::collections::{HashMap, HashSet};

use crate::{
    Answer, CellId, ClientToHost, DelegateId, HostToClient, Operation, OperationValue, RequestId,
    RuntimeResponse, SessionId, WaitOutcome,
};

/// Follows the messages of one connection, as one of its ends sees them, and says which of them breaks the
/// protocol's order.
///
/// A message that has crossed another on its way breaks nothing: an answer to a delegate request that has been
/// cancelled, a wait on a cell that has just closed.
///
/// It is meant for tests and for looking into recordings: it remembers every cell of the connection.
#[derive(Debug, Default)]
pub struct OrderCheck {
    opening: Opening,
    used: HashSet<RequestId>,
    open: HashMap<RequestId, Request>,
    delegates: HashMap<DelegateId, Delegate>,
    cells: HashMap<CellKey, Cell>,
    closing: HashSet<SessionId>,
}

impl OrderCheck {
    /// A connection on which nothing has been said.
    pub fn new() -> OrderCheck {
        OrderCheck::default()
    }

    /// The client says `message`.
    ///
    /// # Errors
    /// [`OrderError`] when it must not, as things stand.
    pub fn client_sends(&mut self, message: &ClientToHost) -> Result<(), OrderError> {
        match (message, self.opening) {
            (ClientToHost::Hello(_), Opening::Silent) => {
                self.opening = Opening::Greeted;
                return Ok(());
            }
            (ClientToHost::Hello(_), _) => return Err(OrderError::SecondHello),
            (_, Opening::Silent) => return Err(OrderError::NotOpen),
            _ => {}
        }
        match message {
            ClientToHost::OperationRequest { id, request } => self.request(*id, request),
            ClientToHost::DelegateResponse { id, .. } => {
                let delegate =
                    self.delegates.get_mut(id).ok_or(OrderError::UnknownDelegate(*id))?;
                delegate.settled = true;
                Ok(())
            }
            // Whatever they name may have been answered meanwhile.
            ClientToHost::OperationCancel { .. } | ClientToHost::OperationYield { .. } => Ok(()),
            ClientToHost::Hello(_) => Err(OrderError::SecondHello),
        }
    }

    /// The host says `message`.
    ///
    /// # Errors
    /// [`OrderError`] when it must not, as things stand.
    pub fn host_sends(&mut self, message: &HostToClient) -> Result<(), OrderError> {
        match (message, self.opening) {
            (HostToClient::Ready { .. }, Opening::Greeted) => {
                self.opening = Opening::Open;
                return Ok(());
            }
            // Also to a client that has not said hello, but something else.
            (HostToClient::Rejected { .. }, Opening::Silent | Opening::Greeted) => {
                self.opening = Opening::Rejected;
                return Ok(());
            }
            (_, Opening::Open) => {}
            _ => return Err(OrderError::NotOpen),
        }
        match message {
            HostToClient::Ready { .. } | HostToClient::Rejected { .. } => {
                Err(OrderError::SecondHello)
            }
            HostToClient::OperationResponse { id, result } => self.response(*id, result),
            HostToClient::ExecuteInitialResponse { id, result } => {
                self.initial_response(*id, result)
            }
            HostToClient::DelegateRequest { id, session_id, request } => {
                let key = (session_id.clone(), request.cell_id().clone());
                self.running(&key)?;
                let delegate = Delegate { cell: key, settled: false, cancelled: false };
                match self.delegates.insert(*id, delegate) {
                    Some(_) => Err(OrderError::DelegateIdUsed(*id)),
                    None => Ok(()),
                }
            }
            HostToClient::DelegateCancel { id } => {
                let delegate =
                    self.delegates.get_mut(id).ok_or(OrderError::UnknownDelegate(*id))?;
                if delegate.cancelled {
                    return Err(OrderError::UnknownDelegate(*id));
                }
                delegate.cancelled = true;
                delegate.settled = true;
                let key = delegate.cell.clone();
                self.running(&key)
            }
            HostToClient::CellClosed { session_id, cell_id } => {
                self.close(&(session_id.clone(), cell_id.clone()))
            }
        }
    }

    fn request(&mut self, id: RequestId, operation: &Operation) -> Result<(), OrderError> {
        if !self.used.insert(id) {
            return Err(OrderError::RequestIdUsed(id));
        }
        let session = operation.session_id().clone();
        let request = match operation {
            Operation::Open { .. } => Request::Open(session),
            Operation::Usage { .. } => Request::Usage(session),
            Operation::Tools { .. } => Request::Tools(session),
            Operation::Execute { .. } => Request::Execute(session),
            Operation::Wait { request, .. } => self.observation(session, &request.cell_id),
            Operation::Terminate { cell_id, .. } => self.observation(session, cell_id),
            Operation::Shutdown { .. } => {
                self.closing.insert(session.clone());
                Request::Shutdown(session)
            }
        };
        self.open.insert(id, request);
        Ok(())
    }

    fn observation(&self, session: SessionId, cell: &CellId) -> Request {
        let key = (session, cell.clone());
        let was_running = self.cells.get(&key) == Some(&Cell::Running);
        Request::Observe { key, was_running }
    }

    fn response(
        &mut self,
        id: RequestId,
        answer: &Answer<OperationValue>,
    ) -> Result<(), OrderError> {
        let request = match self.open.remove(&id) {
            Some(Request::Initial(key)) => {
                self.open.insert(id, Request::Initial(key));
                return Err(OrderError::UnknownRequest(id));
            }
            Some(request) => request,
            None => return Err(OrderError::UnknownRequest(id)),
        };
        let Answer::Ok { value } = answer else {
            match request {
                Request::Shutdown(session) => drop(self.closing.remove(&session)),
                Request::Observe { key, .. } => self.obscure(key),
                Request::Open(_)
                | Request::Usage(_)
                | Request::Tools(_)
                | Request::Execute(_)
                | Request::Initial(_) => {}
            }
            return Ok(());
        };
        match (request, value) {
            (Request::Open(session), OperationValue::SessionReady { session_id })
                if session == *session_id =>
            {
                Ok(())
            }
            (Request::Usage(session), OperationValue::SessionUsage { session_id, .. })
                if session == *session_id =>
            {
                Ok(())
            }
            (Request::Tools(session), OperationValue::SessionTools { session_id, .. })
                if session == *session_id =>
            {
                Ok(())
            }
            (Request::Execute(session), OperationValue::ExecutionStarted { cell_id }) => {
                let key = (session, cell_id.clone());
                if self.cells.insert(key.clone(), Cell::Running).is_some() {
                    return Err(OrderError::CellStartedTwice { cell: cell_id.clone() });
                }
                self.open.insert(id, Request::Initial(key));
                Ok(())
            }
            (
                Request::Observe { key, was_running },
                OperationValue::WaitCompleted { outcome: WaitOutcome::MissingCell(response) },
            ) if key.1 == *response.cell_id() => {
                // A cell that was not known to run when it was asked for may have been missing then. One may be
                // missing already when its last response, or its session's end, is still on its way.
                let runs = was_running && self.cells.get(&key) == Some(&Cell::Running);
                let ends = self.closing.contains(&key.0)
                    || self.open.values().any(|request| request.observes(&key));
                if runs && !ends {
                    return Err(OrderError::CellRuns { cell: key.1 });
                }
                Ok(())
            }
            (
                Request::Observe { key, .. },
                OperationValue::WaitCompleted { outcome: WaitOutcome::LiveCell(response) },
            ) if key.1 == *response.cell_id() => self.shown(&key, response),
            (Request::Shutdown(session), OperationValue::SessionClosed { session_id })
                if session == *session_id =>
            {
                let unclosed = self
                    .cells
                    .iter()
                    .find(|((session, _), cell)| session == session_id && **cell != Cell::Closed);
                if let Some(((_, cell), _)) = unclosed {
                    return Err(OrderError::CellNotClosed { cell: cell.clone() });
                }
                Ok(())
            }
            _ => Err(OrderError::WrongAnswer(id)),
        }
    }

    fn initial_response(
        &mut self,
        id: RequestId,
        answer: &Answer<RuntimeResponse>,
    ) -> Result<(), OrderError> {
        let Some(Request::Initial(key)) = self.open.get(&id).cloned() else {
            return Err(OrderError::UnknownRequest(id));
        };
        self.open.remove(&id);
        match answer {
            Answer::Ok { value } if *value.cell_id() == key.1 => self.shown(&key, value),
            Answer::Ok { .. } => Err(OrderError::WrongAnswer(id)),
            Answer::Error { .. } => {
                self.obscure(key);
                Ok(())
            }
        }
    }

    /// An error stands where a response could not be sent: the last one, possibly.
    fn obscure(&mut self, key: CellKey) {
        self.cells.entry(key).and_modify(|cell| {
            if *cell == Cell::Running {
                *cell = Cell::Unclear;
            }
        });
    }

    /// A cell gives a response.
    fn shown(&mut self, key: &CellKey, response: &RuntimeResponse) -> Result<(), OrderError> {
        if !response.is_terminal() {
            self.running(key)?;
            self.cells.insert(key.clone(), Cell::Running);
            return Ok(());
        }
        match self.cells.get(key) {
            None => return Err(OrderError::CellNotStarted { cell: key.1.clone() }),
            Some(Cell::Closed) => return Err(OrderError::CellEnded { cell: key.1.clone() }),
            // Who observes a cell and who terminates it both get its last response.
            Some(Cell::Running | Cell::Unclear | Cell::Ended) => {}
        }
        self.all_settled(key)?;
        self.cells.insert(key.clone(), Cell::Ended);
        Ok(())
    }

    fn close(&mut self, key: &CellKey) -> Result<(), OrderError> {
        let cell = key.1.clone();
        match self.cells.get(key) {
            None => return Err(OrderError::CellNotStarted { cell }),
            Some(Cell::Closed) => return Err(OrderError::CellEnded { cell }),
            // Nobody asked for the last response of a cell whose session is shut down.
            Some(Cell::Running) if !self.closing.contains(&key.0) => {
                return Err(OrderError::CellNotEnded { cell });
            }
            Some(Cell::Running | Cell::Unclear | Cell::Ended) => {}
        }
        self.all_settled(key)?;
        let initial = self
            .open
            .iter()
            .find(|(_, request)| matches!(request, Request::Initial(observed) if observed == key));
        if let Some((id, _)) = initial {
            return Err(OrderError::Unanswered { cell, id: *id });
        }
        self.cells.insert(key.clone(), Cell::Closed);
        Ok(())
    }

    fn running(&self, key: &CellKey) -> Result<(), OrderError> {
        match self.cells.get(key) {
            None => Err(OrderError::CellNotStarted { cell: key.1.clone() }),
            Some(Cell::Running | Cell::Unclear) => Ok(()),
            Some(Cell::Ended | Cell::Closed) => Err(OrderError::CellEnded { cell: key.1.clone() }),
        }
    }

    /// Fails while a delegate request of the cell is neither answered nor cancelled.
    fn all_settled(&self, key: &CellKey) -> Result<(), OrderError> {
        let open = self.delegates.iter().filter(|(_, it)| it.cell == *key && !it.settled);
        match open.map(|(id, _)| *id).min() {
            Some(id) => Err(OrderError::DelegateOpen { cell: key.1.clone(), id }),
            None => Ok(()),
        }
    }
}

/// A message that must not come where it came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Something before the hello, or before its answer, or after a rejection.
    #[error(
        "the connection is not open: hello and ready come first, and nothing follows a rejection"
    )]
    NotOpen,
    /// A second hello, or a second answer to it.
    #[error("a connection is opened once")]
    SecondHello,
    /// A client uses an id a second time.
    #[error("request id {0} has been used before in this connection")]
    RequestIdUsed(RequestId),
    /// An answer to what was not asked, or was answered.
    #[error("nothing is to be answered in this way with id {0}")]
    UnknownRequest(RequestId),
    /// An answer to another question.
    #[error("the answer with id {0} does not fit its request")]
    WrongAnswer(RequestId),
    /// A host uses an id a second time.
    #[error("delegate id {0} has been used before in this connection")]
    DelegateIdUsed(DelegateId),
    /// An answer or a cancel that has no request, or a second cancel.
    #[error("no delegate request with id {0} can be answered or cancelled")]
    UnknownDelegate(DelegateId),
    /// A cell's id has been given to another before.
    #[error("cell {cell} has been started before in its session")]
    CellStartedTwice {
        /// The cell.
        cell: CellId,
    },
    /// A message of a cell comes before `execution/started`.
    #[error("cell {cell} has not started")]
    CellNotStarted {
        /// The cell.
        cell: CellId,
    },
    /// A message of a cell comes after its last response, or after `cell/closed`.
    #[error("cell {cell} has ended")]
    CellEnded {
        /// The cell.
        cell: CellId,
    },
    /// `cell/closed` comes before the cell's last response.
    #[error("cell {cell} closes without having ended")]
    CellNotEnded {
        /// The cell.
        cell: CellId,
    },
    /// `session/closed` comes before `cell/closed`.
    #[error("the session closes before its cell {cell}")]
    CellNotClosed {
        /// The cell.
        cell: CellId,
    },
    /// `MissingCell` for a cell that runs.
    #[error("cell {cell} is said to be missing, and runs")]
    CellRuns {
        /// The cell.
        cell: CellId,
    },
    /// A cell ends, and a request of its own is neither answered nor cancelled.
    #[error("cell {cell} ends while its delegate request {id} is open")]
    DelegateOpen {
        /// The cell.
        cell: CellId,
        /// The first such request.
        id: DelegateId,
    },
    /// A cell closes, and the execute that started it has had no response.
    #[error("cell {cell} closes while request {id} waits for its first response")]
    Unanswered {
        /// The cell.
        cell: CellId,
        /// The execute.
        id: RequestId,
    },
}

impl OrderError {
    /// The rule's name: stable, for logs, tests and clients in other languages.
    pub fn code(&self) -> &'static str {
        match self {
            OrderError::NotOpen => "not-open",
            OrderError::SecondHello => "second-hello",
            OrderError::RequestIdUsed(_) => "request-id-used",
            OrderError::UnknownRequest(_) => "unknown-request",
            OrderError::WrongAnswer(_) => "wrong-answer",
            OrderError::DelegateIdUsed(_) => "delegate-id-used",
            OrderError::UnknownDelegate(_) => "unknown-delegate",
            OrderError::CellStartedTwice { .. } => "cell-started-twice",
            OrderError::CellNotStarted { .. } => "cell-not-started",
            OrderError::CellEnded { .. } => "cell-ended",
            OrderError::CellNotEnded { .. } => "cell-not-ended",
            OrderError::CellNotClosed { .. } => "cell-not-closed",
            OrderError::CellRuns { .. } => "cell-runs",
            OrderError::DelegateOpen { .. } => "delegate-open",
            OrderError::Unanswered { .. } => "unanswered",
        }
    }
}

type CellKey = (SessionId, CellId);

#[derive(Clone, Copy, Debug, Default)]
enum Opening {
    #[default]
    Silent,
    Greeted,
    Open,
    Rejected,
}

/// An operation that is to be answered.
#[derive(Clone, Debug)]
enum Request {
    Open(SessionId),
    Usage(SessionId),
    Tools(SessionId),
    Execute(SessionId),
    /// An execute that was answered with `execution/started`.
    Initial(CellKey),
    /// A wait or a terminate.
    Observe {
        key: CellKey,
        was_running: bool,
    },
    Shutdown(SessionId),
}

impl Request {
    fn observes(&self, cell: &CellKey) -> bool {
        match self {
            Request::Initial(key) | Request::Observe { key, .. } => key == cell,
            Request::Open(_)
            | Request::Usage(_)
            | Request::Tools(_)
            | Request::Execute(_)
            | Request::Shutdown(_) => false,
        }
    }
}

#[derive(Debug)]
struct Delegate {
    cell: CellKey,
    /// Answered or cancelled.
    settled: bool,
    cancelled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Running,
    /// An error has been given in place of a response: it runs, or has ended.
    Unclear,
    /// Its last response has been given.
    Ended,
    Closed,
}
