//! What the running cells of one tenant use together.

use std::{fmt, sync::Arc};

use codemode_host_protocol::{Budget, LimitExceeded};
use parking_lot::{Condvar, Mutex};

use crate::TenantLimits;

/// What the running cells of one tenant use together, against what they may.
///
/// Where cells run in worker processes, each process has a meter, which may let its cells use what it was lent; and the one that
/// lends, out of what they all may use, is the meter of their tenant.
#[derive(Debug)]
pub(crate) struct Meter {
    heap: Gauge,
    buffers: Gauge,
    timers: Gauge,
}

/// Who lends a meter what it hands out.
pub(crate) trait Lender: Send + Sync + fmt::Debug {
    /// Lends more of `budget`, so that it is at least `least` in all, and `most` at best. How much it is then. Waits for the
    /// answer, which nobody's code can hold up.
    ///
    /// # Errors
    /// The tenant's limit, when there is not as much; then it stays as it was.
    fn lend(&self, budget: Budget, least: usize, most: usize) -> Result<usize, LimitExceeded>;

    /// Takes back what is lent beyond `keeps`.
    fn take_back(&self, budget: Budget, keeps: usize);
}

impl Meter {
    /// A meter that hands out what `lender` lends it.
    #[cfg(target_os = "linux")]
    pub(crate) fn lent_by(lender: Arc<dyn Lender>) -> Meter {
        Meter::new(Some(lender))
    }

    fn new(lender: Option<Arc<dyn Lender>>) -> Meter {
        Meter {
            heap: Gauge::new(Budget::Heap, MOST_BYTES_AT_ONCE, lender.clone()),
            buffers: Gauge::new(Budget::ArrayBuffers, MOST_BYTES_AT_ONCE, lender.clone()),
            timers: Gauge::new(Budget::Timers, MOST_TIMERS_AT_ONCE, lender),
        }
    }

    pub(crate) fn set_limits(&self, limits: TenantLimits) {
        self.heap.set_limit(limits.heap_bytes);
        self.buffers.set_limit(limits.buffer_bytes);
        self.timers.set_limit(limits.timers);
    }

    /// What is used of `budget`, of those that are counted here.
    pub(crate) fn used(&self, budget: Budget) -> Option<usize> {
        Some(self.gauge(budget)?.account.lock().used)
    }

    /// A heap that had `old` bytes has `new` ones.
    pub(crate) fn heap_changed(&self, old: usize, new: usize) -> Result<(), LimitExceeded> {
        // A heap that shrinks is on its way back.
        match new.checked_sub(old) {
            Some(0) => Ok(()),
            Some(more) => self.heap.add(more),
            None => {
                self.heap.give(old - new);
                Ok(())
            }
        }
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

    /// Gives back all that was lent and is not used.
    #[cfg(target_os = "linux")]
    pub(crate) fn settle(&self) {
        for gauge in [&self.heap, &self.buffers, &self.timers] {
            gauge.give_back(&mut gauge.account.lock(), 0);
        }
    }

    /// Lends to somebody who has `has` so that they have at least `least`, and `most` at best. How much they have then;
    /// `None` for a budget that is not counted here.
    #[cfg(target_os = "linux")]
    pub(crate) fn lend(
        &self,
        budget: Budget,
        has: usize,
        least: usize,
        most: usize,
    ) -> Option<Result<usize, LimitExceeded>> {
        let gauge = self.gauge(budget)?;
        let mut account = gauge.account.lock();
        let others = account.used.saturating_sub(has);
        let room = account.may_use.saturating_sub(others);
        if least > room {
            return Some(Err(gauge.exceeded(account.may_use, others.saturating_add(least))));
        }
        let lent = most.clamp(least, room);
        account.used = others.saturating_add(lent);
        Some(Ok(lent))
    }

    /// Takes back what was lent.
    #[cfg(target_os = "linux")]
    pub(crate) fn give(&self, budget: Budget, amount: usize) {
        if let Some(gauge) = self.gauge(budget) {
            gauge.give(amount);
        }
    }

    fn gauge(&self, budget: Budget) -> Option<&Gauge> {
        [&self.heap, &self.buffers, &self.timers].into_iter().find(|gauge| gauge.budget == budget)
    }
}

impl Default for Meter {
    /// A meter of its own account, without limits.
    fn default() -> Meter {
        Meter::new(None)
    }
}

/// An amount that goes up and down, and how far up it may.
#[derive(Debug)]
struct Gauge {
    budget: Budget,
    most_at_once: usize,
    account: Mutex<Account>,
    /// Signalled when the lender has answered.
    answered: Condvar,
    lender: Option<Arc<dyn Lender>>,
}

#[derive(Debug)]
struct Account {
    used: usize,
    /// The limit, or what is lent of it.
    may_use: usize,
    /// What is borrowed beyond the need, so that not every timer has to be asked for.
    at_once: usize,
    /// Whether somebody waits for the lender.
    asking: bool,
}

impl Gauge {
    fn new(budget: Budget, most_at_once: usize, lender: Option<Arc<dyn Lender>>) -> Gauge {
        let may_use = if lender.is_some() { 0 } else { usize::MAX };
        let account = Account { used: 0, may_use, at_once: 1, asking: false };
        let answered = Condvar::new();
        Gauge { budget, most_at_once, account: Mutex::new(account), answered, lender }
    }

    fn set_limit(&self, limit: usize) {
        let mut account = self.account.lock();
        match self.lender {
            Some(_) => account.at_once = (limit / SHARES).clamp(1, self.most_at_once),
            None => account.may_use = limit,
        }
    }

    /// Counts `more`, if there is as much.
    fn take(&self, more: usize) -> Result<(), LimitExceeded> {
        self.count(more, false)
    }

    /// Counts `more` in any case, and says whether there was as much.
    fn add(&self, more: usize) -> Result<(), LimitExceeded> {
        self.count(more, true)
    }

    fn count(&self, more: usize, in_any_case: bool) -> Result<(), LimitExceeded> {
        let mut account = self.account.lock();
        let counted = loop {
            let wanted = account.used.saturating_add(more);
            if wanted <= account.may_use {
                break Ok(());
            }
            let Some(lender) = &self.lender else {
                break Err(self.exceeded(account.may_use, wanted));
            };
            if account.asking {
                self.answered.wait(&mut account);
                continue;
            }
            account.asking = true;
            let most = wanted.saturating_add(account.at_once - 1);
            drop(account);
            let answer = lender.lend(self.budget, wanted, most);
            account = self.account.lock();
            account.asking = false;
            self.answered.notify_all();
            match answer {
                Ok(lent) => account.may_use = lent,
                Err(limit) => break Err(limit),
            }
        };
        if counted.is_ok() || in_any_case {
            account.used = account.used.saturating_add(more);
        }
        counted
    }

    fn give(&self, less: usize) {
        let mut account = self.account.lock();
        account.used = account.used.saturating_sub(less);
        // What goes up and down by a little stays lent.
        let keeps = account.at_once - 1;
        if account.may_use - account.used.min(account.may_use) > 2 * keeps {
            self.give_back(&mut account, keeps);
        }
    }

    /// Gives back to the lender what is neither used nor among `spare`.
    fn give_back(&self, account: &mut Account, spare: usize) {
        let Some(lender) = self.lender.as_ref().filter(|_| !account.asking) else { return };
        let keeps = account.used.saturating_add(spare);
        if keeps < account.may_use {
            account.may_use = keeps;
            // Under the lock, so that the lender hears of this before it is asked for more.
            lender.take_back(self.budget, keeps);
        }
    }

    fn exceeded(&self, limit: usize, used: usize) -> LimitExceeded {
        LimitExceeded::of_session(self.budget, limit as u64, used as u64)
    }
}

/// Of a limit, the share that is borrowed at once: what one process has spare of it, no other can use.
const SHARES: usize = 256;

/// To ask for it takes some 0.05 ms, as long as to fill it.
const MOST_BYTES_AT_ONCE: usize = 1 << 20;

const MOST_TIMERS_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Lends from a meter, as a tenant's does to a worker process.
    #[derive(Debug)]
    struct Bank {
        of: Arc<Meter>,
        lent: Mutex<std::collections::HashMap<Budget, usize>>,
    }

    impl Lender for Bank {
        fn lend(&self, budget: Budget, least: usize, most: usize) -> Result<usize, LimitExceeded> {
            let mut lent = self.lent.lock();
            let has = lent.entry(budget).or_default();
            *has = self.of.lend(budget, *has, least, most).unwrap()?;
            Ok(*has)
        }

        fn take_back(&self, budget: Budget, keeps: usize) {
            let has = self.lent.lock().insert(budget, keeps).unwrap();
            self.of.give(budget, has - keeps);
        }
    }

    /// A tenant's meter, and those of its processes.
    fn tenant(limits: TenantLimits) -> (Arc<Meter>, [Meter; 2]) {
        let tenant = Arc::new(Meter::default());
        tenant.set_limits(limits);
        let process = || {
            let lender = Bank { of: Arc::clone(&tenant), lent: Mutex::default() };
            let meter = Meter::lent_by(Arc::new(lender));
            meter.set_limits(limits);
            meter
        };
        let processes = [process(), process()];
        (tenant, processes)
    }

    #[test]
    fn a_limit_holds_to_the_last_over_all_processes() {
        let limits = TenantLimits { timers: 3, ..TenantLimits::default() };
        let (tenant, [one, two]) = tenant(limits);
        one.take_timer().unwrap();
        two.take_timer().unwrap();
        two.take_timer().unwrap();
        assert_eq!(tenant.used(Budget::Timers), Some(3));
        let refused = Err(LimitExceeded::of_session(Budget::Timers, 3, 4));
        assert_eq!([one.take_timer(), two.take_timer()], [refused, refused]);
        two.give_timers(1);
        one.take_timer().unwrap();
        assert_eq!(two.take_timer(), refused);
    }

    #[test]
    fn what_is_borrowed_beyond_the_need_is_little_and_comes_back() {
        let limits = TenantLimits { buffer_bytes: 256 << 20, ..TenantLimits::default() };
        let (tenant, [one, two]) = tenant(limits);
        let used = || tenant.used(Budget::ArrayBuffers).unwrap();
        one.take_buffer(10).unwrap();
        assert!((10..10 + (1 << 20)).contains(&used()));
        // The last of it is to be had, but for what the other has spare.
        assert!(two.take_buffer((256 << 20) - 10).is_err());
        two.take_buffer(254 << 20).unwrap();
        assert!(used() <= 256 << 20);
        two.give_buffer(200 << 20);
        assert!(used() < 58 << 20, "{}", used());
        one.give_buffer(10);
        two.give_buffer(54 << 20);
        one.settle();
        two.settle();
        assert_eq!(used(), 0);
    }

    #[test]
    fn a_heap_counts_even_when_it_is_too_large() {
        let limits = TenantLimits { heap_bytes: 100, ..TenantLimits::default() };
        let meter = Meter::default();
        meter.set_limits(limits);
        meter.heap_changed(0, 60).unwrap();
        meter.heap_changed(60, 90).unwrap();
        let over = LimitExceeded::of_session(Budget::Heap, 100, 120);
        assert_eq!(meter.heap_changed(0, 30), Err(over));
        assert_eq!(meter.used(Budget::Heap), Some(120));
        meter.heap_changed(90, 0).unwrap();
        assert_eq!(meter.used(Budget::Heap), Some(30));
    }

    /// Whoever asks, whoever gives: no process uses what it was not lent, and nothing is lost.
    #[test]
    fn many_threads_share_a_limit() {
        let limits = TenantLimits { timers: 20, ..TenantLimits::default() };
        let (tenant, meters) = tenant(limits);
        std::thread::scope(|scope| {
            for meter in meters.iter().cycle().take(6) {
                scope.spawn(|| {
                    for round in 0..2_000 {
                        let wanted = round % 7;
                        let taken = (0..wanted).filter(|_| meter.take_timer().is_ok()).count();
                        assert!(tenant.used(Budget::Timers).unwrap() <= 20);
                        meter.give_timers(taken);
                    }
                });
            }
        });
        meters.iter().for_each(Meter::settle);
        assert_eq!(tenant.used(Budget::Timers), Some(0));
    }
}
