//! What a session allows.

use std::time::Duration;

use codemode_runtime_js::{LimitExceeded, Limits};

/// What the cells of one session may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// What one cell may use of its engine.
    pub cell: Limits,
    /// Cells alive at a time: those that run, and those whose isolate is not gone yet.
    pub live_cells: usize,
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
    /// Bytes of output, of all cells, that nobody has read yet.
    pub unread_bytes: usize,
    /// Finished cells whose result nobody has read yet. The oldest are dropped.
    pub unread_results: usize,
    /// Bytes that the stored values take, keys included.
    pub stored_bytes: usize,
    /// How many values can be stored.
    pub stored_keys: usize,
    /// Results that were read and are kept for those who ask again.
    pub kept_results: usize,
    /// Bytes of such results.
    pub kept_bytes: usize,
    /// How long they are kept.
    pub kept_for: Duration,
}

impl Default for SessionLimits {
    fn default() -> SessionLimits {
        SessionLimits {
            cell: Limits::default(),
            live_cells: 1_000,
            max_yield_time: None,
            // V1 hosts take 4,096 open calls on a whole connection at best.
            open_calls: 4_096,
            open_notifications: 1_024,
            open_bytes: 64 << 20,
            notification_grace: Duration::from_secs(10),
            unread_bytes: 256 << 20,
            unread_results: 1_000,
            stored_bytes: 64 << 20,
            stored_keys: 10_000,
            kept_results: 64,
            kept_bytes: 4 << 20,
            kept_for: Duration::from_secs(15 * 60),
        }
    }
}

/// Which limit a cell crossed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellLimit {
    /// One of its engine's.
    #[error(transparent)]
    Engine(LimitExceeded),
    /// The session's stored values would not fit.
    #[error(
        "StoredValuesLimitExceeded: with what this cell stored, the session's stored values would take \
         {bytes} bytes in {keys} keys; {max_bytes} bytes in {max_keys} keys are allowed, and nothing of \
         this cell was kept. Store less, or overwrite what is not needed any more with small values"
    )]
    Stored {
        /// What they would take.
        bytes: usize,
        /// How many there would be.
        keys: usize,
        /// What they may take.
        max_bytes: usize,
        /// How many there may be.
        max_keys: usize,
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
    /// Too much output waits to be read.
    #[error(
        "UnreadOutputLimitExceeded: the cells of this session hold more than {max_bytes} bytes of output \
         that nobody has waited for"
    )]
    Unread {
        /// How much they may hold.
        max_bytes: usize,
    },
}

impl CellLimit {
    /// A stable name for programs, which the text begins with.
    pub fn code(&self) -> &'static str {
        match self {
            CellLimit::Engine(limit) => limit.code(),
            CellLimit::Stored { .. } => "StoredValuesLimitExceeded",
            CellLimit::Notifications { .. } => "NotificationLimitExceeded",
            CellLimit::Unread { .. } => "UnreadOutputLimitExceeded",
        }
    }
}
