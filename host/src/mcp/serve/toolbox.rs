//! Where the tools of cells come from.

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use codemode_cells::{Step, ToolFuture, ToolRuntime};
use codemode_host_protocol::{CellId, Json, ToolDefinition, ToolFailure, ToolInvocation};

use super::super::{Approver, Config, Manager, ManagerOptions, NoUpstream, Upstream};

/// The tools that the cells of MCP clients have: our own, and those of MCP servers.
#[derive(Clone)]
pub struct Toolbox {
    definitions: Vec<ToolDefinition>,
    runtime: Arc<dyn ToolRuntime>,
    servers: Option<Config>,
}

impl Toolbox {
    /// No tools.
    pub fn empty() -> Toolbox {
        Toolbox { definitions: Vec::new(), runtime: Arc::new(NoTools), servers: None }
    }

    /// The same and these tools of our own, which `runtime` executes. They replace those there were.
    #[must_use]
    pub fn with_tools(
        self,
        definitions: Vec<ToolDefinition>,
        runtime: Arc<dyn ToolRuntime>,
    ) -> Toolbox {
        Toolbox { definitions, runtime, ..self }
    }

    /// The same and the tools of these servers. Each client has servers of its own: what they ask is for it alone.
    #[must_use]
    pub fn with_servers(self, servers: Config) -> Toolbox {
        Toolbox { servers: Some(servers), ..self }
    }

    /// The tools for a client that answers `upstream`. Starts its servers, on the current tokio runtime.
    pub(super) fn open(&self, upstream: Arc<dyn Upstream>) -> Arc<Tools> {
        let Toolbox { definitions, runtime, servers } = self.clone();
        let options = ManagerOptions { upstream, ..ManagerOptions::default() };
        let manager = servers.map(|config| Manager::start(config, options));
        let settled = manager.as_ref().map(Manager::settled);
        let tools = Arc::new(Tools { definitions, runtime, manager });
        if let Some(settled) = settled {
            tokio::spawn(warn_of_names(settled, Arc::downgrade(&tools)));
        }
        tools
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolbox")
            .field("definitions", &self.definitions)
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

/// The tools of one client.
pub(super) struct Tools {
    definitions: Vec<ToolDefinition>,
    runtime: Arc<dyn ToolRuntime>,
    manager: Option<Manager>,
}

impl Tools {
    /// A step of the tools as they are now. `approver` decides about calls that need a yes.
    pub(super) fn step(&self, approver: Arc<dyn Approver>) -> Step {
        let (definitions, runtime) = (self.definitions.clone(), Arc::clone(&self.runtime));
        match &self.manager {
            Some(manager) => manager.snapshot_for(approver).beside(definitions, runtime),
            None => Step::new(definitions, runtime),
        }
    }

    /// The tools as they are now.
    pub(super) fn definitions(&self) -> Vec<ToolDefinition> {
        let mut definitions = self.definitions.clone();
        definitions.extend(self.manager.iter().flat_map(|manager| manager.snapshot().tools));
        definitions
    }

    /// Waits until servers that are being started have said what they have, for a time that clients bear.
    pub(super) async fn settled(&self) {
        let Some(manager) = &self.manager else { return };
        if tokio::time::timeout(SETTLE_TIME, manager.settled()).await.is_err() {
            tracing::info!("some MCP servers are slow to start; their tools are told of later");
        }
    }

    /// Waits until the tools are others than `known`.
    ///
    /// Cancel safe.
    pub(super) async fn changed_from(&self, known: &[ToolDefinition]) {
        let Some(manager) = &self.manager else { return std::future::pending().await };
        let mut changes = manager.changes();
        while self.definitions() == known {
            // The sender is in the manager.
            let _ = changes.changed().await;
            // Servers come, go and change their lists for many reasons; what counts is the sum.
            tokio::time::sleep(LOOK_PAUSE).await;
            changes.mark_unchanged();
        }
    }

    /// Tells the servers that their client's roots have changed.
    pub(super) async fn roots_changed(&self) {
        if let Some(manager) = &self.manager {
            manager.roots_changed().await;
        }
    }

    /// Shuts the servers down.
    pub(super) async fn shutdown(&self) {
        if let Some(manager) = &self.manager {
            manager.shutdown().await;
        }
    }
}

/// Says in the log which names cells do not see, once all servers have said what they have.
async fn warn_of_names(settled: impl Future<Output = ()>, tools: Weak<Tools>) {
    settled.await;
    let Some(tools) = tools.upgrade() else { return };
    let Some(manager) = &tools.manager else { return };
    for warning in manager.snapshot().warnings(&tools.definitions) {
        tracing::warn!("{warning}");
    }
}

/// The tools of all clients that have no connection to be asked on. Their servers start when the first of them comes.
pub(super) struct CommonTools {
    toolbox: Toolbox,
    tools: OnceLock<Arc<Tools>>,
}

impl CommonTools {
    pub(super) fn new(toolbox: Toolbox) -> CommonTools {
        CommonTools { toolbox, tools: OnceLock::new() }
    }

    pub(super) fn tools(&self) -> Arc<Tools> {
        Arc::clone(self.tools.get_or_init(|| self.toolbox.open(Arc::new(NoUpstream))))
    }

    /// Shuts the servers down that were started.
    pub(super) async fn shutdown(&self) {
        if let Some(tools) = self.tools.get() {
            tools.shutdown().await;
        }
    }
}

struct NoTools;

impl ToolRuntime for NoTools {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        let message = format!("there is no tool {}", call.tool_name);
        Box::pin(async { Err(ToolFailure::new(message)) })
    }

    fn notify(&self, _call_id: &str, _cell: &CellId, _text: String) -> ToolFuture<()> {
        Box::pin(async { Ok(()) })
    }
}

/// Less than what clients give a server to start, which can be ten seconds (Codex calls it `startup_timeout_sec`), and
/// more than most servers take.
const SETTLE_TIME: Duration = Duration::from_secs(8);

/// How long changes are waited for that belong to one.
const LOOK_PAUSE: Duration = Duration::from_millis(300);
