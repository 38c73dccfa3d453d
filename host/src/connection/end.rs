//! Why a connection ended.

use std::io;

use codemode_host_protocol::{DecodeError, FrameError, Rejection, RequestId};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionEnd {
    /// The client closed it, between two messages.
    #[error("the client closed the connection")]
    Closed,
    /// The host is shutting down, and has ended its sessions.
    #[error("the host is shutting down")]
    Drained,
    /// Host and client do not fit; the client was told why.
    #[error("the client was rejected: {0}")]
    Rejected(Rejection),
    /// A message from which not even an id could be read.
    #[error("failed to decode a message of the client: {0}")]
    Malformed(DecodeError),
    /// The frames were out of step.
    #[error("failed to read a frame of the client: {0}")]
    Frame(#[from] FrameError),
    /// A hello after the hello.
    #[error("received a second code-mode client hello; a connection begins once")]
    SecondHello,
    /// A request under an id that an earlier one had.
    #[error(
        "duplicate code-mode request ID {0}; every request of a connection needs an id of its own"
    )]
    DuplicateRequestId(RequestId),
    /// The client left too much unread.
    #[error("the client does not read: more than {queued} bytes wait for it")]
    SlowReader {
        /// How many bytes are too many.
        queued: usize,
    },
    /// Nothing was heard of the client, not even an answer to a ping.
    #[error("nothing was heard of the client for {seconds} s")]
    Idle {
        /// For how long.
        seconds: u64,
    },
    /// Reading or writing failed.
    #[error("{doing} failed: {error}")]
    Io {
        /// What failed.
        doing: &'static str,
        /// How.
        error: io::Error,
    },
}

impl ConnectionEnd {
    /// Whether this is how a connection is meant to end.
    pub fn is_clean(&self) -> bool {
        matches!(self, ConnectionEnd::Closed | ConnectionEnd::Drained | ConnectionEnd::Rejected(_))
    }
}
