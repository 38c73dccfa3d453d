//! What the cells of a session have in common.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use codemode_host_protocol::{Budget, CellId, ContentItem, LimitExceeded, Scope};
use tokio::sync::Notify;

use crate::{
    CellLimit, CellObserver, SessionError, SessionLimits, SessionOptions, Step,
    cell::{Cell, Claim, Seat},
    cpu_watch::CpuWatch,
    history::{self, History, Record},
    ledger::Ledger,
    lifeline::Lifeline,
    store::Store,
    sync::{AtomicUsize, Mutex, Runtime, sleep},
};

pub(crate) struct Shared {
    pub(crate) options: SessionOptions,
    pub(crate) tokio: Runtime,
    pub(crate) store: Mutex<Store>,
    pub(crate) registry: Mutex<Registry>,
    /// What was used of the session's budgets: cells that have an isolate, and output that nobody has read, among them.
    pub(crate) ledger: Ledger,
    pub(crate) cpu_watch: CpuWatch,
    /// Finished cells whose result nobody has asked for.
    pub(crate) unread_results: AtomicUsize,
    /// Signalled when a cell was closed.
    pub(crate) closed: Notify,
}

/// Which cells there are and were.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) shut_down: bool,
    /// The number of the last cell that was started.
    pub(crate) last: u64,
    /// Those that can be waited for.
    pub(crate) cells: BTreeMap<u64, Arc<Cell>>,
    /// Those that were not reported closed.
    pub(crate) open: HashMap<u64, Weak<Lifeline>>,
    pub(crate) history: History,
}

impl Shared {
    pub(crate) fn new(options: SessionOptions, tokio: Runtime) -> Shared {
        let limits = &options.limits;
        let stored = |budget| limits.session.of(budget).unwrap_or(u64::MAX);
        let store = Store::new(stored(Budget::StoredBytes), stored(Budget::StoredValues));
        let ledger = Ledger::new(limits.session, options.host.clone());
        Shared {
            store: Mutex::new(store),
            registry: Mutex::default(),
            ledger,
            cpu_watch: CpuWatch::default(),
            unread_results: AtomicUsize::new(0),
            closed: Notify::new(),
            options,
            tokio,
        }
    }

    pub(crate) fn limits(&self) -> &SessionLimits {
        &self.options.limits
    }

    /// A new cell that has yet to be started, and the claim to its first response.
    ///
    /// # Errors
    /// When the session is shut down, or has no place left.
    pub(crate) fn admit(
        self: &Arc<Shared>,
        step: Arc<Step>,
        tool_call_id: String,
        observer: Option<Arc<dyn CellObserver>>,
        yields_at_once: bool,
    ) -> Result<(Claim, Seat), SessionError> {
        let mut registry = self.registry.lock();
        if registry.shut_down {
            return Err(SessionError::ShutDown);
        }
        let seat = Seat::take(self).map_err(|limit| match limit {
            LimitExceeded { scope: Scope::Session, limit, .. } => {
                let live: Vec<u64> = registry.cells.keys().copied().collect();
                SessionError::TooManyCells { limit, live: history::list(live.into_iter()) }
            }
            limit => SessionError::OverBudget(limit),
        })?;
        registry.last += 1;
        let number = registry.last;
        let lifeline = Arc::new(Lifeline::new(step, number, Arc::clone(self)));
        registry.open.insert(number, Arc::downgrade(&lifeline));
        let cell = Cell::new(number, tool_call_id, Arc::clone(self), observer, lifeline);
        let claim = Arc::new(cell).claim_first(yields_at_once);
        registry.cells.insert(number, Arc::clone(claim.cell()));
        Ok((claim, seat))
    }

    /// Ends all cells, and admits none any more.
    pub(crate) fn shut_down_cells(&self) {
        self.registry.lock().shut_down = true;
        self.cpu_watch.end();
        for cell in self.cells() {
            cell.shut_down();
        }
    }

    /// The cell of that name, if it can be waited for.
    pub(crate) fn find(&self, id: &CellId) -> Option<Arc<Cell>> {
        self.registry.lock().cells.get(&number(id)?).cloned()
    }

    /// All cells that can be waited for, oldest first.
    pub(crate) fn cells(&self) -> Vec<Arc<Cell>> {
        self.registry.lock().cells.values().cloned().collect()
    }

    /// Counts `bytes` of new output, dropping results that nobody asked for to make room.
    ///
    /// # Errors
    /// When there is none; nothing is counted then.
    pub(crate) fn make_room_for(&self, bytes: usize) -> Result<(), LimitExceeded> {
        let take = || self.ledger.take(Budget::UnreadBytes, bytes as u64);
        let mut taken = take();
        if taken.is_err() {
            self.drop_oldest_unread(|| {
                if taken.is_err() {
                    taken = take();
                }
                taken.is_ok()
            });
        }
        taken
    }

    /// Ends all running cells, because the session is over a budget.
    pub(crate) fn exceed(&self, limit: LimitExceeded) {
        tracing::debug!(%limit, "a session is over its budget");
        self.ledger.exceeded(limit);
        for cell in self.cells() {
            cell.exceed(CellLimit::Budget(limit));
        }
    }

    /// Counts what a cell used of a budget that does not come back; ends all running cells when that is too much.
    /// `false` then.
    pub(crate) fn spend(&self, budget: Budget, amount: usize) -> bool {
        match self.ledger.spend(budget, amount as u64) {
            Ok(()) => true,
            Err(limit) => {
                self.exceed(limit);
                false
            }
        }
    }

    /// The processor time of the cells that run now.
    pub(crate) fn running_cpu(&self) -> Duration {
        self.cells().iter().map(|cell| cell.running_cpu()).sum()
    }

    /// Keeps the number of results that nobody asked for within its limit.
    pub(crate) fn bound_unread_results(&self) {
        let most = self.limits().unread_results;
        self.drop_oldest_unread(|| self.unread_results.load(Ordering::Relaxed) <= most);
    }

    fn drop_oldest_unread(&self, mut enough: impl FnMut() -> bool) {
        if enough() || self.unread_results.load(Ordering::Relaxed) == 0 {
            return;
        }
        for cell in self.cells() {
            if cell.drop_unread() && enough() {
                return;
            }
        }
    }

    /// Whether a copy of a result may be kept.
    pub(crate) fn worth_keeping(&self, items: &[ContentItem]) -> bool {
        let bytes: usize = items.iter().map(ContentItem::len_bytes).sum();
        bytes <= self.limits().kept_bytes
    }

    /// Takes a cell from those that can be waited for.
    pub(crate) fn retire(&self, record: Record) {
        let mut registry = self.registry.lock();
        let cell = registry.cells.remove(&record.number);
        registry.history.push(record, self.limits());
        drop(registry);
        // Only now: with the cell may go what reports it closed, which comes back here.
        drop(cell);
    }

    pub(crate) fn cell_closed(&self, number: u64) {
        self.registry.lock().open.remove(&number);
        self.closed.notify_waiters();
    }

    pub(crate) fn start_notification_grace(self: &Arc<Shared>, number: u64) {
        let session = Arc::downgrade(self);
        let grace = self.limits().notification_grace;
        let _entered = self.tokio.enter();
        self.tokio.spawn(async move {
            sleep(grace).await;
            let cell = session.upgrade().and_then(|session| {
                let registry = session.registry.lock();
                registry.cells.get(&number).cloned()
            });
            if let Some(cell) = cell {
                cell.grace_is_over();
            }
        });
    }

    /// What to say of a cell that cannot be waited for, and what is kept of its result.
    pub(crate) fn obituary(&self, id: &CellId, cell: Option<&Cell>) -> (String, Vec<ContentItem>) {
        let last_word = cell.map(|cell| match cell.ended() {
            Some(record) => (record.to_string(), record.error_text()),
            None => ("it is being terminated".to_owned(), None),
        });
        let mut registry = self.registry.lock();
        let last = registry.last;
        let number = number(id);
        let record = number.and_then(|n| registry.history.find(n, self.limits()));
        let items = record.and_then(|record| record.items.clone()).unwrap_or_default();
        let (what, error) = match record {
            Some(record) => (record.to_string(), record.error_text()),
            None => last_word.unwrap_or_else(|| (never_or_long_ago(number, last), None)),
        };
        let live = registry.cells.keys().copied().filter(|live| Some(*live) != number);
        let live = history::list(live.collect::<Vec<_>>().into_iter());
        drop(registry);
        let live = match live.as_str() {
            "" => "no cell of this session is live".to_owned(),
            live => format!("live cells: {live}"),
        };
        let error = error.map(|error| format!("\nIt had ended with: {error}")).unwrap_or_default();
        (format!("exec cell {id} not found: {what}; {live}{error}"), items)
    }
}

/// The number of the cell of that name. Nothing but the canonical spelling names a cell.
fn number(id: &CellId) -> Option<u64> {
    let number: u64 = id.as_str().parse().ok()?;
    (CellId::from_number(number) == *id).then_some(number)
}

fn never_or_long_ago(number: Option<u64>, last: u64) -> String {
    match number {
        Some(number) if (1..=last).contains(&number) => {
            "it ended so long ago that nothing more is known".to_owned()
        }
        _ if last == 0 => "this session has not started any cell".to_owned(),
        _ => format!("this session never had it, its cells are 1 to {last}"),
    }
}
