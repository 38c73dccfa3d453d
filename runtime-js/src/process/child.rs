//! What a worker process does.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, mpsc},
    time::Duration,
};

use codemode_host_protocol::{Budget, Json, LimitExceeded, ToolName};
use parking_lot::{Condvar, Mutex};
use rustix::event::PollFlags;

use super::{
    lockdown::{Lockdown, on_stdin},
    wire::{Frame, FrameReader, FromWorker, Said, Setting, Start, ToWorker},
    zygote::stand_by,
};
use crate::{
    Cell, CellSpec, Discovery, End, Engine, EngineOptions, Event, EventSink, FoundTool, Outcome,
    StoredValues, Tenant, ToolCatalog, cpu,
    engine::configure_v8,
    meter::{Lender, Meter},
};

/// Makes worker processes for the engine at the other end of stdin, a socket, and runs cells in each, until that closes it. Never
/// returns.
///
/// What a program does that [`ProcessOptions`](super::ProcessOptions) names, before it does anything else. No open file should be there
/// yet, and no other thread must be: the workers are copies of this process.
pub fn run_worker() -> ! {
    let why = serve();
    if let Err(error) = why {
        // The engine reads it when it wonders why this process has gone.
        let _ = writeln!(io::stderr(), "the worker process stopped: {error}");
    }
    // Not `exit`: cells may be running, and nothing waits for them.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

fn serve() -> io::Result<()> {
    let lockdown = Lockdown::of_program(None).map_err(io::Error::other)?;
    if lockdown.has_threads() {
        return Err(io::Error::other(
            "worker processes are copies of a program that has started no thread yet",
        ));
    }
    // Once, instead of in each copy.
    configure_v8();
    let wish = stand_by()?;
    let mut lockdown = lockdown.begin().map_err(io::Error::other)?;
    let socket = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
    let mut reader =
        FrameReader::new(UnixStream::from(OwnedFd::from(socket.try_clone()?)), usize::MAX);
    let Some(first) = reader.next()? else { return Ok(()) };
    let ToWorker::Begin(beginning) = read(first)? else {
        return Err(io::Error::other("the first frame has to begin"));
    };
    lockdown.limit_threads(beginning.threads);
    let engine = Engine::with_options(EngineOptions {
        warm_isolates: 0,
        warm_heap_bytes: beginning.warm_heap_bytes,
        cells_alone: CELLS_ALONE,
        ..EngineOptions::default()
    });
    let out = Arc::new(Out(Mutex::new(socket)));
    let borrower = Arc::new(Borrower::new(Arc::clone(&out)));
    let tenant = engine.tenant_with(Meter::lent_by(Arc::clone(&borrower) as Arc<dyn Lender>));
    let (made, is_made) = mpsc::channel();
    tenant.prepare(beginning.warm_heap_bytes, move || {
        let _ = made.send(());
    })?;
    lockdown.prepare();
    is_made.recv().map_err(|_| io::Error::other("V8 does not start here"))?;
    let report = lockdown.finish(beginning.memory_bytes);
    let nobody_waits = !reader.has_more() && on_stdin(PollFlags::IN).is_empty();
    if nobody_waits {
        warm_up(&tenant, beginning.warm_heap_bytes)?;
    }
    if let Some(wish) = wish.filter(|_| nobody_waits) {
        // When a second cell has ended, all is done that comes after the first.
        warm_up(&tenant, beginning.warm_heap_bytes)?;
        wish.grant();
    }
    tenant.meter().settle();
    borrower.open();
    let worker = Worker { tenant, out, borrower, cells: Arc::default(), catalogs: HashMap::new() };
    worker.out.send(FromWorker::Ready { report });
    worker.run(reader)
}

/// Runs a cell of our own, so that the first of the tenant's finds what V8 does once done.
fn warm_up(tenant: &Tenant, heap_bytes: usize) -> io::Result<()> {
    let (send, ended) = mpsc::channel();
    let mut spec = CellSpec::new(WARM_UP);
    spec.limits.heap_bytes = heap_bytes;
    let sink = move |event| {
        if let Event::End(end) = event {
            let _ = send.send(end.outcome);
        }
    };
    let _cell = tenant.start(spec, sink).map_err(io::Error::other)?;
    match ended.recv() {
        Ok(Outcome::Completed) => Ok(()),
        outcome => Err(io::Error::other(format!("no cell can run here: {outcome:?}"))),
    }
}

struct Worker {
    tenant: Tenant,
    out: Arc<Out>,
    borrower: Arc<Borrower>,
    cells: Arc<Mutex<HashMap<u64, Live>>>,
    catalogs: HashMap<u64, Catalog>,
}

/// A cell that has not ended.
struct Live {
    cell: Cell,
    gate: Arc<Gate>,
}

struct Catalog {
    tools: Arc<ToolCatalog>,
    /// Where each tool is in the catalog.
    places: Arc<HashMap<ToolName, u32>>,
}

impl Worker {
    fn run(mut self, mut reader: FrameReader<UnixStream>) -> io::Result<()> {
        while let Some(frame) = reader.next()? {
            match read(frame)? {
                ToWorker::Begin(_) => return Err(io::Error::other("it has begun")),
                ToWorker::Catalog { id, entries } => {
                    let tools = Arc::new(ToolCatalog::from_entries(entries));
                    let places = (0..).zip(tools.entries());
                    let places = places.map(|(place, entry)| (entry.tool.clone(), place)).collect();
                    self.catalogs.insert(id, Catalog { tools, places: Arc::new(places) });
                }
                ToWorker::Forget { catalog } => drop(self.catalogs.remove(&catalog)),
                ToWorker::Start(start) => self.start(start)?,
                ToWorker::Deliver { cell, call, result } => {
                    let live = self.cells.lock().get(&cell).map(|live| live.cell.clone());
                    // One that has ended does not miss it.
                    if let Some(cell) = live {
                        cell.deliver(call, result);
                    }
                }
                ToWorker::Terminate { cell } => {
                    let live = self.cells.lock().get(&cell).map(Live::handles);
                    if let Some((cell, gate)) = live {
                        cell.terminate();
                        gate.answer(Answer::Stop);
                    }
                }
                ToWorker::Loaded { cell, value } => self.answer(cell, Answer::Loaded(value)),
                ToWorker::Taken { cell } => self.answer(cell, Answer::Taken),
                ToWorker::WhoRuns => {
                    let cells = self.cells.lock();
                    let running = cells.iter().filter(|(_, live)| live.cell.is_busy());
                    let running = running.map(|(id, _)| *id).collect();
                    drop(cells);
                    self.out.send(FromWorker::Running { cells: running });
                }
                ToWorker::Lent { budget, answer } => self.borrower.answered(budget, answer),
            }
        }
        Ok(())
    }

    fn start(&self, start: Start) -> io::Result<()> {
        let Start { cell: id, catalog, source, setting } = start;
        let Setting { file, limits, tenant, console, has_discovery, when_stuck } = setting;
        let catalog = self.catalogs.get(&catalog);
        let catalog = catalog.ok_or_else(|| io::Error::other("a cell of an unknown step"))?;
        let gate = Arc::new(Gate::new(id, Arc::clone(&self.out)));
        let spec = CellSpec {
            source,
            file,
            tools: Arc::clone(&catalog.tools),
            discovery: has_discovery.then(|| Arc::clone(&gate) as Arc<dyn Discovery>),
            stored: Arc::clone(&gate) as Arc<dyn StoredValues>,
            limits,
            tenant,
            console,
            when_stuck,
        };
        let sink = Sink {
            cell: id,
            out: Arc::clone(&self.out),
            cells: Arc::clone(&self.cells),
            places: Arc::clone(&catalog.places),
            gate: Arc::clone(&gate),
            meter: Arc::clone(self.tenant.meter()),
        };
        // The lock keeps the cell's end from coming before the cell.
        let mut cells = self.cells.lock();
        let cell = self.tenant.start(spec, sink).map_err(io::Error::other)?;
        cells.insert(id, Live { cell, gate });
        Ok(())
    }

    fn answer(&self, cell: u64, answer: Answer) {
        let gate = self.cells.lock().get(&cell).map(|live| Arc::clone(&live.gate));
        if let Some(gate) = gate {
            gate.answer(answer);
        }
    }
}

impl Live {
    fn handles(&self) -> (Cell, Arc<Gate>) {
        (self.cell.clone(), Arc::clone(&self.gate))
    }
}

fn read(frame: Frame) -> io::Result<ToWorker> {
    ToWorker::decode(frame).map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))
}

/// The sending half of the connection.
#[derive(Debug)]
struct Out(Mutex<UnixStream>);

impl Out {
    fn send(&self, message: FromWorker) {
        self.send_all(std::iter::once(message));
    }

    /// Sends messages together: each write wakes the thread at the other end, which takes longer than to copy what is short.
    ///
    /// Waits while the engine does not read: a cell that says more than is taken stands still.
    fn send_all(&self, messages: impl Iterator<Item = FromWorker>) {
        let mut bytes = Vec::new();
        let mut socket = self.0.lock();
        // Of a connection that is closed, its reader hears, and ends this process.
        let mut write = |bytes: &[u8]| drop(socket.write_all(bytes));
        for message in messages {
            let Frame { head, body } = message.encode();
            bytes.extend_from_slice(&head);
            if bytes.len() + body.len() <= SHORT_BYTES {
                bytes.extend_from_slice(&body);
                continue;
            }
            write(&bytes);
            bytes.clear();
            write(&body);
        }
        if !bytes.is_empty() {
            write(&bytes);
        }
    }
}

/// Passes on what a cell does.
struct Sink {
    cell: u64,
    out: Arc<Out>,
    cells: Arc<Mutex<HashMap<u64, Live>>>,
    places: Arc<HashMap<ToolName, u32>>,
    gate: Arc<Gate>,
    meter: Arc<Meter>,
}

impl EventSink for Sink {
    fn begin(&mut self, used: Duration) {
        let (thread, cpu) = cpu::this_thread();
        // As if the thread had done nothing else since the cell's start.
        self.say(Said::Begins { thread, cpu: cpu.saturating_sub(used) });
    }

    fn rest(&mut self, used: Duration) {
        self.say(Said::Rests { cpu: used });
    }

    fn event(&mut self, event: Event) {
        let said = match event {
            Event::Output(item) => Said::Output(item),
            Event::Yield => Said::Yield,
            Event::Notify(text) => {
                self.say(Said::Notify(text));
                self.gate.wait();
                return;
            }
            Event::ToolCall(call) => {
                // All that a cell can call is in its catalog.
                let entry = self.places.get(&call.tool).copied().unwrap_or(u32::MAX);
                Said::ToolCall { call: call.id, entry, input: call.input }
            }
            Event::End(End { outcome, stored, usage }) => {
                let mut cells = self.cells.lock();
                let live = cells.remove(&self.cell);
                let last = cells.is_empty();
                drop(cells);
                if last {
                    // Other processes may need it, and whoever hears of the end finds it given back.
                    self.meter.settle();
                }
                let stored = stored.into_iter().map(|(key, value)| Said::Stored { key, value });
                let all = stored.chain([Said::End { outcome, usage }]);
                let cell = self.cell;
                self.out.send_all(all.map(|said| FromWorker::Cell { cell, said }));
                drop(live);
                return;
            }
        };
        self.say(said);
    }
}

impl Sink {
    fn say(&self, said: Said) {
        self.out.send(FromWorker::Cell { cell: self.cell, said });
    }
}

/// Where a cell's thread waits for what its engine answers.
struct Gate {
    cell: u64,
    out: Arc<Out>,
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    answer: Option<Answer>,
    stopped: bool,
}

#[derive(Debug)]
enum Answer {
    Loaded(Option<Json>),
    Taken,
    /// The cell is to end.
    Stop,
}

impl Gate {
    fn new(cell: u64, out: Arc<Out>) -> Gate {
        Gate { cell, out, state: Mutex::default(), changed: Condvar::new() }
    }

    fn answer(&self, answer: Answer) {
        let mut state = self.state.lock();
        match answer {
            Answer::Stop => state.stopped = true,
            answer => state.answer = Some(answer),
        }
        self.changed.notify_one();
    }

    /// The answer to what the cell asked last; none once the cell is to end.
    fn wait(&self) -> Option<Answer> {
        let mut state = self.state.lock();
        while state.answer.is_none() && !state.stopped {
            self.changed.wait(&mut state);
        }
        state.answer.take()
    }
}

impl StoredValues for Gate {
    fn load(&self, key: &str) -> Option<Json> {
        self.ask(Said::Load { key: key.to_owned() })
    }
}

impl Gate {
    /// Asks for a value, and waits for it.
    fn ask(&self, said: Said) -> Option<Json> {
        self.out.send(FromWorker::Cell { cell: self.cell, said });
        match self.wait()? {
            Answer::Loaded(value) => value,
            _ => None,
        }
    }
}

/// What is asked of a cell that is to end has no answer, and nobody misses it.
impl Discovery for Gate {
    fn search(&self, query: &str, limit: usize) -> Vec<FoundTool> {
        let found = self.ask(Said::Search { query: query.to_owned(), limit });
        found.and_then(|found| found.read().ok()).unwrap_or_default()
    }

    fn describe(&self, place: usize) -> String {
        let text = self.ask(Said::Describe { place });
        text.and_then(|text| text.read().ok()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gate").field(&self.cell).finish()
    }
}

/// Borrows from the engine what the cells of all its processes may use together.
#[derive(Debug)]
struct Borrower {
    out: Arc<Out>,
    state: Mutex<BorrowerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct BorrowerState {
    /// Whether there is somebody to borrow from: not before the first cell that is not our own.
    open: bool,
    answers: HashMap<Budget, Result<usize, LimitExceeded>>,
}

impl Borrower {
    fn new(out: Arc<Out>) -> Borrower {
        Borrower { out, state: Mutex::default(), changed: Condvar::new() }
    }

    fn open(&self) {
        self.state.lock().open = true;
    }

    fn answered(&self, budget: Budget, answer: Result<usize, LimitExceeded>) {
        self.state.lock().answers.insert(budget, answer);
        self.changed.notify_all();
    }
}

impl Lender for Borrower {
    fn lend(&self, budget: Budget, least: usize, most: usize) -> Result<usize, LimitExceeded> {
        if !self.state.lock().open {
            return Ok(most);
        }
        self.out.send(FromWorker::Borrow { budget, least, most });
        let mut state = self.state.lock();
        loop {
            if let Some(answer) = state.answers.remove(&budget) {
                return answer;
            }
            self.changed.wait(&mut state);
        }
    }

    fn take_back(&self, budget: Budget, keeps: usize) {
        if self.state.lock().open {
            self.out.send(FromWorker::GiveBack { budget, keeps });
        }
    }
}

/// What is sent together at most.
const SHORT_BYTES: usize = 16 << 10;

/// The session has several processes.
const CELLS_ALONE: usize = 2;

/// Makes V8 set up what the first cell of a process needs. ICU's data is not among it: to load it takes longer than all the rest, and
/// few cells want it.
const WARM_UP: &str = "await null";
