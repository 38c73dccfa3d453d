//! What one request of the model saw, kept by the cells it started.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use codemode_host_protocol::{CellId, Json, ToolDefinition, ToolFailure, ToolInvocation};

/// A future that a [`ToolRuntime`] gives back.
pub type ToolFuture<T> = Pin<Box<dyn Future<Output = Result<T, ToolFailure>> + Send>>;

/// Executes the tool calls of the cells of one step.
pub trait ToolRuntime: Send + Sync + 'static {
    /// Executes one call. The result is one JSON value.
    ///
    /// Called from within the session's tokio runtime; must not block.
    ///
    /// Cancel safety: the future is dropped when its cell ends first or its call is cancelled. Dropping it
    /// must stop the work.
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json>;

    /// Delivers what a cell said with `notify(text)`, now, outside the order of responses.
    ///
    /// `call_id` is the `tool_call_id` of the request that started the cell.
    fn notify(&self, call_id: &str, cell: &CellId, text: String) -> ToolFuture<()>;

    /// Says that a cell of this step has ended and will never call again. Its last message.
    fn cell_closed(&self, cell: &CellId) {
        let _ = cell;
    }
}

/// What one request of the model saw: its tools, its environment, and the runtime that executes them.
///
/// A cell keeps its step until it closes, however many newer steps its session has seen since.
pub struct Step {
    /// The tools, in the order in which they were advertised.
    pub tools: Vec<ToolDefinition>,
    /// Facts of the request that the tool runtime may want at hand, such as the working directory.
    pub environment: BTreeMap<String, String>,
    /// Who executes the tools.
    pub runtime: Arc<dyn ToolRuntime>,
}
