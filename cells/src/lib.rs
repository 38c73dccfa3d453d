//! Sessions, the cells that live in them, and the steps that the cells belong to.
//!
//! A [`CodeModeSession`] runs cells. Each belongs to a [`Step`]: the tools that the model saw when it wrote the
//! cell, and the [`ToolRuntime`] that executes them. The cell keeps both until it is closed.
//!
//! A cell answers whoever waits for it (its one *observer*) with a yield or with its end. It ends exactly
//! once: it completes, fails, is terminated, or crosses a limit. At its end its open tool calls are cancelled,
//! then its last response is handed over, then it is reported closed. What it stored counts when it completed
//! or failed, and is dropped otherwise.

pub use in_process::{ExecuteOptions, InProcessCodeModeSession, OutputPolicy, SessionOptions};
pub use limit::{CellLimit, SessionLimits};
pub use observer::{CellObserver, Ending};
pub use session::{
    CellRequest, CodeModeSession, DEFAULT_MAX_OUTPUT_TOKENS, DEFAULT_YIELD_TIME, Delivery,
    SessionError, SessionFuture, StartedCell,
};
pub use step::{Step, ToolFuture, ToolRuntime};
pub use truncate::{Counting, truncate};

mod calls;
mod cell;
mod history;
mod in_process;
mod lifeline;
mod limit;
mod observer;
mod session;
mod shared;
mod step;
mod store;
mod truncate;
