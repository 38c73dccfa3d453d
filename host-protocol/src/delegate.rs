//! What a host asks of a client, on behalf of a cell.

use serde::Serialize;

use crate::{
    CellId, Json, ToolInvocation,
    decode::{Decode, Value},
    fault::Fault,
};

/// One request of a cell to the client that started it.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum DelegateRequest {
    /// A tool call.
    #[serde(rename = "tool/invoke")]
    ToolInvoke {
        /// The call.
        invocation: ToolInvocation,
    },
    /// What the cell said with `notify(text)`.
    #[serde(rename = "notification/send")]
    NotificationSend {
        /// The `tool_call_id` of the request that started the cell.
        call_id: String,
        /// The cell.
        cell_id: CellId,
        /// What it said.
        text: String,
    },
}

impl DelegateRequest {
    /// The cell that asks.
    pub fn cell_id(&self) -> &CellId {
        match self {
            DelegateRequest::ToolInvoke { invocation } => &invocation.cell_id,
            DelegateRequest::NotificationSend { cell_id, .. } => cell_id,
        }
    }
}

impl Decode for DelegateRequest {
    fn read(value: Value<'_>) -> Result<DelegateRequest, Fault> {
        match value.tag("type", &["tool/invoke", "notification/send"])? {
            "tool/invoke" => {
                let [invocation] = value.tagged("type", ["invocation"])?;
                Ok(DelegateRequest::ToolInvoke { invocation: invocation.required()? })
            }
            _ => {
                let [call_id, cell_id, text] =
                    value.tagged("type", ["callId", "cellId", "text"])?;
                Ok(DelegateRequest::NotificationSend {
                    call_id: call_id.required()?,
                    cell_id: cell_id.required()?,
                    text: text.required()?,
                })
            }
        }
    }
}

/// The outcome of a delegate request that was done.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum DelegateValue {
    /// What a tool gave back. Answers `tool/invoke`.
    #[serde(rename = "tool/result")]
    ToolResult {
        /// One JSON value of any shape.
        result: Json,
    },
    /// The notification has arrived. Answers `notification/send`.
    #[serde(rename = "notification/delivered")]
    NotificationDelivered,
}

impl Decode for DelegateValue {
    fn read(value: Value<'_>) -> Result<DelegateValue, Fault> {
        match value.tag("type", &["tool/result", "notification/delivered"])? {
            "tool/result" => {
                let [result] = value.tagged("type", ["result"])?;
                Ok(DelegateValue::ToolResult { result: result.required()? })
            }
            _ => {
                let [] = value.tagged("type", [])?;
                Ok(DelegateValue::NotificationDelivered)
            }
        }
    }
}
