use std::{fmt, time::Duration};

use codemode_cells::{
    CellRequest, CodeModeSession, ExecuteOptions, InProcessCodeModeSession, SessionError,
    SessionLimits, SessionOptions,
};
use codemode_host_protocol::{
    Budget, CellId, ContentItem, RuntimeResponse, SESSION_BUDGET_EXCEEDED, WaitOutcome,
};
use codemode_runtime_js::{
    Engine, EngineOptions, Isolation, Limits, WhenStuck, process::ProcessOptions,
};
use tokio::runtime::Handle;

use crate::codemode;

use super::{Attack, Ending, Extras, Honest, Turn, attack::limits, tools};

/// What keeps cells from the process that runs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// V8 and our budgets alone.
    InProcess,
    /// Worker processes.
    Process,
}

/// Where attacks are run: one engine, as a host has it.
pub struct Arena {
    engine: Engine,
    mode: Mode,
    /// What a cell finds in a session that nobody has attacked, by what it has.
    pristine: Vec<(Extras, String)>,
}

/// What became of an attack.
#[derive(Debug, Default)]
pub struct Report {
    /// What went otherwise than it must.
    pub wrong: Vec<String>,
}

impl Arena {
    /// An arena in this mode.
    pub async fn new(mode: Mode) -> Arena {
        let isolation = match mode {
            Mode::InProcess => Isolation::None,
            Mode::Process => Isolation::Process(ProcessOptions {
                program: codemode().to_owned(),
                ..ProcessOptions::this_program(["worker"])
            }),
        };
        let options = EngineOptions { isolation, ..EngineOptions::default() };
        let engine = Engine::with_options(options);
        let mut arena = Arena { engine, mode, pristine: Vec::new() };
        for (console, discovery) in [(false, false), (true, false), (false, true), (true, true)] {
            let extras = Extras { console, discovery };
            let session = arena.session(limits(), extras);
            let probe = run(&session, &Turn::probe(), Some(limits().cell)).await;
            let pristine = format!("{probe:?}");
            assert!(pristine.len() > 100, "the probe says {pristine}");
            arena.pristine.push((extras, pristine));
        }
        arena
    }

    /// Whether an attack can be run in this mode.
    pub fn takes(&self, attack: &Attack) -> bool {
        match self.mode {
            Mode::InProcess => !attack.needs_process,
            Mode::Process => true,
        }
    }

    /// A session for honest work.
    pub fn honest(&self) -> Honest {
        Honest::new(self.session(SessionLimits::default(), Extras::default()))
    }

    /// A session of its own with a cell that runs for as long as it is let, as `source` says. Returns once that has begun.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn busy(&self, source: &str) -> std::result::Result<Busy, SessionError> {
        let session = self.session(limits(), Extras::default());
        let source = format!("yield_control(); {source}");
        let request = CellRequest { yield_time: Some(PATIENCE), ..CellRequest::new(source) };
        session.execute(tools::step(), request).await?.response.await?;
        Ok(Busy(session))
    }

    /// Runs an attack in a session of its own, and then a cell that looks whether anything is left of it.
    pub async fn run(&self, attack: &Attack) -> Report {
        let session = self.session(attack.limits, attack.extras);
        let mut report = Report::default();
        for turn in &attack.turns {
            let result = run(&session, turn, None).await;
            report.wrong.extend(result.faults(turn));
        }
        // With room to look around, but in the isolate that was attacked, if that is kept: those of another heap limit are others.
        let roomy = Limits { heap_bytes: attack.limits.cell.heap_bytes, ..Limits::default() };
        let probe = run(&session, &Turn::probe(), Some(roomy)).await;
        // A session that has used up its own budget has nothing more to say.
        let used_up = attack.limits.session != limits().session
            && matches!(&probe.end, End::Failed(error) if error.contains(SESSION_BUDGET_EXCEEDED));
        let found = (attack.extras, format!("{probe:?}"));
        if !self.pristine.contains(&found) && !used_up {
            report.wrong.push(format!("afterwards the session is not as new: {probe:?}"));
        }
        if let Err(error) = session.shutdown().await {
            report.wrong.push(format!("the session does not shut down: {error}"));
        }
        report
    }

    fn session(&self, limits: SessionLimits, extras: Extras) -> InProcessCodeModeSession {
        let options = SessionOptions {
            limits,
            console: extras.console,
            discovery: extras.discovery,
            file: String::from("cell.js"),
            when_stuck: WhenStuck::Fail,
            ..SessionOptions::default()
        };
        InProcessCodeModeSession::new(self.engine.tenant(), Handle::current(), options)
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// A session with a cell that does not end by itself.
#[derive(Debug)]
pub struct Busy(InProcessCodeModeSession);

impl Busy {
    /// Whether the cell has not ended.
    pub fn runs(&self) -> bool {
        self.0.usage_now().used.of(Budget::LiveCells) == Some(1)
    }

    /// Ends the cell, and the session.
    ///
    /// # Errors
    /// When that does not go.
    pub async fn end(self) -> std::result::Result<(), SessionError> {
        self.0.shutdown().await
    }
}

impl Turn {
    /// A cell that says what it finds in its global scope.
    fn probe() -> Turn {
        Turn { source: PROBE.to_owned(), ending: Ending::Completes, shows: None, terminate: false }
    }
}

/// What a cell showed, and how it ended.
#[derive(Debug)]
struct Result {
    shown: Vec<String>,
    end: End,
}

#[derive(Debug)]
enum End {
    Completed,
    Failed(String),
    Terminated,
}

impl Result {
    /// How this is not what must happen.
    fn faults(&self, turn: &Turn) -> Vec<String> {
        let mut faults = Vec::new();
        let as_expected = match (&self.end, &turn.ending) {
            (End::Completed, Ending::Completes) | (End::Terminated, Ending::Terminated) => true,
            (End::Failed(error), Ending::Fails(start)) => error.starts_with(start.as_str()),
            _ => false,
        };
        if !as_expected {
            let end = format!("{:?}", self.end).chars().take(LONG).collect::<String>();
            faults.push(format!("it ended otherwise: {end} instead of {:?}", turn.ending));
        }
        if let Some(shows) = &turn.shows
            && *shows != self.shown
        {
            let shown = format!("{:?}", self.shown).chars().take(LONG).collect::<String>();
            faults.push(format!("it showed {shown} instead of {shows:?}"));
        }
        faults
    }
}

async fn run(session: &InProcessCodeModeSession, turn: &Turn, limits: Option<Limits>) -> Result {
    let mut shown = Vec::new();
    let end = outcome(session, turn, limits, &mut shown).await;
    // No header speaks of a session that refuses.
    let end = end.unwrap_or_else(|error| End::Failed(format!("(refused) {error}")));
    Result { shown, end }
}

async fn outcome(
    session: &InProcessCodeModeSession,
    turn: &Turn,
    limits: Option<Limits>,
    shown: &mut Vec<String>,
) -> std::result::Result<End, SessionError> {
    let request =
        CellRequest { yield_time: Some(PATIENCE), ..CellRequest::new(turn.source.as_str()) };
    let options = ExecuteOptions { limits, ..ExecuteOptions::default() };
    let started = session.start(tools::step(), request, options)?;
    let mut response = started.response.await?.into_inner();
    loop {
        shown.extend(response.content_items().iter().map(plain));
        match &response {
            RuntimeResponse::Result { error_text: None, .. } => return Ok(End::Completed),
            RuntimeResponse::Result { error_text: Some(error), .. } => {
                return Ok(End::Failed(error.clone()));
            }
            RuntimeResponse::Terminated { .. } => return Ok(End::Terminated),
            RuntimeResponse::Yielded { cell_id, .. } => {
                response = next(session, cell_id, turn.terminate).await?;
            }
        }
    }
}

async fn next(
    session: &InProcessCodeModeSession,
    cell: &CellId,
    terminate: bool,
) -> std::result::Result<RuntimeResponse, SessionError> {
    let outcome = match terminate {
        true => session.terminate(cell, None).await?,
        false => session.wait(cell, PATIENCE, None).await?,
    };
    match outcome.into_inner() {
        WaitOutcome::LiveCell(response) | WaitOutcome::MissingCell(response) => Ok(response),
    }
}

fn plain(item: &ContentItem) -> String {
    match item {
        ContentItem::InputText { text } => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// Longer than any cell here takes; none is meant to yield on time.
const PATIENCE: Duration = Duration::from_secs(600);

/// How much of what went wrong is printed.
const LONG: usize = 400;

/// Every object that can be reached, with the names and kinds of its properties, as one number; and what hides from that.
const PROBE: &str = "
const met = new Set(), queue = [globalThis];
let hash = 0, count = 0;
const add = (word) => { for (let i = 0; i < word.length; i++) hash = (hash * 31 + word.charCodeAt(i)) | 0; };
while (queue.length) {
  const value = queue.shift();
  if (!((typeof value === 'object' && value) || typeof value === 'function') || met.has(value)) continue;
  met.add(value);
  queue.push(Object.getPrototypeOf(value));
  for (const key of Reflect.ownKeys(value)) {
    const found = Object.getOwnPropertyDescriptor(value, key);
    count++;
    add(`${String(key)} ${typeof found.value} ${found.writable} ${found.enumerable} ${found.configurable} ${Object.isFrozen(value)}`);
    if (typeof found.value === 'number' || typeof found.value === 'string') add(String(found.value));
    queue.push(found.value, found.get, found.set);
  }
}
const tool = await tools.echo({ a: [1] });
text(JSON.stringify([met.size, count, hash, RegExp.$1, Error.stackTraceLimit, new Error('e').stack, [...'ab'].sort().join(), tool,
  typeof console, Object.keys(tools), ALL_TOOLS.length, JSON.stringify({ b: new Map([['c', 1n]]) }), String(Symbol.keyFor(Symbol.for('x')))]));
await new Promise((done) => setTimeout(done));
for await (const { value } of as_settled([1, tools.later(2)])) text(value);
";
