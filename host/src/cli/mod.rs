//! The command line: `codemode run`, `codemode tools`, `codemode host`, `codemode mcp`, `codemode doctor`.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    declarations,
    mcp::{Manager, ManagerOptions},
    workspace::{Permissions, Workspace},
};

mod approve;
mod budgets;
#[cfg(target_os = "linux")]
mod doctor;
mod host;
mod isolation;
mod login;
mod mcp;
mod media;
mod printer;
mod progress;
mod report;
mod run;
mod servers;
mod terminal;
mod tool_timeout;
mod units;

/// Runs the command line of this process. Prints what went wrong, and returns the exit code.
pub fn main() -> ExitCode {
    if host::is_drop_in() {
        return finish(host::run_drop_in());
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Of a closed stdout or stderr there is nobody left to tell.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    let result = match arguments.command {
        Command::Run(run) => run::run(run),
        Command::Host(host) => host::run(host),
        Command::Mcp(mcp) => mcp::run(mcp),
        Command::Tools(tools) => print_tools(&tools),
        Command::Login(login) => login::run(&login),
        #[cfg(target_os = "linux")]
        Command::Doctor(doctor) => doctor::run(&doctor),
        #[cfg(target_os = "linux")]
        Command::Worker => codemode_runtime_js::process::run_worker(),
    };
    finish(result)
}

fn finish(result: Result<u8, UsageError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print();
            ExitCode::from(exit::USAGE)
        }
    }
}

/// Run a model's code: cells of JavaScript or TypeScript that call tools.
#[derive(Debug, Parser)]
#[command(name = "codemode", version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The arguments of each are described to clap when it is the one that was asked for: those of all take a quarter of a millisecond
/// of each start.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Run one cell of JavaScript or TypeScript to its end
    Run(run::RunArguments),
    /// Run sessions for other programs, on stdio or over WebSocket
    Host(host::HostArguments),
    /// Give any MCP client code mode over its MCP servers
    Mcp(mcp::McpArguments),
    /// Print the tools that a cell would have, as TypeScript declarations
    Tools(ToolsArguments),
    /// Log in at an MCP server that wants to know who asks
    Login(login::LoginArguments),
    /// Check the sandbox of this machine by trying to get out of it
    #[cfg(target_os = "linux")]
    Doctor(doctor::DoctorArguments),
    /// Run cells for the process that started this one
    #[cfg(target_os = "linux")]
    #[command(name = isolation::WORKER, hide = true)]
    Worker,
}

/// Print the tools that a cell would have, as TypeScript declarations
#[derive(Debug, Args)]
struct ToolsArguments {
    #[command(flatten)]
    workspace: WorkspaceArguments,

    #[command(flatten)]
    servers: servers::ServerArguments,

    /// Print the definitions as one JSON array instead
    #[arg(long, conflicts_with = "globals")]
    json: bool,

    /// Print the declarations of a cell's other globals first: text, store, search_tools, …
    #[arg(long)]
    globals: bool,
}

/// The folder that a cell's tools work on, and what they may do there.
#[derive(Clone, Debug, Args)]
struct WorkspaceArguments {
    /// The folder that the tools read; they reach nothing outside of it
    #[arg(long, value_name = "DIR", default_value = ".", help_heading = "Workspace")]
    workspace: PathBuf,

    /// Let tools create, change, move and delete files in the workspace
    #[arg(long, help_heading = "Workspace")]
    write: bool,

    /// Let tools run commands, which can do all that you can
    #[arg(long, help_heading = "Workspace")]
    allow_exec: bool,
}

impl WorkspaceArguments {
    fn open(&self) -> Result<Workspace, UsageError> {
        let permissions = Permissions { write: self.write, exec: self.allow_exec };
        Workspace::open(&self.workspace, permissions).map_err(|error| UsageError {
            message: error.to_string(),
            hint: Some("name an existing folder with --workspace DIR".into()),
        })
    }
}

fn print_tools(arguments: &ToolsArguments) -> Result<u8, UsageError> {
    let mut definitions = arguments.workspace.open()?.definitions();
    let config = arguments.servers.load(None)?;
    if !config.is_empty() {
        let tools = event_loop()?.block_on(async {
            let manager = Manager::start(config, ManagerOptions::default());
            let tools = servers::ready(&manager, &definitions).await.tools;
            manager.shutdown().await;
            tools
        });
        definitions.extend(tools);
    }
    let text = if arguments.json {
        serde_json::to_string_pretty(&definitions)
            .unwrap_or_else(|error| format!("the definitions are no JSON: {error}"))
    } else {
        let globals = if arguments.globals { declarations::GLOBALS } else { "" };
        format!("{globals}{}", declarations::render(&definitions))
    };
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush());
    Ok(if written.is_ok() { exit::OK } else { exit::BROKEN_PIPE })
}

/// What was asked for cannot be done as it was asked: exit code 2.
#[derive(Debug)]
struct UsageError {
    message: String,
    hint: Option<String>,
}

impl UsageError {
    fn new(message: impl Into<String>) -> UsageError {
        UsageError { message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> UsageError {
        UsageError { hint: Some(hint.into()), ..self }
    }

    fn print(&self) {
        report::error(&self.message);
        if let Some(hint) = &self.hint {
            report::hint(hint);
        }
    }
}

/// A tokio runtime on this thread.
fn event_loop() -> Result<tokio::runtime::Runtime, UsageError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| UsageError::new(format!("the event loop cannot start: {error}")))
}

fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Exit codes, as the manual has them.
mod exit {
    pub(super) const OK: u8 = 0;
    /// The cell failed.
    pub(super) const FAILED: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    /// As `timeout(1)` has it.
    pub(super) const TIME_LIMIT: u8 = 124;
    /// 128 and the number of SIGINT.
    pub(super) const INTERRUPTED: u8 = 130;
    /// 128 and the number of SIGPIPE.
    pub(super) const BROKEN_PIPE: u8 = 141;
    /// 128 and the number of SIGTERM.
    pub(super) const TERMINATED: u8 = 143;
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Arguments;

    /// What the list of commands says comes from here, and what a command says of itself from its arguments.
    #[test]
    fn commands_are_listed_with_what_they_say_of_themselves() {
        let listed = Arguments::command();
        let mut described = listed.clone();
        described.build();
        for command in listed.get_subcommands() {
            let own = described.find_subcommand(command.get_name());
            let own = own.and_then(|own| own.get_about()).map(ToString::to_string);
            assert_eq!(command.get_about().map(ToString::to_string), own, "{}", command.get_name());
            assert!(own.is_some(), "{}", command.get_name());
        }
    }
}
