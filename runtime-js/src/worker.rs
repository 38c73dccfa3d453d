//! A thread with one isolate, which runs one cell after another.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use parking_lot::{Condvar, Mutex};

use crate::{
    CellSpec, EventSink, cell::Shared, clock::Watch, engine::initialize_v8, limits::HeapGuard,
    meter::Meter, module, realm::Realm, run, stack, tenant::Idle,
};

/// A thread with one isolate. Clones are the same worker.
#[derive(Clone)]
pub(crate) struct Worker(Arc<Inner>);

struct Inner {
    heap_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// The cell whose code the isolate runs now. An interrupt is sent under this lock, so that one meant for a cell
    /// that has just ended cannot hit the next.
    running: Mutex<Option<u64>>,
    isolate: OnceLock<v8::IsolateHandle>,
    /// Whether a cell would start at once, in a realm that is there.
    ready: AtomicBool,
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    retired: bool,
}

/// A cell to run, and where the worker belongs afterwards.
pub(crate) struct Job {
    pub(crate) spec: CellSpec,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sink: Box<dyn EventSink>,
    pub(crate) started: Instant,
    pub(crate) home: Arc<Idle>,
    /// What all cells of the tenant use.
    pub(crate) meter: Arc<Meter>,
    /// Sees to it that the cell does not run for too long.
    pub(crate) watch: Watch,
}

impl Worker {
    /// Starts the thread; it makes its isolate and first realm by itself.
    pub(crate) fn spawn(heap_bytes: usize) -> std::io::Result<Worker> {
        let worker = Worker(Arc::new(Inner {
            heap_bytes,
            state: Mutex::default(),
            changed: Condvar::new(),
            running: Mutex::new(None),
            isolate: OnceLock::new(),
            ready: AtomicBool::new(false),
        }));
        let thread = worker.clone();
        std::thread::Builder::new()
            .name(String::from("codemode-cell"))
            .stack_size(STACK_BYTES)
            .spawn(move || thread.main())?;
        Ok(worker)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes
    }

    /// Whether a cell would start at once. A worker that has yet to make a realm starts it as soon as that is done.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed)
    }

    /// Hands the worker a cell. The caller is the only one who has the worker.
    pub(crate) fn run(&self, job: Job) {
        self.0.state.lock().job = Some(job);
        self.0.changed.notify_one();
    }

    /// Ends the thread once it has nothing to run.
    pub(crate) fn retire(&self) {
        self.0.state.lock().retired = true;
        self.0.changed.notify_one();
    }

    /// Breaks into the code of `cell`, if that is what runs now.
    pub(crate) fn interrupt(&self, cell: u64) {
        let running = self.0.running.lock();
        if *running == Some(cell)
            && let Some(isolate) = self.0.isolate.get()
        {
            isolate.terminate_execution();
        }
    }

    fn main(self) {
        initialize_v8();
        let guard = Arc::new(HeapGuard::new(self.0.heap_bytes));
        let mut isolate = guard.new_isolate();
        isolate.set_microtasks_policy(v8::MicrotasksPolicy::Explicit);
        isolate.set_prepare_stack_trace_callback(stack::prepare);
        isolate.set_host_import_module_dynamically_callback(module::import_dynamically);
        let _ = self.0.isolate.set(isolate.thread_safe_handle());
        let mut cells = 0;
        let mut realm = Realm::new(&mut isolate);
        self.0.ready.store(true, Ordering::Relaxed);
        while let Some(Job { spec, shared, sink, started, home, meter, watch }) = self.next_job() {
            self.0.ready.store(false, Ordering::Relaxed);
            *self.0.running.lock() = Some(shared.id);
            shared.cpu.begin();
            guard.begin(meter, spec.limits.buffer_bytes);
            let end = run::run_cell(&mut isolate, realm, &guard, spec, &shared, sink, started);
            *self.0.running.lock() = None;
            drop(watch);
            shared.inbox.close();
            isolate.cancel_terminate_execution();
            cells += 1;
            // Before the end is told: whoever starts the next cell when they hear of it shall find this worker. To wait
            // for its realm takes a third of what it takes to make another isolate.
            let stays = cells < MAX_CELLS_PER_ISOLATE
                && !guard.spent(&mut isolate)
                && home.put(self.clone());
            end.tell();
            drop(shared);
            if !stays {
                return;
            }
            realm = Realm::new(&mut isolate);
            self.0.ready.store(true, Ordering::Relaxed);
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut state = self.0.state.lock();
        loop {
            if let Some(job) = state.job.take() {
                return Some(job);
            }
            if state.retired {
                return None;
            }
            self.0.changed.wait(&mut state);
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("heap_bytes", &self.0.heap_bytes).finish_non_exhaustive()
    }
}

/// V8 gives a cell 984 KiB of stack by default; the rest is for the native code beneath it.
pub(crate) const STACK_BYTES: usize = 4 << 20;

/// An isolate's compiled code and metadata grow a little with every cell; past this many a new one is cheaper.
const MAX_CELLS_PER_ISOLATE: u32 = 500;
