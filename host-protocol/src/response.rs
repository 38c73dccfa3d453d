//! What a host answers.

use std::fmt;

use serde::Serialize;

#[cfg(test)]
use crate::budget::LimitOnWire;
use crate::{
    CellId, ContentItem, LimitExceeded, SessionId, SessionUsage, ToolDefinition,
    decode::{Decode, Value},
    fault::Fault,
};

/// What an operation or a delegate request came to.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS), schemars(rename = "AnswerOf{T}"))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Answer<T> {
    /// It was done.
    Ok {
        /// Its outcome.
        value: T,
    },
    /// It was not.
    Error {
        /// Why not, for a reader.
        message: String,
    },
}

impl<T> Answer<T> {
    /// It was done, with `value` as its outcome.
    pub fn ok(value: T) -> Answer<T> {
        Answer::Ok { value }
    }

    /// It was not done, because of `message`.
    pub fn error(message: impl fmt::Display) -> Answer<T> {
        Answer::Error { message: message.to_string() }
    }

    /// The same as a `Result`, with the message as its error.
    ///
    /// # Errors
    /// The message of [`Answer::Error`].
    pub fn into_result(self) -> Result<T, String> {
        match self {
            Answer::Ok { value } => Ok(value),
            Answer::Error { message } => Err(message),
        }
    }
}

impl<T, E: fmt::Display> From<Result<T, E>> for Answer<T> {
    fn from(result: Result<T, E>) -> Answer<T> {
        match result {
            Ok(value) => Answer::ok(value),
            Err(error) => Answer::error(error),
        }
    }
}

impl<T: Decode> Decode for Answer<T> {
    fn read(value: Value<'_>) -> Result<Answer<T>, Fault> {
        match value.tag("status", &["ok", "error"])? {
            "ok" => {
                let [value] = value.tagged("status", ["value"])?;
                Ok(Answer::Ok { value: value.required()? })
            }
            _ => {
                let [message] = value.tagged("status", ["message"])?;
                Ok(Answer::Error { message: message.required()? })
            }
        }
    }
}

/// The outcome of an operation that was done.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum OperationValue {
    /// The session is open.
    #[serde(rename = "session/ready")]
    SessionReady {
        /// The session.
        session_id: SessionId,
    },
    /// The cell runs; what it shows follows in an `execute/initialResponse` with the same id.
    #[serde(rename = "execution/started")]
    ExecutionStarted {
        /// The new cell.
        cell_id: CellId,
    },
    /// The wait is over, or the cell is terminated.
    #[serde(rename = "wait/completed")]
    WaitCompleted {
        /// What became of the cell.
        outcome: WaitOutcome,
    },
    /// What the session has used.
    #[serde(rename = "session/usage")]
    SessionUsage {
        /// The session.
        session_id: SessionId,
        /// What it has used of its budgets, and what it may use.
        usage: Box<SessionUsage>,
    },
    /// The tools that the host has itself.
    #[serde(rename = "session/tools")]
    SessionTools {
        /// The session.
        session_id: SessionId,
        /// The tools, which cells that start from now on have.
        tools: Vec<ToolDefinition>,
    },
    /// The session and all of its cells have ended.
    #[serde(rename = "session/closed")]
    SessionClosed {
        /// The session.
        session_id: SessionId,
    },
}

impl Decode for OperationValue {
    fn read(value: Value<'_>) -> Result<OperationValue, Fault> {
        let types = [
            "session/ready",
            "execution/started",
            "wait/completed",
            "session/closed",
            "session/usage",
            "session/tools",
        ];
        match value.tag("type", &types)? {
            "session/ready" => {
                let [session_id] = value.tagged("type", ["sessionId"])?;
                Ok(OperationValue::SessionReady { session_id: session_id.required()? })
            }
            "execution/started" => {
                let [cell_id] = value.tagged("type", ["cellId"])?;
                Ok(OperationValue::ExecutionStarted { cell_id: cell_id.required()? })
            }
            "wait/completed" => {
                let [outcome] = value.tagged("type", ["outcome"])?;
                Ok(OperationValue::WaitCompleted { outcome: outcome.required()? })
            }
            "session/usage" => {
                let [session_id, usage] = value.tagged("type", ["sessionId", "usage"])?;
                Ok(OperationValue::SessionUsage {
                    session_id: session_id.required()?,
                    usage: Box::new(usage.required()?),
                })
            }
            "session/tools" => {
                let [session_id, tools] = value.tagged("type", ["sessionId", "tools"])?;
                Ok(OperationValue::SessionTools {
                    session_id: session_id.required()?,
                    tools: tools.required()?,
                })
            }
            _ => {
                let [session_id] = value.tagged("type", ["sessionId"])?;
                Ok(OperationValue::SessionClosed { session_id: session_id.required()? })
            }
        }
    }
}

/// What a `session/wait` or `session/terminate` found.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum WaitOutcome {
    /// The cell was there.
    LiveCell(RuntimeResponse),
    /// It was not, or no longer; the response says so in its `error_text`.
    MissingCell(RuntimeResponse),
}

impl WaitOutcome {
    /// The response, whichever cell it is about.
    pub fn response(&self) -> &RuntimeResponse {
        match self {
            WaitOutcome::LiveCell(response) | WaitOutcome::MissingCell(response) => response,
        }
    }

    pub(crate) fn response_mut(&mut self) -> &mut RuntimeResponse {
        match self {
            WaitOutcome::LiveCell(response) | WaitOutcome::MissingCell(response) => response,
        }
    }
}

impl Decode for WaitOutcome {
    fn read(value: Value<'_>) -> Result<WaitOutcome, Fault> {
        let (name, value) = value.only_field(&["LiveCell", "MissingCell"])?;
        let response = RuntimeResponse::read(value).map_err(|fault| fault.at(name))?;
        Ok(match name {
            "LiveCell" => WaitOutcome::LiveCell(response),
            _ => WaitOutcome::MissingCell(response),
        })
    }
}

/// What a cell has to show since its last response.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum RuntimeResponse {
    /// The cell has ended by itself.
    Result {
        /// The cell.
        cell_id: CellId,
        /// What it showed since its last response.
        content_items: Vec<ContentItem>,
        /// What it failed with; null when it completed.
        error_text: Option<String>,
        /// The budget that it or its session crossed, if that is why it ended. Comes with the capability
        /// `codemode.budgets` only.
        #[cfg_attr(
            test,
            ts(optional, as = "Option<LimitOnWire>"),
            schemars(with = "Option<LimitOnWire>")
        )]
        #[serde(skip_serializing_if = "Option::is_none")]
        limit_exceeded: Option<LimitExceeded>,
        /// How long the result lay ready before it was asked for, in nanoseconds.
        result_buffered_for_ns: u64,
        /// How long the host spent on the request that this answers, in nanoseconds.
        code_mode_host_duration_ns: u64,
    },
    /// The cell goes on.
    Yielded {
        /// The cell.
        cell_id: CellId,
        /// What it showed since its last response.
        content_items: Vec<ContentItem>,
        /// How long the host spent on the request that this answers, in nanoseconds.
        code_mode_host_duration_ns: u64,
    },
    /// The cell was ended from outside.
    Terminated {
        /// The cell.
        cell_id: CellId,
        /// What it showed since its last response.
        content_items: Vec<ContentItem>,
        /// How long the host spent on the request that this answers, in nanoseconds.
        code_mode_host_duration_ns: u64,
    },
}

impl RuntimeResponse {
    /// The same as it is said without the capability `codemode.budgets`.
    #[must_use]
    pub fn without_limit(mut self) -> RuntimeResponse {
        if let RuntimeResponse::Result { limit_exceeded, .. } = &mut self {
            *limit_exceeded = None;
        }
        self
    }

    /// The cell.
    pub fn cell_id(&self) -> &CellId {
        match self {
            RuntimeResponse::Result { cell_id, .. }
            | RuntimeResponse::Yielded { cell_id, .. }
            | RuntimeResponse::Terminated { cell_id, .. } => cell_id,
        }
    }

    /// What the cell showed since its last response.
    pub fn content_items(&self) -> &[ContentItem] {
        match self {
            RuntimeResponse::Result { content_items, .. }
            | RuntimeResponse::Yielded { content_items, .. }
            | RuntimeResponse::Terminated { content_items, .. } => content_items,
        }
    }

    pub(crate) fn content_items_mut(&mut self) -> &mut [ContentItem] {
        match self {
            RuntimeResponse::Result { content_items, .. }
            | RuntimeResponse::Yielded { content_items, .. }
            | RuntimeResponse::Terminated { content_items, .. } => content_items,
        }
    }

    /// Whether this is the cell's last response.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, RuntimeResponse::Yielded { .. })
    }
}

impl Decode for RuntimeResponse {
    fn read(value: Value<'_>) -> Result<RuntimeResponse, Fault> {
        let (name, value) = value.only_field(&["Result", "Yielded", "Terminated"])?;
        let response = match name {
            "Result" => decode_result(value),
            _ => decode_unfinished(value).map(|(cell_id, content_items, duration)| match name {
                "Yielded" => RuntimeResponse::Yielded {
                    cell_id,
                    content_items,
                    code_mode_host_duration_ns: duration,
                },
                _ => RuntimeResponse::Terminated {
                    cell_id,
                    content_items,
                    code_mode_host_duration_ns: duration,
                },
            }),
        };
        response.map_err(|fault| fault.at(name))
    }
}

fn decode_result(value: Value<'_>) -> Result<RuntimeResponse, Fault> {
    let [cell_id, content_items, error_text, limit_exceeded, buffered, duration] =
        value.object([
            "cell_id",
            "content_items",
            "error_text",
            "limit_exceeded",
            "result_buffered_for_ns",
            "code_mode_host_duration_ns",
        ])?;
    Ok(RuntimeResponse::Result {
        cell_id: cell_id.required()?,
        content_items: content_items.required()?,
        error_text: error_text.optional()?,
        limit_exceeded: limit_exceeded.optional()?,
        result_buffered_for_ns: buffered.required()?,
        code_mode_host_duration_ns: duration.required()?,
    })
}

/// The fields that `Yielded` and `Terminated` share.
fn decode_unfinished(value: Value<'_>) -> Result<(CellId, Vec<ContentItem>, u64), Fault> {
    let [cell_id, content_items, duration] =
        value.object(["cell_id", "content_items", "code_mode_host_duration_ns"])?;
    Ok((cell_id.required()?, content_items.required()?, duration.required()?))
}
