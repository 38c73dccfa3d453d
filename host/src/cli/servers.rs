//! MCP servers for the commands that give a cell their tools.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use codemode_host_protocol::ToolDefinition;

use super::{UsageError, report};
use crate::mcp::{Config, Manager, ServerState, ServerStatus, Snapshot};

/// The MCP servers whose tools a cell has.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ServerArguments {
    /// Give cells the tools of the MCP servers in this file: a codemode.toml, or the JSON with `mcpServers` that MCP
    /// clients use; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "MCP servers")]
    mcp_config: Vec<PathBuf>,

    /// Let cells call this tool of a server without asking, where it needs a yes: SERVER.TOOL, with * for anything, or
    /// all; may be repeated
    #[arg(long, value_name = "TOOL", help_heading = "MCP servers")]
    approve: Vec<String>,
}

impl ServerArguments {
    /// Whether no file was named.
    pub(super) fn is_empty(&self) -> bool {
        self.mcp_config.is_empty()
    }

    /// Reads the files. `call_timeout` holds for the calls of all servers, if given.
    pub(super) fn load(&self, call_timeout: Option<Duration>) -> Result<Config, UsageError> {
        let config = Config::load(&self.mcp_config)
            .map_err(|error| UsageError::new(error.to_string()).hint(HINT))?
            .with_approved(&self.approve)
            .map_err(|fault| UsageError::new(format!("--approve {fault}")))?;
        if config.is_empty() && !self.mcp_config.is_empty() {
            let files = self.mcp_config.iter().map(|file| file.display().to_string());
            let files = files.collect::<Vec<_>>().join(", ");
            report::note(&format!("there is no MCP server, or none that is enabled, in {files}"));
        }
        Ok(match call_timeout {
            Some(timeout) => config.with_call_timeout(timeout),
            None => config,
        })
    }
}

/// Waits until all servers have started or failed, tells a person what to know about them, and returns what there is,
/// which is to stand beside `others`.
pub(super) async fn ready(manager: &Manager, others: &[ToolDefinition]) -> Snapshot {
    manager.settled().await;
    let snapshot = manager.snapshot();
    for status in manager.status() {
        tell(&status);
    }
    for warning in snapshot.warnings(others) {
        report::note(&warning);
    }
    snapshot
}

fn tell(status: &ServerStatus) {
    let ServerStatus { name, state, warnings } = status;
    match state {
        ServerState::Down { why, .. } | ServerState::Failed { why } => {
            report::note(&format!("the MCP server {name} is not there: {why}"));
        }
        ServerState::Starting | ServerState::Ready { .. } | ServerState::Stopped => {}
    }
    for warning in warnings {
        report::note(&format!("the MCP server {name}: {warning}"));
    }
}

const HINT: &str = "docs/mcp.md shows both formats, with every field";
