//! Serving clients until told to stop.

use std::{io, net::SocketAddr};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    ConnectionEnd, Host, HostOptions,
    transport::{
        listen::Listen,
        stdio::serve_stdio,
        websocket::{WebSocketServer, bind},
    },
};

/// How a host is served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where it listens.
    pub listen: Listen,
    /// What holds for its sessions.
    pub host: HostOptions,
    /// Whom it lets in over WebSocket.
    pub web_socket: WebSocketOptions,
}

/// Whom a host lets in over WebSocket.
#[derive(Clone, Debug, Default)]
pub struct WebSocketOptions {
    /// What clients must show. Needed on every address but loopback.
    pub token: Option<String>,
    /// The origins, such as `https://example.org`, whose web pages may connect. Programs have none.
    pub allowed_origins: Vec<String>,
}

/// Serves clients until the one on stdio is gone, or until the process is told to stop by SIGTERM or SIGINT.
/// Within a tokio runtime, whichever kind.
///
/// The first signal drains the host ([`Host::drain`]); the second ends it at once.
///
/// # Errors
/// When it cannot listen, and on stdio when the connection did not end cleanly.
/// Over WebSocket, `listening` is told the address once clients can connect to it.
pub async fn serve(
    options: ServeOptions,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let host = Host::new(options.host);
    let stopped = stop_on_signal(host.clone())?;
    let served = tokio::select! {
        served = serve_host(&host, options.listen, options.web_socket, listening) => served,
        // Dropping what serves ends the connections and their sessions.
        () = stopped => Err(ServeError::Stopped),
    };
    host.end_servers().await;
    served
}

async fn serve_host(
    host: &Host,
    listen: Listen,
    web_socket: WebSocketOptions,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    match listen {
        Listen::Stdio => {
            let end = serve_stdio(host).await;
            tracing::debug!(%end, "the connection ended");
            match end.is_clean() {
                true => Ok(()),
                false => Err(ServeError::Connection(end)),
            }
        }
        Listen::WebSocket(address) => {
            let server = WebSocketServer::new(host.clone(), web_socket, address)?;
            let listener = bind(address).await?;
            listening(listener.local_addr().unwrap_or(address));
            host.prepare();
            server.run(listener).await;
            Ok(())
        }
    }
}

/// Drains the host at the first signal; ready at the second.
fn stop_on_signal(host: Host) -> Result<impl Future<Output = ()>, ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    Ok(async move {
        for first in [true, false] {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, draining = first, "told to stop");
            if first {
                host.drain();
            }
        }
    })
}

/// Why a host stopped, other than as it should.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The one connection did not end cleanly.
    #[error("{0}")]
    Connection(ConnectionEnd),
    /// Anybody could run code.
    #[error(
        "{0} can be reached from other machines, so clients must show a token; \
         set CODEMODE_TOKEN or --token, or listen on 127.0.0.1"
    )]
    TokenNeeded(SocketAddr),
    /// A token that no client could send.
    #[error("a token must not be empty, and may hold visible ASCII characters only")]
    UnusableToken,
    /// The address cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// An MCP client did not begin as the protocol wants it.
    #[error("the client did not begin a conversation in MCP: {0}")]
    Mcp(String),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(io::Error),
    /// A second signal came.
    #[error("told to stop twice; running cells were ended")]
    Stopped,
}
