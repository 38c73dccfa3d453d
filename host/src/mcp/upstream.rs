//! What servers ask of whoever is above us.
#![allow(
    deprecated,
    reason = "sampling, roots and logging leave MCP in time; servers of today have them"
)]

use std::{future::Future, pin::Pin};

use codemode_host_protocol::CellId;
use rmcp::{
    ErrorData,
    model::{
        ClientCapabilities, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
        ElicitResult, ElicitationAction, ListRootsResult, LoggingMessageNotificationParam,
        ProgressNotificationParam,
    },
};

/// Answers what servers ask of their client, and hears what they tell it: the MCP client that codemode serves, or a
/// person at the terminal.
///
/// Every method has a default that says no, or nothing. What a manager's servers may ask at all is settled when they
/// start, by [`Upstream::capabilities`].
pub trait Upstream: Send + Sync + 'static {
    /// What servers are told that their client can do. Asked each time a server starts.
    fn capabilities(&self) -> ClientCapabilities {
        ClientCapabilities::default()
    }

    /// A server wants something from the user.
    ///
    /// Cancel safety: dropped when the server goes away or takes the question back.
    fn elicit(&self, server: &str, params: ElicitRequestParams) -> UpstreamFuture<ElicitResult> {
        let _ = (server, params);
        Box::pin(async { Ok(ElicitResult::new(ElicitationAction::Decline)) })
    }

    /// A server wants the client's model to say something.
    ///
    /// Cancel safety: as of [`Upstream::elicit`].
    fn create_message(
        &self,
        server: &str,
        params: CreateMessageRequestParams,
    ) -> UpstreamFuture<CreateMessageResult> {
        let _ = (server, params);
        Box::pin(async { Err(unsupported("sampling")) })
    }

    /// A server asks which folders it is about.
    fn list_roots(&self, server: &str) -> UpstreamFuture<ListRootsResult> {
        let _ = server;
        Box::pin(async { Err(unsupported("roots")) })
    }

    /// A server says something to whoever reads its log. Must not block.
    fn log(&self, server: &str, params: LoggingMessageNotificationParam) {
        let _ = (server, params);
    }

    /// A call of `cell` has come further; `runtime_tool_call_id` names the call in its cell. Must not block.
    fn progress(
        &self,
        server: &str,
        cell: &CellId,
        runtime_tool_call_id: &str,
        params: ProgressNotificationParam,
    ) {
        let _ = (server, cell, runtime_tool_call_id, params);
    }
}

/// A future that an [`Upstream`] gives back.
pub type UpstreamFuture<T> = Pin<Box<dyn Future<Output = Result<T, ErrorData>> + Send>>;

/// Nobody: servers are told that their client can do nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUpstream;

impl Upstream for NoUpstream {}

fn unsupported(what: &str) -> ErrorData {
    ErrorData::new(
        rmcp::model::ErrorCode::METHOD_NOT_FOUND,
        format!("the client does not support {what}"),
        None,
    )
}
