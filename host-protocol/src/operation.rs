//! What a client asks of a host.

use std::time::Duration;

use serde::Serialize;

use crate::{
    CellId, Rule, SessionBudgets, SessionId, ToolList,
    decode::{Decode, Value},
    fault::Fault,
};

/// One operation on one session.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "method", rename_all_fields = "camelCase")]
pub enum Operation {
    /// Opens a session under a name that is free.
    #[serde(rename = "session/open")]
    Open {
        /// The new session.
        session_id: SessionId,
        /// Limits on its cells. Needs the capability `session-cell-execution-resource-limits`.
        #[cfg_attr(test, ts(optional))]
        #[serde(skip_serializing_if = "Option::is_none")]
        cell_execution_limits: Option<CellExecutionLimits>,
        /// Who cuts output to its budget of tokens; the client when absent. Needs the capability
        /// `bounded-output-v1`.
        #[cfg_attr(test, ts(optional))]
        #[serde(skip_serializing_if = "Option::is_none")]
        output_truncation: Option<OutputTruncation>,
        /// Limits on the session and its cells. Needs the capability `codemode.budgets`.
        #[cfg_attr(test, ts(optional))]
        #[serde(skip_serializing_if = "Option::is_none")]
        budgets: Option<Box<SessionBudgets>>,
    },
    /// Starts a cell.
    #[serde(rename = "session/execute")]
    Execute {
        /// The cell's session.
        session_id: SessionId,
        /// What to run, and with which tools.
        request: ExecuteRequest,
    },
    /// Waits for more of a cell that has yielded.
    #[serde(rename = "session/wait")]
    Wait {
        /// The cell's session.
        session_id: SessionId,
        /// The cell, and for how long.
        request: WaitRequest,
        /// How many tokens of output the answer keeps, where the host cuts it; 10,000 when absent. Needs the
        /// capability `bounded-output-v1`.
        #[cfg_attr(test, ts(optional))]
        #[serde(skip_serializing_if = "Option::is_none")]
        max_output_tokens: Option<u64>,
    },
    /// Ends a cell.
    #[serde(rename = "session/terminate")]
    Terminate {
        /// The cell's session.
        session_id: SessionId,
        /// The cell.
        cell_id: CellId,
        /// As in `session/wait`.
        #[cfg_attr(test, ts(optional))]
        #[serde(skip_serializing_if = "Option::is_none")]
        max_output_tokens: Option<u64>,
    },
    /// Asks what a session has used of its budgets. Needs the capability `codemode.budgets`.
    #[serde(rename = "session/usage")]
    Usage {
        /// The session.
        session_id: SessionId,
    },
    /// Asks for the tools that the host has itself. Cells that are started after the answer have those in it, beside
    /// the tools of their own request. Needs the capability `codemode.hostTools`.
    #[serde(rename = "session/tools")]
    Tools {
        /// The session.
        session_id: SessionId,
    },
    /// Ends a session and all of its cells.
    #[serde(rename = "session/shutdown")]
    Shutdown {
        /// The session.
        session_id: SessionId,
    },
}

impl Operation {
    /// The session that it is about.
    pub fn session_id(&self) -> &SessionId {
        match self {
            Operation::Open { session_id, .. }
            | Operation::Execute { session_id, .. }
            | Operation::Wait { session_id, .. }
            | Operation::Terminate { session_id, .. }
            | Operation::Usage { session_id }
            | Operation::Tools { session_id }
            | Operation::Shutdown { session_id } => session_id,
        }
    }

    /// Its `method`.
    pub fn method(&self) -> &'static str {
        match self {
            Operation::Open { .. } => "session/open",
            Operation::Execute { .. } => "session/execute",
            Operation::Wait { .. } => "session/wait",
            Operation::Terminate { .. } => "session/terminate",
            Operation::Usage { .. } => "session/usage",
            Operation::Tools { .. } => "session/tools",
            Operation::Shutdown { .. } => "session/shutdown",
        }
    }
}

impl Decode for Operation {
    fn read(value: Value<'_>) -> Result<Operation, Fault> {
        const TAG: &str = "method";
        match value.tag(TAG, &METHODS)? {
            "session/open" => {
                let [session_id, cell_execution_limits, output_truncation, budgets] = value
                    .tagged(
                        TAG,
                        ["sessionId", "cellExecutionLimits", "outputTruncation", "budgets"],
                    )?;
                Ok(Operation::Open {
                    session_id: session_id.required()?,
                    cell_execution_limits: cell_execution_limits.optional()?,
                    output_truncation: output_truncation.optional()?,
                    budgets: budgets.optional()?.map(Box::new),
                })
            }
            "session/execute" => {
                let [session_id, request] = value.tagged(TAG, ["sessionId", "request"])?;
                Ok(Operation::Execute {
                    session_id: session_id.required()?,
                    request: request.required()?,
                })
            }
            "session/wait" => {
                let [session_id, request, max_output_tokens] =
                    value.tagged(TAG, ["sessionId", "request", "maxOutputTokens"])?;
                Ok(Operation::Wait {
                    session_id: session_id.required()?,
                    request: request.required()?,
                    max_output_tokens: max_output_tokens.optional()?,
                })
            }
            "session/terminate" => {
                let [session_id, cell_id, max_output_tokens] =
                    value.tagged(TAG, ["sessionId", "cellId", "maxOutputTokens"])?;
                Ok(Operation::Terminate {
                    session_id: session_id.required()?,
                    cell_id: cell_id.required()?,
                    max_output_tokens: max_output_tokens.optional()?,
                })
            }
            "session/usage" => {
                let [session_id] = value.tagged(TAG, ["sessionId"])?;
                Ok(Operation::Usage { session_id: session_id.required()? })
            }
            "session/tools" => {
                let [session_id] = value.tagged(TAG, ["sessionId"])?;
                Ok(Operation::Tools { session_id: session_id.required()? })
            }
            _ => {
                let [session_id] = value.tagged(TAG, ["sessionId"])?;
                Ok(Operation::Shutdown { session_id: session_id.required()? })
            }
        }
    }
}

/// A cell to run.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExecuteRequest {
    /// The model's own id of the call; the cell's notifications carry it.
    pub tool_call_id: String,
    /// The tools that the cell sees, in this order.
    #[cfg_attr(
        test,
        schemars(with = "Vec<crate::ToolDefinition>"),
        ts(as = "Vec<crate::ToolDefinition>")
    )]
    pub enabled_tools: ToolList,
    /// The cell's code.
    pub source: String,
    /// After how many milliseconds the cell yields, if it has not ended by then. 0 yields at once; null
    /// means 10,000.
    pub yield_time_ms: Option<u64>,
    /// How many tokens of output the first response keeps, where the host cuts it; null means 10,000.
    pub max_output_tokens: Option<OutputTokens>,
}

impl ExecuteRequest {
    /// After how long the cell yields, if it has not ended by then.
    pub fn yield_time(&self) -> Duration {
        Duration::from_millis(self.yield_time_ms.unwrap_or(DEFAULT_YIELD_TIME_MS))
    }
}

impl Decode for ExecuteRequest {
    fn read(value: Value<'_>) -> Result<ExecuteRequest, Fault> {
        let [tool_call_id, enabled_tools, source, yield_time_ms, max_output_tokens] = value
            .object([
                "tool_call_id",
                "enabled_tools",
                "source",
                "yield_time_ms",
                "max_output_tokens",
            ])?;
        Ok(ExecuteRequest {
            tool_call_id: tool_call_id.required()?,
            enabled_tools: enabled_tools.required()?,
            source: source.required()?,
            yield_time_ms: yield_time_ms.optional()?,
            max_output_tokens: max_output_tokens.optional()?,
        })
    }
}

/// A wait for more of a cell.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitRequest {
    /// The cell.
    pub cell_id: CellId,
    /// After how many milliseconds the wait is answered with what there is by then.
    pub yield_time_ms: u64,
}

impl WaitRequest {
    /// After how long the wait is answered with what there is by then.
    pub fn yield_time(&self) -> Duration {
        Duration::from_millis(self.yield_time_ms)
    }
}

impl Decode for WaitRequest {
    fn read(value: Value<'_>) -> Result<WaitRequest, Fault> {
        let [cell_id, yield_time_ms] = value.object(["cell_id", "yield_time_ms"])?;
        Ok(WaitRequest { cell_id: cell_id.required()?, yield_time_ms: yield_time_ms.required()? })
    }
}

/// Limits on each cell of a session. What is absent or null is left to the host.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CellExecutionLimits {
    /// The longest that an execute or a wait is left without an answer, in milliseconds, whatever it asks
    /// for itself.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_yield_time_ms: Option<u64>,
    /// The largest JavaScript heap, in bytes.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_heap_size_bytes: Option<u64>,
}

impl Decode for CellExecutionLimits {
    fn read(value: Value<'_>) -> Result<CellExecutionLimits, Fault> {
        let [max_yield_time_ms, max_heap_size_bytes] =
            value.object(["maxYieldTimeMs", "maxHeapSizeBytes"])?;
        Ok(CellExecutionLimits {
            max_yield_time_ms: max_yield_time_ms.optional()?,
            max_heap_size_bytes: max_heap_size_bytes.optional()?,
        })
    }
}

/// Who cuts a cell's output to its budget of tokens.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputTruncation {
    /// The client: the host sends all of it.
    #[default]
    Client,
    /// The host.
    Server,
}

impl Decode for OutputTruncation {
    fn read(value: Value<'_>) -> Result<OutputTruncation, Fault> {
        Ok(match value.word(&["client", "server"])? {
            "client" => OutputTruncation::Client,
            _ => OutputTruncation::Server,
        })
    }
}

/// A budget of output tokens, from 0 to 2,147,483,647: in an execute request, the wire keeps it in 32 bits
/// with a sign.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct OutputTokens(#[cfg_attr(test, schemars(range(max = i32::MAX)))] u32);

impl OutputTokens {
    /// The largest budget that an execute request can carry.
    pub const MAX: OutputTokens = OutputTokens(i32::MAX as u32);

    /// The budget of `count` tokens; `None` above [`OutputTokens::MAX`].
    pub fn new(count: u32) -> Option<OutputTokens> {
        (count <= OutputTokens::MAX.0).then_some(OutputTokens(count))
    }

    /// The number of tokens.
    pub fn count(self) -> u64 {
        self.0.into()
    }
}

impl Decode for OutputTokens {
    fn read(value: Value<'_>) -> Result<OutputTokens, Fault> {
        let max = OutputTokens::MAX.count();
        let count = value.integer(0, max)?;
        OutputTokens::new(count as u32).ok_or_else(|| Fault::new(Rule::OutOfRange { min: 0, max }))
    }
}

/// After how many milliseconds a cell yields whose request does not say.
pub const DEFAULT_YIELD_TIME_MS: u64 = 10_000;

const METHODS: [&str; 7] = [
    "session/open",
    "session/execute",
    "session/wait",
    "session/terminate",
    "session/shutdown",
    "session/usage",
    "session/tools",
];
