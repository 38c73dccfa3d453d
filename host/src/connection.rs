//! One client's connection: what it may say when, and what that sets in motion.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use codemode_cells::{
    CellRequest, CodeModeSession, ExecuteOptions, InProcessCodeModeSession, OutputPolicy,
    SessionOptions,
};
use codemode_host_protocol::{
    Answer, BUDGETS, Budget, CapabilitySet, CellExecutionLimits, CellId, ClientToHost, DecodeError,
    Envelope as _, ExecuteRequest, HOST_TOOLS, Hello, HostOffer, HostToClient, Known, Operation,
    OperationValue, OutputTruncation, Rejection, RequestDecoder, RequestId, SessionBudgets,
    SessionId, Subject, negotiate,
};

use crate::{
    Host,
    connection::{
        delegates::{CellDelegate, Delegates},
        operations::{Observation, Operations},
        outbox::Outbox,
        toolsets::Toolsets,
        used_ids::UsedIds,
    },
    mcp::Snapshot,
};

pub use end::ConnectionEnd;

pub(crate) mod outbox;

mod delegates;
mod end;
mod operations;
mod toolsets;
mod used_ids;

/// The host's side of one connection, whatever carries it.
///
/// It is handed each message as it arrives, acts on it at once and never waits: answers are made by tasks of
/// their own, and leave through the [`Outbox`]. So operations run concurrently, yet take effect in the order in
/// which they were asked for.
///
/// Dropping it ends the connection's sessions, and everything that runs in them.
pub(crate) struct Connection {
    host: Host,
    outbox: Arc<Outbox>,
    decoder: RequestDecoder,
    phase: Phase,
}

enum Phase {
    /// Nothing was said yet.
    AwaitsHello,
    Open(Box<Open>),
}

impl Connection {
    /// A connection whose client has not said anything yet. Within the host's tokio runtime.
    pub(crate) fn new(host: Host, outbox: Arc<Outbox>) -> Connection {
        Connection { host, outbox, decoder: RequestDecoder::new(), phase: Phase::AwaitsHello }
    }

    /// Takes the body of one frame.
    ///
    /// # Errors
    /// When the connection ends with this message.
    pub(crate) fn receive_body(&mut self, body: &[u8]) -> Result<(), ConnectionEnd> {
        match self.decoder.decode(body) {
            Ok(message) => self.receive(message),
            Err(error) => self.receive_broken(error),
        }
    }

    /// Takes one message.
    ///
    /// # Errors
    /// When the connection ends with this message.
    pub(crate) fn receive(&mut self, message: ClientToHost) -> Result<(), ConnectionEnd> {
        tracing::trace!(kind = message.message_type(), "received");
        match (&mut self.phase, message) {
            (Phase::AwaitsHello, ClientToHost::Hello(hello)) => self.open(&hello),
            (Phase::AwaitsHello, _) => Err(self.reject(Rejection::not_a_hello())),
            (Phase::Open(_), ClientToHost::Hello(_)) => Err(ConnectionEnd::SecondHello),
            (Phase::Open(open), ClientToHost::OperationRequest { id, request }) => {
                if matches!(request, Operation::Shutdown { .. }) {
                    // It may have been the session that brought them.
                    self.decoder.forget();
                    open.toolsets.forget();
                }
                open.operation(id, request)
            }
            (Phase::Open(open), ClientToHost::OperationCancel { id }) => {
                open.operations.cancel(id);
                Ok(())
            }
            (Phase::Open(open), ClientToHost::OperationYield { id }) => {
                open.yield_now(id);
                Ok(())
            }
            (Phase::Open(open), ClientToHost::DelegateResponse { id, result }) => {
                open.delegates.answered(id, result);
                Ok(())
            }
        }
    }

    /// Whether nothing runs in the connection's sessions, and nobody waits for an answer.
    pub(crate) fn is_idle(&self) -> bool {
        match &self.phase {
            Phase::AwaitsHello => true,
            Phase::Open(open) => {
                open.operations.are_none()
                    && open.sessions.values().all(|session| session.running_cells() == 0)
            }
        }
    }

    /// Shuts all sessions down. Ready when their cells are closed and their last words are in the outbox.
    pub(crate) fn shut_down(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let mut sessions = HashMap::new();
        if let Phase::Open(open) = &mut self.phase {
            sessions = std::mem::take(&mut open.sessions);
        }
        let all: Vec<_> = sessions.values().map(CodeModeSession::shutdown).collect();
        async move {
            for session in all {
                if let Err(error) = session.await {
                    tracing::warn!(%error, "a session did not shut down");
                }
            }
            drop(sessions);
        }
    }

    fn open(&mut self, hello: &Hello) -> Result<(), ConnectionEnd> {
        let agreed = match negotiate(hello, &HostOffer::v1()) {
            Ok(agreed) => agreed,
            Err(rejection) => return Err(self.reject(rejection)),
        };
        tracing::debug!(capabilities = %Listed(&agreed.capabilities), "ready");
        let capacity = match agreed.capabilities.has(Known::DelegateCapacity) {
            true => LARGE_DELEGATE_CAPACITY,
            false => DELEGATE_CAPACITY,
        };
        let has_budgets = agreed.capabilities.has(Known::Budgets);
        let has_discovery = agreed.capabilities.has(Known::Discovery);
        let has_host_tools = agreed.capabilities.has(Known::HostTools);
        self.send(HostToClient::Ready {
            selected_version: agreed.version,
            capabilities: agreed.capabilities,
        });
        self.phase = Phase::Open(Box::new(Open {
            host: self.host.clone(),
            delegates: Arc::new(Delegates::new(Arc::clone(&self.outbox), capacity)),
            operations: Operations::new(Arc::clone(&self.outbox), has_budgets),
            has_budgets,
            has_discovery,
            has_host_tools,
            host_tools: HashMap::new(),
            toolsets: Toolsets::default(),
            used_ids: UsedIds::default(),
            sessions: HashMap::new(),
            closed_sessions: ClosedSessions::default(),
        }));
        Ok(())
    }

    fn reject(&self, reason: Rejection) -> ConnectionEnd {
        self.send(HostToClient::Rejected { reason: reason.clone() });
        ConnectionEnd::Rejected(reason)
    }

    fn receive_broken(&mut self, error: DecodeError) -> Result<(), ConnectionEnd> {
        let Phase::Open(open) = &mut self.phase else {
            self.reject(Rejection::InvalidHello { message: error.to_string() });
            return Err(ConnectionEnd::Malformed(error));
        };
        match (error.subject(), error.message_type) {
            (None, _) => Err(ConnectionEnd::Malformed(error)),
            // The id is that of another request, which is none the worse for this.
            (_, Some("operation/cancel" | "operation/yield")) => {
                tracing::warn!(%error, "a broken message was left alone");
                Ok(())
            }
            (Some(Subject::Delegate(id)), _) => {
                tracing::warn!(%error, id = id.0, "a delegate/response was broken");
                let message = format!("code-mode client returned an invalid answer: {error}");
                open.delegates.answered(id, Answer::Error { message });
                Ok(())
            }
            (Some(Subject::Operation(id)), Some("operation/request")) => {
                open.use_id(id)?;
                open.operations
                    .answer(id, Answer::error(format!("invalid code-mode request: {error}")));
                Ok(())
            }
            // A message of an unknown type. If its id is in use, an answer would be taken for another's.
            (Some(Subject::Operation(id)), _) => {
                tracing::warn!(%error, id = id.0, "a message was not understood");
                if open.used_ids.insert(id) {
                    let message = format!("invalid code-mode message: {error}");
                    open.operations.answer(id, Answer::Error { message });
                }
                Ok(())
            }
        }
    }

    fn send(&self, message: HostToClient) {
        // What a handshake says is far smaller than a frame may be.
        if let Err(error) = self.outbox.push(message) {
            tracing::error!(%error, "a message was not sent");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // First, so that cells that end from here on do not fill the queue of a client that is gone.
        self.outbox.finish();
        if let Phase::Open(open) = &mut self.phase {
            open.delegates.end();
            open.operations.end();
            open.sessions.clear();
        }
    }
}

/// A connection after its handshake.
struct Open {
    host: Host,
    delegates: Arc<Delegates>,
    operations: Operations,
    used_ids: UsedIds,
    /// Whether the client has asked for budgets.
    has_budgets: bool,
    /// Whether the client has asked for discovery.
    has_discovery: bool,
    /// Whether it has asked for the host's tools.
    has_host_tools: bool,
    /// The host's tools, as sessions were told them last.
    host_tools: HashMap<SessionId, Snapshot>,
    toolsets: Toolsets,
    sessions: HashMap<SessionId, InProcessCodeModeSession>,
    closed_sessions: ClosedSessions,
}

impl Open {
    fn operation(&mut self, id: RequestId, request: Operation) -> Result<(), ConnectionEnd> {
        self.use_id(id)?;
        let done = match request {
            Operation::Usage { .. } | Operation::Open { budgets: Some(_), .. }
                if !self.has_budgets =>
            {
                Err(format!(
                    "invalid code-mode request: {} needs the capability {BUDGETS}, which was not asked for",
                    if matches!(request, Operation::Usage { .. }) {
                        "session/usage"
                    } else {
                        "budgets"
                    },
                ))
            }
            Operation::Open { session_id, cell_execution_limits, output_truncation, budgets } => {
                self.open_session(
                    session_id,
                    cell_execution_limits,
                    output_truncation,
                    budgets.map(|budgets| *budgets).unwrap_or_default(),
                )
                .map(|value| self.operations.answer(id, Answer::ok(value)))
            }
            Operation::Usage { session_id } => self.session(&session_id).map(|session| {
                let usage = Box::new(session.usage_now());
                let value = OperationValue::SessionUsage { session_id, usage };
                self.operations.answer(id, Answer::ok(value));
            }),
            Operation::Tools { .. } if !self.has_host_tools => Err(format!(
                "invalid code-mode request: session/tools needs the capability {HOST_TOOLS}, which was not asked for"
            )),
            Operation::Tools { session_id } => self.tell_tools(session_id).map(|value| {
                self.operations.answer(id, Answer::ok(value));
            }),
            Operation::Execute { session_id, request } => self.execute(id, session_id, request),
            Operation::Wait { session_id, request, max_output_tokens } => {
                self.session(&session_id).map(|session| {
                    let outcome =
                        session.wait(&request.cell_id, request.yield_time(), max_output_tokens);
                    self.operations.wait(id, cell(&session_id, &request.cell_id), outcome);
                })
            }
            Operation::Terminate { session_id, cell_id, max_output_tokens } => {
                self.session(&session_id).map(|session| {
                    self.operations.terminate(id, cell(&session_id, &cell_id), || {
                        session.terminate(&cell_id, max_output_tokens)
                    });
                })
            }
            Operation::Shutdown { session_id } => self.shut_down_session(id, session_id),
        };
        if let Err(message) = done {
            self.operations.answer(id, Answer::Error { message });
        }
        Ok(())
    }

    fn use_id(&mut self, id: RequestId) -> Result<(), ConnectionEnd> {
        match self.used_ids.insert(id) {
            true => Ok(()),
            false => Err(ConnectionEnd::DuplicateRequestId(id)),
        }
    }

    fn session(&self, id: &SessionId) -> Result<&InProcessCodeModeSession, String> {
        self.sessions.get(id).ok_or_else(|| unknown(id))
    }

    fn open_session(
        &mut self,
        id: SessionId,
        limits: Option<CellExecutionLimits>,
        truncation: Option<OutputTruncation>,
        budgets: SessionBudgets,
    ) -> Result<OperationValue, String> {
        self.host.refuse_if_draining()?;
        if self.sessions.contains_key(&id) {
            return Err(format!("code-mode session ID `{id}` is already open"));
        }
        if self.closed_sessions.contain(&id) {
            return Err(format!("code-mode session ID `{id}` was reused"));
        }
        if self.sessions.len() + self.closed_sessions.0.len() >= MAX_SESSIONS {
            return Err(format!(
                "this connection has opened {MAX_SESSIONS} sessions; open another connection"
            ));
        }
        let limits = limits.unwrap_or_default();
        let mut options = self.host.session_options(with_heap(budgets, &limits));
        apply(limits, &mut options);
        options.discovery = self.has_discovery;
        if truncation == Some(OutputTruncation::Server) {
            options.output = OutputPolicy::V1Server;
        }
        self.sessions.insert(id.clone(), self.host.new_session(options));
        Ok(OperationValue::SessionReady { session_id: id })
    }

    /// Tells a session's client the host's tools: those that cells which it starts from now on have.
    fn tell_tools(&mut self, session_id: SessionId) -> Result<OperationValue, String> {
        self.session(&session_id)?;
        let Some(snapshot) = self.host.tools() else {
            return Ok(OperationValue::SessionTools { session_id, tools: Vec::new() });
        };
        let tools = snapshot.tools.clone();
        self.host_tools.insert(session_id.clone(), snapshot);
        Ok(OperationValue::SessionTools { session_id, tools })
    }

    fn execute(
        &mut self,
        id: RequestId,
        session_id: SessionId,
        request: ExecuteRequest,
    ) -> Result<(), String> {
        let session = self.sessions.get(&session_id).ok_or_else(|| unknown(&session_id))?;
        self.host.refuse_if_draining()?;
        let yield_time = request.yield_time();
        let ExecuteRequest { tool_call_id, enabled_tools, source, max_output_tokens, .. } = request;
        let delegate = Arc::new(CellDelegate::new(Arc::clone(&self.delegates), session_id.clone()));
        let runtime = Arc::clone(&delegate) as _;
        let host_tools = self.host_tools.get(&session_id);
        let step = Arc::new(self.toolsets.step(enabled_tools, host_tools, runtime));
        let request = CellRequest {
            tool_call_id,
            source,
            yield_time: Some(yield_time),
            max_output_tokens: max_output_tokens.map(|tokens| tokens.count()),
        };
        let started = delegate.before_all_else(|| {
            let started = session.start(step, request, ExecuteOptions::default());
            let started = started.map_err(|error| error.to_string())?;
            let value = OperationValue::ExecutionStarted { cell_id: started.cell_id.clone() };
            self.operations.answer(id, Answer::ok(value));
            Ok::<_, String>(started)
        })?;
        self.operations.started(id, cell(&session_id, &started.cell_id), started.response);
        Ok(())
    }

    fn shut_down_session(&mut self, id: RequestId, session_id: SessionId) -> Result<(), String> {
        let session = self.sessions.remove(&session_id).ok_or_else(|| unknown(&session_id))?;
        self.host_tools.remove(&session_id);
        self.closed_sessions.insert(&session_id);
        let closed = session.shutdown();
        self.operations.shut_down(id, session_id, async move {
            let result = closed.await;
            drop(session);
            result
        });
        Ok(())
    }

    fn yield_now(&self, id: RequestId) {
        let Some((session, cell)) = self.operations.observed(id) else { return };
        if let Some(session) = self.sessions.get(&session) {
            session.yield_now(&cell);
        }
    }
}

/// Sessions that were closed. Their ids cannot be used again; what is kept of one is its hash.
#[derive(Default)]
struct ClosedSessions(HashSet<u64>, RandomState);

impl ClosedSessions {
    fn insert(&mut self, id: &SessionId) {
        self.0.insert(self.1.hash_one(id));
    }

    fn contain(&self, id: &SessionId) -> bool {
        self.0.contains(&self.1.hash_one(id))
    }
}

fn unknown(session: &SessionId) -> String {
    format!("unknown code-mode session {session}")
}

fn cell(session: &SessionId, cell: &CellId) -> Observation {
    (session.clone(), cell.clone())
}

/// A client may ask for less than the host allows.
fn apply(asked: CellExecutionLimits, options: &mut SessionOptions) {
    let limits = &mut options.limits;
    if let Some(ms) = asked.max_yield_time_ms {
        let asked = Duration::from_millis(ms);
        limits.max_yield_time = Some(limits.max_yield_time.map_or(asked, |most| most.min(asked)));
    }
}

/// V1's limit on the heap is one on array buffers as well, unless the client asks for those by name.
fn with_heap(budgets: SessionBudgets, limits: &CellExecutionLimits) -> SessionBudgets {
    let Some(bytes) = limits.max_heap_size_bytes else { return budgets };
    let mut cell = budgets.cell.unwrap_or_default();
    for budget in [Budget::Heap, Budget::ArrayBuffers] {
        let asked = cell.of(budget).map_or(bytes, |asked| asked.min(bytes));
        cell.set(budget, Some(asked));
    }
    SessionBudgets { cell: Some(cell), ..budgets }
}

/// Capabilities as a log shows them.
struct Listed<'a>(&'a CapabilitySet);

impl std::fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, capability) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{capability}")?;
        }
        Ok(())
    }
}

/// How many delegate requests of a connection may be unanswered. As the reference host has it.
const DELEGATE_CAPACITY: usize = 1_024;

/// The same under the capability `delegate-capacity-4096`.
const LARGE_DELEGATE_CAPACITY: usize = 4_096;

/// Sessions that one connection may open in its life.
const MAX_SESSIONS: usize = 1_000_000;
