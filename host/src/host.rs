//! What all connections of one process share.

use std::{sync::Arc, time::Duration};

use codemode_cells::{HostLedger, InProcessCodeModeSession, SessionOptions};
use codemode_host_protocol::{Budget, Budgets, Scope, SessionBudgets};
use codemode_runtime_js::{Engine, EngineOptions, Isolation};
use tokio::{runtime::Handle, sync::watch};

use crate::mcp::{Config, DenyAll, Manager, ManagerOptions, Snapshot};

/// A host: the engine that runs cells, and what sessions are allowed. Cheap to clone; all clones are one host.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    engine: Engine,
    tokio: Handle,
    options: HostOptions,
    servers: Option<Manager>,
    draining: watch::Sender<bool>,
}

impl Host {
    /// A host whose tool calls run on the current tokio runtime, which must have its time driver enabled.
    ///
    /// With worker processes, this starts the one that they will be copies of.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(mut options: HostOptions) -> Host {
        options.session.host.get_or_insert_with(|| HostLedger::new(options.limits));
        let approver = Arc::new(DenyAll::because(
            "a host has nobody to ask. Its user can start it with --approve and the name of the tool",
        ));
        let servers = (!options.servers.is_empty()).then(|| {
            Manager::start(
                options.servers.clone(),
                ManagerOptions { approver, ..ManagerOptions::default() },
            )
        });
        Host(Arc::new(Inner {
            servers,
            engine: Engine::lazy(EngineOptions {
                isolation: options.isolation.clone(),
                ..EngineOptions::default()
            }),
            tokio: Handle::current(),
            options,
            draining: watch::Sender::new(false),
        }))
    }

    /// Begins to make ready for cells. A host that is not told to does so when its first client has been heard and answered.
    pub(crate) fn prepare(&self) {
        self.0.engine.prepare();
    }

    /// Begins to shut down: no session opens and no cell starts any more. Those that run have
    /// [`HostOptions::drain_grace`] to come to an end; then they are terminated, their connections are told, and
    /// closed.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    /// Ready once [`Host::drain`] was called.
    pub(crate) async fn draining(&self) {
        let mut draining = self.0.draining.subscribe();
        // An error would say that the sender is gone, and `self` holds it.
        let _ = draining.wait_for(|draining| *draining).await;
    }

    pub(crate) fn drain_grace(&self) -> Duration {
        self.0.options.drain_grace
    }

    pub(crate) fn refuse_if_draining(&self) -> Result<(), String> {
        match *self.0.draining.borrow() {
            true => Err("the code-mode host is shutting down; connect to another one".to_owned()),
            false => Ok(()),
        }
    }

    /// How a session is opened whose client asks for `budgets`. It gets no more than it may ask for.
    pub(crate) fn session_options(&self, budgets: SessionBudgets) -> SessionOptions {
        let HostOptions { session, ceilings, .. } = &self.0.options;
        let mut options = session.clone();
        let SessionBudgets { cell, session } = budgets;
        for (scope, asked, ceilings) in
            [(Scope::Cell, cell, ceilings.cell), (Scope::Session, session, ceilings.session)]
        {
            for (budget, asked) in asked.unwrap_or_default().iter() {
                let ceiling = ceilings.of(budget).or(options.limits.of(scope, budget));
                let granted = ceiling.map_or(asked, |ceiling| asked.min(ceiling));
                options.limits.set(scope, budget, Some(granted));
            }
        }
        options
    }

    /// The tools that the host has itself, as they are now.
    pub(crate) fn tools(&self) -> Option<Snapshot> {
        self.0.servers.as_ref().map(Manager::snapshot)
    }

    /// Shuts down what the host has started beside cells. Takes seconds at most.
    pub(crate) async fn end_servers(&self) {
        if let Some(servers) = &self.0.servers {
            servers.shutdown().await;
        }
    }

    /// How many clients there may be over WebSocket.
    pub(crate) fn max_connections(&self) -> usize {
        let limit = self.0.options.limits.of(Budget::Connections);
        limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
    }

    pub(crate) fn new_session(&self, options: SessionOptions) -> InProcessCodeModeSession {
        InProcessCodeModeSession::new(self.0.engine.tenant(), self.0.tokio.clone(), options)
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// How much of each budget a client may ask for. A budget without a ceiling has that of its default: clients may ask for
/// less, and not for more.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionCeilings {
    /// For each cell.
    pub cell: Budgets,
    /// For all cells of a session together.
    pub session: Budgets,
}

/// How a host behaves.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// What sessions allow, if their clients do not ask for other budgets.
    pub session: SessionOptions,
    /// How much clients may ask for.
    pub ceilings: SessionCeilings,
    /// What all sessions may use together, and how many clients over WebSocket there may be.
    pub limits: Budgets,
    /// How long running cells have to come to an end once the host is told to stop.
    pub drain_grace: Duration,
    /// MCP servers whose tools cells have beside those of their clients, where clients ask for them. The host executes
    /// them itself.
    pub servers: Config,
    /// What keeps cells from this process, and from each other. `codemode host` gives each session processes of its own;
    /// in a program of your own that takes a program to run in them, so it is a choice.
    pub isolation: Isolation,
}

impl Default for HostOptions {
    fn default() -> HostOptions {
        let mut session = SessionOptions::default();
        // A connection has 1,024 places for tool calls and notifications, or 4,096, and refuses calls beyond
        // them in V1's words. A cell that talks much leaves most places to others.
        session.limits.open_calls = 8_192;
        session.limits.open_notifications = 256;
        HostOptions {
            session,
            ceilings: SessionCeilings::default(),
            limits: Budgets::default()
                .with(Budget::LiveCells, 20_000)
                .with(Budget::UnreadBytes, 1 << 30)
                .with(Budget::Connections, 1_024),
            drain_grace: Duration::from_secs(5),
            servers: Config::default(),
            isolation: Isolation::None,
        }
    }
}
