//! What one request of the model saw, kept by the cells it started.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};

use codemode_host_protocol::{CellId, Json, ToolFailure, ToolInvocation};

use crate::Toolset;

/// A future that a [`ToolRuntime`] gives back.
pub type ToolFuture<T> = Pin<Box<dyn Future<Output = Result<T, ToolFailure>> + Send>>;

/// Executes the tool calls of the cells of one step.
///
/// `invoke` and `notify` are called in the order of the cell's program, and each future is polled once before
/// the next call is made. So what a future does up to its first `.await` happens in that order too; what it
/// does later runs beside the others.
///
/// Results reach a cell in the order in which their futures are woken. Where that order matters, a future first polls
/// what will wake it, then lets others answer, and looks for the answer when it is woken and not before.
pub trait ToolRuntime: Send + Sync + 'static {
    /// Executes one call. The result is one JSON value.
    ///
    /// Called on the cell's own thread, within the session's tokio runtime; must not block. A panic, here or
    /// in the future, is a failure of this call only.
    ///
    /// Cancel safety: the future is dropped when its cell ends first. Dropping it must stop the work.
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json>;

    /// Delivers what a cell said with `notify(text)`, now, outside the order of responses.
    ///
    /// `call_id` is the `tool_call_id` of the request that started the cell. A cell that runs to its end
    /// waits, for a bounded time, until its notifications are delivered; one that is terminated does not.
    fn notify(&self, call_id: &str, cell: &CellId, text: String) -> ToolFuture<()>;

    /// Says that a cell of this step has ended and will never call again. Its last message: comes after
    /// the cell's last response was handed over. Must not block.
    fn cell_closed(&self, cell: &CellId) {
        let _ = cell;
    }
}

/// What one request of the model saw: its tools, its environment, and the runtime that executes them.
///
/// A cell keeps its step until it closes, however many newer steps its session has seen since.
pub struct Step {
    /// The tools, in the order in which they were advertised.
    pub tools: Toolset,
    /// Facts of the request that the tool runtime may want at hand, such as the working directory.
    pub environment: BTreeMap<String, String>,
    /// Who executes the tools.
    pub runtime: Arc<dyn ToolRuntime>,
}

impl Step {
    /// A step with these tools and an empty environment.
    pub fn new(tools: impl Into<Toolset>, runtime: Arc<dyn ToolRuntime>) -> Step {
        Step { tools: tools.into(), environment: BTreeMap::new(), runtime }
    }

    /// The same step in this environment.
    pub fn with_environment(self, environment: BTreeMap<String, String>) -> Step {
        Step { environment, ..self }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("tools", &self.tools)
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}
