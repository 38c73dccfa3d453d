//! Cells in this process: the engine alone, values that cross, and what a session adds.

#![allow(missing_docs, reason = "criterion's macros make items without")]
#![allow(clippy::unwrap_used, reason = "a benchmark may end where it cannot go on")]

use std::{
    fmt::Write as _,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use codemode_cells::{
    CellRequest, CodeModeSession, InProcessCodeModeSession, SessionOptions, Step, ToolFuture,
    ToolRuntime, Toolset,
};
use codemode_host_protocol::{
    Budgets, CellId, Json, RuntimeResponse, ToolDefinition, ToolInvocation, ToolKind, ToolName,
};
use codemode_runtime_js::{CellSpec, Engine, Event, Outcome, Tenant};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

criterion_group! {
    name = micro;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .without_plots();
    targets = engine, values, sessions
}
criterion_main!(micro);

fn engine(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    let engine = Engine::new();
    let tenant = engine.tenant();
    group.bench_function("cell in a new isolate", |bencher| {
        bencher.iter(|| run(&engine.tenant(), "text('hi')"));
    });
    for (name, source) in [
        ("cell", "text('hi')".to_owned()),
        ("cell of 300 lines of JavaScript", functions("", "")),
        ("cell of 300 lines of TypeScript", functions(": { name: string }[]", ": string")),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| run(&tenant, &source)));
    }
    group.finish();
}

/// Tool calls whose tool answers at once: what is left is that values cross, there and back.
fn values(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("values");
    let tokio = runtime();
    let session = open(&tokio);
    let step = step(&["echo"]);
    for (name, value) in [
        ("call with 40 bytes", "{ i: 1, text: 'hello from a cell' }"),
        (
            "call with 100 KB in 1000 objects",
            "Array.from({ length: 1000 }, (_, id) => ({ id, name: 'item-' + id, score: id / 7, tags: ['a', 'b'], note: 'a line of plain text' }))",
        ),
        ("call with one string of 100 KB", "'a line of plain text, '.repeat(4350)"),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let source = format!(
                    "const value = {value}; for (let i = 0; i < {iterations}; i++) await tools.echo(value);"
                );
                let began = Instant::now();
                execute(&tokio, &session, &step, &source);
                began.elapsed()
            });
        });
    }
    group.finish();
}

fn sessions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session");
    let tokio = runtime();
    let session = open(&tokio);
    let few = step(&["echo"]);
    group.bench_function("cell", |bencher| {
        bencher.iter(|| execute(&tokio, &session, &few, "text('hi')"));
    });
    let names: Vec<String> = (0..2000).map(|number| format!("tool_{number}")).collect();
    let many = step(&names.iter().map(String::as_str).collect::<Vec<_>>());
    group.bench_function("cell with 2000 tools", |bencher| {
        bencher.iter(|| execute(&tokio, &session, &many, "text('hi')"));
    });
    let fill = "for (let i = 0; i < 9900; i++) store('key' + i, 'x'.repeat(6400));";
    execute(&tokio, &session, &few, fill);
    for (name, source) in [
        ("cell beside 9900 values", "text('hi')"),
        ("cell that loads 1 of 9900 values", "text(load('key5000').length)"),
        ("cell that stores 1 beside 9900 values", "store('another', 1)"),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| execute(&tokio, &session, &few, source));
        });
    }
    group.throughput(Throughput::Bytes(5_000_000));
    group.bench_function("cell with 5 MB of output", |bencher| {
        bencher.iter(|| execute(&tokio, &session, &few, "text('x'.repeat(5e6))"));
    });
    group.finish();
}

/// One cell of the engine's, to its end.
fn run(tenant: &Tenant, source: &str) {
    let (ended, end) = mpsc::channel();
    let sink = move |event| {
        if let Event::End(end) = event {
            let _ = ended.send(end.outcome);
        }
    };
    let _cell = tenant.start(CellSpec::new(source), sink).unwrap();
    assert_eq!(end.recv().unwrap(), Outcome::Completed);
}

/// One cell of a session, to its result.
fn execute(tokio: &Runtime, session: &InProcessCodeModeSession, step: &Arc<Step>, source: &str) {
    tokio.block_on(async {
        let request =
            CellRequest { yield_time: Some(Duration::from_secs(600)), ..CellRequest::new(source) };
        let cell = session.execute(Arc::clone(step), request).await.unwrap();
        let response = cell.response.await.unwrap().into_inner();
        let ended = matches!(response, RuntimeResponse::Result { error_text: None, .. });
        assert!(ended, "{response:?}");
    });
}

fn functions(list: &str, string: &str) -> String {
    let mut source = String::new();
    for number in 0..60 {
        let _ = write!(
            source,
            "function names_{number}(items{list}, suffix{string}) {{\n  \
               const found = items.filter((item) => item.name.endsWith(suffix));\n  \
               const names = found.map((item) => item.name.toUpperCase());\n  \
               return names.join(', ');\n\
             }}\n"
        );
    }
    source + "text(names_7([{ name: 'one' }], 'e'));"
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn open(tokio: &Runtime) -> InProcessCodeModeSession {
    let mut options = SessionOptions::default();
    // A benchmark makes more calls than anybody's cell, and more output than anybody's session.
    options.limits.cell.tool_calls = usize::MAX;
    options.limits.session = Budgets::default();
    InProcessCodeModeSession::new(Engine::new().tenant(), tokio.handle().clone(), options)
}

fn step(names: &[&str]) -> Arc<Step> {
    let tool = |name: &&str| ToolDefinition {
        name: (*name).to_owned(),
        tool_name: ToolName::plain(*name),
        description: "A tool of the benchmark.".to_owned(),
        kind: ToolKind::Function,
        input_schema: None,
        output_schema: None,
    };
    Arc::new(Step::new(names.iter().map(tool).collect::<Toolset>(), Arc::new(Echo)))
}

/// Answers at once, on the cell's own thread.
struct Echo;

impl ToolRuntime for Echo {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        Box::pin(async { Ok(call.input.unwrap_or_else(Json::null)) })
    }

    fn notify(&self, _: &str, _: &CellId, _: String) -> ToolFuture<()> {
        Box::pin(async { Ok(()) })
    }
}
