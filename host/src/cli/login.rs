//! `codemode login`: a token for an MCP server, by way of the browser.

use clap::Args;

use super::{UsageError, event_loop, exit, report, servers::ServerArguments};
use crate::mcp::{LoginError, Transport, log_in};

/// Log in at an MCP server that wants to know who asks
///
/// Prints an address to open in a browser, and waits until you come back from it. The token is kept in
/// ~/.local/share/codemode/mcp-tokens, readable to you alone, for every codemode that uses this server.
///
/// Exit codes: 0 there is a token, 1 there is none, 2 bad usage.
#[derive(Debug, Args)]
pub(super) struct LoginArguments {
    /// The server's name in the configuration
    server: String,

    #[command(flatten)]
    servers: ServerArguments,
}

pub(super) fn run(arguments: &LoginArguments) -> Result<u8, UsageError> {
    let config = arguments.servers.load(None)?;
    let names: Vec<&str> = config.servers().map(|server| server.name.as_str()).collect();
    let Some(server) = config.servers().find(|server| server.name.as_str() == arguments.server)
    else {
        let error = UsageError::new(format!("there is no MCP server {}", arguments.server));
        return Err(error.hint(match names[..] {
            [] => String::from("name the file that has it with --mcp-config FILE"),
            _ => format!("there are {}", names.join(", ")),
        }));
    };
    let Transport::Http(http) = &server.transport else {
        return Err(UsageError::new(format!("the MCP server {} is not at a URL", server.name))
            .hint("only servers at a URL have logins; others take secrets from `env`"));
    };
    let show = |url: &str| {
        report::note("open this in your browser, and come back here:");
        report::line(url);
    };
    match event_loop()?.block_on(log_in(http, show)) {
        Ok(()) => {
            report::note(&format!("logged in at {}", server.name));
            Ok(exit::OK)
        }
        Err(error @ (LoginError::NotNeeded | LoginError::NoFolder)) => {
            Err(UsageError::new(error.to_string()))
        }
        Err(error) => {
            report::error(&error.to_string());
            Ok(exit::FAILED)
        }
    }
}
