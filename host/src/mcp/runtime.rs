//! Who executes the calls of servers' tools.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use codemode_cells::{ToolFuture, ToolRuntime};
use codemode_host_protocol::{CellId, FailureKind, Json, ToolInvocation, ToolName};

use super::{Approver, Ask, Decision, failure::Failure, server::Server};

/// The tools of one snapshot.
pub(super) struct Tools {
    pub(super) targets: HashMap<ToolName, Target>,
    pub(super) approver: Arc<dyn Approver>,
    pub(super) approval_timeout: Duration,
}

/// Where a call goes.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) server: Arc<Server>,
    pub(super) needs_approval: bool,
    pub(super) structured: bool,
}

impl ToolRuntime for Tools {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        let Some(target) = self.targets.get(&call.tool_name).cloned() else {
            let message = format!("no MCP server has a tool {}", call.tool_name);
            return Box::pin(async { Err(Failure::new(FailureKind::Protocol, message).into()) });
        };
        let (approver, limit) = (Arc::clone(&self.approver), self.approval_timeout);
        Box::pin(async move {
            if target.needs_approval {
                approve(&*approver, limit, &target, &call).await?;
            }
            let tool = &call.tool_name.name;
            Ok(target.server.call(tool, target.structured, &call).await?)
        })
    }

    /// Accepts and drops the text: servers are not told.
    fn notify(&self, _call_id: &str, _cell: &CellId, _text: String) -> ToolFuture<()> {
        Box::pin(async { Ok(()) })
    }
}

/// Waits for a yes to `call`.
async fn approve(
    approver: &dyn Approver,
    limit: Duration,
    target: &Target,
    call: &ToolInvocation,
) -> Result<(), Failure> {
    let tool = &call.tool_name.name;
    let ask = Ask {
        cell: call.cell_id.clone(),
        runtime_tool_call_id: call.runtime_tool_call_id.clone(),
        server: target.server.config.name.to_string(),
        tool: tool.clone(),
        arguments: call.input.clone().unwrap_or_else(Json::null),
    };
    let why = match tokio::time::timeout(limit, approver.ask(ask)).await {
        Ok(Decision::Approved) => return Ok(()),
        Ok(Decision::Denied { reason: Some(reason) }) => {
            format!("the call of {tool} was denied: {reason}")
        }
        Ok(Decision::Denied { reason: None }) => format!("the call of {tool} was denied"),
        Err(_) => format!(
            "the call of {tool} was denied: nobody answered within {}",
            humantime::format_duration(limit)
        ),
    };
    Err(Failure::new(FailureKind::Denied, why))
}

/// Two runtimes as one: the servers' for the tools in `names`, the other for all else.
pub(super) struct Both {
    pub(super) names: Arc<HashSet<ToolName>>,
    pub(super) servers: Arc<dyn ToolRuntime>,
    pub(super) other: Arc<dyn ToolRuntime>,
}

impl ToolRuntime for Both {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        let runtime =
            if self.names.contains(&call.tool_name) { &self.servers } else { &self.other };
        runtime.invoke(call)
    }

    fn notify(&self, call_id: &str, cell: &CellId, text: String) -> ToolFuture<()> {
        self.other.notify(call_id, cell, text)
    }

    fn cell_closed(&self, cell: &CellId) {
        self.servers.cell_closed(cell);
        self.other.cell_closed(cell);
    }
}
