//! `codemode` as a library, timed within a process of its own: what the peers' drivers in `tests/bench/` do, with ours.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use codemode_cells::{
    CellRequest, CodeModeSession, InProcessCodeModeSession, SessionOptions, Step, ToolFuture,
    ToolRuntime,
};
use codemode_host_protocol::{
    CellId, Json, RuntimeResponse, ToolDefinition, ToolInvocation, ToolKind, ToolName,
};
use codemode_runtime_js::{Engine, EngineOptions, Isolation, process::ProcessOptions};
use tokio::runtime::Handle;

use crate::{error::Error, frames, host::YIELD_NEVER_MS, peers::Our, rows::Scale, stats::median};

/// Prints figures by the names of [`Our`], in milliseconds, as one JSON object.
pub(crate) fn time(processes: bool, scale: Scale) -> Result<(), Error> {
    let isolation = match processes {
        true => Isolation::Process(ProcessOptions::this_program(["worker"])),
        false => Isolation::None,
    };
    let engine = Engine::with_options(EngineOptions { isolation, ..EngineOptions::default() });
    // As `codemode host` on stdio has it.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = tokio.block_on(time_all(&engine, scale))?;
    let figures: BTreeMap<_, _> = figures.map(|(our, ms)| (our.name(), ms)).into();
    crate::say(&serde_json::json!(figures).to_string());
    Ok(())
}

/// As many nested calls, in one cell.
pub(crate) fn make_calls(times: usize) -> Result<(), Error> {
    alone(async |session, step| run(session, step, &frames::nested_source(times)).await)
}

/// As many nested calls, a hundred at once, in one cell.
pub(crate) fn make_calls_at_once(times: usize) -> Result<(), Error> {
    alone(async |session, step| run(session, step, &at_once(times / 100)).await)
}

/// As many cells, one after the other.
pub(crate) fn run_cells(times: usize) -> Result<(), Error> {
    alone(async |session, step| {
        for _ in 0..times {
            run(session, step, "text('hi')").await?;
        }
        Ok(())
    })
}

/// In a session that is the only one.
fn alone(
    work: impl AsyncFn(&InProcessCodeModeSession, &Arc<Step>) -> Result<(), Error>,
) -> Result<(), Error> {
    let engine = Engine::new();
    let step = Arc::new(Step::new(vec![definition()], Arc::new(Echo::default())));
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async { work(&open(&engine), &step).await })
}

async fn time_all(engine: &Engine, scale: Scale) -> Result<[(Our, f64); 6], Error> {
    let echo = Arc::new(Echo::default());
    let step = Arc::new(Step::new(vec![definition()], Arc::clone(&echo) as _));
    let session = open(engine);
    let cell = async || run(&session, &step, "text('hi')").await;
    let new_session = async || run(&open(engine), &step, "text('hi')").await;

    let (calls, batches) = (scale.of(1000), scale.of(50).max(3));
    let back_to_back = timed(scale.of(500), cell, Duration::ZERO).await?;
    let paced = timed(scale.of(100), cell, PAUSE).await?;
    run(&session, &step, &frames::nested_source(calls)).await?;
    let nested = echo.between(1);
    run(&session, &step, &at_once(batches)).await?;
    let all = echo.between(100);
    let session_back_to_back = timed(scale.of(100), new_session, Duration::ZERO).await?;
    let session_paced = timed(scale.of(100), new_session, PAUSE).await?;
    Ok([
        (Our::Cell, back_to_back),
        (Our::CellPaced, paced),
        (Our::Session, session_back_to_back),
        (Our::SessionPaced, session_paced),
        (Our::Nested, nested),
        (Our::All, all),
    ])
}

fn open(engine: &Engine) -> InProcessCodeModeSession {
    InProcessCodeModeSession::new(engine.tenant(), Handle::current(), SessionOptions::default())
}

/// The median of `count` times that `run` takes, after some that do not count. A pause lies before each.
async fn timed(
    count: usize,
    run: impl AsyncFn() -> Result<(), Error>,
    pause: Duration,
) -> Result<f64, Error> {
    let mut samples = Vec::new();
    for _ in 0..count + UNCOUNTED {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let began = Instant::now();
        run().await?;
        samples.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(&samples[UNCOUNTED..]))
}

async fn run(
    session: &InProcessCodeModeSession,
    step: &Arc<Step>,
    source: &str,
) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(error.to_string());
    let request = CellRequest {
        yield_time: Some(Duration::from_millis(YIELD_NEVER_MS)),
        ..CellRequest::new(source)
    };
    let cell = session.execute(Arc::clone(step), request).await.map_err(|e| failed(&e))?;
    match cell.response.await.map_err(|e| failed(&e))?.into_inner() {
        RuntimeResponse::Result { error_text: None, .. } => Ok(()),
        other => Err(Error::new(format!("a cell of the benchmark ended with {other:?}"))),
    }
}

/// The source of a cell that makes a hundred calls at once, as many times.
fn at_once(batches: usize) -> String {
    format!(
        "for (let n = 0; n < {batches}; n++) {{ \
           await Promise.all(Array.from({{ length: 100 }}, (_, i) => tools.echo({{ i, text: 'hello' }}))); \
         }}"
    )
}

fn definition() -> ToolDefinition {
    ToolDefinition {
        name: "echo".to_owned(),
        tool_name: ToolName::plain("echo"),
        description: "A tool of the benchmark.".to_owned(),
        kind: ToolKind::Function,
        input_schema: None,
        output_schema: None,
    }
}

/// Answers with what it is given, and notes when it was called.
#[derive(Default)]
struct Echo {
    calls: Mutex<Vec<Instant>>,
}

impl Echo {
    /// The median time from one call to the next, or from the first of some that are made together to the first of the
    /// next, in milliseconds. Forgets the calls.
    fn between(&self, together: usize) -> f64 {
        let calls = mem::take(&mut *self.calls.lock().unwrap_or_else(|e| e.into_inner()));
        let first: Vec<_> = calls.into_iter().step_by(together).collect();
        let between = first.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0);
        median(&between.collect::<Vec<_>>())
    }
}

impl ToolRuntime for Echo {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        self.calls.lock().unwrap_or_else(|e| e.into_inner()).push(Instant::now());
        Box::pin(async {
            // A future that is ready at once would be answered on the cell's own thread. The peers' host functions run on
            // the caller's, and so does the rest of this one.
            tokio::task::yield_now().await;
            Ok(call.input.unwrap_or_else(Json::null))
        })
    }

    fn notify(&self, _: &str, _: &CellId, _: String) -> ToolFuture<()> {
        Box::pin(async { Ok(()) })
    }
}

/// A model's cells do not come without one.
const PAUSE: Duration = Duration::from_millis(5);

const UNCOUNTED: usize = 5;
