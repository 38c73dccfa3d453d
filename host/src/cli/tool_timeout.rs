//! A tool runtime that gives each call only so long.

use std::{sync::Arc, time::Duration};

use codemode_cells::{ToolFuture, ToolRuntime};
use codemode_host_protocol::{CellId, Json, ToolFailure, ToolInvocation};

/// `runtime`, with each call cancelled after `limit`.
pub(super) fn limit(runtime: impl ToolRuntime, limit: Option<Duration>) -> Arc<dyn ToolRuntime> {
    match limit {
        Some(limit) => Arc::new(Limited { runtime, limit }),
        None => Arc::new(runtime),
    }
}

struct Limited<R> {
    runtime: R,
    limit: Duration,
}

impl<R: ToolRuntime> ToolRuntime for Limited<R> {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        let limit = self.limit;
        let tool = call.tool_name.to_string();
        let result = self.runtime.invoke(call);
        Box::pin(async move {
            tokio::time::timeout(limit, result).await.unwrap_or_else(|_| {
                Err(ToolFailure::new(format!(
                    "{tool} took longer than {} and was cancelled; a longer --tool-timeout would let it",
                    humantime::format_duration(limit)
                )))
            })
        })
    }

    fn notify(&self, call_id: &str, cell: &CellId, text: String) -> ToolFuture<()> {
        self.runtime.notify(call_id, cell, text)
    }

    fn cell_closed(&self, cell: &CellId) {
        self.runtime.cell_closed(cell);
    }
}
