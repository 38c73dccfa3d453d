//! A worker that says what no worker says, as one would that a cell has taken over.
#![allow(clippy::unwrap_used)]

use std::{
    io::Write as _,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, mpsc},
    time::Duration,
};

use codemode_host_protocol::{Budget, ContentItem, Json, ToolDefinition, ToolKind, ToolName};

use super::{
    ProcessOptions,
    lockdown::Report,
    wire::{Frame, FrameReader, FromWorker, Said, Start, ToWorker},
};
use crate::{
    CallId, CellSpec, Discovery, Engine, EngineOptions, Event, FoundTool, Isolation, Outcome,
    ToolCatalog, Usage,
};

/// What a worker says of a cell.
type Says = fn(u64) -> Vec<Frame>;

/// What a worker says when it is to run a cell whose source is the name, and why its process is ended for it.
const LIES: &[(&str, Says, &str)] = &[
    ("shows too much", |cell| say(cell, [output(1_001)]), "more output than the cell may show"),
    (
        "shows too many",
        |cell| say(cell, [output(1), output(1), output(1)]),
        "more output than the cell may show",
    ),
    (
        "stores too much",
        |cell| say(cell, [stored("a", 990), stored("b", 10)]),
        "more stored values than the cell may store",
    ),
    (
        "stores too many",
        |cell| say(cell, ["a", "b", "c"].map(|key| stored(key, 1))),
        "more stored values than the cell may store",
    ),
    ("leaves a call out", |cell| say(cell, [call(2, 0)]), "a tool call out of order"),
    ("calls again", |cell| say(cell, [call(1, 0), call(1, 0)]), "a tool call out of order"),
    ("calls another's tool", |cell| say(cell, [call(1, 9)]), "a tool that is not the cell's"),
    (
        "describes another's tool",
        |cell| say(cell, [Said::Describe { place: 9 }]),
        "asked about a tool that it has not",
    ),
    (
        "searches at length",
        |cell| say(cell, [Said::Search { query: "x".repeat(1 << 20), limit: 1 }]),
        "a longer query than there can be",
    ),
    ("borrows less", |_| borrow(Budget::Heap, 2, 1), "it borrows less than it has"),
    ("borrows time", |_| borrow(Budget::Cpu, 1, 2), "it borrows what is not lent"),
    (
        "gives back too much",
        |_| vec![FromWorker::GiveBack { budget: Budget::Timers, keeps: 7 }.encode()],
        "it gives back what it has not",
    ),
    ("is no worker", |_| vec![raw(b"{}", 0)], "said what makes no sense"),
    ("says too much at once", |_| vec![raw(b"{}", u32::MAX)], "broke its connection"),
];

/// What changes nothing.
const VAIN: &[(&str, Says)] = &[
    ("speaks for another", |cell| say(cell + 1, [output(1), call(1, 0), end()])),
    ("says which cells run", |cell| vec![FromWorker::Running { cells: vec![cell, 9] }.encode()]),
    ("is ready again", |_| {
        vec![FromWorker::Ready { report: Report { layers: Vec::new() } }.encode()]
    }),
];

#[test]
fn nothing_that_a_worker_says_is_believed() {
    let engine = engine();
    for &(lie, _, why) in LIES {
        let (shown, outcome) = run(&engine, lie);
        let Outcome::Crashed(crash) = &outcome else { panic!("{lie}: {outcome:?}") };
        assert!(crash.why.contains(why), "{lie}: {}", crash.why);
        assert!(shown <= 2, "{lie}: {shown} items were shown");
    }
    for &(lie, _) in VAIN {
        assert_eq!(run(&engine, lie), (0, Outcome::Completed), "{lie}");
    }
}

/// Not a test: what the worker processes of this one run.
#[test]
#[ignore = "runs as a worker process"]
fn lies() {
    if !std::env::args().any(|argument| argument == "--exact") {
        return;
    }
    super::zygote::stand_by().unwrap();
    let mut host = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned().unwrap());
    let from = UnixStream::from(OwnedFd::from(host.try_clone().unwrap()));
    let mut reader = FrameReader::new(from, usize::MAX);
    while let Some(frame) = reader.next().unwrap() {
        let said = match ToWorker::decode(frame).unwrap() {
            ToWorker::Begin(_) => {
                vec![FromWorker::Ready { report: Report { layers: Vec::new() } }.encode()]
            }
            ToWorker::Start(Start { cell, source, .. }) => {
                let lies = LIES.iter().map(|&(name, says, _)| (name, says));
                let (_, says) =
                    lies.chain(VAIN.iter().copied()).find(|(name, _)| *name == source).unwrap();
                {
                    let mut said = says(cell);
                    said.extend(say(cell, [end()]));
                    said
                }
            }
            _ => continue,
        };
        for frame in said {
            // It may have been ended for the one before.
            let _ = host.write_all(&[frame.head, frame.body].concat());
        }
    }
}

fn engine() -> Engine {
    let arguments =
        ["--exact", "process::lies::lies", "--ignored", "--nocapture", "--test-threads=1"];
    let isolation = Isolation::Process(ProcessOptions::this_program(arguments));
    Engine::with_options(EngineOptions { isolation, ..EngineOptions::default() })
}

/// How many items the cell shows, and how it ends.
fn run(engine: &Engine, source: &str) -> (usize, Outcome) {
    let tool = ToolDefinition {
        name: String::from("echo"),
        tool_name: ToolName::plain("echo"),
        description: String::new(),
        kind: ToolKind::Function,
        input_schema: None,
        output_schema: None,
    };
    let mut spec = CellSpec::new(source);
    spec.tools = Arc::new(ToolCatalog::new(&[tool]));
    spec.discovery = Some(Arc::new(Nothing));
    spec.limits.output_bytes = 1_000;
    spec.limits.output_items = 2;
    spec.limits.stored_bytes = 1_000;
    spec.limits.stored_keys = 2;
    let (send, events) = mpsc::channel();
    let _cell = engine.tenant().start(spec, move |event| drop(send.send(event))).unwrap();
    let mut shown = 0;
    loop {
        match events.recv_timeout(PATIENCE).unwrap() {
            Event::Output(_) => shown += 1,
            Event::End(end) => return (shown, end.outcome),
            _ => {}
        }
    }
}

#[derive(Debug)]
struct Nothing;

impl Discovery for Nothing {
    fn search(&self, _: &str, _: usize) -> Vec<FoundTool> {
        Vec::new()
    }

    fn describe(&self, _: usize) -> String {
        String::new()
    }
}

fn say(cell: u64, said: impl IntoIterator<Item = Said>) -> Vec<Frame> {
    said.into_iter().map(|said| FromWorker::Cell { cell, said }.encode()).collect()
}

fn output(bytes: usize) -> Said {
    Said::Output(ContentItem::text("x".repeat(bytes)))
}

fn stored(key: &str, bytes: usize) -> Said {
    Said::Stored { key: key.to_owned(), value: Json::from_value(&"x".repeat(bytes)).unwrap() }
}

fn call(number: u64, entry: u32) -> Said {
    Said::ToolCall { call: CallId(number), entry, input: None }
}

fn end() -> Said {
    Said::End { outcome: Outcome::Completed, usage: Usage::default() }
}

fn borrow(budget: Budget, least: usize, most: usize) -> Vec<Frame> {
    vec![FromWorker::Borrow { budget, least, most }.encode()]
}

/// A head, and as many bytes as its body is said to have.
fn raw(head: &[u8], body_len: u32) -> Frame {
    let head_len = u32::try_from(head.len()).unwrap();
    let prefix = [head_len.to_le_bytes(), body_len.to_le_bytes()].concat();
    Frame { head: [&prefix[..], head].concat(), body: Vec::new() }
}

const PATIENCE: Duration = Duration::from_secs(60);
