//! Ends cells that run for longer than they may.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Weak},
    time::Instant,
};

use parking_lot::{Condvar, Mutex};

use crate::cell::{Shared, Stop};

/// One thread that stops cells at their deadlines; started with the first deadline.
#[derive(Default)]
pub(crate) struct Clock(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    deadlines: BinaryHeap<Reverse<Deadline>>,
    running: bool,
    closed: bool,
}

struct Deadline {
    at: Instant,
    cell: Weak<Shared>,
}

impl Clock {
    /// Stops `cell` at `at`, unless it has ended by then.
    pub(crate) fn stop_at(&self, at: Instant, cell: &Arc<Shared>) -> std::io::Result<()> {
        let mut state = self.0.state.lock();
        if !state.running {
            let inner = Arc::clone(&self.0);
            std::thread::Builder::new()
                .name(String::from("codemode-clock"))
                .stack_size(CLOCK_STACK_BYTES)
                .spawn(move || inner.run())?;
            state.running = true;
        }
        state.deadlines.push(Reverse(Deadline { at, cell: Arc::downgrade(cell) }));
        self.0.changed.notify_one();
        Ok(())
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.changed.notify_one();
    }
}

impl Inner {
    fn run(&self) {
        let mut state = self.state.lock();
        while !state.closed {
            let Some(Reverse(next)) = state.deadlines.peek() else {
                self.changed.wait(&mut state);
                continue;
            };
            let at = next.at;
            if at > Instant::now() {
                self.changed.wait_until(&mut state, at);
                continue;
            }
            let due = state.deadlines.pop();
            if let Some(cell) = due.and_then(|Reverse(deadline)| deadline.cell.upgrade()) {
                cell.stop(Stop::Time);
            }
        }
    }
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Deadline) -> bool {
        self.at == other.at
    }
}

impl Eq for Deadline {}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Deadline) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Deadline) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

const CLOCK_STACK_BYTES: usize = 64 << 10;
