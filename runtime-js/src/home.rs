//! Where the cells of one tenant find their isolates.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::worker::{Job, Worker};

/// The workers of one tenant, and its cells that wait for one.
///
/// The first few cells that live at a time have a worker each. Those beyond go where cells wait that have nothing to do, and
/// wait themselves for a moment until there is such a place: a thousand cells that come at once take some thirty isolates, and not
/// a thousand.
#[derive(Debug)]
pub(crate) struct Home {
    /// How many cells have a worker each.
    alone: usize,
    /// The heap limit of the workers that are kept ready for whatever tenant comes, if some are.
    warm_heap_bytes: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Workers that have no cell, and a realm for one.
    idle: Vec<Worker>,
    /// Heap limits of the workers that make a realm for their next cell.
    making: Vec<usize>,
    /// Cells for those workers, whichever is ready first: none more than there are workers. One that collects its garbage
    /// meanwhile takes five times as long as another.
    awaiting: VecDeque<Box<Job>>,
    /// Workers whose cells were all waiting when they were last heard of.
    open: Vec<Worker>,
    /// Cells that have no worker yet, in the order in which they came.
    queue: VecDeque<Box<Job>>,
    /// When the queue was last seen to move.
    moved: Option<Instant>,
    /// Whether somebody sees to it that the queue moves.
    is_watched: bool,
    /// Cells that have begun, or will, and have not ended.
    cells: usize,
    /// Whether the tenant is gone: then nothing is kept for its next cell.
    is_closed: bool,
}

/// What a worker does that has no cell.
pub(crate) enum After {
    /// It runs this one.
    Run(Box<Job>),
    /// It makes ready for the next, and waits for it.
    Stay,
    /// It ends.
    Leave,
}

impl Home {
    pub(crate) fn new(alone: usize, warm_heap_bytes: Option<usize>) -> Home {
        Home { alone, warm_heap_bytes, state: Mutex::default() }
    }

    /// Finds the cell a worker, now or in a moment. `fresh` gives one that no tenant has used.
    pub(crate) fn start(
        self: &Arc<Home>,
        mut job: Box<Job>,
        fresh: impl FnOnce(usize) -> io::Result<Worker>,
    ) -> io::Result<()> {
        let heap_bytes = job.spec.limits.heap_bytes;
        let mut state = self.state.lock();
        let worker = match state.take_idle(heap_bytes) {
            Some(worker) => Some(worker),
            None if state.will_be_idle(heap_bytes) => {
                // To wait for a realm takes a third of what it takes to make another isolate.
                job.lie_down();
                state.cells += 1;
                state.awaiting.push_back(job);
                return Ok(());
            }
            None if state.cells < self.alone => Some(fresh(heap_bytes)?),
            None => {
                // Another of the worker's cells may be faster to take its turn.
                job.lie_down();
                state.take_open(heap_bytes)
            }
        };
        match worker {
            Some(worker) => {
                state.cells += 1;
                drop(state);
                worker.run(job, Arc::clone(self));
            }
            None => {
                if !state.is_watched {
                    self.watch()?;
                    state.is_watched = true;
                    state.moved = Some(Instant::now());
                }
                state.cells += 1;
                state.queue.push_back(job);
            }
        }
        Ok(())
    }

    /// Has a worker made for the next cell, and tells when it is there.
    #[cfg(target_os = "linux")]
    pub(crate) fn prepare(
        self: &Arc<Home>,
        heap_bytes: usize,
        told: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        IDLE_WORKERS.fetch_add(1, Ordering::Relaxed);
        self.state.lock().making.push(heap_bytes);
        Worker::spawn_at(heap_bytes, Arc::clone(self), told).inspect_err(|_| {
            self.state.lock().making.pop();
            IDLE_WORKERS.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// Starts the thread that makes an isolate when none has become free for a while.
    fn watch(self: &Arc<Home>) -> io::Result<()> {
        let home = Arc::clone(self);
        std::thread::Builder::new()
            .name(String::from("codemode-queue"))
            .stack_size(QUEUE_STACK_BYTES)
            .spawn(move || {
                while let Some(next_look) = home.look() {
                    std::thread::sleep(next_look);
                }
            })?;
        Ok(())
    }

    /// Looks whether the queue moves. In what time to look again; `None` when there is none.
    fn look(self: &Arc<Home>) -> Option<Duration> {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            state.is_watched = false;
            return None;
        }
        let still = state.moved.map_or(Duration::ZERO, |moved| moved.elapsed());
        if still < LONGEST_STANDSTILL {
            return Some(LONGEST_STANDSTILL - still);
        }
        self.make_room(state);
        Some(LONGEST_STANDSTILL)
    }

    /// Starts a worker for the cell that has waited longest.
    fn make_room(self: &Arc<Home>, mut state: parking_lot::MutexGuard<'_, State>) {
        state.moved = Some(Instant::now());
        let Some(job) = state.queue.pop_front() else { return };
        let heap_bytes = job.spec.limits.heap_bytes;
        let worker = match state.take_open(heap_bytes) {
            Some(worker) => Ok(worker),
            None => Worker::spawn(heap_bytes),
        };
        match worker {
            Ok(worker) => {
                drop(state);
                worker.run(job, Arc::clone(self));
            }
            // There may be a thread to be had a moment later.
            Err(_) => state.queue.push_front(job),
        }
    }

    /// Gives a worker with nothing to do a cell of the queue.
    pub(crate) fn offer(self: &Arc<Home>, worker: &Worker) {
        let mut state = self.state.lock();
        let mut heaps = state.queue.iter().map(|job| job.spec.limits.heap_bytes);
        if heaps.any(|heap_bytes| heap_bytes == worker.heap_bytes())
            && worker.reserve()
            && let Some(job) = state.pull(worker.heap_bytes())
        {
            drop(state);
            worker.run(job, Arc::clone(self));
        }
    }

    /// Hears of a worker that may have room for one more cell.
    pub(crate) fn list(&self, worker: Worker) {
        self.state.lock().open.push(worker);
    }

    /// Hears of a worker that takes no more cells.
    pub(crate) fn unlist(self: &Arc<Home>, worker: &Worker) {
        let mut state = self.state.lock();
        state.open.retain(|other| !other.is(worker));
        if !state.queue.is_empty() {
            self.make_room(state);
        }
    }

    pub(crate) fn cell_ended(&self) {
        self.state.lock().cells -= 1;
    }

    /// Decides about a worker that has come to the end of its last cell. `is_good` if it may have another. One that stays
    /// says when it is [`ready`](Home::ready).
    pub(crate) fn after_last_cell(self: &Arc<Home>, worker: &Worker, is_good: bool) -> After {
        let mut state = self.state.lock();
        state.open.retain(|other| !other.is(worker));
        if !is_good {
            if !state.queue.is_empty() {
                self.make_room(state);
            }
            return After::Leave;
        }
        if let Some(job) = state.pull(worker.heap_bytes()) {
            return After::Run(job);
        }
        if state.is_closed
            || state.idle.len() + state.making.len() >= MAX_IDLE_PER_TENANT
            || IDLE_WORKERS.load(Ordering::Relaxed) >= MAX_IDLE_IN_PROCESS
        {
            return After::Leave;
        }
        IDLE_WORKERS.fetch_add(1, Ordering::Relaxed);
        state.making.push(worker.heap_bytes());
        After::Stay
    }

    /// Whether a worker that has had nothing to do for a while shall go: a tenant that does little needs one, or none where others
    /// are kept ready. If not, it counts as one that makes ready; `None` when somebody is about to bring it a cell.
    pub(crate) fn is_spare(&self, worker: &Worker) -> Option<bool> {
        let mut state = self.state.lock();
        let index = state.idle.iter().position(|other| other.is(worker))?;
        state.idle.swap_remove(index);
        let is_spare = self.has_others_ready(worker.heap_bytes()) || !state.idle.is_empty();
        if is_spare {
            IDLE_WORKERS.fetch_sub(1, Ordering::Relaxed);
        } else {
            state.making.push(worker.heap_bytes());
        }
        Some(is_spare)
    }

    /// Whether workers with that heap limit are kept ready for whatever tenant comes.
    pub(crate) fn has_others_ready(&self, heap_bytes: usize) -> bool {
        self.warm_heap_bytes == Some(heap_bytes)
    }

    /// Hears of a worker that has made its realm, or has cleared up.
    pub(crate) fn ready(&self, worker: &Worker) -> After {
        let heap_bytes = worker.heap_bytes();
        let mut state = self.state.lock();
        if let Some(index) = state.making.iter().position(|&other| other == heap_bytes) {
            state.making.swap_remove(index);
        }
        let awaiting =
            state.awaiting.iter().position(|job| job.spec.limits.heap_bytes == heap_bytes);
        let after = match awaiting.and_then(|index| state.awaiting.remove(index)) {
            Some(job) => After::Run(job),
            None if state.is_closed => After::Leave,
            None => {
                state.idle.push(worker.clone());
                return After::Stay;
            }
        };
        IDLE_WORKERS.fetch_sub(1, Ordering::Relaxed);
        after
    }

    /// How many workers have no cell.
    #[cfg(test)]
    pub(crate) fn without_cells(&self) -> usize {
        let state = self.state.lock();
        state.idle.len() + state.making.len()
    }

    /// The tenant is gone.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        for worker in idle {
            IDLE_WORKERS.fetch_sub(1, Ordering::Relaxed);
            worker.retire();
        }
    }
}

impl State {
    fn take_idle(&mut self, heap_bytes: usize) -> Option<Worker> {
        let index = self.idle.iter().position(|worker| worker.heap_bytes() == heap_bytes)?;
        IDLE_WORKERS.fetch_sub(1, Ordering::Relaxed);
        Some(self.idle.swap_remove(index))
    }

    /// Whether a worker makes ready that no cell waits for.
    fn will_be_idle(&self, heap_bytes: usize) -> bool {
        let making = self.making.iter().filter(|&&other| other == heap_bytes).count();
        let awaiting =
            self.awaiting.iter().filter(|job| job.spec.limits.heap_bytes == heap_bytes).count();
        awaiting < making
    }

    /// The first cell of the queue that wants such a heap.
    fn pull(&mut self, heap_bytes: usize) -> Option<Box<Job>> {
        let index = self.queue.iter().position(|job| job.spec.limits.heap_bytes == heap_bytes)?;
        self.moved = Some(Instant::now());
        self.queue.remove(index)
    }

    /// A worker that has nothing to do at this moment.
    fn take_open(&self, heap_bytes: usize) -> Option<Worker> {
        let fits = |worker: &&Worker| worker.heap_bytes() == heap_bytes;
        self.open.iter().filter(fits).find(|worker| worker.reserve()).cloned()
    }
}

static IDLE_WORKERS: AtomicUsize = AtomicUsize::new(0);

/// A session that runs one cell after another needs two: one runs while the other clears up. One that has 16
/// short ones under way does 320 a second with room for 3, making isolates anew for the rest, and 750 with room for 8.
pub(crate) const MAX_IDLE_PER_TENANT: usize = 8;

/// About 1 MB each.
const MAX_IDLE_IN_PROCESS: usize = 64;

/// A cell that has not begun after so long finds nothing but busy isolates, and has one made.
const LONGEST_STANDSTILL: Duration = Duration::from_millis(5);

const QUEUE_STACK_BYTES: usize = 128 << 10;
