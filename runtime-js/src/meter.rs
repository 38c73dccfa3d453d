//! What the running cells of one tenant use together.

use std::sync::atomic::{AtomicUsize, Ordering};

use codemode_host_protocol::{Budget, LimitExceeded};

use crate::TenantLimits;

/// What the running cells of one tenant use together, against what they may.
#[derive(Debug)]
pub(crate) struct Meter {
    heap: Gauge,
    buffers: Gauge,
    timers: Gauge,
}

/// An amount that goes up and down, and how far up it may.
#[derive(Debug)]
struct Gauge {
    budget: Budget,
    amount: AtomicUsize,
    limit: AtomicUsize,
}

impl Meter {
    pub(crate) fn set_limits(&self, limits: TenantLimits) {
        self.heap.limit.store(limits.heap_bytes, Ordering::Relaxed);
        self.buffers.limit.store(limits.buffer_bytes, Ordering::Relaxed);
        self.timers.limit.store(limits.timers, Ordering::Relaxed);
    }

    /// What is used of `budget`, of those that are counted here.
    pub(crate) fn used(&self, budget: Budget) -> Option<usize> {
        let gauges = [&self.heap, &self.buffers, &self.timers];
        let gauge = gauges.into_iter().find(|gauge| gauge.budget == budget);
        Some(gauge?.amount.load(Ordering::Relaxed))
    }

    /// A heap that had `old` bytes has `new` ones.
    pub(crate) fn heap_changed(&self, old: usize, new: usize) -> Result<(), LimitExceeded> {
        self.heap.amount.fetch_sub(old, Ordering::Relaxed);
        let now = self.heap.amount.fetch_add(new, Ordering::Relaxed) + new;
        // A heap that shrinks is on its way back.
        if new > old { self.heap.check(now) } else { Ok(()) }
    }

    /// Takes room for an array buffer, if there is.
    pub(crate) fn take_buffer(&self, bytes: usize) -> Result<(), LimitExceeded> {
        self.buffers.take(bytes)
    }

    pub(crate) fn give_buffer(&self, bytes: usize) {
        self.buffers.give(bytes);
    }

    /// Takes the place of a timer, if there is one.
    pub(crate) fn take_timer(&self) -> Result<(), LimitExceeded> {
        self.timers.take(1)
    }

    pub(crate) fn give_timers(&self, count: usize) {
        self.timers.give(count);
    }
}

impl Default for Meter {
    fn default() -> Meter {
        Meter {
            heap: Gauge::new(Budget::Heap),
            buffers: Gauge::new(Budget::ArrayBuffers),
            timers: Gauge::new(Budget::Timers),
        }
    }
}

impl Gauge {
    fn new(budget: Budget) -> Gauge {
        Gauge { budget, amount: AtomicUsize::new(0), limit: AtomicUsize::new(usize::MAX) }
    }

    fn take(&self, more: usize) -> Result<(), LimitExceeded> {
        let now = self.amount.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        let checked = self.check(now);
        if checked.is_err() {
            self.give(more);
        }
        checked
    }

    fn give(&self, less: usize) {
        self.amount.fetch_sub(less, Ordering::Relaxed);
    }

    fn check(&self, now: usize) -> Result<(), LimitExceeded> {
        let limit = self.limit.load(Ordering::Relaxed);
        if now <= limit {
            return Ok(());
        }
        Err(LimitExceeded::of_session(self.budget, limit as u64, now as u64))
    }
}
