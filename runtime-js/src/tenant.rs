//! One owner of isolates.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use codemode_host_protocol::Budget;

#[cfg(target_os = "linux")]
use crate::process::tenant::Processes;
use crate::{
    CellSpec, Engine, EventSink,
    cell::{Cell, Shared},
    home::Home,
    meter::Meter,
    worker::Job,
};

/// One owner of isolates, such as a session. An isolate that ran a cell of one tenant never runs one of another.
///
/// Dropping the tenant lets its running cells go on; their isolates end with them.
#[derive(Debug)]
pub struct Tenant {
    engine: Engine,
    home: Arc<Home>,
    meter: Arc<Meter>,
    #[cfg(target_os = "linux")]
    processes: Option<Processes>,
}

/// The system has no room for one more cell.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No thread could be had.
    #[error(
        "no thread could be started for the cell: {0}; end other cells, or raise the limit on threads"
    )]
    Thread(#[from] std::io::Error),
    /// No worker process could be had.
    #[error(
        "no process could be started for the cell: {0}; end other cells, or raise the limits on processes and open files"
    )]
    Process(std::io::Error),
}

impl Tenant {
    pub(crate) fn new(engine: Engine, meter: Meter) -> Tenant {
        let meter = Arc::new(meter);
        Tenant {
            #[cfg(target_os = "linux")]
            processes: engine
                .pool()
                .map(|pool| Processes::new(Arc::clone(pool), Arc::clone(&meter))),
            home: Arc::new(Home::new(engine.cells_alone(), engine.warm_heap_bytes())),
            engine,
            meter,
        }
    }

    /// What the tenant's running cells use together of `budget`: heap, array buffers or timers. Of others nothing is
    /// known here. Where cells run in processes of their own, it is what these were lent: each has up to 1 MiB, or 15 timers, to
    /// spare, as long as it has cells.
    pub fn used(&self, budget: Budget) -> Option<u64> {
        self.meter.used(budget).map(|used| used as u64)
    }

    /// Starts a cell. Returns at once; all that the cell does, a bad source included, is told to `sink`.
    ///
    /// # Errors
    /// When the system gives no more threads, or processes.
    pub fn start(&self, spec: CellSpec, sink: impl EventSink) -> Result<Cell, StartError> {
        self.meter.set_limits(spec.tenant);
        #[cfg(target_os = "linux")]
        if let Some(processes) = &self.processes {
            let cell = processes.start(spec, Box::new(sink)).map_err(StartError::Process)?;
            return Ok(Cell::remote(cell));
        }
        let started = Instant::now();
        let id = NEXT_CELL.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared::new(id));
        let watch =
            self.engine.clock().watch(&shared, started, spec.limits.wall, spec.limits.cpu)?;
        let cell = Cell::new(Arc::clone(&shared));
        let meter = Arc::clone(&self.meter);
        let job = Box::new(Job { spec, shared, sink: Some(Box::new(sink)), started, meter, watch });
        self.home.start(job, |heap_bytes| self.engine.take_worker(heap_bytes))?;
        Ok(cell)
    }
}

#[cfg(test)]
impl Tenant {
    /// How many isolates are kept for its next cells.
    pub(crate) fn idle_isolates(&self) -> usize {
        self.home.without_cells()
    }
}

#[cfg(target_os = "linux")]
impl Tenant {
    /// Has an isolate made for its first cell, and tells when it is there.
    pub(crate) fn prepare(
        &self,
        heap_bytes: usize,
        told: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        self.home.prepare(heap_bytes, told)
    }

    /// What its running cells use.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.home.close();
    }
}

static NEXT_CELL: AtomicU64 = AtomicU64::new(1);
