//! Which MCP servers there are, and what cells may do with them.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use codemode_host_protocol::identifier;
use globset::{Glob, GlobSet, GlobSetBuilder};
use url::Url;

pub use self::{
    error::{ConfigError, Fault},
    tools::{ToolRules, Treatment},
};

mod error;
mod expand;
mod raw;
mod tools;

/// The MCP servers whose tools cells may call.
///
/// Read from files of two formats: `codemode.toml`, which is ours, and the JSON with `mcpServers` in it that MCP
/// clients use. A configuration that exists is valid: each server has a name of its own, and a way to reach it.
#[derive(Clone, Debug, Default)]
pub struct Config {
    servers: BTreeMap<ServerName, ServerConfig>,
    /// How long a person has to answer when a call needs a yes; `None` for [`DEFAULT_APPROVAL_TIMEOUT`].
    approval_timeout: Option<Duration>,
    /// What needs no yes, whatever else says so: `SERVER.TOOL`.
    approved: GlobSet,
}

impl Config {
    /// Reads and joins `files`. A file whose name ends in `.toml` is a `codemode.toml`, any other is JSON.
    ///
    /// `${NAME}` and `${NAME:-default}` are replaced from this process's environment.
    ///
    /// # Errors
    /// With the file, the field and what to do, when a file cannot be read, does not say what it should, or when two
    /// servers would have the same name in a cell.
    pub fn load<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        let mut origins = BTreeMap::new();
        for file in files {
            let file = file.as_ref();
            let text = std::fs::read_to_string(file)
                .map_err(|error| ConfigError::new(file, Fault::Unreadable(error.to_string())))?;
            let part = Config::parse(file, &text, &|name| std::env::var(name).ok())?;
            config.approval_timeout = part.approval_timeout.or(config.approval_timeout);
            for (name, server) in part.servers {
                if let Some(other) = origins.insert(name.clone(), file.to_owned()) {
                    let fault = Fault::NamedTwice { server: name.to_string(), other };
                    return Err(ConfigError::new(file, fault));
                }
                config.add(server).map_err(|fault| ConfigError::new(file, fault))?;
            }
        }
        Ok(config)
    }

    /// Reads `text`, the content of `file`; `environment` gives the values of variables.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(
        file: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let raw = if file.extension().is_some_and(|extension| extension == "toml") {
            raw::from_toml(text)
        } else {
            raw::from_json(text)
        };
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        raw.and_then(|raw| raw.check(folder, environment))
            .map_err(|fault| ConfigError::new(file, fault))
    }

    /// Adds a server.
    ///
    /// # Errors
    /// [`Fault::NamesCollide`] when another server has the same name in a cell.
    pub fn add(&mut self, server: ServerConfig) -> Result<(), Fault> {
        let same = self.servers.keys().find(|other| {
            **other != server.name && identifier(other.as_str()) == identifier(server.name.as_str())
        });
        if let Some(other) = same {
            return Err(Fault::NamesCollide {
                server: server.name.to_string(),
                other: other.to_string(),
                identifier: identifier(other.as_str()),
            });
        }
        self.servers.insert(server.name.clone(), server);
        Ok(())
    }

    /// The same servers, each call of which may take this long.
    #[must_use]
    pub fn with_call_timeout(mut self, timeout: Duration) -> Config {
        for server in self.servers.values_mut() {
            server.call_timeout = timeout;
        }
        self
    }

    /// The same servers, with a yes given beforehand to the tools that `names` name: as `SERVER.TOOL` or `TOOL`, with
    /// `*` for anything, or `all`.
    ///
    /// # Errors
    /// [`Fault::Field`] for a name that is no glob.
    pub fn with_approved(mut self, names: &[String]) -> Result<Config, Fault> {
        let mut approved = GlobSetBuilder::new();
        for name in names {
            let wrong = |error: globset::Error| {
                Fault::field(
                    name.as_str(),
                    format!("{error}; name a tool as SERVER.TOOL, or say all"),
                )
            };
            let glob = if name == "all" { "*" } else { name };
            approved.add(Glob::new(glob).map_err(wrong)?);
            if !glob.contains('.') {
                approved.add(Glob::new(&format!("*.{glob}")).map_err(wrong)?);
            }
        }
        let wrong = |error: globset::Error| Fault::field("approved", error.to_string());
        self.approved = approved.build().map_err(wrong)?;
        Ok(self)
    }

    /// Whether a yes was given beforehand.
    pub(super) fn approves(&self, server: &str, tool: &str) -> bool {
        self.approved.is_match(format!("{server}.{tool}"))
    }

    /// The servers, in the order of their names.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = &ServerConfig> {
        self.servers.values()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// How long a person has to answer when a call needs a yes.
    pub fn approval_timeout(&self) -> Duration {
        self.approval_timeout.unwrap_or(DEFAULT_APPROVAL_TIMEOUT)
    }
}

/// One MCP server: how to reach it, and which of its tools cells see.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Its name: the `server` in `mcp__server__tool` and `tools.server.tool`.
    pub name: ServerName,
    /// How to reach it.
    pub transport: Transport,
    /// Which of its tools cells see, and which of those need a yes.
    pub tools: ToolRules,
    /// How long it may take to start and to tell its tools.
    pub start_timeout: Duration,
    /// How long a call may take without a sign of progress.
    pub call_timeout: Duration,
}

impl ServerConfig {
    /// A server with the default limits, all of whose tools cells see.
    pub fn new(name: ServerName, transport: Transport) -> ServerConfig {
        ServerConfig {
            name,
            transport,
            tools: ToolRules::default(),
            start_timeout: DEFAULT_START_TIMEOUT,
            call_timeout: DEFAULT_CALL_TIMEOUT,
        }
    }
}

/// The name of a server: not blank, at most 64 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(String);

impl ServerName {
    /// Takes a name.
    ///
    /// # Errors
    /// [`Fault::BadName`] for a name that is blank, too long, or has control characters.
    pub fn new(name: impl Into<String>) -> Result<ServerName, Fault> {
        let name = name.into();
        let too_long = name.chars().count() > MAX_NAME_CHARS;
        if name.trim().is_empty() || too_long || name.contains(char::is_control) {
            return Err(Fault::BadName(name));
        }
        Ok(ServerName(name))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How to reach a server.
#[derive(Clone, Debug)]
pub enum Transport {
    /// A child process that speaks on its standard input and output.
    Stdio(StdioConfig),
    /// Streamable HTTP.
    Http(HttpConfig),
    /// Something that codemode does not speak; says why. The server is listed as failed.
    Unsupported(String),
}

/// A child process.
#[derive(Clone, PartialEq, Eq)]
pub struct StdioConfig {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What its environment has beside the basics (see [`crate::mcp`]), or instead of them.
    pub env: BTreeMap<String, String>,
    /// Whether it gets the whole environment of this process.
    pub inherit_env: bool,
    /// Where it starts; where this process is if absent.
    pub cwd: Option<PathBuf>,
}

impl fmt::Debug for StdioConfig {
    /// Without the values of its environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioConfig")
            .field("command", &self.command)
            .field("args", &self.args)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("inherit_env", &self.inherit_env)
            .field("cwd", &self.cwd)
            .finish()
    }
}

/// A server at a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where it is: `https`, or `http`.
    pub url: Url,
    /// Headers of each request.
    pub headers: BTreeMap<String, String>,
    /// Sent as `Authorization: Bearer …`.
    pub bearer_token: Option<String>,
    /// How `codemode login` asks for a token.
    pub oauth: OauthConfig,
}

impl fmt::Debug for HttpConfig {
    /// Without headers' values and the token, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("url", &self.url.as_str())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("bearer_token", &self.bearer_token.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

/// How to ask for a token by OAuth 2.1, where the server wants one and the configuration has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OauthConfig {
    /// The client that the authorization server knows us as; absent where it registers clients itself.
    pub client_id: Option<String>,
    /// What to ask for; what the server says that it needs if empty.
    pub scopes: Vec<String>,
    /// The folder in which tokens are kept; without one none are kept, or found.
    pub tokens: Option<PathBuf>,
}

/// How long a server may take to start if the configuration does not say. `npx` may have to download it first.
pub const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a call may take without a sign of progress if the configuration does not say.
pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a person has to answer if the configuration does not say.
pub const DEFAULT_APPROVAL_TIMEOUT: Duration = Duration::from_secs(300);

const MAX_NAME_CHARS: usize = 64;

#[cfg(test)]
mod tests;
