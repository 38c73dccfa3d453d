//! Ends cells whose session has no processor time left.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use codemode_host_protocol::Budget;

use crate::{
    shared::Shared,
    sync::{AbortHandle, Mutex, sleep},
};

/// Looks after the processor time of cells that run side by side. One alone is started with what its session has left,
/// and needs no watch.
#[derive(Debug, Default)]
pub(crate) struct CpuWatch(Mutex<Option<AbortHandle>>);

impl CpuWatch {
    /// Begins to watch, if there is something to watch and nobody does.
    pub(crate) fn begin(&self, session: &Arc<Shared>) {
        if session.ledger.limit(Budget::Cpu).is_none() || session.ledger.used(Budget::LiveCells) < 2
        {
            return;
        }
        let mut watch = self.0.lock();
        if watch.as_ref().is_some_and(|watch| !watch.is_finished()) {
            return;
        }
        let weak = Arc::downgrade(session);
        let watching = async move {
            while let Some(next) = weak.upgrade().and_then(|session| look(&session)) {
                sleep(next).await;
            }
        };
        *watch = Some(session.tokio.spawn(watching).abort_handle());
    }

    /// Ends with the session.
    pub(crate) fn end(&self) {
        if let Some(watch) = self.0.lock().take() {
            watch.abort();
        }
    }
}

/// Ends the session's cells if they have used what there was; else, after which time they cannot have done so yet.
fn look(session: &Shared) -> Option<Duration> {
    if session.ledger.used(Budget::LiveCells) < 2 {
        return None;
    }
    let running = session.running_cpu();
    if let Err(limit) = session.ledger.cpu_within(running) {
        session.exceed(limit);
        return None;
    }
    let left = session.ledger.time_left(Budget::Cpu)?.saturating_sub(running);
    // More cells may start meanwhile, but no more of them run at a time.
    let processors = available_parallelism().map_or(1, NonZero::get);
    let processors = u32::try_from(processors).unwrap_or(u32::MAX);
    Some((left / processors).max(MIN_PAUSE))
}

/// Near the end it is not looked more often than this.
const MIN_PAUSE: Duration = Duration::from_millis(5);
