//! `codemode host`: sessions for other programs.

use std::{io::Write as _, num::NonZero, time::Duration};

use clap::Args;
use tracing_subscriber::{EnvFilter, fmt};

use super::{
    UsageError,
    budgets::{self, BudgetArguments},
    exit,
    isolation::IsolationKind,
    report,
    servers::ServerArguments,
    units,
};
use crate::{HostOptions, Listen, ServeError, ServeOptions, WebSocketOptions, serve};

/// Run sessions for other programs, on stdio or over WebSocket
///
/// On stdio there is one client, which started this process: the host ends with it. Over WebSocket there are
/// any number, and the host prints the address it listens on. Started under the name
/// `codex-code-mode-host` and without arguments, the program serves stdio too.
///
/// SIGTERM or SIGINT stops it: no new cells, and those that run have --drain-grace to end. A second signal
/// ends it at once.
///
/// Exit codes: 0 the client left, or all was drained; 1 the connection broke; 2 bad usage, or it cannot listen;
/// 143 stopped at once.
#[derive(Debug, Args)]
#[command(after_long_help = budgets::host_help())]
pub(super) struct HostArguments {
    /// Where to listen: stdio, or ws://ADDRESS:PORT
    #[arg(long, value_name = "WHERE", default_value = "stdio")]
    listen: Listen,

    /// What clients over WebSocket must show; needed on every address but loopback
    #[arg(long, value_name = "TOKEN", env = "CODEMODE_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Let web pages of this origin connect, such as https://example.org; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,

    /// How long running cells have to end once the host is told to stop
    #[arg(long, value_name = "TIME", value_parser = units::duration, default_value = "5s")]
    drain_grace: Duration,

    /// What keeps cells from this process, and sessions from each other
    #[arg(long, value_enum, value_name = "HOW", default_value_t = IsolationKind::OF_HOST)]
    isolation: IsolationKind,

    #[command(flatten)]
    servers: ServerArguments,

    #[command(flatten)]
    budgets: BudgetArguments,

    /// What to log to stderr: off, error, warn, info, debug, trace, or a filter such as codemode_host=debug
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

/// Whether this process was started as the host that Codex looks for.
pub(super) fn is_drop_in() -> bool {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let name = std::path::Path::new(&name).file_stem().unwrap_or_default();
    name == DROP_IN_NAME && arguments.next().is_none()
}

/// Serves stdio, as the host that Codex looks for.
pub(super) fn run_drop_in() -> Result<u8, UsageError> {
    run(HostArguments {
        listen: Listen::Stdio,
        token: None,
        allow_origin: Vec::new(),
        drain_grace: HostOptions::default().drain_grace,
        isolation: IsolationKind::OF_HOST,
        servers: ServerArguments::default(),
        budgets: BudgetArguments::none(),
        log: "warn".to_owned(),
    })
}

pub(super) fn run(arguments: HostArguments) -> Result<u8, UsageError> {
    log_to_stderr(&arguments.log)?;
    let mut host = HostOptions {
        drain_grace: arguments.drain_grace,
        isolation: arguments.isolation.isolation(),
        servers: arguments.servers.load(None)?,
        ..HostOptions::default()
    };
    arguments.budgets.apply_to_host(&mut host);
    let options = ServeOptions {
        listen: arguments.listen,
        host,
        web_socket: WebSocketOptions {
            token: arguments.token,
            allowed_origins: arguments.allow_origin,
        },
    };
    let runtime = threads_for(&arguments.listen)
        .enable_all()
        .build()
        .map_err(|error| UsageError::new(format!("cannot start the runtime: {error}")))?;
    let serving = serve(options, |address| {
        let mut stdout = std::io::stdout().lock();
        // Whoever does not read it knows the address.
        let _ = writeln!(stdout, "listening on ws://{address}").and_then(|()| stdout.flush());
    });
    // As a task, and not on this thread: there each message would be handed over from and to the runtime's threads.
    let served = runtime.block_on(async { tokio::spawn(serving).await });
    let served = served.map_err(|error| UsageError::new(format!("the host failed: {error}")))?;
    // Not waited for: a read of a terminal ends when somebody types, a cell in one long built-in when it is done.
    runtime.shutdown_background();
    match served {
        Ok(()) => Ok(exit::OK),
        Err(error @ ServeError::Connection(_)) => {
            report::error(&error.to_string());
            Ok(exit::FAILED)
        }
        Err(error @ ServeError::Stopped) => {
            report::error(&error.to_string());
            Ok(exit::TERMINATED)
        }
        Err(error) => Err(UsageError::new(error.to_string())),
    }
}

pub(super) fn log_to_stderr(filter: &str) -> Result<(), UsageError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        UsageError::new(format!("`{filter}` is no filter for the log: {error}"))
            .hint("use a level such as info, or target=level, such as codemode_host=debug")
    })?;
    let started = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(super::stderr_is_terminal())
        .try_init();
    started.map_err(|error| UsageError::new(format!("cannot log: {error}")))
}

/// Connections and tool calls need little; cells have threads of their own. One client is served best by one thread: with
/// more, each message is handed over between them, which took a nested call from 24 to 29 microseconds.
fn threads_for(listen: &Listen) -> tokio::runtime::Builder {
    match listen {
        Listen::Stdio => tokio::runtime::Builder::new_current_thread(),
        Listen::WebSocket(_) => {
            let threads = std::thread::available_parallelism().map_or(2, NonZero::get);
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads.clamp(2, 8));
            builder
        }
    }
}

/// The name under which the Codex CLI starts its host.
const DROP_IN_NAME: &str = "codex-code-mode-host";
