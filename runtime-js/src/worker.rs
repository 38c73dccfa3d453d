//! A thread with one isolate, which runs cells: one after another, or several that mostly wait.

use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::{
    CellSpec, EventSink, Usage,
    cell::{Interrupt, Lying, Shared},
    clock::Watch,
    engine::{Engine, initialize_v8},
    home::{After, Home},
    limits::{HeapGuard, Tenure},
    meter::Meter,
    module, pages,
    realm::Realm,
    run::{Ended, Resident, Turn},
    stack,
};

/// A thread with one isolate. Clones are the same worker.
///
/// A cell that waits leaves its isolate to others of its tenant: an isolate with its realm takes 1.2 MB, one more realm in it a
/// fourth of that. What they can see of each other is how long they take.
#[derive(Clone)]
pub(crate) struct Worker(Arc<Inner>);

struct Inner {
    heap_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// The cell whose code the isolate runs now. An interrupt is sent under this lock, so that one meant for a cell
    /// that has just come to rest cannot hit the next.
    running: Mutex<Option<u64>>,
    isolate: OnceLock<v8::IsolateHandle>,
    /// The engine whose stock it was taken from, until that is told to fill up.
    owed: Mutex<Option<Debt>>,
}

/// An engine that has a worker less than it wants.
struct Debt {
    to: Engine,
    since: Instant,
}

#[derive(Default)]
struct State {
    job: Option<(Box<Job>, Arc<Home>)>,
    /// Cells that have something to do, in the order in which they got it.
    woken: VecDeque<u64>,
    /// Whether the thread has nothing to do, and would take one more cell.
    is_open: bool,
    /// Whether somebody is about to bring a cell.
    is_reserved: bool,
    retired: bool,
}

/// A cell to run.
pub(crate) struct Job {
    pub(crate) spec: CellSpec,
    pub(crate) shared: Arc<Shared>,
    /// Absent where the cell lies ready to be ended.
    pub(crate) sink: Option<Box<dyn EventSink>>,
    pub(crate) started: Instant,
    /// What all cells of the tenant use.
    pub(crate) meter: Arc<Meter>,
    /// Sees to it that the cell does not run for too long.
    pub(crate) watch: Watch,
}

impl Job {
    /// The cell has no worker yet, and can be ended without one from now on.
    pub(crate) fn lie_down(&mut self) {
        let Some(sink) = self.sink.take() else { return };
        let usage = Usage { source_bytes: self.spec.source.len(), ..Usage::default() };
        let (limits, started) = (self.spec.limits, self.started);
        self.shared.lie_down(Lying { sink, stored: Default::default(), usage, limits, started });
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Job").field(&self.shared.id).finish()
    }
}

impl Worker {
    /// Starts the thread; it makes its isolate and first realm by itself.
    pub(crate) fn spawn(heap_bytes: usize) -> std::io::Result<Worker> {
        Worker::spawn_with(heap_bytes, |_| {})
    }

    /// The same; it tells `home`, for which it is, when it has both, and then `told`.
    #[cfg(target_os = "linux")]
    pub(crate) fn spawn_at(
        heap_bytes: usize,
        home: Arc<Home>,
        told: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let settle = move |thread: &mut Thread| {
            let after = home.ready(&thread.worker);
            thread.home = Some(Arc::clone(&home));
            if !thread.go_on(after, home) {
                thread.worker.retire();
            }
            told();
        };
        Worker::spawn_with(heap_bytes, settle).map(drop)
    }

    fn spawn_with(
        heap_bytes: usize,
        settle: impl FnOnce(&mut Thread) + Send + 'static,
    ) -> std::io::Result<Worker> {
        let worker = Worker(Arc::new(Inner {
            heap_bytes,
            state: Mutex::default(),
            changed: Condvar::new(),
            running: Mutex::new(None),
            isolate: OnceLock::new(),
            owed: Mutex::new(None),
        }));
        let thread = worker.clone();
        std::thread::Builder::new()
            .name(String::from("codemode-cell"))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let mut thread = Thread::new(thread);
                settle(&mut thread);
                thread.main();
                thread.worker.pay();
                if thread.lingers {
                    std::thread::sleep(LINGER_TIME);
                }
                drop(thread);
                pages::give_back_in_a_moment();
            })?;
        Ok(worker)
    }

    /// It was taken from the engine's stock, which fills up when the worker has nothing else to do.
    pub(crate) fn owes_another(&self, engine: Engine) {
        *self.0.owed.lock() = Some(Debt { to: engine, since: Instant::now() });
    }

    fn pay(&self) {
        if let Some(debt) = self.0.owed.lock().take() {
            debt.to.refill();
        }
    }

    /// Has others pay the debt if it is old.
    fn pass_debt_on(&self) {
        let mut owed = self.0.owed.lock();
        if let Some(debt) = owed.take_if(|debt| debt.since.elapsed() > DEBT_TIME) {
            debt.to.refill_elsewhere();
        }
    }

    /// Until when to wait for something else to do before the debt is paid, if there is one.
    fn pays_at(&self) -> Option<Instant> {
        self.0.owed.lock().is_some().then(|| Instant::now() + REST_TIME)
    }

    /// Whether both are one worker.
    pub(crate) fn is(&self, other: &Worker) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes
    }

    /// Hands the worker a cell of the tenant that lives there; it starts as soon as there is a realm for it. The caller is the only one who has the worker, or has it reserved.
    pub(crate) fn run(&self, job: Box<Job>, home: Arc<Home>) {
        job.shared.belongs_to(self);
        let mut state = self.0.state.lock();
        state.is_reserved = false;
        state.job = Some((job, home));
        self.0.changed.notify_one();
    }

    /// Takes the one place in a worker whose cells all wait. `false` when one of them does not, or there is no place.
    pub(crate) fn reserve(&self) -> bool {
        let mut state = self.0.state.lock();
        let free =
            state.is_open && !state.is_reserved && state.woken.is_empty() && state.job.is_none();
        state.is_reserved |= free;
        free
    }

    /// Ends the thread once it has nothing to run, and nobody means to bring something.
    pub(crate) fn retire(&self) {
        let mut state = self.0.state.lock();
        state.is_reserved = false;
        state.retired = true;
        self.0.changed.notify_one();
    }

    /// Tells a cell to look into its inbox.
    pub(crate) fn wake(&self, cell: u64) {
        self.0.state.lock().woken.push_back(cell);
        self.0.changed.notify_one();
    }

    /// The same before all others.
    pub(crate) fn wake_first(&self, cell: u64) {
        self.0.state.lock().woken.push_front(cell);
        self.0.changed.notify_one();
    }

    /// Breaks into the code of `cell`, if that is what runs now.
    pub(crate) fn interrupt(&self, cell: u64) -> Interrupt {
        let running = self.0.running.lock();
        if running.is_some_and(|running| running != cell) {
            return Interrupt::AnotherRuns;
        }
        if running.is_some()
            && let Some(isolate) = self.0.isolate.get()
        {
            isolate.terminate_execution();
        }
        Interrupt::Done
    }

    /// Whether the code of `cell` runs now.
    #[cfg(target_os = "linux")]
    pub(crate) fn runs(&self, cell: u64) -> bool {
        *self.0.running.lock() == Some(cell)
    }

    /// Whether the thread has nothing to do.
    #[cfg(test)]
    pub(crate) fn rests(&self) -> bool {
        let state = self.0.state.lock();
        state.job.is_none() && state.woken.is_empty() && self.0.running.lock().is_none()
    }

    /// What to do next. Waits for it; until `due`, when the timer of a cell is, or `untidy`, when it is time to clear up.
    fn next(
        &self,
        due: Option<(Instant, u64)>,
        untidy: Option<Instant>,
        room: Room,
        home: Option<&Arc<Home>>,
    ) -> Next {
        let pays_at = self.pays_at();
        let mut state = self.0.state.lock();
        let next = loop {
            if let Some((job, home)) = state.job.take() {
                break Next::Begin(job, home);
            }
            // Behind those that were woken before: timers that are always due must keep nobody waiting, nor be kept.
            if let Some((at, cell)) = due
                && at <= Instant::now()
                && !state.woken.contains(&cell)
            {
                state.woken.push_back(cell);
            }
            if let Some(cell) = state.woken.pop_front() {
                break Next::GoOn(cell);
            }
            if state.retired && room == Room::Empty {
                return Next::Retire;
            }
            if let Some(at) = untidy
                && at <= Instant::now()
            {
                return Next::Tidy;
            }
            if room == Room::Some && !state.is_open {
                // Whoever brings a cell from here on finds the worker open. What came before is in the queue.
                state.is_open = true;
                drop(state);
                if let Some(home) = home {
                    home.offer(self);
                }
                state = self.0.state.lock();
                continue;
            }
            if let Some(at) = pays_at
                && at <= Instant::now()
            {
                return Next::Pay;
            }
            match due.map(|(at, _)| at).or(untidy).into_iter().chain(pays_at).min() {
                Some(at) => drop(self.0.changed.wait_until(&mut state, at)),
                None => self.0.changed.wait(&mut state),
            }
        };
        state.is_open = false;
        // Under the lock: whoever stops a cell before that finds its place at the head of those that are woken.
        *self.0.running.lock() = match &next {
            Next::Begin(..) => Some(NOBODY),
            Next::GoOn(cell) => Some(*cell),
            Next::Pay | Next::Tidy | Next::Retire => None,
        };
        next
    }

    /// Whether a cell is on its way here.
    fn is_awaited(&self) -> bool {
        let state = self.0.state.lock();
        state.is_reserved || state.job.is_some()
    }

    fn has_more_to_do(&self) -> bool {
        let state = self.0.state.lock();
        state.job.is_some() || !state.woken.is_empty()
    }
}

enum Next {
    Begin(Box<Job>, Arc<Home>),
    GoOn(u64),
    /// There is time to see to the worker that is owed.
    Pay,
    /// No cell has come for a while.
    Tidy,
    Retire,
}

/// Whether cells live in an isolate, and whether one more may come while they wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Empty,
    Some,
    None,
}

/// What the worker's own thread has.
struct Thread {
    worker: Worker,
    guard: Arc<HeapGuard>,
    /// The tenant, once there is one.
    home: Option<Arc<Home>>,
    residents: Vec<Resident>,
    /// For the next cell.
    realm: Option<Realm>,
    // After all that holds something in it.
    isolate: v8::OwnedIsolate,
    tenure: Tenure,
    /// How many cells have begun here.
    cells: u32,
    /// When there has been no cell for so long that what the last ones left behind is cleared up.
    untidy: Option<Instant>,
    /// From a cell until what it left behind is cleared up.
    in_use: Option<InUse>,
    /// Whether the tenant knows that there may be room for one more cell.
    is_listed: bool,
    /// Whether cells here take their time when they run.
    is_slow: bool,
    /// Whether its end has time.
    lingers: bool,
}

impl Thread {
    fn new(worker: Worker) -> Thread {
        initialize_v8();
        let guard = Arc::new(HeapGuard::new(worker.0.heap_bytes));
        let mut isolate = guard.new_isolate();
        isolate.set_microtasks_policy(v8::MicrotasksPolicy::Explicit);
        isolate.set_prepare_stack_trace_callback(stack::prepare);
        isolate.set_host_import_module_dynamically_callback(module::import_dynamically);
        let _ = worker.0.isolate.set(isolate.thread_safe_handle());
        let realm = Some(Realm::new(&mut isolate));
        Thread {
            worker,
            guard,
            home: None,
            residents: Vec::new(),
            realm,
            isolate,
            tenure: Tenure::Alone,
            cells: 0,
            untidy: None,
            in_use: None,
            is_listed: false,
            is_slow: false,
            lingers: false,
        }
    }

    fn main(&mut self) {
        loop {
            let due = self.residents.iter().filter_map(|cell| Some((cell.due()?, cell.id()))).min();
            let room = self.room();
            self.list(room);
            let index = match self.worker.next(due, self.untidy, room, self.home.as_ref()) {
                Next::Retire => return,
                Next::Pay => {
                    self.worker.pay();
                    continue;
                }
                Next::Tidy => {
                    if self.tidy() {
                        continue;
                    }
                    return;
                }
                Next::Begin(job, home) => self.begin(job, home),
                // One that has ended since it was woken is not there.
                Next::GoOn(cell) => {
                    self.residents.iter().position(|resident| resident.id() == cell)
                }
            };
            let ended = index.and_then(|index| Some((index, self.turn(index)?)));
            *self.worker.0.running.lock() = None;
            // Nothing that runs from here on was meant.
            self.isolate.cancel_terminate_execution();
            let goes_on = ended.is_none_or(|(index, ended)| self.end(index, ended));
            self.worker.pass_debt_on();
            if !goes_on {
                return;
            }
        }
    }

    fn room(&self) -> Room {
        match self.residents.len() {
            0 => Room::Empty,
            cells
                if cells < MAX_CELLS_AT_A_TIME
                    && self.cells < MAX_CELLS_PER_ISOLATE
                    && !self.is_slow
                    && self.guard.is_roomy() =>
            {
                Room::Some
            }
            _ => Room::None,
        }
    }

    /// Lets the tenant know of the room that there is, and of its end.
    fn list(&mut self, room: Room) {
        let Some(home) = &self.home else { return };
        match room {
            Room::Some if !self.is_listed => {
                self.is_listed = true;
                home.list(self.worker.clone());
            }
            Room::None if self.is_listed => {
                self.is_listed = false;
                home.unlist(&self.worker);
            }
            _ => {}
        }
    }

    /// Clears up after cells that have ended. `false` when the worker ends instead.
    fn tidy(&mut self) -> bool {
        self.untidy = None;
        let Some(home) = self.home.clone() else { return true };
        let Some(is_spare) = home.is_spare(&self.worker) else { return true };
        // Before an end too: V8 keeps the memory of isolates that end for others, and there may be none.
        if self.in_use.take().is_some_and(InUse::was_last) {
            // Less thoroughly, and that memory too, whichever isolate left it.
            self.isolate.memory_pressure_notification(v8::MemoryPressureLevel::Critical);
        } else {
            self.isolate.low_memory_notification();
        }
        if is_spare {
            return false;
        }
        pages::give_back();
        let after = home.ready(&self.worker);
        self.go_on(after, home)
    }

    /// What the tenant wants of a worker without a cell. `false` when that is to end.
    fn go_on(&mut self, after: After, home: Arc<Home>) -> bool {
        match after {
            After::Run(job) => self.worker.run(job, home),
            After::Stay => {}
            After::Leave => return false,
        }
        true
    }

    /// Takes a cell in. Returns its place.
    fn begin(&mut self, job: Box<Job>, home: Arc<Home>) -> Option<usize> {
        self.untidy = None;
        if let [first] = &mut self.residents[..]
            && self.tenure == Tenure::Alone
        {
            self.tenure = Tenure::Shared;
            first.make_room(&mut self.isolate);
        }
        if self.guard.exceeded().is_some() {
            self.guard.recover(&mut self.isolate);
        }
        let realm = match self.realm.take() {
            Some(realm) => realm,
            None => Realm::new(&mut self.isolate),
        };
        self.home = Some(home);
        self.cells += 1;
        self.in_use.get_or_insert_with(InUse::new);
        // From here on an interrupt means the cell; it would have kept the realm from being made.
        *self.worker.0.running.lock() = Some(job.shared.id);
        self.residents.push(Resident::new(job, realm, &self.guard));
        Some(self.residents.len() - 1)
    }

    /// Gives the cell its turn. Returns what it came to, if that is its end.
    fn turn(&mut self, index: usize) -> Option<Ended> {
        let others = self.residents.iter().enumerate().filter(|(other, _)| *other != index);
        let others_due = others.filter_map(|(_, other)| other.due()).min();
        let resident = self.residents.get_mut(index)?;
        let used = resident.cpu_time();
        let turn = match self.tenure {
            Tenure::Alone => resident.turn(&mut self.isolate, Tenure::Alone, || false),
            Tenure::Shared => {
                let worker = &self.worker;
                resident.turn(&mut self.isolate, Tenure::Shared, || {
                    worker.has_more_to_do() || others_due.is_some_and(|at| at <= Instant::now())
                })
            }
        };
        self.is_slow |= resident.cpu_time().saturating_sub(used) > SLOW_TURN;
        match turn {
            Turn::Ends(ended) => Some(ended),
            Turn::Pauses => {
                self.worker.wake(self.residents.get(index)?.id());
                None
            }
            Turn::Waits => None,
        }
    }

    /// Ends a cell. `false` when the worker ends with it.
    fn end(&mut self, index: usize, ended: Ended) -> bool {
        let resident = self.residents.swap_remove(index);
        let is_last = self.residents.is_empty();
        let Some(home) = self.home.clone() else { return false };
        let ending = resident.end(&mut self.isolate, ended, self.tenure);
        home.cell_ended();
        if !is_last {
            ending.tell();
            if self.guard.exceeded().is_some() {
                self.guard.recover(&mut self.isolate);
                self.isolate.cancel_terminate_execution();
            }
            return true;
        }
        self.guard.end();
        self.tenure = Tenure::Alone;
        self.is_slow = false;
        // Before the end is told: whoever starts the next cell when they hear of it shall find this worker.
        if self.worker.is_awaited() {
            // Somebody had reserved its one place, and finds it empty.
            home.unlist(&self.worker);
            self.is_listed = false;
            ending.tell();
            return true;
        }
        let is_good = self.cells < MAX_CELLS_PER_ISOLATE && !self.guard.spent(&mut self.isolate);
        self.lingers = !is_good
            && home.has_others_ready(self.worker.heap_bytes())
            && self.guard.is_modest(&mut self.isolate);
        let mut after = home.after_last_cell(&self.worker, is_good);
        self.is_listed = false;
        ending.tell();
        if let After::Stay = after {
            let realm = Realm::new(&mut self.isolate);
            realm.keep_code(&mut self.isolate);
            self.realm = Some(realm);
            self.untidy = Some(Instant::now() + UNTIDY_TIME);
            after = home.ready(&self.worker);
        }
        self.go_on(after, home)
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("heap_bytes", &self.0.heap_bytes).finish_non_exhaustive()
    }
}

/// That an isolate of this process is in use.
struct InUse(());

impl InUse {
    fn new() -> InUse {
        IN_USE.fetch_add(1, Ordering::Relaxed);
        InUse(())
    }

    /// Ends it. Whether no other is in use then.
    fn was_last(self) -> bool {
        std::mem::forget(self);
        IN_USE.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many isolates of this process are.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// In the place of a cell's id: the isolate is busy, with no cell's code.
const NOBODY: u64 = 0;

/// V8 gives a cell 984 KiB of stack by default; the rest is for the native code beneath it.
pub(crate) const STACK_BYTES: usize = 4 << 20;

/// How many cells may wait in one isolate. Eight bring a cell's memory down to a third of what it takes alone, 32 to a fourth; and
/// each is one more that a busy one keeps waiting.
pub(crate) const MAX_CELLS_AT_A_TIME: usize = 32;

/// How long a worker waits for a cell until it gives back what the last ones left. Sixty short cells leave 15 MB; to collect that
/// takes some milliseconds, which a cell in between would have to wait.
const UNTIDY_TIME: Duration = Duration::from_secs(1);

/// After the first cell of a worker that was kept ready, its thread rests for so long before it has another one made: to start a thread took a
/// processor from the one that was to send the cell's result, for half a millisecond.
const REST_TIME: Duration = Duration::from_micros(300);

/// Where one cell follows the other, it leaves that to another thread, so long after it was taken.
const DEBT_TIME: Duration = Duration::from_millis(2);

/// An isolate in which something computed for so long at once takes no more cells before those in it have ended.
const SLOW_TURN: Duration = Duration::from_millis(50);

/// How long an isolate that is full stays before it ends: that takes a millisecond of a core and some of the memory map's lock, and so does
/// the one that replaces it. The cells that come meanwhile had to wait for both at once.
const LINGER_TIME: Duration = Duration::from_millis(10);

/// An isolate's compiled code and metadata grow a little with every cell; past this many a new one is cheaper.
const MAX_CELLS_PER_ISOLATE: u32 = 500;
