//! V8 in this process.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

#[cfg(target_os = "linux")]
use crate::process::{ProcessOptions, pool::Pool};
use crate::{clock::Clock, meter::Meter, tenant::Tenant, worker::Worker};

/// V8 in this process. Cheap to clone; all clones are one engine.
///
/// Keeps a few isolates ready ahead of need, so that a tenant's first cell does not wait for one.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    clock: Clock,
    warm: Mutex<Warm>,
    options: EngineOptions,
    #[cfg(target_os = "linux")]
    pool: Option<Arc<Pool>>,
}

/// Workers that no tenant has used.
#[derive(Default)]
struct Warm {
    workers: Vec<Worker>,
    last_taken: Option<Instant>,
}

impl Engine {
    /// An engine with the default options.
    pub fn new() -> Engine {
        Engine::with_options(EngineOptions::default())
    }

    /// An engine with options of its own.
    ///
    /// V8 itself is set up once in a process, whatever the engine, by the thread of the first isolate: this does
    /// not wait for it.
    pub fn with_options(options: EngineOptions) -> Engine {
        let engine = Engine::lazy(options);
        engine.prepare();
        engine
    }

    /// The same, but V8 does not start before [`Engine::prepare`] or the first cell: for a program that has more urgent things to do first,
    /// because that keeps both a processor and the process's memory map busy for milliseconds. The process that worker processes are
    /// copies of starts now.
    pub fn lazy(options: EngineOptions) -> Engine {
        Engine(Arc::new(Inner {
            clock: Clock::default(),
            warm: Mutex::default(),
            #[cfg(target_os = "linux")]
            pool: match &options.isolation {
                Isolation::None => None,
                Isolation::Process(processes) => {
                    Some(Arc::new(Pool::new(processes.clone(), options.warm_heap_bytes)))
                }
            },
            options,
        }))
    }

    /// Begins to make what is kept ready, unless that has begun. Does not wait for it. What cannot be had now is asked for again by the
    /// next cell.
    pub fn prepare(&self) {
        #[cfg(target_os = "linux")]
        if let Some(pool) = &self.0.pool {
            pool.prepare();
        }
        self.refill();
    }

    /// The version of V8.
    pub fn v8_version() -> &'static str {
        v8::V8::get_version()
    }

    /// Where its worker processes come from, if cells run in processes of their own.
    #[cfg(target_os = "linux")]
    pub(crate) fn pool(&self) -> Option<&Arc<Pool>> {
        self.0.pool.as_ref()
    }

    /// A new owner of isolates.
    pub fn tenant(&self) -> Tenant {
        Tenant::new(self.clone(), Meter::default())
    }

    /// A new owner of isolates, whose cells use together what `meter` has.
    #[cfg(target_os = "linux")]
    pub(crate) fn tenant_with(&self, meter: Meter) -> Tenant {
        Tenant::new(self.clone(), meter)
    }

    /// How many cells of a tenant have isolates of their own.
    pub(crate) fn cells_alone(&self) -> usize {
        self.0.options.cells_alone
    }

    /// The heap limit of the isolates that it keeps ready, if it keeps any.
    pub(crate) fn warm_heap_bytes(&self) -> Option<usize> {
        (self.0.options.warm_isolates > 0).then_some(self.0.options.warm_heap_bytes)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// A worker that no tenant has used.
    pub(crate) fn take_worker(&self, heap_bytes: usize) -> std::io::Result<Worker> {
        if heap_bytes != self.0.options.warm_heap_bytes {
            return Worker::spawn(heap_bytes);
        }
        let mut warm = self.0.warm.lock();
        let last_taken = warm.last_taken.replace(Instant::now());
        let worker = match warm.workers.pop() {
            Some(worker) => worker,
            None => Worker::spawn(heap_bytes)?,
        };
        drop(warm);
        if self.0.options.warm_isolates == 0 {
            return Ok(worker);
        }
        if last_taken.is_some_and(|at| at.elapsed() < MAKING_TIME) {
            // They are taken as fast as they are made.
            self.refill();
        } else {
            // To start a thread, which makes an isolate beside the cell, costs the cell more than its own time.
            worker.owes_another(self.clone());
        }
        Ok(worker)
    }

    /// Has what is missing started by a thread that nobody waits for.
    pub(crate) fn refill_elsewhere(&self) {
        let engine = Arc::downgrade(&self.0);
        let refill = move || {
            if let Some(inner) = engine.upgrade() {
                Engine(inner).refill();
            }
        };
        // Without that thread, whoever takes the next one sees to it.
        let _ = self.0.clock.run(refill);
    }

    /// Starts what is missing. A thread that cannot be had now is asked for again by the next cell.
    pub(crate) fn refill(&self) {
        if !matches!(self.0.options.isolation, Isolation::None) {
            return;
        }
        let mut warm = self.0.warm.lock();
        while warm.workers.len() < self.0.options.warm_isolates {
            match Worker::spawn(self.0.options.warm_heap_bytes) {
                Ok(worker) => warm.workers.push(worker),
                Err(_) => return,
            }
        }
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// How an [`Engine`] runs cells, and what it keeps ready.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Isolates made ahead of need. Each takes a thread and about 1 MB.
    pub warm_isolates: usize,
    /// The heap limit those isolates have, in bytes. A cell with another limit gets a new isolate.
    pub warm_heap_bytes: usize,
    /// How many cells of a tenant that live at a time have an isolate each. Those beyond go where others wait, for a fourth of the
    /// memory; a busy cell keeps those waiting that share its isolate.
    pub cells_alone: usize,
    /// What keeps a cell from the rest of this process.
    pub isolation: Isolation,
}

/// What keeps a cell from the rest of the process that started it.
#[derive(Clone, Debug, Default)]
pub enum Isolation {
    /// V8 and our budgets alone: a cell's isolate is in this process. A cell in a built-in that V8 cannot interrupt runs until
    /// that is done, and a bug in V8 is a bug in this process.
    #[default]
    None,
    /// Worker processes: see [`process`](crate::process).
    #[cfg(target_os = "linux")]
    Process(ProcessOptions),
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            warm_isolates: 1,
            warm_heap_bytes: crate::Limits::default().heap_bytes,
            cells_alone: 8,
            isolation: Isolation::None,
        }
    }
}

/// Sets V8 up, unless that was done. Comes before anything else of V8's, but for [`configure_v8`].
pub(crate) fn initialize_v8() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        configure_v8();
        // "Unprotected": isolates are entered on threads that did not start V8, which the default platform
        // forbids on processors with memory protection keys.
        let platform = v8::new_unprotected_default_platform(PLATFORM_THREADS, false).make_shared();
        v8::V8::initialize_platform(platform);
        v8::V8::initialize();
    });
}

/// The part of it that starts no thread, so that a copy of this process has it too.
pub(crate) fn configure_v8() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        v8::V8::set_flags_from_string(FLAGS);
        v8::icu::set_default_locale("en-US");
        #[cfg(target_os = "linux")]
        v8::V8::set_entropy_source(entropy);
    });
}

/// Randomness for `Math.random` and for hashing. V8 itself reads `/dev/urandom`, and makes do with the time of day where there
/// are no files, as in a worker process.
#[cfg(target_os = "linux")]
fn entropy(bytes: &mut [u8]) -> bool {
    let wanted = bytes.len();
    rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty()) == Ok(wanted)
}

/// With loop unrolling V8's optimising compiler takes the interrupt check out of loops that it believes to be short, and
/// believes it of `while (true) a.push(new Array(1000).fill(1.5))` too: such a cell cannot be terminated.
///
/// What a short cell leaves behind is a global scope of some 200 KB that nothing refers to. With the small young generation that V8
/// starts with, such scopes are copied within it and then collected where they lie, once in 77 cells; with this one the isolate is full
/// and replaced, off the cells' way, after 154 of them. A trivial cell's p99 goes from 1.75 to 1.05 ms.
const FLAGS: &str = "--no-turboshaft-loop-unrolling --min-semi-space-size=8";

/// What it takes to make an isolate and a realm, with room to spare.
const MAKING_TIME: Duration = Duration::from_millis(2);

/// Helpers for garbage collection and the optimising compilers, shared by all isolates.
const PLATFORM_THREADS: u32 = 1;
