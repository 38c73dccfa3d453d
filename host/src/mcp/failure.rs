//! Why a call of a server's tool gave no result.

use codemode_host_protocol::{FailureKind, ToolFailure};

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
        ToolFailure::new(failure.message).of_kind(failure.kind)
    }
}
