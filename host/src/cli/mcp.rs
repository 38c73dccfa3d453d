//! `codemode mcp`: code mode for MCP clients.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{
    UsageError,
    budgets::{self, BudgetArguments},
    exit,
    host::log_to_stderr,
    isolation::IsolationKind,
    report,
    servers::ServerArguments,
    tool_timeout, units,
};
use crate::{
    HostOptions, ServeError,
    mcp::serve::{
        DEFAULT_DECLARATION_TOKENS, HttpOptions, McpOptions, Toolbox, serve_mcp_http,
        serve_mcp_stdio,
    },
    workspace::{Permissions, Workspace},
};

/// Give any MCP client code mode over its MCP servers
///
/// The client's model sees two tools: exec runs a cell that calls all the others, wait goes on waiting for one
/// that has not ended. Tools are those of the MCP servers in --mcp-config, which is the mcpServers JSON that clients
/// have already, or codemode.toml; and with --workspace those of a folder.
///
/// On stdio there is one client, which started this process. With --http there are any number, and the URL is
/// printed.
///
///   Claude Code:  claude mcp add codemode -- codemode mcp --mcp-config ~/servers.json
///   Codex:        codex mcp add codemode -- codemode mcp --mcp-config ~/servers.json
///   Cursor:       {"mcpServers": {"codemode": {"command": "codemode", "args": ["mcp", "--mcp-config", "…"]}}}
///
/// Exit codes: 0 the client left, or all was shut down; 1 the connection broke; 2 bad usage, or it cannot listen;
/// 143 stopped.
#[derive(Debug, Args)]
#[command(after_long_help = budgets::host_help(), verbatim_doc_comment)]
pub(super) struct McpArguments {
    #[command(flatten)]
    servers: ServerArguments,

    /// Let cells read this folder, with tools of our own; they reach nothing outside of it
    #[arg(long, value_name = "DIR", help_heading = "Tools")]
    workspace: Option<PathBuf>,

    /// Let tools create, change, move and delete files in the workspace
    #[arg(long, requires = "workspace", help_heading = "Tools")]
    write: bool,

    /// Let tools run commands, which can do all that you can
    #[arg(long, requires = "workspace", help_heading = "Tools")]
    allow_exec: bool,

    /// Cancel each tool call that takes longer than this
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = "Tools")]
    tool_timeout: Option<Duration>,

    /// How many tokens the declarations of tools may take in exec's description; cells find the others
    #[arg(long, value_name = "TOKENS", default_value_t = DEFAULT_DECLARATION_TOKENS, help_heading = "Tools")]
    declaration_tokens: usize,

    /// Serve Streamable HTTP here instead of stdio, such as 127.0.0.1:7070; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address, help_heading = "Clients")]
    http: Option<SocketAddr>,

    /// What HTTP clients must show; needed on every address but loopback
    #[arg(
        long,
        value_name = "TOKEN",
        env = "CODEMODE_TOKEN",
        hide_env_values = true,
        help_heading = "Clients"
    )]
    token: Option<String>,

    /// Let web pages of this origin connect, such as https://example.org; may be repeated
    #[arg(long, value_name = "ORIGIN", requires = "http", help_heading = "Clients")]
    allow_origin: Vec<String>,

    /// How long a wait for output or completion lasts that does not say; less than what the client gives a tool
    #[arg(
        long,
        value_name = "TIME",
        value_parser = units::duration,
        default_value = DEFAULT_WAIT,
        help_heading = "Clients"
    )]
    wait_time: Duration,

    /// What keeps cells from this process, and sessions from each other
    #[arg(long, value_enum, value_name = "HOW", default_value_t = IsolationKind::OF_HOST, help_heading = "Limits")]
    isolation: IsolationKind,

    #[command(flatten)]
    budgets: BudgetArguments,

    /// What to log to stderr: off, error, warn, info, debug, trace, or a filter such as codemode_host=debug
    #[arg(long, value_name = "FILTER", default_value = "warn,rmcp=off")]
    log: String,
}

pub(super) fn run(arguments: McpArguments) -> Result<u8, UsageError> {
    log_to_stderr(&arguments.log)?;
    let toolbox = arguments.toolbox()?;
    let mut host =
        HostOptions { isolation: arguments.isolation.isolation(), ..HostOptions::default() };
    arguments.budgets.apply_to_host(&mut host);
    let options = McpOptions {
        host,
        toolbox,
        wait_time: arguments.wait_time,
        declaration_tokens: arguments.declaration_tokens,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| UsageError::new(format!("cannot start the runtime: {error}")))?;
    let served = runtime.block_on(async {
        match arguments.http {
            None => serve_mcp_stdio(options).await,
            Some(address) => {
                let http = HttpOptions {
                    address,
                    token: arguments.token,
                    allowed_origins: arguments.allow_origin,
                };
                serve_mcp_http(options, http, |url| {
                    let mut stdout = std::io::stdout().lock();
                    // Whoever does not read it knows the address.
                    let _ = writeln!(stdout, "listening on {url}").and_then(|()| stdout.flush());
                })
                .await
            }
        }
    });
    // Not waited for: a read of a terminal ends when somebody types, a cell in one long built-in when it is done.
    runtime.shutdown_background();
    match served {
        Ok(()) => Ok(exit::OK),
        Err(error @ ServeError::Mcp(_)) => {
            report::error(&error.to_string());
            Ok(exit::FAILED)
        }
        Err(ServeError::Stopped) => Ok(exit::TERMINATED),
        Err(error) => Err(UsageError::new(error.to_string())),
    }
}

impl McpArguments {
    fn toolbox(&self) -> Result<Toolbox, UsageError> {
        if self.servers.is_empty() && self.workspace.is_none() {
            return Err(UsageError::new("there are no tools for cells to call").hint(
                "name your client's list of MCP servers with --mcp-config FILE, or a folder with --workspace DIR",
            ));
        }
        let mut toolbox = Toolbox::empty();
        if let Some(folder) = &self.workspace {
            let permissions = Permissions { write: self.write, exec: self.allow_exec };
            let workspace = Workspace::open(folder, permissions).map_err(|error| {
                UsageError::new(error.to_string())
                    .hint("name an existing folder with --workspace DIR")
            })?;
            let definitions = workspace.definitions();
            let runtime = tool_timeout::limit(workspace, self.tool_timeout);
            toolbox = toolbox.with_tools(definitions, runtime);
        }
        if !self.servers.is_empty() {
            toolbox = toolbox.with_servers(self.servers.load(self.tool_timeout)?);
        }
        Ok(toolbox)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    address
        .parse()
        .map_err(|_| format!("`{text}` is not ADDRESS:PORT; write it like 127.0.0.1:7070"))
}

/// As `McpOptions` has it.
const DEFAULT_WAIT: &str = "50s";
