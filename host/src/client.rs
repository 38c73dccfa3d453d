//! The client's side: sessions that run in a host, wherever that is.
//!
//! A [`Client`] is one connection to a host: a child process ([`Client::spawn`]), a WebSocket
//! ([`Client::connect`]), any stream of frames ([`Client::over_stream`]) or a host in this process
//! ([`Client::in_process`]). The sessions that it opens are [`CodeModeSession`]s like any other: each tool call of
//! a cell goes to the step that the cell was started with, however many newer steps its session has seen.
//!
//! When the host dies, every call that waits for it fails with
//! [`SessionError::Disconnected`], and so does every later one.
//!
//! [`CodeModeSession`]: codemode_cells::CodeModeSession

use std::sync::Arc;

use codemode_cells::SessionError;
use codemode_host_protocol::{
    CellExecutionLimits, ClientToHost, Hello, HostToClient, Negotiated, Operation,
    OutputTruncation, ReadyError, Rejection, SessionBudgets, SessionId,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    process::Command,
};

use crate::{
    Host,
    client::{
        dispatch::dispatch,
        shared::{Shared, State},
        wire::{Lost, Wire},
    },
};

pub use session::ClientSession;

mod call;
mod dispatch;
mod session;
mod shared;
mod wire;

/// One connection to a host. Cheap to clone; the connection ends when the last clone, and the last session opened
/// through one, are gone.
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

impl Client {
    /// Starts a host as a child process, and speaks to it on its stdin and stdout.
    ///
    /// `command` says which program; its stdin and stdout are set here, its stderr is left as it is. The child is
    /// given five seconds to end after the connection did, and is killed then.
    ///
    /// # Errors
    /// When the program cannot be started, or is no host.
    pub async fn spawn(command: Command) -> Result<Client, ClientError> {
        Client::start(wire::spawn(command)?).await
    }

    /// Connects to a host at `url`, such as `ws://127.0.0.1:7070`, showing it `token` if there is one.
    ///
    /// # Errors
    /// When nobody listens there, or the host does not let the client in.
    pub async fn connect(url: &str, token: Option<&str>) -> Result<Client, ClientError> {
        Client::start(wire::connect(url, token).await?).await
    }

    /// Speaks to a host over a stream of frames.
    ///
    /// # Errors
    /// When the other end is no host.
    pub async fn over_stream(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Client, ClientError> {
        Client::start(wire::over_stream(reader, writer)).await
    }

    /// A connection to a host in this process. The same messages as on a wire, never serialised.
    ///
    /// # Errors
    /// When host and client do not fit, which they do.
    pub async fn in_process(host: &Host) -> Result<Client, ClientError> {
        Client::start(wire::in_process(host)).await
    }

    /// Opens a session.
    ///
    /// # Errors
    /// When the host refuses, or is gone.
    ///
    /// Cancel safety: a session that opens all the same ends with the connection.
    pub async fn open(&self, options: OpenOptions) -> Result<ClientSession, SessionError> {
        let OpenOptions { session_id, cell_execution_limits, output_truncation, budgets } = options;
        let session_id = session_id.unwrap_or_else(|| self.0.next_session_id());
        let request = Operation::Open {
            session_id: session_id.clone(),
            cell_execution_limits,
            output_truncation,
            budgets: budgets.map(Box::new),
        };
        self.0.open(request).await?;
        Ok(ClientSession::new(Arc::clone(&self.0), session_id))
    }

    /// What host and client agreed on.
    pub fn agreed(&self) -> &Negotiated {
        self.0.agreed()
    }

    async fn start(wire: Wire) -> Result<Client, ClientError> {
        let Wire { outgoing, mut incoming, writing, obituary } = wire;
        let hello = Hello::v1();
        let lost = |lost: Lost| ClientError::Lost(lost.to_string());
        outgoing.send(ClientToHost::Hello(hello.clone())).map_err(ClientError::Lost)?;
        let agreed = match incoming.next().await.map_err(lost)? {
            HostToClient::Ready { selected_version, capabilities } => {
                Negotiated::from_ready(&hello, selected_version, capabilities)?
            }
            HostToClient::Rejected { reason } => return Err(ClientError::Rejected(reason)),
            other => return Err(ClientError::NoHost { message_type: kind(&other) }),
        };
        let state = Arc::new(State::default());
        tokio::spawn(dispatch(
            incoming,
            writing,
            Arc::clone(&state),
            outgoing.downgrade(),
            obituary,
        ));
        Ok(Client(Arc::new(Shared::new(state, outgoing, agreed))))
    }
}

/// How a session is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Its name in the connection; made up when there is none.
    pub session_id: Option<SessionId>,
    /// Limits on its cells, below the host's own.
    pub cell_execution_limits: Option<CellExecutionLimits>,
    /// Who cuts output to its budget of tokens; the client when absent.
    pub output_truncation: Option<OutputTruncation>,
    /// Budgets of the session and its cells. It gets no more than the host grants.
    pub budgets: Option<SessionBudgets>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The program could not be started.
    #[error("the host could not be started: {0}")]
    Spawn(std::io::Error),
    /// Nobody there, or nobody who lets the client in.
    #[error("cannot connect to {url}: {reason}")]
    Connect {
        /// Where.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The connection was lost before it was of use.
    #[error("the connection was lost in its handshake: {0}")]
    Lost(String),
    /// The host refused.
    #[error("the host refused the connection: {0}")]
    Rejected(Rejection),
    /// The host agreed to something else than it was asked for.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// Something else than a host answered.
    #[error("the other end is no host: it began with {message_type}")]
    NoHost {
        /// The type of its first message.
        message_type: &'static str,
    },
}

fn kind(message: &HostToClient) -> &'static str {
    use codemode_host_protocol::Envelope as _;
    message.message_type()
}
