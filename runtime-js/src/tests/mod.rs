//! Cells that try each promise of this crate.
#![allow(clippy::unwrap_used)]

use std::{
    fmt::Write as _,
    sync::{Arc, LazyLock, mpsc},
    time::Duration,
};

use codemode_host_protocol::{
    ContentItem, FailureKind, Json, ToolDefinition, ToolFailure, ToolKind, ToolName,
};

use crate::{
    Cell, CellSpec, End, Engine, EngineOptions, Event, Isolation, Limits, Outcome, ToolCatalog,
    process::ProcessOptions,
};

mod discovery;
mod errors;
mod globals;
mod isolated;
mod limits;
mod machine;
mod reachable;
mod rendering;
mod shared;
mod termination;
mod typescript;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    if std::env::var_os(LOCKED).is_some() {
        #[cfg(target_os = "linux")]
        lock_down();
    }
    Engine::new()
});

/// Set in the environment of a test process that is to run its cells as a worker process does.
pub(crate) const LOCKED: &str = "CODEMODE_TEST_LOCKED";

#[cfg(target_os = "linux")]
fn lock_down() {
    use crate::process::lockdown::Lockdown;
    let lockdown = Lockdown::of_program(None).and_then(Lockdown::begin).unwrap();
    crate::engine::initialize_v8();
    lockdown.finish(16 << 30);
    // For whoever changes this: the tests shall not run unlocked, and pass.
    assert!(std::fs::File::open("/proc/self/exe").is_err());
}

/// Runs cells in worker processes.
static ISOLATED: LazyLock<Engine> = LazyLock::new(|| {
    let mut processes = ProcessOptions::this_program(isolated::WORKER_ARGUMENTS);
    processes.memory_bytes = 1 << 30;
    let isolation = Isolation::Process(processes);
    Engine::with_options(EngineOptions { isolation, ..EngineOptions::default() })
});

/// A cell under test: its events, and answers for its tools.
#[derive(Debug)]
struct Trial {
    cell: Cell,
    events: mpsc::Receiver<Event>,
}

/// What a cell did, for comparing.
struct Report {
    shown: Vec<String>,
    end: End,
}

impl Trial {
    fn start(spec: CellSpec) -> Trial {
        Trial::start_in(&ENGINE, spec)
    }

    fn start_in(engine: &Engine, spec: CellSpec) -> Trial {
        let (send, events) = mpsc::channel();
        let cell = engine.tenant().start(spec, move |event| drop(send.send(event))).unwrap();
        Trial { cell, events }
    }

    fn next(&self) -> Event {
        self.events.recv_timeout(PATIENCE).expect("the cell does something")
    }

    /// Answers the cell's calls until it ends.
    fn finish(self) -> Report {
        let mut shown = Vec::new();
        loop {
            match self.next() {
                Event::Output(ContentItem::InputText { text }) => shown.push(text),
                Event::Output(item) => shown.push(serde_json::to_string(&item).unwrap()),
                Event::Yield => shown.push(String::from("<yield>")),
                Event::Notify(text) => shown.push(format!("<notify {text}>")),
                Event::ToolCall(call) => {
                    let input = call.input.unwrap_or_else(Json::null);
                    let answer = match call.tool.name.as_str() {
                        "echo" => Ok(input),
                        "fail" => {
                            let failure = ToolFailure::new("denied");
                            let mut kinds = FailureKind::ALL.into_iter();
                            Err(match kinds.find(|kind| input.text().contains(kind.name())) {
                                Some(kind) => failure.of_kind(kind),
                                None => failure,
                            })
                        }
                        "never" => continue,
                        name => panic!("{name} was called"),
                    };
                    // A cell that does not await the call may have ended.
                    self.cell.deliver(call.id, answer);
                }
                Event::End(end) => return Report { shown, end },
            }
        }
    }
}

/// A cell with the tools of [`Trial::finish`].
fn spec(source: &str) -> CellSpec {
    let definition = |name: &str| ToolDefinition {
        name: name.to_owned(),
        tool_name: ToolName::plain(name),
        description: format!("The tool {name}."),
        kind: ToolKind::Function,
        input_schema: None,
        output_schema: None,
    };
    let tools = ["echo", "fail", "never"].map(definition);
    CellSpec {
        tools: Arc::new(ToolCatalog::new(&tools)),
        limits: Limits { wall: Some(PATIENCE), ..Limits::default() },
        ..CellSpec::new(source)
    }
}

/// Runs a cell and prints what it did: each item on a line, then how it ended. It does the same in a worker process.
fn run(source: &str) -> String {
    // A process that is locked down starts no other.
    let locked = std::env::var_os(LOCKED).is_some();
    let isolated = (!locked).then(|| Trial::start_in(&ISOLATED, spec(source)));
    let report = print(Trial::start(spec(source)).finish());
    // Which of its functions finds the stack full depends on what lies beneath the cell.
    if let Some(isolated) = isolated
        && !report.contains("Maximum call stack")
    {
        assert_eq!(print(isolated.finish()), report, "isolated, and not");
    }
    report
}

fn print(report: Report) -> String {
    let mut out = String::new();
    for line in &report.shown {
        writeln!(out, "{line}").unwrap();
    }
    match report.end.outcome {
        Outcome::Completed => {}
        Outcome::Failed(error) => writeln!(out, "! {error}").unwrap(),
        Outcome::Terminated => writeln!(out, "! terminated").unwrap(),
        Outcome::LimitExceeded(limit) => writeln!(out, "! {limit}").unwrap(),
        Outcome::Crashed(crash) => writeln!(out, "! {crash}").unwrap(),
    }
    out
}

/// A cell that has done nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
