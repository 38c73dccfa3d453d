//! The cell's `setTimeout`.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

/// Callbacks that wait for their time. Timers that are due at once fire in the order in which they were set.
#[derive(Default)]
pub(crate) struct Timers {
    last_id: u64,
    by_time: BTreeMap<(Instant, u64), v8::Global<v8::Function>>,
    times: HashMap<u64, Instant>,
}

impl Timers {
    /// Sets a timer and returns its id, counted from 1. At a million a second it takes three centuries to come to
    /// where JavaScript's numbers have gaps.
    pub(crate) fn set(&mut self, callback: v8::Global<v8::Function>, delay_ms: f64) -> u64 {
        let delay = Duration::from_secs_f64(delay_ms.clamp(0.0, MAX_DELAY_MS) / 1000.0);
        let at = Instant::now() + delay;
        self.last_id += 1;
        self.by_time.insert((at, self.last_id), callback);
        self.times.insert(self.last_id, at);
        self.last_id
    }

    /// Forgets a timer; `false` when the id is none, or it fired before.
    pub(crate) fn clear(&mut self, id: u64) -> bool {
        let Some(at) = self.times.remove(&id) else { return false };
        self.by_time.remove(&(at, id)).is_some()
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// When the next timer is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.by_time.keys().next().map(|&(at, _)| at)
    }

    /// Takes the next timer, whose time has come.
    pub(crate) fn take_next(&mut self) -> Option<v8::Global<v8::Function>> {
        let ((_, id), callback) = self.by_time.pop_first()?;
        self.times.remove(&id);
        Some(callback)
    }
}

/// A hundred years: as good as never, and no `Instant` overflows by it.
const MAX_DELAY_MS: f64 = 100.0 * 365.25 * 86_400.0 * 1000.0;
