//! Worker processes that are made ahead of need.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::{
    ProcessOptions,
    cgroup::Groups,
    remote::{Childhood, Remote},
    zygote::Nursery,
};

/// Makes worker processes, on a thread that lives as long as the pool: they end with it.
#[derive(Debug)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: ProcessOptions,
    warm_heap_bytes: usize,
    stock: Arc<Stock>,
    state: Mutex<State>,
}

/// What those who make processes and those who look after one know of each other.
#[derive(Debug, Default)]
pub(super) struct Stock {
    /// The pool's state is another, or one of its processes is ready.
    changed: Condvar,
    /// When processes were last taken.
    taken: Mutex<VecDeque<Instant>>,
    /// Whether those to come shall have nothing in common with those before.
    is_distrusted: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    warm: Vec<Remote>,
    /// Who waits for a process.
    waiting: usize,
    /// Whether one was asked for that nobody waits for, and there was none.
    is_short: bool,
    /// Why the last process could not be started, for those who wait.
    failure: Option<io::Error>,
    started: bool,
    /// Whether processes shall be made, and not only the one that they are copies of.
    is_wanted: bool,
    closed: bool,
}

impl Pool {
    /// Starts the process that others are copies of. That, and a thread for it, which cannot be had now is asked for again when there is more
    /// to do.
    pub(crate) fn new(options: ProcessOptions, warm_heap_bytes: usize) -> Pool {
        let inner =
            Inner { options, warm_heap_bytes, stock: Arc::default(), state: Mutex::default() };
        let pool = Pool(Arc::new(inner));
        let _ = pool.start();
        pool
    }

    /// Begins to make processes. A thread that cannot be had now is asked for again by the first cell.
    pub(crate) fn prepare(&self) {
        let _ = self.want();
    }

    pub(crate) fn options(&self) -> &ProcessOptions {
        &self.0.options
    }

    /// A process that is there, if there is one.
    pub(crate) fn try_take(&self) -> Option<Remote> {
        let mut state = self.0.state.lock();
        let taken = take_living(&mut state.warm);
        state.is_short |= taken.is_none();
        self.0.stock.changed.notify_all();
        if taken.is_some() {
            self.0.stock.taken(Instant::now());
        }
        taken
    }

    /// A process that no tenant has used. Waits until one is started, which takes a few milliseconds.
    pub(crate) fn take(&self) -> io::Result<Remote> {
        self.want()?;
        let mut state = self.0.state.lock();
        state.waiting += 1;
        self.0.stock.changed.notify_all();
        let taken = loop {
            let there = state.warm.len();
            if let Some(worker) = take_living(&mut state.warm) {
                break Ok(worker);
            }
            if state.warm.len() < there {
                // It died before anybody took it, and the pool counts on it.
                self.0.stock.changed.notify_all();
            }
            if let Some(failure) = state.failure.take() {
                break Err(failure);
            }
            self.0.stock.changed.wait(&mut state);
        };
        state.waiting -= 1;
        self.0.stock.changed.notify_all();
        self.0.stock.taken(Instant::now());
        taken
    }

    /// Has processes made.
    fn want(&self) -> io::Result<()> {
        self.start()?;
        self.0.state.lock().is_wanted = true;
        self.0.stock.changed.notify_all();
        Ok(())
    }

    /// Starts the thread that makes them, unless that was done.
    fn start(&self) -> io::Result<()> {
        let mut state = self.0.state.lock();
        if state.started {
            return Ok(());
        }
        let inner = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name(String::from("codemode-pool"))
            .stack_size(STACK_BYTES)
            .spawn(move || inner.run())?;
        state.started = true;
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        for worker in state.warm.drain(..) {
            worker.disown();
        }
        self.0.stock.changed.notify_all();
    }
}

impl Inner {
    fn run(&self) {
        // Before there is another process: the kernel lets no group with processes hand out controllers.
        let groups = self.options.control_groups.then(Groups::find).and_then(Result::ok);
        let groups = groups.filter(|groups| groups.prepare().is_ok());
        let mut nursery = Nursery::new(&self.options, &self.stock);
        // It starts while whoever made the pool gets ready. Why it does not will be known when the first worker is made.
        let _ = nursery.prepare();
        let mut state = self.state.lock();
        while !state.is_wanted {
            if state.closed {
                return;
            }
            self.stock.changed.wait(&mut state);
        }
        let mut children: Vec<Childhood> = Vec::new();
        while !state.closed {
            children.retain_mut(|child| !child.is_over());
            let demand = Demand {
                warm: state.warm.len(),
                wanted: self.options.warm,
                waiting: state.waiting,
                is_short: state.is_short,
                has_failed: state.failure.is_some(),
                raising: children.len(),
            };
            match demand.plan(&self.stock, Instant::now()) {
                Plan::Make => {}
                Plan::Rest => {
                    self.stock.changed.wait(&mut state);
                    continue;
                }
                Plan::RestUntil(until) => {
                    self.stock.changed.wait_until(&mut state, until);
                    continue;
                }
            }
            state.is_short = false;
            drop(state);
            let spawned = Remote::spawn(
                &self.options,
                &self.stock,
                &mut nursery,
                groups.as_ref(),
                self.warm_heap_bytes,
            );
            state = self.state.lock();
            match spawned {
                Ok(worker) if state.closed => worker.disown(),
                Ok(worker) => {
                    children.push(worker.childhood());
                    state.warm.push(worker);
                }
                // Without somebody to tell, the next one who asks makes it try again, or one of the others that gets ready.
                Err(_) if state.waiting == 0 => self.stock.changed.wait(&mut state),
                Err(error) => state.failure = Some(error),
            }
            self.stock.changed.notify_all();
        }
    }
}

/// What there is, and what is asked for.
#[derive(Default)]
struct Demand {
    /// Processes that nobody has taken.
    warm: usize,
    /// How many of those there shall be.
    wanted: usize,
    /// Who waits for one.
    waiting: usize,
    is_short: bool,
    has_failed: bool,
    /// Those that were made and are not yet through their childhood.
    raising: usize,
}

/// What the pool does next.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Make,
    /// Until something changes.
    Rest,
    /// The same, and until then at the latest.
    RestUntil(Instant),
}

impl Demand {
    fn plan(&self, stock: &Stock, now: Instant) -> Plan {
        if self.warm >= self.wanted + self.waiting || (self.has_failed && self.waiting > 0) {
            return Plan::Rest;
        }
        // Who waits is about to take those that are there.
        if self.waiting > self.warm {
            return Plan::Make;
        }
        if self.warm > self.waiting
            && let Some(until) = stock.settles(now)
        {
            return Plan::RestUntil(until);
        }
        if self.raising > 0 && !self.is_short && stock.is_calm() {
            // Who tells of the end of that does so without the state's lock, and may do it before we wait.
            return Plan::RestUntil(now + SETTLE_TIME);
        }
        Plan::Make
    }
}

/// One that has not died while it waited; the one that has had most time to get ready.
fn take_living(warm: &mut Vec<Remote>) -> Option<Remote> {
    warm.retain(|worker| worker.load().is_some());
    let ready = warm.iter().position(Remote::is_ready).unwrap_or(0);
    (!warm.is_empty()).then(|| warm.remove(ready))
}

impl Stock {
    fn taken(&self, now: Instant) {
        let mut last = self.taken.lock();
        if last.len() == BRISK_TAKES {
            last.pop_front();
        }
        last.push_back(now);
    }

    /// Until when who has just taken one had better have the processors for it. Not where the one before was taken as shortly ago: then they are
    /// taken as fast as they are made.
    fn settles(&self, now: Instant) -> Option<Instant> {
        let last = self.taken.lock();
        let mut last = last.iter().rev();
        let until = *last.next()? + SETTLE_TIME;
        let is_rare = last.next().is_none_or(|before| *before + SETTLE_TIME * 2 < until);
        (is_rare && now < until).then_some(until)
    }

    /// Whether they are taken at such a distance that each had better be made with nothing beside it: somebody may wait for it already.
    fn is_calm(&self) -> bool {
        let last = self.taken.lock();
        let mut last = last.iter().rev();
        let (Some(at), Some(before)) = (last.next(), last.next()) else { return true };
        at.saturating_duration_since(*before) > CALM_TIME
    }

    /// One of the processes is ready.
    pub(super) fn ripens(&self) {
        self.changed.notify_all();
    }

    /// Whether so many are taken that to make them anew for sessions which pause a little keeps a processor busy.
    pub(super) fn is_brisk(&self, now: Instant) -> bool {
        let last = self.taken.lock();
        let first = last.front().filter(|_| last.len() == BRISK_TAKES);
        first.is_some_and(|&first| now.saturating_duration_since(first) < BRISK_TIME)
    }

    /// A process died as one does in which somebody guesses at addresses.
    pub(super) fn distrust(&self) {
        self.is_distrusted.store(true, Ordering::Relaxed);
    }

    /// Whether one did since this was last asked.
    pub(super) fn was_distrusted(&self) -> bool {
        self.is_distrusted.swap(false, Ordering::Relaxed)
    }
}

/// A first cell's, with room to spare.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(2);

/// Two that are made at once take half as long again each. But where sessions come faster than one can be made, which takes five milliseconds,
/// or ten on a busy machine, both processors have to make some.
const CALM_TIME: Duration = Duration::from_millis(20);

/// So many in so long. To make one takes five milliseconds of a processor.
const BRISK_TAKES: usize = 8;
const BRISK_TIME: Duration = Duration::from_secs(1);

const STACK_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_made_at_a_time_unless_more_are_waited_for() {
        let (stock, now) = (Stock::default(), Instant::now());
        let two = || Demand { wanted: 2, ..Demand::default() };
        let plan = |warm, waiting, is_short, raising| {
            Demand { warm, waiting, is_short, raising, ..two() }.plan(&stock, now)
        };
        assert_eq!(plan(0, 0, false, 0), Plan::Make);
        assert_eq!(plan(2, 0, false, 0), Plan::Rest);
        assert_eq!(plan(0, 1, false, 1), Plan::Make);
        // The one that was made is there for who waits, and has not been taken; it has; it is there for nobody.
        for held in [plan(1, 1, false, 1), plan(0, 0, false, 1), plan(1, 0, false, 1)] {
            assert_eq!(held, Plan::RestUntil(now + SETTLE_TIME));
        }
        assert_eq!(plan(0, 0, true, 1), Plan::Make);
        assert_eq!(plan(1, 2, false, 1), Plan::Make);
        assert_eq!(plan(1, 0, false, 0), Plan::Make);
        let failed = Demand { waiting: 1, has_failed: true, ..two() };
        assert_eq!(failed.plan(&stock, now), Plan::Rest);
        // Where they are taken as fast as they are made, both processors make some.
        for n in 0..3 {
            stock.taken(now + SETTLE_TIME * n);
        }
        let later = now + SETTLE_TIME * 3;
        let busy = Demand { raising: 1, ..two() };
        assert_eq!(busy.plan(&stock, later), Plan::Make);
    }

    #[test]
    fn one_of_which_nothing_is_wanted_ends_with_its_owner() {
        let program = "/bin/cat".into();
        let none: [&str; 0] = [];
        let pool =
            Pool::new(ProcessOptions { program, ..ProcessOptions::this_program(none) }, 1 << 20);
        // Its thread has it too.
        let inner = Arc::downgrade(&pool.0);
        drop(pool);
        let patience = Instant::now() + Duration::from_secs(20);
        while inner.strong_count() > 0 {
            assert!(Instant::now() < patience, "its thread waits on");
            std::thread::yield_now();
        }
    }

    #[test]
    fn demand_is_brisk_while_many_are_taken_in_a_short_time() {
        let (stock, start) = (Stock::default(), Instant::now());
        assert!(stock.is_calm());
        let at = |millis: usize| start + Duration::from_millis(millis as u64);
        for n in 0..BRISK_TAKES {
            assert!(!stock.is_brisk(at(n)));
            stock.taken(at(n));
        }
        assert!(stock.is_brisk(at(BRISK_TAKES)));
        assert!(!stock.is_calm());
        assert_eq!(stock.settles(at(BRISK_TAKES)), None);
        assert!(!stock.is_brisk(at(BRISK_TAKES) + BRISK_TIME));
        for n in 0..2 * BRISK_TAKES {
            stock.taken(at(5000 + 200 * n));
            assert_eq!(stock.settles(at(5000 + 200 * n)), Some(at(5000 + 200 * n) + SETTLE_TIME));
            assert_eq!(stock.settles(at(5000 + 200 * n) + SETTLE_TIME), None);
            assert!(!stock.is_brisk(at(5000 + 200 * n)));
            assert!(stock.is_calm());
        }
    }
}
