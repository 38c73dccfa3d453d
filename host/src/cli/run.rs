//! `codemode run`: one cell, to its end.

use std::{
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use clap::Args;
use codemode_cells::{
    CellLimit, CellObserver, CellRequest, CodeModeSession as _, Ending, ExecuteOptions,
    InProcessCodeModeSession, SessionLimits, SessionOptions, Step,
};
use codemode_host_protocol::{
    Budget, CellId, ContentItem, Json, LimitExceeded, Scope, ToolFailure, ToolInvocation,
};
use codemode_runtime_js::{Engine, EngineOptions, Isolation, Limits, Usage, WhenStuck};
use tokio::sync::oneshot;

use super::{
    UsageError, WorkspaceArguments,
    approve::Approvals,
    budgets::{self, BudgetArguments},
    event_loop, exit,
    isolation::IsolationKind,
    printer::{Happening, Printer, Style},
    report,
    servers::{self, ServerArguments},
    tool_timeout, units,
};
use crate::{
    mcp::{Manager, ManagerOptions},
    workspace::{OutputChunk, OutputObserver},
};

/// Run one cell of JavaScript or TypeScript to its end
///
/// Text goes to stdout as it is produced; images and audio are saved, and their paths printed. Tool calls
/// are shown on stderr.
///
/// Exit codes: 0 done, 1 the cell failed, 2 bad usage, 124 time limit, 130 interrupted.
#[derive(Debug, Args)]
#[command(after_long_help = budgets::run_help())]
pub(super) struct RunArguments {
    /// The cell's source; - is stdin
    #[arg(default_value = "-")]
    file: PathBuf,

    #[command(flatten)]
    workspace: WorkspaceArguments,

    #[command(flatten)]
    servers: ServerArguments,

    /// End the cell after this long, such as 500ms, 30s or 2m
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = "Limits")]
    timeout: Option<Duration>,

    /// Let the cell have this much JavaScript heap, and as much in array buffers
    #[arg(long, value_name = "SIZE", value_parser = units::heap_bytes, default_value = "256MiB", help_heading = "Limits")]
    heap_limit: usize,

    /// What keeps the cell from this process
    #[arg(long, value_enum, value_name = "HOW", default_value_t = IsolationKind::None, help_heading = "Limits")]
    isolation: IsolationKind,

    #[command(flatten)]
    budgets: BudgetArguments,

    /// Cancel each tool call that takes longer than this
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = "Limits")]
    tool_timeout: Option<Duration>,

    /// Print each thing that happens as one JSON object per line
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// Don't show tool calls and notifications
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,

    /// Give the cell a console, whose lines become text
    #[arg(long, help_heading = "Output")]
    console: bool,

    /// Save images and audio here, instead of in a new temporary folder
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    media_dir: Option<PathBuf>,
}

/// Runs the cell; returns the exit code.
pub(super) fn run(arguments: RunArguments) -> Result<u8, UsageError> {
    let workspace = arguments.workspace.open()?;
    let (file, source) = read_source(&arguments.file)?;
    let config = arguments.servers.load(arguments.tool_timeout)?;
    let tokio = event_loop()?;
    let style = if arguments.json {
        Style::Json
    } else {
        Style::People { quiet: arguments.quiet, media: arguments.media_dir.clone() }
    };
    let (printer, happenings, broken_pipe) = Printer::start(style)
        .map_err(|error| UsageError::new(format!("no thread can be started: {error}")))?;
    let workspace = workspace.observe_output(command_output(happenings.clone()));
    let approver = Arc::new(Approvals::new(happenings.clone()));
    let output = Output { happenings, broken_pipe };
    let result = tokio.block_on(async {
        let options = ManagerOptions { approver, ..ManagerOptions::default() };
        let manager = Manager::start(config, options);
        let tools = workspace.definitions();
        let servers = tokio::select! {
            servers = servers::ready(&manager, &tools) => servers,
            code = interrupted() => return Ok(Err(code)),
        };
        let step = servers.beside(tools, tool_timeout::limit(workspace, arguments.tool_timeout));
        let result = run_cell(&arguments, Arc::new(step), file, source, output).await;
        manager.shutdown().await;
        result.map(Ok)
    });
    let (ending, interruption) = match result? {
        Ok(ended) => ended,
        Err(code) => return Ok(code),
    };
    printer.join();
    let code = interruption.unwrap_or_else(|| explain(&ending, &arguments));
    // What a tool may still be doing in the background is nobody's any more.
    tokio.shutdown_background();
    Ok(code)
}

/// The exit code of the first signal to end.
async fn interrupted() -> u8 {
    Signals::new().next().await
}

/// The name of the source, for errors, and its text.
fn read_source(file: &Path) -> Result<(String, String), UsageError> {
    let stdin = file == Path::new("-");
    let name = if stdin { String::from("stdin") } else { file.display().to_string() };
    let mut bytes = Vec::new();
    let read = if stdin {
        let mut input = std::io::stdin().lock();
        if input.is_terminal() {
            return Err(UsageError::new("there is no cell to run")
                .hint("name a file, or pipe the source in: echo \"text('hi')\" | codemode run"));
        }
        input.read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|error| UsageError::new(format!("{name} cannot be read: {error}")))?;
    let source = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        UsageError::new(format!("{name} is not UTF-8: byte {at} begins no character"))
    })?;
    Ok((name, source))
}

/// Passes on what commands print while they run.
fn command_output(happenings: mpsc::Sender<Happening>) -> OutputObserver {
    Arc::new(move |chunk: OutputChunk<'_>| {
        let _ = happenings.send(Happening::CommandPrinted {
            call: chunk.call_id.to_owned(),
            stream: chunk.stream,
            bytes: chunk.bytes.to_vec(),
        });
    })
}

/// Where to tell what happens, and who says that nobody reads it any more.
struct Output {
    happenings: mpsc::Sender<Happening>,
    broken_pipe: oneshot::Receiver<()>,
}

/// Runs the cell to its end. Returns how it ended, and the exit code of who ended it.
async fn run_cell(
    arguments: &RunArguments,
    step: Arc<Step>,
    file: String,
    source: String,
    output: Output,
) -> Result<(Ending, Option<u8>), UsageError> {
    // The one cell makes the one isolate; nothing is prepared for a next one.
    let mut isolation = arguments.isolation.isolation();
    #[cfg(target_os = "linux")]
    if let Isolation::Process(processes) = &mut isolation {
        processes.warm = 0;
    }
    let engine = Engine::with_options(EngineOptions {
        warm_isolates: 0,
        isolation,
        ..EngineOptions::default()
    });
    let cell = Limits {
        heap_bytes: arguments.heap_limit,
        buffer_bytes: arguments.heap_limit,
        wall: arguments.timeout,
        ..Limits::default()
    };
    let mut limits = SessionLimits { cell, ..SessionLimits::default() };
    arguments.budgets.apply_to_session(&mut limits).map_err(UsageError::new)?;
    let options = SessionOptions {
        limits,
        file,
        console: arguments.console,
        discovery: true,
        when_stuck: WhenStuck::Fail,
        ..SessionOptions::default()
    };
    let session =
        InProcessCodeModeSession::new(engine.tenant(), tokio::runtime::Handle::current(), options);
    let Output { happenings, broken_pipe } = output;
    let (ended, end) = oneshot::channel();
    let observer = Observer {
        happenings,
        whole_results: arguments.json,
        ended: parking_lot::Mutex::new(Some(ended)),
    };
    let request = CellRequest { yield_time: Some(FOREVER), ..CellRequest::new(source) };
    let options =
        ExecuteOptions { observer: Some(Arc::new(observer)), ..ExecuteOptions::default() };
    let started = session
        .start(step, request, options)
        .map_err(|error| UsageError::new(error.to_string()))?;
    Ok(watch(&session, &started.cell_id, end, broken_pipe).await)
}

/// Waits for the end of the cell, and ends it when somebody asks for that. Returns how it ended, and the exit code of
/// who ended it.
async fn watch(
    session: &InProcessCodeModeSession,
    cell: &CellId,
    mut end: oneshot::Receiver<Ending>,
    mut broken_pipe: oneshot::Receiver<()>,
) -> (Ending, Option<u8>) {
    let mut interruption = None;
    let mut signals = Signals::new();
    loop {
        let code = tokio::select! {
            ending = &mut end => return (ending.unwrap_or(Ending::Terminated), interruption),
            code = signals.next() => code,
            Ok(()) = &mut broken_pipe, if interruption.is_none() => exit::BROKEN_PIPE,
        };
        if interruption.is_some() {
            // Asked twice: now, whatever is still under way.
            std::process::exit(i32::from(code));
        }
        interruption = Some(code);
        drop(session.terminate(cell, None));
    }
}

/// Tells a person how the cell ended, unless it simply did; returns the exit code.
fn explain(ending: &Ending, arguments: &RunArguments) -> u8 {
    let code = match ending {
        Ending::Completed => return exit::OK,
        Ending::Terminated => exit::TERMINATED,
        Ending::LimitExceeded(CellLimit::Budget(LimitExceeded {
            budget: Budget::Wall | Budget::Cpu,
            ..
        })) => exit::TIME_LIMIT,
        Ending::Failed(_) | Ending::LimitExceeded(_) | Ending::Crashed(_) => exit::FAILED,
    };
    if arguments.json {
        return code;
    }
    match ending {
        Ending::Completed => {}
        Ending::Terminated => report::error("the cell was terminated"),
        Ending::Failed(error) => report::error(&error.to_string()),
        Ending::Crashed(crash) => report::error(&crash.to_string()),
        Ending::LimitExceeded(limit) => {
            report::error(&limit.to_string());
            if let Some(limit) = limit.exceeded() {
                report::hint(&more(&limit));
            }
        }
    }
    code
}

/// What gives a cell more.
fn more(limit: &LimitExceeded) -> String {
    match (limit.scope, limit.budget) {
        (Scope::Cell, Budget::Wall) => "a longer --timeout would let it go on".to_owned(),
        (Scope::Cell, Budget::Heap | Budget::ArrayBuffers) => {
            "a larger --heap-limit would give it more".to_owned()
        }
        (Scope::Cell, budget) => format!("--budget {budget}=… would give it more"),
        (scope, budget) => format!("--budget {}.{budget}=… would give it more", scope.name()),
    }
}

/// Passes on what the cell does to the printer, without waiting for it.
struct Observer {
    happenings: mpsc::Sender<Happening>,
    /// Whether the printer prints results; they can be large.
    whole_results: bool,
    ended: parking_lot::Mutex<Option<oneshot::Sender<Ending>>>,
}

impl Observer {
    fn tell(&self, happening: Happening) {
        // The printer leaves when nobody reads stdout any more; the cell is being ended then.
        let _ = self.happenings.send(happening);
    }
}

impl CellObserver for Observer {
    fn output(&self, item: &ContentItem) {
        self.tell(Happening::Output(item.clone()));
    }

    fn call_started(&self, call: &ToolInvocation) {
        self.tell(Happening::CallStarted(call.clone()));
    }

    fn call_finished(
        &self,
        runtime_tool_call_id: &str,
        took: Duration,
        result: Option<&Result<Json, ToolFailure>>,
    ) {
        let result = result.map(|result| match result {
            Ok(json) if self.whole_results => Ok(json.clone()),
            Ok(_) => Ok(Json::null()),
            Err(failure) => Err(failure.clone()),
        });
        self.tell(Happening::CallFinished { call: runtime_tool_call_id.to_owned(), took, result });
    }

    fn notified(&self, text: &str) {
        self.tell(Happening::Notified(text.to_owned()));
    }

    fn yielded(&self) {
        self.tell(Happening::Yielded);
    }

    fn ended(&self, ending: &Ending, usage: Option<&Usage>) {
        self.tell(Happening::Ended { ending: ending.clone(), usage: usage.copied() });
        if let Some(ended) = self.ended.lock().take() {
            let _ = ended.send(ending.clone());
        }
    }
}

/// The signals that end a cell.
struct Signals {
    terminate: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    fn new() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};
        Signals { terminate: signal(SignalKind::terminate()).ok() }
    }

    /// The exit code that the next one stands for.
    async fn next(&mut self) -> u8 {
        let terminated = async {
            match &mut self.terminate {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Ok(()) = tokio::signal::ctrl_c() => exit::INTERRUPTED,
            () = terminated => exit::TERMINATED,
        }
    }
}

/// A person who runs a cell to its end has no use for a yield.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);
