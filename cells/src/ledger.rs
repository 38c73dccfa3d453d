//! What a session has used of its budgets, and its part of those of its host.

use std::{
    sync::{Arc, OnceLock, atomic::Ordering},
    time::{Duration, Instant},
};

use codemode_host_protocol::{Budget, Budgets, LimitExceeded, Scope};

use crate::sync::AtomicU64;

/// What all sessions of a process may use together, and what they do. Handed to each of them in
/// [`SessionOptions`](crate::SessionOptions).
#[derive(Debug)]
pub struct HostLedger {
    limits: Budgets,
    used: Amounts,
}

impl HostLedger {
    /// A ledger of a process that may use `limits`, of which [`Budget::LiveCells`] and [`Budget::UnreadBytes`]
    /// are looked at.
    pub fn new(limits: Budgets) -> Arc<HostLedger> {
        Arc::new(HostLedger { limits, used: Amounts::default() })
    }

    /// What is used of `budget` now.
    pub fn used(&self, budget: Budget) -> u64 {
        self.used.of(budget)
    }
}

/// What one session has used.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: Budgets,
    used: Amounts,
    opened: Instant,
    /// Set when there is nothing left of a budget that does not come back.
    spent: OnceLock<LimitExceeded>,
    host: Option<Arc<HostLedger>>,
}

impl Ledger {
    pub(crate) fn new(limits: Budgets, host: Option<Arc<HostLedger>>) -> Ledger {
        Ledger {
            limits,
            used: Amounts::default(),
            opened: Instant::now(),
            spent: OnceLock::new(),
            host,
        }
    }

    /// What is used of `budget`, of those that are counted here.
    pub(crate) fn used(&self, budget: Budget) -> u64 {
        match budget {
            Budget::Wall => millis(self.opened.elapsed()),
            Budget::Cpu => self.used.of(budget) / NANOS_PER_MILLI,
            budget => self.used.of(budget),
        }
    }

    pub(crate) fn limit(&self, budget: Budget) -> Option<u64> {
        self.limits.of(budget)
    }

    /// How much time is left of `budget`, which is one of time; `None` where it has no limit.
    pub(crate) fn time_left(&self, budget: Budget) -> Option<Duration> {
        let limit = Duration::from_millis(self.limits.of(budget)?);
        let used = match budget {
            Budget::Wall => self.opened.elapsed(),
            budget => Duration::from_nanos(self.used.of(budget)),
        };
        Some(limit.saturating_sub(used))
    }

    /// Counts what was used of a budget that does not come back.
    ///
    /// # Errors
    /// When that is more than there is; it counts all the same.
    pub(crate) fn spend(&self, budget: Budget, amount: u64) -> Result<(), LimitExceeded> {
        let used = self.used.add(budget, amount);
        self.within(budget, used)
    }

    /// Counts processor time of a cell that has ended.
    pub(crate) fn spend_cpu(&self, time: Duration) -> Result<(), LimitExceeded> {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.used.add(Budget::Cpu, nanos);
        self.cpu_within(Duration::ZERO)
    }

    /// Whether the session has processor time left, if its running cells have used `running`.
    pub(crate) fn cpu_within(&self, running: Duration) -> Result<(), LimitExceeded> {
        let used = Duration::from_nanos(self.used.of(Budget::Cpu)) + running;
        self.within(Budget::Cpu, millis(used))
    }

    /// Whether the time of the session is not over.
    pub(crate) fn wall_within(&self) -> Result<(), LimitExceeded> {
        match self.time_left(Budget::Wall) {
            Some(Duration::ZERO) => self.within(Budget::Wall, self.used(Budget::Wall)),
            _ => Ok(()),
        }
    }

    /// Takes some of a budget that comes back, with [`Ledger::give`].
    ///
    /// # Errors
    /// When there is not as much, here or in the whole host; nothing is taken then.
    pub(crate) fn take(&self, budget: Budget, amount: u64) -> Result<(), LimitExceeded> {
        let used = self.used.add(budget, amount);
        let mut result = exceeds(&self.limits, Scope::Session, budget, used);
        if result.is_ok()
            && let Some(host) = self.host_of(budget)
        {
            let used = host.used.add(budget, amount);
            result = exceeds(&host.limits, Scope::Host, budget, used);
            if result.is_err() {
                host.used.sub(budget, amount);
            }
        }
        if result.is_err() {
            self.used.sub(budget, amount);
        }
        result
    }

    pub(crate) fn give(&self, budget: Budget, amount: u64) {
        self.used.sub(budget, amount);
        if let Some(host) = self.host_of(budget) {
            host.used.sub(budget, amount);
        }
    }

    /// The budget of which nothing is left, if there is one. It stays so.
    pub(crate) fn spent(&self) -> Option<LimitExceeded> {
        self.spent.get().copied()
    }

    /// Notes that the session is over a budget.
    pub(crate) fn exceeded(&self, limit: LimitExceeded) {
        if !limit.budget.comes_back() {
            let _ = self.spent.set(limit);
        }
    }

    fn within(&self, budget: Budget, used: u64) -> Result<(), LimitExceeded> {
        let result = match budget {
            // Of time nothing is left when all of it was used.
            Budget::Cpu | Budget::Wall => {
                exceeds(&self.limits, Scope::Session, budget, used.saturating_add(1))
                    .map_err(|limit| LimitExceeded { used, ..limit })
            }
            _ => exceeds(&self.limits, Scope::Session, budget, used),
        };
        if let Err(limit) = &result {
            self.exceeded(*limit);
        }
        result
    }

    fn host_of(&self, budget: Budget) -> Option<&HostLedger> {
        self.host.as_deref().filter(|_| budget.is_of(Scope::Host))
    }
}

impl Drop for Ledger {
    /// What the session still has comes back to the host.
    fn drop(&mut self) {
        for budget in Budget::ALL {
            if let Some(host) = self.host_of(budget) {
                host.used.sub(budget, self.used.of(budget));
            }
        }
    }
}

fn exceeds(limits: &Budgets, scope: Scope, budget: Budget, used: u64) -> Result<(), LimitExceeded> {
    match limits.of(budget) {
        Some(limit) if used > limit => Err(LimitExceeded { scope, budget, limit, used }),
        _ => Ok(()),
    }
}

/// An amount of each budget. Of processor time, in nanoseconds.
#[derive(Debug, Default)]
struct Amounts([AtomicU64; Budget::ALL.len()]);

impl Amounts {
    fn of(&self, budget: Budget) -> u64 {
        self.0[budget as usize].load(Ordering::Relaxed)
    }

    /// Adds to the amount, which is returned.
    fn add(&self, budget: Budget, more: u64) -> u64 {
        self.0[budget as usize].fetch_add(more, Ordering::Relaxed).saturating_add(more)
    }

    fn sub(&self, budget: Budget, less: u64) {
        self.0[budget as usize].fetch_sub(less, Ordering::Relaxed);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const NANOS_PER_MILLI: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_refused_and_what_does_not_is_spent() {
        let limits = Budgets::default().with(Budget::UnreadBytes, 10).with(Budget::ToolCalls, 2);
        let ledger = Ledger::new(limits, None);
        assert_eq!(ledger.take(Budget::UnreadBytes, 10), Ok(()));
        let refused = LimitExceeded::of_session(Budget::UnreadBytes, 10, 11);
        assert_eq!(ledger.take(Budget::UnreadBytes, 1), Err(refused));
        ledger.give(Budget::UnreadBytes, 1);
        assert_eq!(ledger.take(Budget::UnreadBytes, 1), Ok(()));
        assert_eq!(ledger.spent(), None);
        assert_eq!(ledger.spend(Budget::ToolCalls, 2), Ok(()));
        let spent = LimitExceeded::of_session(Budget::ToolCalls, 2, 3);
        assert_eq!(ledger.spend(Budget::ToolCalls, 1), Err(spent));
        assert_eq!(ledger.spent(), Some(spent));
    }

    #[test]
    fn a_host_has_what_its_sessions_have() {
        let host = HostLedger::new(Budgets::default().with(Budget::LiveCells, 2));
        let one = Ledger::new(Budgets::default(), Some(Arc::clone(&host)));
        let two = Ledger::new(Budgets::default(), Some(Arc::clone(&host)));
        assert_eq!(one.take(Budget::LiveCells, 1), Ok(()));
        assert_eq!(two.take(Budget::LiveCells, 1), Ok(()));
        let refused = two.take(Budget::LiveCells, 1).map_err(|limit| limit.scope);
        assert_eq!(refused, Err(Scope::Host));
        assert_eq!((one.used(Budget::LiveCells), two.used(Budget::LiveCells)), (1, 1));
        drop(one);
        assert_eq!(host.used(Budget::LiveCells), 1);
        assert_eq!(two.take(Budget::LiveCells, 1), Ok(()));
        // Of no concern to the host.
        assert_eq!(two.take(Budget::OpenToolCalls, 1), Ok(()));
        drop(two);
        assert_eq!(host.used(Budget::LiveCells), 0);
        assert_eq!(host.used(Budget::OpenToolCalls), 0);
    }

    #[test]
    fn time_is_over_when_it_was_used() {
        let ledger = Ledger::new(Budgets::default().with(Budget::Cpu, 10), None);
        assert_eq!(ledger.cpu_within(Duration::from_millis(9)), Ok(()));
        assert_eq!(ledger.spend_cpu(Duration::from_millis(4)), Ok(()));
        assert_eq!(ledger.time_left(Budget::Cpu), Some(Duration::from_millis(6)));
        let over = ledger.spend_cpu(Duration::from_millis(6));
        assert_eq!(over, Err(LimitExceeded::of_session(Budget::Cpu, 10, 10)));
        assert_eq!(ledger.spent(), over.err());
    }
}
