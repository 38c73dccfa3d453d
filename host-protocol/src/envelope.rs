//! The messages that cross a connection, one to a frame.

use serde::Serialize;

use crate::{
    Answer, CapabilitySet, CellId, DecodeError, DelegateId, DelegateRequest, DelegateValue, Hello,
    Operation, OperationValue, ProtocolVersion, Rejection, RequestId, RuntimeResponse, SessionId,
    decode::{Decode, Value, decode_message},
    fault::Fault,
};

/// A message of either direction.
pub trait Envelope: Serialize + Sized + sealed::Sealed {
    /// Reads a message from the body of a frame.
    ///
    /// # Errors
    /// [`DecodeError`], which names the place and the rule, and carries the message's id if that was
    /// readable.
    fn decode(body: &[u8]) -> Result<Self, DecodeError>;

    /// The message's `type`.
    fn message_type(&self) -> &'static str;
}

/// What a client sends.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum ClientToHost {
    /// The first message, and the only one of its kind.
    #[serde(rename = "connection/hello")]
    Hello(Hello),
    /// Asks for an operation. Operations run concurrently.
    #[serde(rename = "operation/request")]
    OperationRequest {
        /// Ties the answer to this request; must not be in use.
        id: RequestId,
        /// The operation.
        request: Operation,
    },
    /// Gives up a wait, which is answered with an error while its cell goes on, or an execute that has not
    /// been answered with `execution/started`, which is answered with an error and leaves no cell. Any other
    /// id is left alone.
    #[serde(rename = "operation/cancel")]
    OperationCancel {
        /// The request.
        id: RequestId,
    },
    /// Asks for what a cell has by now: its open execute or wait is answered at once, as though its time
    /// were up. Any other id is left alone. Needs the capability `yield-observation`.
    #[serde(rename = "operation/yield")]
    OperationYield {
        /// The request.
        id: RequestId,
    },
    /// Answers a `delegate/request`.
    #[serde(rename = "delegate/response")]
    DelegateResponse {
        /// The id of the request that this answers.
        id: DelegateId,
        /// What it came to.
        result: Answer<DelegateValue>,
    },
}

impl Envelope for ClientToHost {
    fn decode(body: &[u8]) -> Result<ClientToHost, DecodeError> {
        decode_message(body, &CLIENT_TYPES)
    }

    fn message_type(&self) -> &'static str {
        match self {
            ClientToHost::Hello(_) => "connection/hello",
            ClientToHost::OperationRequest { .. } => "operation/request",
            ClientToHost::OperationCancel { .. } => "operation/cancel",
            ClientToHost::OperationYield { .. } => "operation/yield",
            ClientToHost::DelegateResponse { .. } => "delegate/response",
        }
    }
}

impl Decode for ClientToHost {
    fn read(value: Value<'_>) -> Result<ClientToHost, Fault> {
        match value.tag("type", &CLIENT_TYPES)? {
            "connection/hello" => Hello::read(value).map(ClientToHost::Hello),
            "operation/request" => {
                let [id, request] = value.tagged("type", ["id", "request"])?;
                Ok(ClientToHost::OperationRequest {
                    id: id.required()?,
                    request: request.required()?,
                })
            }
            "operation/cancel" => {
                let [id] = value.tagged("type", ["id"])?;
                Ok(ClientToHost::OperationCancel { id: id.required()? })
            }
            "operation/yield" => {
                let [id] = value.tagged("type", ["id"])?;
                Ok(ClientToHost::OperationYield { id: id.required()? })
            }
            _ => {
                let [id, result] = value.tagged("type", ["id", "result"])?;
                Ok(ClientToHost::DelegateResponse {
                    id: id.required()?,
                    result: result.required()?,
                })
            }
        }
    }
}

/// What a host sends.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum HostToClient {
    /// Accepts the hello.
    #[serde(rename = "connection/ready")]
    Ready {
        /// The version that both speak.
        selected_version: ProtocolVersion,
        /// What both have.
        capabilities: CapabilitySet,
    },
    /// Refuses the connection, which then closes.
    #[serde(rename = "connection/rejected")]
    Rejected {
        /// Why.
        reason: Rejection,
    },
    /// Answers an `operation/request`.
    #[serde(rename = "operation/response")]
    OperationResponse {
        /// The id of the request that this answers.
        id: RequestId,
        /// What it came to.
        result: Answer<OperationValue>,
    },
    /// The first that a cell has to show, after `execution/started`.
    #[serde(rename = "execute/initialResponse")]
    ExecuteInitialResponse {
        /// The id of the `session/execute` that started the cell.
        id: RequestId,
        /// What the cell has to show.
        result: Answer<RuntimeResponse>,
    },
    /// A cell asks something of the client.
    #[serde(rename = "delegate/request")]
    DelegateRequest {
        /// Ties the answer to this request.
        id: DelegateId,
        /// The cell's session.
        session_id: SessionId,
        /// The request.
        request: DelegateRequest,
    },
    /// The answer to a delegate request is no longer wanted.
    #[serde(rename = "delegate/cancel")]
    DelegateCancel {
        /// The id of the request.
        id: DelegateId,
    },
    /// A cell has ended. Its last message.
    #[serde(rename = "cell/closed")]
    CellClosed {
        /// The cell's session.
        session_id: SessionId,
        /// The cell.
        cell_id: CellId,
    },
}

impl Envelope for HostToClient {
    fn decode(body: &[u8]) -> Result<HostToClient, DecodeError> {
        decode_message(body, &HOST_TYPES)
    }

    fn message_type(&self) -> &'static str {
        match self {
            HostToClient::Ready { .. } => "connection/ready",
            HostToClient::Rejected { .. } => "connection/rejected",
            HostToClient::OperationResponse { .. } => "operation/response",
            HostToClient::ExecuteInitialResponse { .. } => "execute/initialResponse",
            HostToClient::DelegateRequest { .. } => "delegate/request",
            HostToClient::DelegateCancel { .. } => "delegate/cancel",
            HostToClient::CellClosed { .. } => "cell/closed",
        }
    }
}

impl Decode for HostToClient {
    fn read(value: Value<'_>) -> Result<HostToClient, Fault> {
        match value.tag("type", &HOST_TYPES)? {
            "connection/ready" => {
                let [version, capabilities] =
                    value.tagged("type", ["selectedVersion", "capabilities"])?;
                Ok(HostToClient::Ready {
                    selected_version: version.required()?,
                    capabilities: capabilities.required()?,
                })
            }
            "connection/rejected" => {
                let [reason] = value.tagged("type", ["reason"])?;
                Ok(HostToClient::Rejected { reason: reason.required()? })
            }
            "operation/response" => {
                let [id, result] = value.tagged("type", ["id", "result"])?;
                Ok(HostToClient::OperationResponse {
                    id: id.required()?,
                    result: result.required()?,
                })
            }
            "execute/initialResponse" => {
                let [id, result] = value.tagged("type", ["id", "result"])?;
                Ok(HostToClient::ExecuteInitialResponse {
                    id: id.required()?,
                    result: result.required()?,
                })
            }
            "delegate/request" => {
                let [id, session_id, request] =
                    value.tagged("type", ["id", "sessionId", "request"])?;
                Ok(HostToClient::DelegateRequest {
                    id: id.required()?,
                    session_id: session_id.required()?,
                    request: request.required()?,
                })
            }
            "delegate/cancel" => {
                let [id] = value.tagged("type", ["id"])?;
                Ok(HostToClient::DelegateCancel { id: id.required()? })
            }
            _ => {
                let [session_id, cell_id] = value.tagged("type", ["sessionId", "cellId"])?;
                Ok(HostToClient::CellClosed {
                    session_id: session_id.required()?,
                    cell_id: cell_id.required()?,
                })
            }
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ClientToHost {}
    impl Sealed for super::HostToClient {}
}

const CLIENT_TYPES: [&str; 5] = [
    "connection/hello",
    "operation/request",
    "operation/cancel",
    "operation/yield",
    "delegate/response",
];

const HOST_TYPES: [&str; 7] = [
    "connection/ready",
    "connection/rejected",
    "operation/response",
    "execute/initialResponse",
    "delegate/request",
    "delegate/cancel",
    "cell/closed",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::Subject;

    use super::*;

    #[test]
    fn the_type_may_come_last_and_names_may_be_escaped() {
        let text = r#" { "request" : {"sessionId":"s","\u006dethod":"session\/open"} , "id" : 1 , "type":"operation/request" } "#;
        let message = ClientToHost::decode(text.as_bytes()).unwrap();
        let plain = r#"{"type":"operation/request","id":1,"request":{"method":"session/open","sessionId":"s"}}"#;
        assert_eq!(serde_json::to_string(&message).unwrap(), plain);
    }

    #[test]
    fn payloads_stay_the_text_they_came_in() {
        for payload in
            [r#"{ "b":1.0, "a":1e400,"a":[ ] }"#, r#""\ud800""#, "-0.0", "null", "\"}]\\\"\""]
        {
            let text = format!(
                r#"{{"type":"delegate/response","id":1,"result":{{"status":"ok","value":{{"type":"tool/result","result":{payload}}}}}}}"#
            );
            let message = ClientToHost::decode(text.as_bytes()).unwrap();
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
        }
    }

    #[test]
    fn errors_say_where_and_for_whom() {
        check(
            r#"{"id":3,"type":"operation/request","request":{"method":"session/wait","sessionId":"s","request":{"cell_id":"1"}}}"#,
            "operation 3: request.request.yield_time_ms is missing",
        );
        check(
            r#"{"type":"delegate/response","id":4,"result":{"status":"meh"}}"#,
            r#"delegate 4: result.status is "meh"; it must be one of ok, error"#,
        );
        check(
            r#"{"type":"operation/pause","id":5}"#,
            r#"operation 5: type is "operation/pause"; it must be one of connection/hello, operation/request, operation/cancel, operation/yield, delegate/response"#,
        );
        check(
            r#"{"type":"operation/request","id":6,"request":{"method":"session/open""#,
            "operation 6: the message is not JSON: EOF while parsing an object at line 1 column 69",
        );
        check(
            r#"{"type":"operation/cancel","id":7,"id":7}"#,
            "nobody: id stands there more than once",
        );
        check(r#"["operation/cancel",7]"#, "nobody: must be an object and is an array");
    }

    fn check(text: &str, expected: &str) {
        let error = ClientToHost::decode(text.as_bytes()).unwrap_err();
        let whom = match error.subject() {
            Some(Subject::Operation(id)) => format!("operation {id}"),
            Some(Subject::Delegate(id)) => format!("delegate {id}"),
            None => "nobody".to_owned(),
        };
        assert_eq!(format!("{whom}: {error}"), expected);
    }

    #[test]
    fn no_depth_of_nesting_reaches_the_stack() {
        let deep = |levels: usize| {
            let payload = "[".repeat(levels) + &"]".repeat(levels);
            let text = format!(
                r#"{{"type":"delegate/response","id":1,"result":{{"status":"ok","value":{{"type":"tool/result","result":{payload}}}}}}}"#
            );
            ClientToHost::decode(text.as_bytes())
        };
        assert!(deep(124).is_ok(), "127 with the three objects around it");
        for levels in [125, 128, 1_000_000] {
            let error = deep(levels).unwrap_err();
            assert_eq!((error.rule.code(), error.id), ("too-deep", Some(1)));
        }
        let open = ClientToHost::decode("[".repeat(1_000_000).as_bytes()).unwrap_err();
        assert_eq!(open.rule.code(), "not-json");
    }
}
