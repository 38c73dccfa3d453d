//! What keeps a cell from being reported closed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

use codemode_host_protocol::CellId;

use crate::{Step, shared::Shared, sync::AtomicBool};

/// A cell's hold on its step. Whoever has something of the cell still to hand over holds it too; when the
/// last one lets go, the cell is reported closed.
pub(crate) struct Lifeline {
    pub(crate) step: Arc<Step>,
    pub(crate) number: u64,
    session: Arc<Shared>,
    closed: AtomicBool,
}

impl Lifeline {
    pub(crate) fn new(step: Arc<Step>, number: u64, session: Arc<Shared>) -> Lifeline {
        Lifeline { step, number, session, closed: AtomicBool::new(false) }
    }

    /// Reports the cell closed, unless that was done.
    pub(crate) fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let cell = CellId::from_number(self.number);
        // The report may come from any thread that drops a response; a panic in it is not theirs.
        if catch_unwind(AssertUnwindSafe(|| self.step.runtime.cell_closed(&cell))).is_err() {
            tracing::error!(%cell, "the tool runtime panicked when a cell was closed");
        }
        self.session.cell_closed(self.number);
    }

    /// Lets go of a cell that never was, without a report.
    pub(crate) fn forget(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.session.cell_closed(self.number);
        }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.close();
    }
}
