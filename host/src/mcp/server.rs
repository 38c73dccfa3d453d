//! The life of one server: started, watched, and started again when it dies.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use codemode_host_protocol::{FailureKind, Json, ToolInvocation};
use rmcp::{
    RoleClient, ServiceExt as _,
    service::{ClientInitializeError, RunningService},
};
use tokio::sync::watch;

use super::{
    HttpConfig, ServerConfig, ServerState, ServerStatus, Transport, Upstream,
    connection::Connection,
    failure::Failure,
    handler::{Handler, Shared},
    http,
    result::shorten,
    stdio::{Notes, Pipes, Process},
};

/// One server of a configuration.
pub(super) struct Server {
    pub(super) config: ServerConfig,
    upstream: Arc<dyn Upstream>,
    state: watch::Sender<State>,
    /// Of all servers: that one of them may have other tools now.
    changed: watch::Sender<()>,
    /// Whether the server is to go.
    stop: watch::Sender<bool>,
}

#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<Connection>),
    /// It died, or did not start. It is tried again.
    Down {
        why: String,
        retry_at: Instant,
    },
    /// It will not be tried again.
    Failed {
        why: String,
    },
    /// It was told to go, and has gone.
    Stopped,
}

impl Server {
    /// Begins to start the server, on the current runtime.
    pub(super) fn start(
        config: ServerConfig,
        upstream: Arc<dyn Upstream>,
        changed: watch::Sender<()>,
    ) -> Arc<Server> {
        let server = Arc::new(Server {
            config,
            upstream,
            state: watch::Sender::new(State::Starting),
            changed,
            stop: watch::Sender::new(false),
        });
        tokio::spawn(live(Arc::clone(&server)));
        server
    }

    /// The connection, if there is one now.
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        match &*self.state.borrow() {
            State::Ready(connection) => Some(Arc::clone(connection)),
            _ => None,
        }
    }

    /// Waits until it is known whether the server starts.
    pub(super) async fn settled(&self) {
        let mut state = self.state.subscribe();
        // The sender is in `self`.
        let _ = state.wait_for(|state| !matches!(state, State::Starting)).await;
    }

    /// Tells the server to go. Its open calls fail.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the server has gone, after [`Server::stop`].
    pub(super) async fn stopped(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| matches!(state, State::Stopped)).await;
    }

    pub(super) fn status(&self) -> ServerStatus {
        let state = self.state.borrow().clone();
        let mut warnings = Vec::new();
        let state = match state {
            State::Starting => ServerState::Starting,
            State::Ready(connection) => {
                let listing = connection.listing();
                warnings.clone_from(&listing.warnings);
                ServerState::Ready { tools: listing.tools.len() }
            }
            State::Down { why, retry_at } => {
                let retry_in = retry_at.saturating_duration_since(Instant::now());
                ServerState::Down { why, retry_in }
            }
            State::Failed { why } => ServerState::Failed { why },
            State::Stopped => ServerState::Stopped,
        };
        ServerStatus { name: self.config.name.clone(), state, warnings }
    }

    /// Calls a tool. Waits for a server that is starting again.
    pub(super) async fn call(
        &self,
        tool: &str,
        structured: bool,
        invocation: &ToolInvocation,
    ) -> Result<Json, Failure> {
        self.settled().await;
        let name = &self.config.name;
        let state = self.state.borrow().clone();
        let why = match state {
            State::Ready(connection) if !*self.stop.borrow() => {
                return connection.call(tool, structured, invocation).await;
            }
            State::Ready(_) | State::Stopped => {
                format!(
                    "{tool} cannot be called: the MCP server {name} was shut down, or its configuration replaced"
                )
            }
            State::Down { why, retry_at } => format!(
                "{tool} cannot be called: the MCP server {name} is down: {why}. It is started again in {}",
                humantime::format_duration(seconds(
                    retry_at.saturating_duration_since(Instant::now())
                ))
            ),
            State::Failed { why } => {
                format!("{tool} cannot be called: the MCP server {name} does not run: {why}")
            }
            State::Starting => {
                format!("{tool} cannot be called: the MCP server {name} is starting")
            }
        };
        Err(Failure::new(FailureKind::Transport, why))
    }

    fn set(&self, state: State) {
        self.state.send_replace(state);
        self.changed.send_replace(());
    }
}

/// Why a server did not start.
enum StartError {
    /// It went away meanwhile.
    Lost(String),
    /// It may another time.
    Transient(String),
    /// It never will: the configuration has to change.
    Final(String),
}

/// A server that has started.
struct Running {
    service: RunningService<RoleClient, Handler>,
    connection: Arc<Connection>,
    process: Option<Process>,
}

/// Starts the server, and again when it dies, until it is told to go.
async fn live(server: Arc<Server>) {
    let mut stop = server.stop.subscribe();
    let mut failures = 0;
    loop {
        server.set(State::Starting);
        let started = tokio::select! {
            started = start(&server) => started,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let name = &server.config.name;
        let why = match started {
            Ok(running) => {
                server.set(State::Ready(Arc::clone(&running.connection)));
                warn_of_tools(&server.config, &running.connection);
                let since = Instant::now();
                let Some(why) = watch(&server, running).await else { break };
                if since.elapsed() >= STEADY {
                    failures = 0;
                }
                why
            }
            Err(StartError::Lost(why) | StartError::Transient(why)) => why,
            Err(StartError::Final(why)) => {
                tracing::warn!(server = %name, %why, "an MCP server does not start");
                server.set(State::Failed { why });
                let _ = stop.wait_for(|stop| *stop).await;
                break;
            }
        };
        let pause = (FIRST_PAUSE * 2_u32.saturating_pow(failures)).min(LAST_PAUSE);
        failures = failures.saturating_add(1).min(MAX_DOUBLINGS);
        tracing::warn!(server = %name, %why, ?pause, "an MCP server is down");
        server.set(State::Down { why, retry_at: Instant::now() + pause });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    server.set(State::Stopped);
}

/// What a server is spoken to by.
enum Way<'a> {
    Stdio(Pipes),
    Http(&'a HttpConfig),
}

async fn start(server: &Server) -> Result<Running, StartError> {
    let config = &server.config;
    let limit = config.start_timeout;
    let mut process = None;
    let way = match &config.transport {
        Transport::Stdio(stdio) => {
            let stdio = stdio.clone();
            let started = tokio::task::spawn_blocking({
                let tokio = tokio::runtime::Handle::current();
                move || {
                    let _inside = tokio.enter();
                    Process::start(&stdio)
                }
            });
            let (started, pipes) = match started.await {
                Ok(started) => started.map_err(StartError::Final)?,
                Err(error) => return Err(StartError::Transient(error.to_string())),
            };
            process = Some(started);
            Way::Stdio(pipes)
        }
        Transport::Http(http) => Way::Http(http),
        Transport::Unsupported(why) => return Err(StartError::Final(why.clone())),
    };
    let shared = Arc::new(Shared::default());
    let handler = Handler {
        server: config.name.to_string(),
        upstream: Arc::clone(&server.upstream),
        shared: Arc::clone(&shared),
    };
    let result = tokio::time::timeout(limit, async {
        let service = match way {
            Way::Stdio(pipes) => handler.serve(pipes).await,
            Way::Http(http) => {
                handler.serve(http::transport(http).await.map_err(StartError::Transient)?).await
            }
        };
        let service = service.map_err(|error| explain_start(&error))?;
        let name = config.name.as_str();
        let peer = service.peer().clone();
        let opened = Connection::open(name, peer, shared, &config.tools, config.call_timeout).await;
        match opened {
            Ok(connection) => Ok((service, Arc::new(connection))),
            Err(why) if service.is_transport_closed() => Err(StartError::Lost(why)),
            Err(why) => Err(StartError::Transient(why)),
        }
    })
    .await;
    let (mut why, lost) = match result {
        Ok(Ok((service, connection))) => return Ok(Running { service, connection, process }),
        Ok(Err(StartError::Lost(why))) => (why, true),
        Ok(Err(StartError::Transient(why))) => (why, false),
        Ok(Err(error @ StartError::Final(_))) => return Err(error),
        Err(_) => {
            let limit = humantime::format_duration(limit);
            (format!("it did not start within {limit}; `start_timeout` gives it longer"), false)
        }
    };
    let notes = process.as_ref().map(|process| Arc::clone(&process.notes));
    if let Some(mut process) = process {
        if let Some(fault) = process.notes.fault() {
            why = fault;
        } else if lost && let Some(ending) = process.ending().await {
            why = format!("it {ending} while it started");
        }
        tokio::spawn(process.end());
    }
    Err(StartError::Transient(with_notes(why, notes.as_deref())))
}

/// Watches a server until it dies, and says why; `None` when it was told to go.
async fn watch(server: &Arc<Server>, running: Running) -> Option<String> {
    let Running { service, connection, mut process } = running;
    let stop = async || {
        let mut stop = server.stop.subscribe();
        // The sender is in `server`.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let close = service.cancellation_token();
    let mut waiting = std::pin::pin!(service.waiting());
    let stopped = loop {
        tokio::select! {
            _ = &mut waiting => break false,
            () = connection.is_gone() => break false,
            () = stop() => break true,
            () = connection.list_changed() => {
                let again = connection.list_again(&server.config.tools);
                let again = tokio::select! {
                    again = tokio::time::timeout(server.config.start_timeout, again) => again,
                    _ = &mut waiting => break false,
                    () = stop() => break true,
                };
                let why = match again {
                    Ok(Ok(())) => {
                        warn_of_tools(&server.config, &connection);
                        server.changed.send_replace(());
                        None
                    }
                    Ok(Err(why)) => Some(why),
                    Err(_) => Some(String::from("it does not tell them in time")),
                };
                if let Some(why) = why {
                    tracing::warn!(server = %server.config.name, %why, "an MCP server's new tools are unknown");
                }
                // A server that says nothing else gets no more of us than this.
                tokio::time::sleep(LIST_PAUSE).await;
            }
        }
    };
    if stopped {
        connection.ended("its configuration was replaced, or it was shut down");
        close.cancel();
        let _ = tokio::time::timeout(CLOSE_TIME, &mut waiting).await;
        if let Some(process) = process {
            process.end().await;
        }
        return None;
    }
    let notes = process.as_ref().map(|process| Arc::clone(&process.notes));
    let fault = notes.as_ref().and_then(|notes| notes.fault());
    let why = match (fault, &mut process) {
        (Some(fault), _) => fault,
        (None, Some(process)) => {
            let ending = process.ending().await;
            format!("it {}", ending.unwrap_or_else(|| String::from("closed its output")))
        }
        (None, None) => {
            connection.why_gone().unwrap_or_else(|| String::from("the connection was closed"))
        }
    };
    let why = with_notes(why, notes.as_deref());
    connection.ended(&why);
    // What is left of it, at once: it is about to be started again.
    drop(process);
    Some(why)
}

fn warn_of_tools(config: &ServerConfig, connection: &Connection) {
    for warning in &connection.listing().warnings {
        tracing::warn!(server = %config.name, "{warning}");
    }
}

fn with_notes(why: String, notes: Option<&Notes>) -> String {
    match notes.and_then(Notes::tail) {
        Some(tail) => format!("{why}. The last that it said:\n{tail}"),
        None => why,
    }
}

fn explain_start(error: &ClientInitializeError) -> StartError {
    let why = match error {
        error if error.is_authorization_required() => {
            return StartError::Final(String::from(LOGIN_FIRST));
        }
        ClientInitializeError::ConnectionClosed(_) => {
            return StartError::Lost(String::from(
                "it closed its output before it introduced itself",
            ));
        }
        ClientInitializeError::TransportError { error, .. } => {
            let why = http::chain(error.error.as_ref());
            return StartError::Lost(shorten(&format!("it cannot be reached: {why}")));
        }
        ClientInitializeError::JsonRpcError(error) => format!(
            "it refuses to begin: {} (JSON-RPC error {})",
            shorten(&error.message),
            error.code.0
        ),
        error => shorten(&format!("it does not begin as the protocol says: {error}")),
    };
    StartError::Transient(why)
}

/// Whole seconds, at least one.
fn seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs().max(1))
}

/// What to do about a server that wants to know who asks.
pub(super) const LOGIN_FIRST: &str = "it wants a login: type `codemode login SERVER --mcp-config FILE`, or give it a \
                                      token with `bearer_token_env` or an Authorization header";

/// A server that ran as long as this did not die of being started.
const STEADY: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(60);
const MAX_DOUBLINGS: u32 = 10;

/// Between two looks at a list that changes all the time.
const LIST_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection may take to close before its process is ended.
const CLOSE_TIME: Duration = Duration::from_millis(500);
