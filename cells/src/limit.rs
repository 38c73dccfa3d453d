//! What a session allows.

use std::time::Duration;

use codemode_host_protocol::{Budget, Budgets, LimitExceeded, Scope};
use codemode_runtime_js::{Limits, TenantLimits};

/// What the cells of one session may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// What one cell may use of its engine.
    pub cell: Limits,
    /// What all cells may use together. A budget without a limit is not bounded.
    pub session: Budgets,
    /// The longest time after which a cell yields, whatever was asked for.
    pub max_yield_time: Option<Duration>,
    /// Tool calls that one cell may have open at a time; one more fails.
    pub open_calls: usize,
    /// Notifications of one cell that may be on their way; one more waits for its turn.
    pub open_notifications: usize,
    /// Bytes of inputs and notifications that one cell may have on their way.
    pub open_bytes: usize,
    /// How long a cell waits for its notifications to be delivered, at its end or when too many are on
    /// their way.
    pub notification_grace: Duration,
    /// Finished cells whose result nobody has read yet. The oldest are dropped.
    pub unread_results: usize,
    /// Results that were read and are kept for those who ask again.
    pub kept_results: usize,
    /// Bytes of such results.
    pub kept_bytes: usize,
    /// How long they are kept.
    pub kept_for: Duration,
}

impl SessionLimits {
    /// The limit on a budget of each cell, or of all together; `None` where there is none.
    pub fn of(&self, scope: Scope, budget: Budget) -> Option<u64> {
        match (scope, budget) {
            (Scope::Cell, Budget::OpenToolCalls) => {
                (self.open_calls != usize::MAX).then_some(self.open_calls as u64)
            }
            (Scope::Cell, budget) => self.cell.of(budget),
            (_, budget) => self.session.of(budget),
        }
    }

    /// Sets the limit on a budget of each cell, or of all together; `None` for no limit.
    pub fn set(&mut self, scope: Scope, budget: Budget, limit: Option<u64>) {
        match (scope, budget) {
            (Scope::Cell, Budget::OpenToolCalls) => {
                let limit = limit.and_then(|limit| usize::try_from(limit).ok());
                self.open_calls = limit.unwrap_or(usize::MAX);
            }
            (Scope::Cell, budget) => self.cell.set(budget, limit),
            (_, budget) => self.session.set(budget, limit),
        }
    }

    /// The limits of each cell.
    pub fn of_cells(&self) -> Budgets {
        let limits = Budget::ALL.into_iter().map(|budget| (budget, self.of(Scope::Cell, budget)));
        limits.filter_map(|(budget, limit)| Some((budget, limit?))).collect()
    }

    /// What the engine has to bound for all cells together.
    pub(crate) fn tenant(&self) -> TenantLimits {
        let limit = |budget| {
            let limit = self.session.of(budget).and_then(|limit| usize::try_from(limit).ok());
            limit.unwrap_or(usize::MAX)
        };
        TenantLimits {
            heap_bytes: limit(Budget::Heap),
            buffer_bytes: limit(Budget::ArrayBuffers),
            timers: limit(Budget::Timers),
        }
    }
}

impl Default for SessionLimits {
    fn default() -> SessionLimits {
        SessionLimits {
            cell: Limits::default(),
            session: Budgets::default()
                .with(Budget::Heap, 4 << 30)
                .with(Budget::ArrayBuffers, 4 << 30)
                .with(Budget::Cpu, 4 * 60 * 60 * 1000)
                .with(Budget::OutputBytes, 16 << 30)
                .with(Budget::OutputItems, 10_000_000)
                .with(Budget::StoredBytes, 64 << 20)
                .with(Budget::StoredValues, 10_000)
                .with(Budget::ToolCalls, 10_000_000)
                .with(Budget::OpenToolCalls, 65_536)
                .with(Budget::ArgumentBytes, 64 << 30)
                .with(Budget::ResultBytes, 64 << 30)
                .with(Budget::Timers, 100_000)
                .with(Budget::LiveCells, 1_000)
                .with(Budget::SourceBytes, 4 << 30)
                .with(Budget::UnreadBytes, 256 << 20),
            max_yield_time: None,
            // V1 hosts take 4,096 open calls on a whole connection at best.
            open_calls: 4_096,
            open_notifications: 1_024,
            open_bytes: 64 << 20,
            notification_grace: Duration::from_secs(10),
            unread_results: 1_000,
            kept_results: 64,
            kept_bytes: 4 << 20,
            kept_for: Duration::from_secs(15 * 60),
        }
    }
}

/// Which limit a cell crossed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellLimit {
    /// A budget: its own, that of its session, or that of the host.
    #[error(transparent)]
    Budget(LimitExceeded),
    /// The session's stored values would not fit.
    #[error(
        "StoredValuesLimitExceeded: with what this cell stored, the session's stored values would take \
         {bytes} bytes in {keys} keys; {max_bytes} bytes in {max_keys} keys are allowed, and nothing of \
         this cell was kept. Store less, or overwrite what is not needed any more with small values"
    )]
    Stored {
        /// What they would take.
        bytes: u64,
        /// How many there would be.
        keys: u64,
        /// What they may take.
        max_bytes: u64,
        /// How many there may be.
        max_keys: u64,
    },
    /// Its notifications were not taken.
    #[error(
        "NotificationLimitExceeded: {open} notifications of this cell are on their way, and none was \
         taken for {waited:?}. Send fewer, or gather what they say with text()"
    )]
    Notifications {
        /// How many are on their way.
        open: usize,
        /// For how long the cell waited.
        waited: Duration,
    },
}

impl CellLimit {
    /// A stable name for programs, which the text begins with.
    pub fn code(&self) -> &'static str {
        match self {
            CellLimit::Budget(limit) => limit.code(),
            CellLimit::Stored { .. } => Budget::StoredBytes.code(),
            CellLimit::Notifications { .. } => "NotificationLimitExceeded",
        }
    }

    /// The budget that was crossed, if it was one.
    pub fn exceeded(&self) -> Option<LimitExceeded> {
        match *self {
            CellLimit::Budget(limit) => Some(limit),
            CellLimit::Stored { bytes, max_bytes, .. } if bytes > max_bytes => {
                Some(LimitExceeded::of_session(Budget::StoredBytes, max_bytes, bytes))
            }
            CellLimit::Stored { keys, max_keys, .. } => {
                Some(LimitExceeded::of_session(Budget::StoredValues, max_keys, keys))
            }
            CellLimit::Notifications { .. } => None,
        }
    }
}
