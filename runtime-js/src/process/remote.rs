//! A worker process as the engine sees it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io::{self, Write as _},
    os::unix::net::UnixStream,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use codemode_host_protocol::Budget;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal};

use super::{
    ProcessOptions,
    cgroup::Groups,
    death::reap,
    keeper::Keeper,
    outgoing::{Outgoing, Sent},
    pool::{Pool, SETTLE_TIME, Stock},
    remote_cell::RemoteCell,
    wire::{Beginning, Setting, Start, ToWorker},
    zygote::{Newborn, Nursery},
};
use crate::{CellSpec, EventSink, Limits, ToolCatalog, meter::Meter};

/// A worker process. Clones are the same one.
///
/// It ends when no tenant owns it and it has no cell, when one of its cells has to be ended and cannot be otherwise, when it
/// holds too much memory, or by itself; what is left of its cells ends then too.
#[derive(Clone)]
pub(crate) struct Remote(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) pid: Pid,
    pub(super) outgoing: Outgoing,
    /// Wakes the thread that looks after the process.
    waker: UnixStream,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    pub(super) cells: HashMap<u64, Arc<RemoteCell>>,
    /// The catalogs that the worker knows, by address.
    catalogs: HashMap<usize, (Weak<ToolCatalog>, u64)>,
    last_catalog: u64,
    /// When a cell that has not ended by then is given up.
    pub(super) deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Whether it can run cells at once.
    pub(super) ready: bool,
    pub(super) standing: Standing,
    /// Once it has a tenant.
    loan: Option<Loan>,
    /// Since when it has had no cell, once it has had one: what nobody has used yet is kept for whoever comes.
    pub(super) idle_since: Option<Instant>,
}

/// What a worker was lent of what its tenant's cells may use together.
struct Loan {
    from: Arc<Meter>,
    amounts: HashMap<Budget, usize>,
}

/// What is to become of a worker. It only moves down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its tenant, or the pool, may give it cells.
    Serves,
    /// Nobody gives it cells any more: it ends with its last.
    Leaves,
    /// A cell was given up: it ends with its last, and by then at the latest.
    Condemned(Instant),
    /// It ends, or has.
    Gone,
}

/// A cell that a worker did not take.
pub(crate) struct Refused {
    pub(crate) spec: CellSpec,
    pub(crate) sink: Box<dyn EventSink>,
}

/// A process on its way to be ready, and through the first cell of who waits for it.
pub(super) struct Childhood {
    worker: Weak<Inner>,
    began: Instant,
    ready: Option<Instant>,
}

impl Childhood {
    pub(super) fn is_over(&mut self) -> bool {
        let worker = self.worker.upgrade().map(Remote);
        let Some(cells) = worker.as_ref().and_then(Remote::load) else { return true };
        if worker.is_some_and(|worker| worker.is_ready()) {
            let ready = *self.ready.get_or_insert_with(Instant::now);
            return cells == 0 || ready.elapsed() >= SETTLE_TIME;
        }
        self.began.elapsed() >= MAKING_TIME
    }
}

impl Remote {
    /// Makes a worker process and a thread that looks after it. The process ends with the thread that calls this.
    pub(super) fn spawn(
        options: &ProcessOptions,
        stock: &Arc<Stock>,
        nursery: &mut Nursery<'_>,
        groups: Option<&Groups>,
        warm_heap_bytes: usize,
    ) -> io::Result<Remote> {
        let (waker, woken) = UnixStream::pair()?;
        let Newborn { pid, socket: ours, stderr } = nursery.fork()?;
        for socket in [&ours, &waker, &woken] {
            // On a socket, it cannot fail.
            let _ = socket.set_nonblocking(true);
        }
        let ours = Arc::new(ours);
        let remote = Remote(Arc::new(Inner {
            pid,
            outgoing: Outgoing::new(Arc::clone(&ours)),
            waker,
            state: Mutex::new(State {
                cells: HashMap::new(),
                catalogs: HashMap::new(),
                last_catalog: 0,
                deadlines: BinaryHeap::new(),
                ready: false,
                standing: Standing::Serves,
                loan: None,
                idle_since: None,
            }),
        }));
        // Without a group of its own it has the other bounds.
        let group = groups.and_then(|groups| {
            let group = groups.make(options.hard_memory_bytes(), options.threads()).ok()?;
            group.add(pid).ok()?;
            Some(group)
        });
        remote.send(ToWorker::Begin(Beginning {
            warm_heap_bytes,
            threads: options.threads(),
            memory_bytes: options.data_bytes(),
        }));
        let keeper =
            Keeper::new(remote.clone(), stderr, ours, woken, options, Arc::clone(stock), group);
        let kept = std::thread::Builder::new()
            .name(String::from("codemode-worker"))
            .stack_size(KEEPER_STACK_BYTES)
            .spawn(move || keeper.run());
        if let Err(error) = kept {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = reap(pid);
            return Err(error);
        }
        Ok(remote)
    }

    /// Serves the tenant whose cells have `meter`, and no other ever.
    pub(crate) fn belong_to(&self, meter: &Arc<Meter>) {
        let loan = Loan { from: Arc::clone(meter), amounts: HashMap::new() };
        self.0.state.lock().loan = Some(loan);
    }

    /// Lends the worker more, if there is as much.
    ///
    /// # Errors
    /// What is wrong with what it asks for.
    pub(super) fn lend(
        &self,
        budget: Budget,
        least: usize,
        most: usize,
    ) -> Result<(), &'static str> {
        let mut state = self.0.state.lock();
        let loan = state.loan.as_mut().ok_or("it borrows, and has no tenant")?;
        let has = loan.amounts.entry(budget).or_default();
        if least > most || least < *has {
            return Err("it borrows less than it has");
        }
        let lent = loan.from.lend(budget, *has, least, most);
        let answer = lent.ok_or("it borrows what is not lent")?;
        if let Ok(lent) = answer {
            *has = lent;
        }
        drop(state);
        self.send(ToWorker::Lent { budget, answer });
        Ok(())
    }

    /// Takes back what the worker has beyond `keeps`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn take_back(&self, budget: Budget, keeps: usize) -> Result<(), &'static str> {
        let mut state = self.0.state.lock();
        let loan = state.loan.as_mut().ok_or("it gives back, and has no tenant")?;
        let has = loan.amounts.get_mut(&budget).ok_or("it gives back what it has not")?;
        let less = has.checked_sub(keeps).ok_or("it gives back what it has not")?;
        *has = keeps;
        loan.from.give(budget, less);
        Ok(())
    }

    /// Takes back all that the worker has, for it has gone.
    pub(super) fn take_all_back(&self) {
        let Some(loan) = self.0.state.lock().loan.take() else { return };
        for (budget, amount) in loan.amounts {
            loan.from.give(budget, amount);
        }
    }

    /// Runs a cell. Gives both back where the worker takes none any more.
    pub(crate) fn start(
        &self,
        id: u64,
        spec: CellSpec,
        sink: Box<dyn EventSink>,
        pool: &Arc<Pool>,
    ) -> Result<Arc<RemoteCell>, Box<Refused>> {
        let mut state = self.0.state.lock();
        if state.standing != Standing::Serves {
            drop(state);
            return Err(Box::new(Refused { spec, sink }));
        }
        let cell = Arc::new(RemoteCell::new(id, self.clone(), &spec, sink, Arc::clone(pool)));
        let has_discovery = spec.discovery.is_some();
        let CellSpec { source, mut file, tools, limits, tenant, console, when_stuck, .. } = spec;
        // Of a name nobody reads more, and a head has a bound.
        if file.len() > MAX_FILE_NAME_BYTES {
            file.truncate(file.floor_char_boundary(MAX_FILE_NAME_BYTES));
        }
        let catalog = self.announce(&mut state, &tools);
        state.cells.insert(id, Arc::clone(&cell));
        state.idle_since = None;
        let look = cell.next_look(Instant::now());
        if let Some(at) = look {
            state.deadlines.push(Reverse((at, id)));
        }
        // Under the lock, so that the worker hears of the catalog first.
        let limits_there = Limits { wall: None, ..limits };
        let setting =
            Setting { file, limits: limits_there, tenant, console, has_discovery, when_stuck };
        let sent = self
            .0
            .outgoing
            .send(ToWorker::Start(Start { cell: id, catalog, source, setting }).encode());
        drop(state);
        if sent == Sent::Queued || look.is_some() {
            self.wake();
        }
        Ok(cell)
    }

    /// Live cells; `None` where it takes no more.
    pub(crate) fn load(&self) -> Option<usize> {
        let state = self.0.state.lock();
        (state.standing == Standing::Serves).then_some(state.cells.len())
    }

    /// Whether one of its cells was told to end, and has not.
    pub(super) fn is_ending_a_cell(&self) -> bool {
        self.0.state.lock().cells.values().any(|cell| cell.stopped().is_some())
    }

    /// Whether it could run a cell at once.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.state.lock().ready
    }

    /// Something by which to tell whether it still starts, and which does not keep it.
    pub(super) fn childhood(&self) -> Childhood {
        Childhood { worker: Arc::downgrade(&self.0), began: Instant::now(), ready: None }
    }

    /// No tenant gives it cells any more.
    pub(crate) fn disown(&self) {
        let mut state = self.0.state.lock();
        if state.standing == Standing::Serves {
            state.standing = Standing::Leaves;
        }
        drop(state);
        self.wake();
    }

    /// Makes sure that the worker knows a catalog, and says under which number.
    fn announce(&self, state: &mut State, tools: &Arc<ToolCatalog>) -> u64 {
        let address = Arc::as_ptr(tools).addr();
        if let Some((known, id)) = state.catalogs.get(&address)
            && known.strong_count() > 0
        {
            return *id;
        }
        let outgoing = &self.0.outgoing;
        state.catalogs.retain(|_, (known, id)| {
            let alive = known.strong_count() > 0;
            if !alive {
                outgoing.send(ToWorker::Forget { catalog: *id }.encode());
            }
            alive
        });
        state.last_catalog += 1;
        let id = state.last_catalog;
        state.catalogs.insert(address, (Arc::downgrade(tools), id));
        outgoing.send(ToWorker::Catalog { id, entries: tools.entries().to_vec() }.encode());
        id
    }

    pub(super) fn send(&self, message: ToWorker) {
        if self.0.outgoing.send(message.encode()) == Sent::Queued {
            self.wake();
        }
    }

    pub(super) fn wake(&self) {
        // When it is full, the thread has been woken, and has yet to see it.
        let _ = (&self.0.waker).write(&[0]);
    }

    /// Its cell, if it has just one.
    pub(super) fn only_cell(&self) -> Option<u64> {
        let state = self.0.state.lock();
        let mut cells = state.cells.keys();
        cells.next().copied().filter(|_| cells.len() == 0)
    }

    /// Takes a cell away, so that nothing the worker says of it counts any more.
    pub(super) fn forget(&self, cell: u64) {
        let mut state = self.0.state.lock();
        let gone = state.cells.remove(&cell);
        if state.cells.is_empty() {
            state.idle_since = Some(Instant::now());
        }
        drop(state);
        // Only now: with it may go its receiver, and with that anything.
        drop(gone);
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Remote").field(&self.0.pid).finish()
    }
}

/// Of a source's name nobody reads more.
const MAX_FILE_NAME_BYTES: usize = 64 << 10;

/// A process that is not ready after so long holds up no others.
const MAKING_TIME: Duration = Duration::from_millis(50);

/// Receivers of events are called on it.
pub(super) const KEEPER_STACK_BYTES: usize = 1 << 20;
