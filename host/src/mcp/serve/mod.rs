//! `codemode mcp`: sessions for MCP clients.
//!
//! A client sees two tools. `exec` runs a cell, whose source calls all other tools; `wait` goes on waiting for one that
//! has not ended. Each connection has one session: what a cell stores is there for the next, and when the client
//! goes its cells end. From revision 2026-07-28 on, HTTP has no connections; there `exec` begins a session, and
//! names it where there is something to come back to.
//!
//! What the client can do reaches the servers whose tools its cells call: they can ask its user (elicitation) and
//! its model (sampling), as a part of the request that is under way.

use std::{sync::Arc, time::Duration};

use rmcp::service::{QuitReason, ServerInitializeError, serve_server};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::{
    client::{Client, Introduction, Patience},
    handler::{Handler, Server, Stateless},
    sessions::Sessions,
    stdio::Stdio,
    toolbox::CommonTools,
};
pub use self::{http::HttpOptions, toolbox::Toolbox};
use crate::{
    Host, HostOptions, ServeError,
    transport::stdio::{input, output},
};

mod activity;
mod answer;
mod arguments;
mod client;
mod description;
mod desk;
mod handler;
mod http;
mod link;
mod sessions;
mod stdio;
mod tap;
mod toolbox;
mod turn;
mod voice;

/// How MCP clients are served.
#[derive(Clone, Debug)]
pub struct McpOptions {
    /// What holds for their sessions.
    pub host: HostOptions,
    /// What their cells can call.
    pub toolbox: Toolbox,
    /// How long a `wait` for output or completion lasts that does not say.
    pub wait_time: Duration,
    /// How many tokens the declarations of tools may take in the description of `exec`.
    pub declaration_tokens: usize,
}

impl McpOptions {
    /// The defaults, for cells that can call the tools of `toolbox`.
    pub fn new(toolbox: Toolbox) -> McpOptions {
        McpOptions {
            host: HostOptions::default(),
            toolbox,
            wait_time: DEFAULT_WAIT_TIME,
            declaration_tokens: DEFAULT_DECLARATION_TOKENS,
        }
    }
}

/// Serves the one client at standard input and output until it goes, or the process is told to stop by SIGTERM or
/// SIGINT. Within a tokio runtime.
///
/// A client that closes its end has five seconds in which the calls that it made are still answered.
///
/// # Errors
/// When the client does not begin as the protocol wants it, or the process was told to stop.
pub async fn serve_mcp_stdio(options: McpOptions) -> Result<(), ServeError> {
    let mut stop = Stop::new()?;
    let McpOptions { host, toolbox, wait_time, declaration_tokens } = options;
    let host = Host::new(host);
    host.prepare();
    let server = Arc::new(Server {
        host,
        toolbox,
        declaration_tokens,
        patience: Patience { wait_time, most: MAX_PATIENCE },
        stateless: None,
        clients: parking_lot::Mutex::default(),
    });
    let transport = Stdio::new(input(), output(), MAX_MESSAGE);
    let begun = tokio::select! {
        begun = serve_server(Handler::new(Arc::clone(&server)), transport) => begun,
        () = stop.told() => return Err(ServeError::Stopped),
    };
    let running = match begun {
        Ok(running) => running,
        // Nobody wanted anything.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(ServeError::Mcp(error.to_string())),
    };
    let end = running.cancellation_token();
    let mut served = std::pin::pin!(running.waiting());
    let stopped = tokio::select! {
        served = &mut served => {
            if let Ok(QuitReason::JoinError(error)) = served {
                tracing::error!(%error, "the connection failed");
            }
            false
        }
        () = stop.told() => true,
    };
    if stopped {
        end.cancel();
        tokio::select! {
            _ = &mut served => {}
            () = stop.told() => {}
        }
    }
    server.close().await;
    if stopped { Err(ServeError::Stopped) } else { Ok(()) }
}

/// Serves any number of clients over Streamable HTTP until the process is told to stop by SIGTERM or SIGINT. Within
/// a tokio runtime. `listening` is told the URL once clients can connect to it.
///
/// # Errors
/// When it cannot listen, or the process was told to stop twice.
pub async fn serve_mcp_http(
    options: McpOptions,
    http: HttpOptions,
    listening: impl FnOnce(String),
) -> Result<(), ServeError> {
    let mut stop = Stop::new()?;
    let listener = http::Listener::bind(http).await?;
    let McpOptions { host, toolbox, wait_time, declaration_tokens } = options;
    let host = Host::new(host);
    host.prepare();
    let patience = Patience { wait_time, most: http::SESSION_IDLE / 2 };
    let tools = Arc::new(CommonTools::new(toolbox.clone()));
    let sessions = {
        let (host, tools) = (host.clone(), Arc::clone(&tools));
        Sessions::new(http::SESSION_IDLE, host.max_connections(), move |name| {
            let introduction = Introduction {
                tools: tools.tools(),
                voice: Arc::default(),
                desk: Arc::default(),
                activities: Arc::default(),
                name: Some(name),
            };
            Client::new(host.clone(), patience, introduction)
        })
    };
    let server = Arc::new(Server {
        host,
        toolbox,
        declaration_tokens,
        patience,
        stateless: Some(Stateless { sessions, tools }),
        clients: parking_lot::Mutex::default(),
    });
    listening(listener.url());
    let told = async {
        stop.told().await;
        tracing::info!("told to stop");
    };
    listener.serve(Arc::clone(&server), told).await;
    tokio::select! {
        () = server.close() => Ok(()),
        () = stop.told() => Err(ServeError::Stopped),
    }
}

/// The signals that end a server.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> Result<Stop, ServeError> {
        Ok(Stop {
            terminate: signal(SignalKind::terminate()).map_err(ServeError::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(ServeError::Signals)?,
        })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Less than the minute that many clients give a tool.
pub const DEFAULT_WAIT_TIME: Duration = Duration::from_secs(50);

/// What a dozen servers of everyday size take, and a fraction of what they take as tools of their own.
pub const DEFAULT_DECLARATION_TOKENS: usize = 10_000;

/// What arguments can ask for.
const MAX_PATIENCE: Duration = Duration::from_millis(arguments::MAX_YIELD_TIME_MS);

/// Bytes in a message of a client: what a frame of the host's own protocol may have.
const MAX_MESSAGE: usize = 64 << 20;
