//! Calls that wait for a yes.

use std::{future::Future, pin::Pin};

use codemode_host_protocol::{CellId, Json};

/// Decides about calls that need a yes.
///
/// While it decides, the cell waits for this call and for nothing else. Whoever asks a person by way of the cell's
/// observer makes it answer now with [`CodeModeSession::yield_now`](codemode_cells::CodeModeSession::yield_now).
pub trait Approver: Send + Sync + 'static {
    /// Asks about one call.
    ///
    /// Called in the order of the cell's calls. An answer that takes longer than the configuration's
    /// `approval_timeout` is a no.
    ///
    /// Cancel safety: the future is dropped when the time is over or the cell ends; the question is then moot.
    fn ask(&self, ask: Ask) -> ApproverFuture;
}

/// A future that an [`Approver`] gives back.
pub type ApproverFuture = Pin<Box<dyn Future<Output = Decision> + Send>>;

/// A call that needs a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The calling cell.
    pub cell: CellId,
    /// The call, unique within its cell.
    pub runtime_tool_call_id: String,
    /// The server whose tool it is.
    pub server: String,
    /// The tool, as its server calls it.
    pub tool: String,
    /// What the cell passes to it.
    pub arguments: Json,
}

/// What somebody says to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The call may be made.
    Approved,
    /// It may not. The reason, if there is one, is for the model.
    Denied {
        /// Why not.
        reason: Option<String>,
    },
}

impl Decision {
    /// A no with a reason.
    pub fn denied(reason: impl Into<String>) -> Decision {
        Decision::Denied { reason: Some(reason.into()) }
    }
}

/// Says no to everything, with one reason.
#[derive(Clone, Debug)]
pub struct DenyAll {
    reason: String,
}

impl DenyAll {
    /// Says no because of `reason`.
    pub fn because(reason: impl Into<String>) -> DenyAll {
        DenyAll { reason: reason.into() }
    }
}

impl Approver for DenyAll {
    fn ask(&self, _ask: Ask) -> ApproverFuture {
        let decision = Decision::denied(self.reason.clone());
        Box::pin(async { decision })
    }
}
