//! Ends cells that run, or compute, for longer than they may; and does what others have no time for.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::cell::{Shared, Stop};

/// One thread that stops cells at their deadlines, and runs errands; started with the first of either.
#[derive(Default)]
pub(crate) struct Clock(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By the time at which they have to be looked at, and by the cell's id.
    watched: BTreeMap<(Instant, u64), Watched>,
    errands: Vec<Errand>,
    /// Until when the thread sleeps, if it does.
    sleeps: Sleep,
    running: bool,
    closed: bool,
}

type Errand = Box<dyn FnOnce() + Send>;

#[derive(Clone, Copy, Default)]
enum Sleep {
    #[default]
    Awake,
    Until(Instant),
    UntilWoken,
}

struct Watched {
    cell: Weak<Shared>,
    /// When its wall time is over.
    deadline: Option<Instant>,
    /// How much processor time it may use.
    cpu: Option<Duration>,
}

impl Clock {
    /// Stops `cell` once it has run for longer than `wall` since `started`, or has used more than `cpu` of processor
    /// time. Until what is returned is dropped.
    pub(crate) fn watch(
        &self,
        cell: &Arc<Shared>,
        started: Instant,
        wall: Option<Duration>,
        cpu: Option<Duration>,
    ) -> std::io::Result<Watch> {
        // A time that no `Instant` can name never comes.
        let deadline = wall.and_then(|wall| started.checked_add(wall));
        let watched = Watched { cell: Arc::downgrade(cell), deadline, cpu };
        let Some(at) = watched.next_look(Duration::ZERO) else { return Ok(Watch(None)) };
        let mut state = self.running()?;
        state.watched.insert((at, cell.id), watched);
        self.look_at(at, state);
        Ok(Watch(Some((Arc::downgrade(&self.0), cell.id, at))))
    }

    /// Has the clock's thread run `errand`, which must be short. It is forgotten if the clock ends before.
    pub(crate) fn run(&self, errand: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let mut state = self.running()?;
        state.errands.push(Box::new(errand));
        self.look_at(Instant::now(), state);
        Ok(())
    }

    /// The state, with the thread started.
    fn running(&self) -> std::io::Result<MutexGuard<'_, State>> {
        let mut state = self.0.state.lock();
        if !state.running {
            let inner = Arc::clone(&self.0);
            std::thread::Builder::new()
                .name(String::from("codemode-clock"))
                .stack_size(CLOCK_STACK_BYTES)
                .spawn(move || inner.run())?;
            state.running = true;
        }
        Ok(state)
    }

    /// Has the thread look at what is due at that time.
    fn look_at(&self, at: Instant, mut state: MutexGuard<'_, State>) {
        let is_late = match state.sleeps {
            Sleep::Awake => false,
            // Most cells are given the same time, and come after those before them, which may be gone: the clock sleeps on.
            Sleep::Until(until) => at < until,
            Sleep::UntilWoken => true,
        };
        if is_late {
            state.sleeps = Sleep::Awake;
            drop(state);
            self.0.changed.notify_one();
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.changed.notify_one();
    }
}

/// Ends the watch on a cell when it is dropped.
pub(crate) struct Watch(Option<(Weak<Inner>, u64, Instant)>);

impl Drop for Watch {
    fn drop(&mut self) {
        let Some((clock, id, at)) = self.0.take() else { return };
        let Some(clock) = clock.upgrade() else { return };
        let mut state = clock.state.lock();
        if let Entry::Occupied(watched) = state.watched.entry((at, id)) {
            watched.remove();
            return;
        }
        // It was looked at before, and stands elsewhere. Few cells live so long.
        state.watched.retain(|(_, watched), _| *watched != id);
    }
}

impl Watched {
    /// When the cell has to be looked at next, if it has used `cpu` by now. A thread uses no more than a second in a
    /// second.
    fn next_look(&self, cpu: Duration) -> Option<Instant> {
        let cpu_over = self.cpu.and_then(|limit| {
            let left = limit.saturating_sub(cpu).max(MIN_LOOK);
            Instant::now().checked_add(left)
        });
        match (self.deadline, cpu_over) {
            (Some(deadline), Some(cpu_over)) => Some(deadline.min(cpu_over)),
            (deadline, cpu_over) => deadline.or(cpu_over),
        }
    }

    /// Stops the cell if it is time; else, when to look again.
    fn look(&self) -> Option<Instant> {
        let cell = self.cell.upgrade()?;
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            cell.stop(Stop::Time);
            return None;
        }
        let used = cell.cpu.used();
        if self.cpu.is_some_and(|limit| used >= limit) {
            cell.stop(Stop::Cpu);
            return None;
        }
        self.next_look(used)
    }
}

impl Inner {
    fn run(&self) {
        let mut state = self.state.lock();
        while !state.closed {
            let now = Instant::now();
            let first = state.watched.first_key_value().map(|(key, _)| *key);
            if let Some((at, id)) = first
                && at <= now
            {
                // Under the lock: a cell that ends meanwhile waits with taking itself off the list.
                if let Some(watched) = state.watched.remove(&(at, id))
                    && let Some(next) = watched.look()
                {
                    state.watched.insert((next, id), watched);
                }
                continue;
            }
            if let Some(errand) = state.errands.pop() {
                MutexGuard::unlocked(&mut state, errand);
                continue;
            }
            match first {
                Some((at, _)) => {
                    state.sleeps = Sleep::Until(at);
                    self.changed.wait_until(&mut state, at);
                }
                None => {
                    state.sleeps = Sleep::UntilWoken;
                    self.changed.wait(&mut state);
                }
            }
            state.sleeps = Sleep::Awake;
        }
    }
}

const CLOCK_STACK_BYTES: usize = 64 << 10;

/// The processor time of a thread that runs lags behind by up to a tick of the kernel; so often it is looked at, at most.
const MIN_LOOK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn deadlines_and_errands_come_whatever_the_clock_sleeps_for() {
        let clock = Clock::default();
        let watch = |id, wall| {
            let cell = Arc::new(Shared::new(id));
            let watch = clock.watch(&cell, Instant::now(), Some(wall), None).unwrap();
            (cell, watch)
        };
        let soon = Duration::from_millis(5);
        let stops = |cell: &Shared| {
            let start = Instant::now();
            while cell.stopped().is_none() && start.elapsed() < PATIENCE {
                std::thread::yield_now();
            }
            matches!(cell.stopped(), Some(Stop::Time))
        };
        for round in 0..3 {
            let (cell, _watch) = watch(3 * round + 1, soon);
            assert!(stops(&cell), "the clock slept for nothing");
            let (long, _watch) = watch(3 * round + 2, 3 * PATIENCE);
            let (cell, _watch) = watch(3 * round + 3, soon);
            assert!(stops(&cell), "and for one that is later");
            assert!(long.stopped().is_none());
        }
        let (told, hears) = std::sync::mpsc::channel();
        clock.run(move || told.send(()).unwrap()).unwrap();
        hears.recv_timeout(PATIENCE).unwrap();
        let (gone, watched) = watch(10, soon);
        drop(watched);
        let (cell, _watch) = watch(11, 2 * soon);
        assert!(stops(&cell), "and for one that is gone");
        assert!(gone.stopped().is_none());
    }

    const PATIENCE: Duration = Duration::from_secs(20);
}
