//! The one owner of all connections.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use codemode_cells::{Step, ToolRuntime, Toolset};
use codemode_host_protocol::{ToolDefinition, ToolName, identifier};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    Approver, Config, DenyAll, NoUpstream, ServerConfig, ServerName, Upstream,
    runtime::{Both, Target, Tools},
    server::Server,
};

/// Owns the connections to the MCP servers of a configuration.
///
/// Dropping it shuts the servers down as [`Manager::shutdown`] does, without waiting.
pub struct Manager {
    options: ManagerOptions,
    generation: Mutex<Arc<Generation>>,
    changed: watch::Sender<()>,
}

/// Whom a manager's servers deal with.
#[derive(Clone)]
pub struct ManagerOptions {
    /// Answers what servers ask.
    pub upstream: Arc<dyn Upstream>,
    /// Decides about calls that need a yes.
    pub approver: Arc<dyn Approver>,
}

impl Default for ManagerOptions {
    /// Servers can ask nothing, and calls that need a yes get a no.
    fn default() -> ManagerOptions {
        ManagerOptions {
            upstream: Arc::new(NoUpstream),
            approver: Arc::new(DenyAll::because("nobody is there to be asked")),
        }
    }
}

impl fmt::Debug for ManagerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagerOptions").finish_non_exhaustive()
    }
}

impl Manager {
    /// Begins to start the servers, and returns at once.
    ///
    /// # Panics
    /// Outside of a tokio runtime, on which everything of the manager runs.
    pub fn start(config: Config, options: ManagerOptions) -> Manager {
        let changed = watch::Sender::new(());
        let generation = Mutex::new(Arc::new(Generation::start(&config, &options, &changed)));
        Manager { options, generation, changed }
    }

    /// The tools that there are now, and who executes them.
    ///
    /// Tools of a server that is still starting are in a later snapshot, and so are changes of its list. A snapshot
    /// stays what it is: a tool that has gone meanwhile fails when it is called.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_for(Arc::clone(&self.options.approver))
    }

    /// The same, with calls decided about by `approver`.
    pub fn snapshot_for(&self, approver: Arc<dyn Approver>) -> Snapshot {
        let generation = Arc::clone(&self.generation.lock());
        generation.snapshot(approver)
    }

    /// Waits until it is known of each server whether it starts. Bounded by their start timeouts.
    ///
    /// Cancel safe.
    pub fn settled(&self) -> impl Future<Output = ()> + Send + use<> {
        let generation = Arc::clone(&self.generation.lock());
        async move {
            join_all(generation.servers.iter().map(|server| server.settled())).await;
        }
    }

    /// Sees when the next snapshot may be another one: a server came, went, or told its tools anew.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// How each server is, in the order of their names.
    pub fn status(&self) -> Vec<ServerStatus> {
        let generation = Arc::clone(&self.generation.lock());
        generation.servers.iter().map(|server| server.status()).collect()
    }

    /// Tells the servers that run that [`Upstream::list_roots`] would answer otherwise now.
    ///
    /// Cancel safe.
    pub async fn roots_changed(&self) {
        let generation = Arc::clone(&self.generation.lock());
        let connections = generation.servers.iter().filter_map(|server| server.connection());
        join_all(connections.map(async |connection| connection.roots_changed().await)).await;
    }

    /// Swaps the configuration, at once: the next snapshot is of the new one. The old one's servers are shut down,
    /// also while a cell still has their tools; its calls of them fail then.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn replace(&self, config: &Config) {
        let new = Arc::new(Generation::start(config, &self.options, &self.changed));
        let old = std::mem::replace(&mut *self.generation.lock(), new);
        old.stop();
        self.changed.send_replace(());
    }

    /// Shuts all servers down: their input is closed, and processes that do not end are killed. Takes two seconds
    /// at most.
    ///
    /// Cancel safety: they are shut down even when the future is dropped.
    pub async fn shutdown(&self) {
        let generation = Arc::clone(&self.generation.lock());
        generation.stop();
        let all = join_all(generation.servers.iter().map(|server| server.stopped()));
        let _ = tokio::time::timeout(SHUTDOWN_TIME, all).await;
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.generation.lock().stop();
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("servers", &self.status()).finish_non_exhaustive()
    }
}

/// The tools of all servers as they were at one moment.
#[derive(Clone)]
pub struct Snapshot {
    /// The tools, by the names of their servers, and of one server in its order.
    pub tools: Vec<ToolDefinition>,
    /// Who executes them. Holds nothing up: the servers live and die without it.
    pub runtime: Arc<dyn ToolRuntime>,
    warnings: Vec<String>,
}

impl Snapshot {
    /// What a person should know of the names that cells see, where there are `others` beside these tools: which tools
    /// are left out because others have their names, and which servers because tools do.
    pub fn warnings(&self, others: &[ToolDefinition]) -> Vec<String> {
        let all = others.iter().chain(&self.tools);
        let tools: HashMap<String, &ToolDefinition> =
            all.map(|tool| (identifier(&tool.name), tool)).collect();
        let servers: BTreeSet<&str> =
            self.tools.iter().filter_map(|tool| tool.tool_name.namespace.as_deref()).collect();
        let hidden = servers.into_iter().filter_map(|server| {
            let name = identifier(server);
            let tool = &tools.get(&name)?.name;
            Some(format!(
                "`tools.{name}` is the tool {tool}, and not the MCP server {server}, whose tools cells have as \
                 `tools.mcp__{name}__…` alone; give the server another name"
            ))
        });
        self.warnings.iter().cloned().chain(hidden).collect()
    }

    /// A step of these tools and of `tools`, which `runtime` executes. It also gets the cells' notifications.
    ///
    /// Where both have a tool of one name, it is that of `tools`.
    pub fn beside(self, tools: Vec<ToolDefinition>, runtime: Arc<dyn ToolRuntime>) -> Step {
        self.with(&tools).step(runtime)
    }

    /// These tools and `others`, for any number of steps.
    pub(crate) fn with(&self, others: &[ToolDefinition]) -> Company {
        let taken: HashSet<&ToolName> = others.iter().map(|tool| &tool.tool_name).collect();
        let own = || self.tools.iter().filter(|tool| !taken.contains(&tool.tool_name));
        Company {
            names: Arc::new(own().map(|tool| tool.tool_name.clone()).collect()),
            tools: others.iter().chain(own()).cloned().collect(),
            servers: Arc::clone(&self.runtime),
        }
    }

    /// A step of these tools alone.
    pub fn step(self) -> Step {
        Step::new(self.tools, self.runtime)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("tools", &self.tools)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// The tools of a snapshot beside those of somebody else.
pub(crate) struct Company {
    tools: Toolset,
    /// Those that are the servers'.
    names: Arc<HashSet<ToolName>>,
    servers: Arc<dyn ToolRuntime>,
}

impl Company {
    /// Whether the servers' tools are those of this snapshot.
    pub(crate) fn is_of(&self, snapshot: &Snapshot) -> bool {
        Arc::ptr_eq(&self.servers, &snapshot.runtime)
    }

    /// A step of them all. `runtime` executes the tools that are not the servers'.
    pub(crate) fn step(&self, runtime: Arc<dyn ToolRuntime>) -> Step {
        let (names, servers) = (Arc::clone(&self.names), Arc::clone(&self.servers));
        Step::new(self.tools.clone(), Arc::new(Both { names, servers, other: runtime }))
    }
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Which.
    pub name: ServerName,
    /// How it is.
    pub state: ServerState,
    /// What a person should know about its tools.
    pub warnings: Vec<String>,
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// It has been started and has not told its tools yet.
    Starting,
    /// It answers.
    Ready {
        /// How many of its tools cells see.
        tools: usize,
    },
    /// It died or did not start, and will be started again.
    Down {
        /// Why, with the last that it wrote to its standard error.
        why: String,
        /// When it is started again.
        retry_in: Duration,
    },
    /// It cannot be started as it is configured.
    Failed {
        /// Why.
        why: String,
    },
    /// It was shut down.
    Stopped,
}

/// The servers of one configuration.
struct Generation {
    servers: Vec<Arc<Server>>,
    config: Config,
}

impl Generation {
    fn start(config: &Config, options: &ManagerOptions, changed: &watch::Sender<()>) -> Generation {
        let start = |server: &ServerConfig| {
            Server::start(server.clone(), Arc::clone(&options.upstream), changed.clone())
        };
        let servers = config.servers().map(start).collect();
        Generation { servers, config: config.clone() }
    }

    fn stop(&self) {
        for server in &self.servers {
            server.stop();
        }
    }

    fn snapshot(&self, approver: Arc<dyn Approver>) -> Snapshot {
        let mut definitions = Vec::new();
        let mut warnings = Vec::new();
        let mut targets: HashMap<ToolName, Target> = HashMap::new();
        let mut taken = HashSet::new();
        for server in &self.servers {
            let Some(connection) = server.connection() else { continue };
            for tool in &connection.listing().tools {
                let definition = &tool.definition;
                let name = identifier(&definition.name);
                if taken.contains(&name) {
                    warnings.push(format!(
                        "the tool {:?} of {} is left out: another tool is `{name}` already; `deny` one of them",
                        definition.tool_name.name, server.config.name
                    ));
                    continue;
                }
                taken.insert(name);
                definitions.push(definition.clone());
                let target = Target {
                    server: Arc::clone(server),
                    needs_approval: tool.needs_approval
                        && !self
                            .config
                            .approves(server.config.name.as_str(), &definition.tool_name.name),
                    structured: tool.structured,
                };
                targets.insert(definition.tool_name.clone(), target);
            }
        }
        let runtime = Tools { targets, approver, approval_timeout: self.config.approval_timeout() };
        Snapshot { tools: definitions, runtime: Arc::new(runtime), warnings }
    }
}

/// A little longer than a server takes at most.
const SHUTDOWN_TIME: Duration = Duration::from_millis(2500);
