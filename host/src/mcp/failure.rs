//! Why a call of a server's tool gave no result.

use codemode_host_protocol::ToolFailure;

/// The kinds of failures: a small fixed set, fit for the label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The server took too long.
    Timeout,
    /// The server is not there, or went away.
    Transport,
    /// The server, or the call, did not keep to the protocol.
    Protocol,
    /// The tool itself says that it failed.
    Tool,
    /// The server took the call back.
    Cancelled,
    /// Nobody said yes.
    Denied,
}

impl FailureKind {
    /// The kind in one word.
    pub const fn name(self) -> &'static str {
        match self {
            FailureKind::Timeout => "timeout",
            FailureKind::Transport => "transport",
            FailureKind::Protocol => "protocol",
            FailureKind::Tool => "tool",
            FailureKind::Cancelled => "cancelled",
            FailureKind::Denied => "denied",
        }
    }
}

/// A failure of a call, for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into() }
    }
}

impl From<Failure> for ToolFailure {
    fn from(failure: Failure) -> ToolFailure {
        ToolFailure::new(failure.message)
    }
}
