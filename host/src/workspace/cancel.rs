//! Telling a blocking thread that nobody waits for it any more.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use codemode_host_protocol::ToolFailure;

use super::Outcome;

/// Asked now and then by long work.
#[derive(Clone, Default)]
pub(super) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails once the call was cancelled.
    pub(super) fn check(&self) -> Outcome<()> {
        if self.is_cancelled() {
            return Err(ToolFailure::new("the call was cancelled"));
        }
        Ok(())
    }
}

/// Held by the future of a call: cancels the work when the future is dropped.
pub(super) struct CancelOnDrop(Cancel);

impl CancelOnDrop {
    pub(super) fn new() -> CancelOnDrop {
        CancelOnDrop(Cancel::default())
    }

    pub(super) fn cancel(&self) -> Cancel {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
