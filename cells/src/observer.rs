//! Watching a cell live, from within the process.

use std::time::Duration;

use codemode_host_protocol::{ContentItem, Json, LimitExceeded, ToolFailure, ToolInvocation};
use codemode_runtime_js::{CellError, RuntimeCrash, Usage};

use crate::CellLimit;

/// Sees what a cell does as it does it.
///
/// What the cell itself does is told on its thread, in order; the end of a tool call on any thread, and so is
/// [`CellObserver::ended`]. That is the last call, except where a cell is ended from outside: what it does at
/// that very moment may still be told. No method may block: the cell stands still meanwhile.
pub trait CellObserver: Send + Sync + 'static {
    /// The cell showed something.
    fn output(&self, item: &ContentItem) {
        let _ = item;
    }

    /// The cell called a tool.
    fn call_started(&self, call: &ToolInvocation) {
        let _ = call;
    }

    /// A call is over; `result` is `None` when it was cancelled because the cell ended.
    fn call_finished(
        &self,
        runtime_tool_call_id: &str,
        took: Duration,
        result: Option<&Result<Json, ToolFailure>>,
    ) {
        let _ = (runtime_tool_call_id, took, result);
    }

    /// The cell said `notify(text)`.
    fn notified(&self, text: &str) {
        let _ = text;
    }

    /// The cell said `yield_control()`.
    fn yielded(&self) {}

    /// The cell ended; `usage` is `None` when it was ended before its engine could tell.
    fn ended(&self, ending: &Ending, usage: Option<&Usage>) {
        let _ = (ending, usage);
    }
}

/// The one way in which a cell ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ran to its end, or said `exit()`.
    Completed,
    /// It threw, or its source is no valid cell.
    Failed(Box<CellError>),
    /// Somebody ended it.
    Terminated,
    /// It crossed a limit.
    LimitExceeded(CellLimit),
    /// The process that it ran in has gone.
    Crashed(RuntimeCrash),
}

impl Ending {
    /// Whether the cell's own code brought it about. What such a cell stored counts.
    pub fn is_natural(&self) -> bool {
        matches!(self, Ending::Completed | Ending::Failed(_))
    }

    /// What the V1 result says in `error_text`.
    pub(crate) fn error_text(&self) -> Option<String> {
        match self {
            Ending::Completed | Ending::Terminated => None,
            Ending::Failed(error) => Some(error.to_string()),
            Ending::LimitExceeded(limit) => Some(limit.to_string()),
            Ending::Crashed(crash) => Some(crash.to_string()),
        }
    }

    /// The budget that was crossed, if that is how it ended.
    pub fn limit_exceeded(&self) -> Option<LimitExceeded> {
        match self {
            Ending::LimitExceeded(limit) => limit.exceeded(),
            Ending::Failed(error) => error.limit,
            _ => None,
        }
    }

    /// In one word or two, after "it".
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::Failed(_) => "failed",
            Ending::Terminated => "was terminated",
            Ending::LimitExceeded(_) => "was ended at a limit",
            Ending::Crashed(_) => "was lost with its process",
        }
    }
}
