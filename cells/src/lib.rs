//! Sessions, the cells that live in them, and the steps that the cells belong to.
//!
//! A [`CodeModeSession`] runs cells. Each belongs to a [`Step`]: the tools that the model saw when it wrote the
//! cell, and the [`ToolRuntime`] that executes them. The cell keeps both until it is closed.
//!
//! A cell answers whoever waits for it (its one *observer*) with a yield or with its end. It ends exactly
//! once: it completes, fails, is terminated, or crosses a limit. At its end its open tool calls are cancelled,
//! then its last response is handed over, then it is reported closed. What it stored counts when it completed
//! or failed, and is dropped otherwise.
//!
//! ```
//! use std::sync::Arc;
//!
//! use codemode_cells::{
//!     CellRequest, CodeModeSession, InProcessCodeModeSession, SessionOptions, Step, ToolFuture, ToolRuntime,
//! };
//! use codemode_host_protocol::{
//!     CellId, ContentItem, Json, ToolDefinition, ToolInvocation, ToolKind, ToolName,
//! };
//! use codemode_runtime_js::Engine;
//!
//! struct Echo;
//!
//! impl ToolRuntime for Echo {
//!     fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
//!         Box::pin(async { Ok(call.input.unwrap_or_else(Json::null)) })
//!     }
//!
//!     fn notify(&self, _call_id: &str, _cell: &CellId, _text: String) -> ToolFuture<()> {
//!         Box::pin(async { Ok(()) })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), codemode_cells::SessionError> {
//! let echo = ToolDefinition {
//!     name: "echo".to_owned(),
//!     tool_name: ToolName::plain("echo"),
//!     description: "Gives back what it is given".to_owned(),
//!     kind: ToolKind::Function,
//!     input_schema: None,
//!     output_schema: None,
//! };
//! let step = Arc::new(Step::new(vec![echo], Arc::new(Echo)));
//! let tokio = tokio::runtime::Handle::current();
//! let session =
//!     InProcessCodeModeSession::new(Engine::new().tenant(), tokio, SessionOptions::default());
//!
//! let request = CellRequest::new("const { n } = await tools.echo({ n: 42 }); text(n)");
//! let cell = session.execute(step, request).await?;
//! let response = cell.response.await?.into_inner();
//! assert_eq!(response.content_items(), [ContentItem::text("42")]);
//! session.shutdown().await
//! # }
//! ```

pub use in_process::{ExecuteOptions, InProcessCodeModeSession, OutputPolicy, SessionOptions};
pub use ledger::HostLedger;
pub use limit::{CellLimit, SessionLimits};
pub use observer::{CellObserver, Ending};
pub use session::{
    CellRequest, CodeModeSession, DEFAULT_MAX_OUTPUT_TOKENS, DEFAULT_YIELD_TIME, Delivery,
    SessionError, SessionFuture, StartedCell, Until,
};
pub use step::{Step, ToolFuture, ToolRuntime};
pub use toolset::Toolset;
pub use truncate::{Counting, truncate};

mod audio;
mod calls;
mod cell;
mod cpu_watch;
mod discovery;
mod history;
mod in_process;
#[cfg(all(test, feature = "shuttle"))]
mod interleavings;
mod ledger;
mod lifeline;
mod limit;
mod observer;
mod session;
mod shared;
mod step;
mod store;
mod sync;
mod toolset;
mod truncate;
