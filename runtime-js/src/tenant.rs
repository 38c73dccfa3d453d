//! One owner of isolates.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use codemode_host_protocol::Budget;
use parking_lot::Mutex;

#[cfg(target_os = "linux")]
use crate::process::tenant::Processes;
use crate::{
    CellSpec, Engine, EventSink,
    cell::{Cell, Shared},
    meter::Meter,
    worker::{Job, Worker},
};

/// One owner of isolates, such as a session. An isolate that ran a cell of one tenant never runs one of another.
///
/// Dropping the tenant lets its running cells go on; their isolates end with them.
#[derive(Debug)]
pub struct Tenant {
    engine: Engine,
    idle: Arc<Idle>,
    meter: Arc<Meter>,
    #[cfg(target_os = "linux")]
    processes: Option<Processes>,
}

/// Workers of one tenant that wait for its next cell.
#[derive(Debug, Default)]
pub(crate) struct Idle(Mutex<Option<Vec<Worker>>>);

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
            engine,
            meter,
            idle: Arc::new(Idle(Mutex::new(Some(Vec::new())))),
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
        let worker = match self.idle.take(spec.limits.heap_bytes) {
            Some(worker) => worker,
            None => self.engine.take_worker(spec.limits.heap_bytes)?,
        };
        let id = NEXT_CELL.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared::new(id, worker.clone()));
        let watch =
            self.engine.clock().watch(&shared, started, spec.limits.wall, spec.limits.cpu)?;
        let cell = Cell::new(Arc::clone(&shared));
        worker.run(Job {
            spec,
            shared,
            sink: Box::new(sink),
            started,
            home: Arc::clone(&self.idle),
            meter: Arc::clone(&self.meter),
            watch,
        });
        Ok(cell)
    }
}

#[cfg(target_os = "linux")]
impl Tenant {
    /// What its running cells use.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        for worker in self.idle.0.lock().take().unwrap_or_default() {
            IDLE_WORKERS.fetch_sub(1, Ordering::Relaxed);
            worker.retire();
        }
    }
}

impl Idle {
    fn take(&self, heap_bytes: usize) -> Option<Worker> {
        let mut idle = self.0.lock();
        let idle = idle.as_mut()?;
        let fits = |worker: &Worker| worker.heap_bytes() == heap_bytes;
        let index = idle
            .iter()
            .position(|worker| fits(worker) && worker.is_ready())
            .or_else(|| idle.iter().position(fits))?;
        IDLE_WORKERS.fetch_sub(1, Ordering::Relaxed);
        Some(idle.swap_remove(index))
    }

    /// Takes a worker back after a cell. `false` when there is no room, or the tenant is gone.
    pub(crate) fn put(&self, worker: Worker) -> bool {
        let mut idle = self.0.lock();
        let Some(idle) = idle.as_mut() else { return false };
        if idle.len() >= MAX_IDLE_PER_TENANT
            || IDLE_WORKERS.load(Ordering::Relaxed) >= MAX_IDLE_IN_PROCESS
        {
            return false;
        }
        IDLE_WORKERS.fetch_add(1, Ordering::Relaxed);
        idle.push(worker);
        true
    }
}

static NEXT_CELL: AtomicU64 = AtomicU64::new(1);
static IDLE_WORKERS: AtomicUsize = AtomicUsize::new(0);

/// A session that runs one cell after another needs two: one runs while the other clears up. One that has 16
/// short ones under way does 320 a second with room for 3, making isolates anew for the rest, and 750 with room for 8.
pub(crate) const MAX_IDLE_PER_TENANT: usize = 8;

/// About 1 MB each.
const MAX_IDLE_IN_PROCESS: usize = 64;
