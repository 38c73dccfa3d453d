//! What a session can be asked, wherever it runs.

use std::{any::Any, fmt, future::Future, ops::Deref, pin::Pin, sync::Arc, time::Duration};

use codemode_host_protocol::{
    CellId, DEFAULT_YIELD_TIME_MS, LimitExceeded, RuntimeResponse, SessionUsage, WaitOutcome,
};

use crate::Step;

/// A session: runs cells, and answers for them until their results are read.
///
/// The same whether the session lives in this process or behind a connection. What a method promises "at
/// once" happens before it returns; only the answer is in the future. So calls made one after another take
/// effect in that order, whichever future is polled first.
pub trait CodeModeSession: Send + Sync {
    /// Starts a cell that belongs to `step`.
    ///
    /// # Errors
    /// When the session was shut down, has no room for one more cell, or cannot be reached.
    ///
    /// Cancel safety: dropping the future may leave the cell running.
    fn execute(&self, step: Arc<Step>, request: CellRequest) -> SessionFuture<StartedCell>;

    /// Waits until the cell has something to answer with: its end, a yield, or that `yield_time` is over.
    ///
    /// At once, the caller becomes the cell's one observer. A cell that is unknown, or was answered for
    /// before, makes a [`WaitOutcome::MissingCell`], whose text says what became of it.
    ///
    /// # Errors
    /// [`SessionError::Observed`] when somebody else is waiting for this cell.
    ///
    /// Cancel safety: dropping the future loses no output; the next wait gets it.
    fn wait(
        &self,
        cell: &CellId,
        yield_time: Duration,
        max_output_tokens: Option<u64>,
    ) -> SessionFuture<Delivery<WaitOutcome>>;

    /// Ends the cell, at once. Who is waiting for it gets the outcome too.
    ///
    /// A cell that had finished before answers with its result instead.
    ///
    /// # Errors
    /// [`SessionError::Terminating`] when somebody else is terminating this cell.
    ///
    /// Cancel safety: the cell ends even when the future is dropped.
    fn terminate(
        &self,
        cell: &CellId,
        max_output_tokens: Option<u64>,
    ) -> SessionFuture<Delivery<WaitOutcome>>;

    /// Makes the cell's observer, if it has one, be answered now with what there is.
    fn yield_now(&self, cell: &CellId);

    /// What the session has used of its budgets, and what it may use.
    ///
    /// # Errors
    /// When the session was shut down, or cannot be reached or asked.
    ///
    /// Cancel safe.
    fn usage(&self) -> SessionFuture<SessionUsage>;

    /// Ends the session: no cell starts any more, all that live are terminated. Ready when all are closed.
    ///
    /// Cancel safety: the cells end even when the future is dropped.
    fn shutdown(&self) -> SessionFuture<()>;
}

/// A future that a [`CodeModeSession`] gives back.
pub type SessionFuture<T> = Pin<Box<dyn Future<Output = Result<T, SessionError>> + Send>>;

/// A cell to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellRequest {
    /// The model's call that this cell is the answer to; notifications carry it.
    pub tool_call_id: String,
    /// JavaScript or TypeScript: an ES module that may `await` at the top level.
    pub source: String,
    /// After how long the cell answers with what it has; `None` for [`DEFAULT_YIELD_TIME`].
    pub yield_time: Option<Duration>,
    /// To how many tokens the initial response is cut, where the session cuts; `None` for
    /// [`DEFAULT_MAX_OUTPUT_TOKENS`].
    pub max_output_tokens: Option<u64>,
}

impl CellRequest {
    /// A request with defaults for all but the source.
    pub fn new(source: impl Into<String>) -> CellRequest {
        CellRequest {
            tool_call_id: String::new(),
            source: source.into(),
            yield_time: None,
            max_output_tokens: None,
        }
    }
}

/// A cell that was started.
pub struct StartedCell {
    /// Its name in the session.
    pub cell_id: CellId,
    /// Its first response. Until it is there, or the future is dropped, this is the cell's one observer.
    pub response: SessionFuture<Delivery<RuntimeResponse>>,
}

impl fmt::Debug for StartedCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedCell").field("cell_id", &self.cell_id).finish_non_exhaustive()
    }
}

/// What answers a wait, beside the cell's end and that the time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// That the cell yields: what [`CodeModeSession::wait`] waits for.
    #[default]
    Yield,
    /// That it yields, or has shown something, be it before the wait or during it.
    Output,
    /// Nothing else.
    Completion,
}

/// A response that must be handed over before its cell is reported closed.
///
/// The report ([`ToolRuntime::cell_closed`](crate::ToolRuntime::cell_closed)) is a cell's last message. It is
/// made when the delivery is dropped or taken apart: whoever passes the response on does so with
/// [`Delivery::hand_over`].
pub struct Delivery<T> {
    value: T,
    closing: Option<Arc<dyn Any + Send + Sync>>,
}

impl<T> Delivery<T> {
    /// A value after which nothing is left to report.
    pub fn new(value: T) -> Delivery<T> {
        Delivery { value, closing: None }
    }

    /// A value that must be handed over before `closing` may be dropped.
    pub fn before(value: T, closing: Option<Arc<dyn Any + Send + Sync>>) -> Delivery<T> {
        Delivery { value, closing }
    }

    /// Passes the value to `take`; the cell is reported closed after that.
    pub fn hand_over<R>(self, take: impl FnOnce(T) -> R) -> R {
        let Delivery { value, closing } = self;
        let result = take(value);
        drop(closing);
        result
    }

    /// The value. From here on the cell may be reported closed.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The same delivery of another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Delivery<U> {
        Delivery { value: change(self.value), closing: self.closing }
    }
}

impl<T> Deref for Delivery<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Why a session did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The session was shut down.
    #[error("the session was shut down; open another one")]
    ShutDown,
    /// All cells that the session may have are taken.
    #[error(
        "LiveCellLimitExceeded: the session has {limit} live cells, and may not have more; wait for or terminate some: {live}"
    )]
    TooManyCells {
        /// How many it may have.
        limit: u64,
        /// Some of the live ones.
        live: String,
    },
    /// The session, or the host that it lives in, is over its budget.
    #[error(transparent)]
    OverBudget(LimitExceeded),
    /// Somebody else is waiting for this cell.
    #[error("exec cell {0} already has an active observer")]
    Observed(CellId),
    /// Somebody else is terminating this cell.
    #[error("exec cell {0} is already terminating")]
    Terminating(CellId),
    /// No thread or isolate could be had.
    #[error("the cell could not be started: {0}")]
    Start(String),
    /// The host refused the request, in its own words.
    #[error("{0}")]
    Refused(String),
    /// The host that runs the session is gone.
    #[error("the code-mode host is gone: {0}")]
    Disconnected(String),
}

/// When a cell yields if its request does not say.
pub const DEFAULT_YIELD_TIME: Duration = Duration::from_millis(DEFAULT_YIELD_TIME_MS);

/// To how much output is cut if a request does not say. What V1 hosts do.
pub const DEFAULT_MAX_OUTPUT_TOKENS: u64 = 10_000;
