//! The files as they are written, and what makes a configuration of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use url::Url;

use super::{
    Config, DEFAULT_CALL_TIMEOUT, DEFAULT_START_TIMEOUT, Fault, HttpConfig, OauthConfig,
    ServerConfig, ServerName, StdioConfig, ToolRules, Transport, expand::expand,
};

/// A file's content, not checked yet.
pub(super) struct RawConfig {
    /// The name of the table that has the servers, for errors.
    table: &'static str,
    servers: BTreeMap<String, RawServer>,
    approval_timeout: Option<String>,
    /// Whether a relative `cwd` is relative to the file.
    relative_to_file: bool,
}

/// `codemode.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlFile {
    #[serde(default)]
    servers: BTreeMap<String, RawServer>,
    approval_timeout: Option<String>,
}

/// The JSON of MCP clients. What we do not know is for somebody else.
#[derive(Deserialize)]
struct JsonFile {
    #[serde(rename = "mcpServers")]
    mcp_servers: Option<BTreeMap<String, JsonServer>>,
    /// As one editor calls it.
    servers: Option<BTreeMap<String, JsonServer>>,
}

/// One server, as `codemode.toml` has it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with the server's `command` or `url`")]
struct RawServer {
    /// Of JSON alone: what `type` says.
    #[serde(skip)]
    kind: Option<String>,
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    inherit_env: bool,
    cwd: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    bearer_token_env: Option<String>,
    oauth_client_id: Option<String>,
    #[serde(default)]
    oauth_scopes: Vec<String>,
    #[serde(default)]
    disabled: bool,
    allow: Option<Vec<String>>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    approve: Vec<String>,
    #[serde(default)]
    trust: Vec<String>,
    approve_destructive: Option<bool>,
    start_timeout: Option<String>,
    call_timeout: Option<String>,
}

/// What is ours alone, in an object `codemode` of a server in JSON.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with what is codemode's own, such as `deny`")]
struct Ours {
    allow: Option<Vec<String>>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    approve: Vec<String>,
    #[serde(default)]
    trust: Vec<String>,
    approve_destructive: Option<bool>,
    start_timeout: Option<String>,
    call_timeout: Option<String>,
}

/// One server in the JSON of MCP clients.
#[derive(Deserialize)]
#[serde(expecting = "an object with the server's `command` or `url`")]
struct JsonServer {
    #[serde(rename = "type")]
    kind: Option<String>,
    command: Option<String>,
    args: Option<Vec<String>>,
    env: Option<BTreeMap<String, serde_json::Value>>,
    cwd: Option<String>,
    #[serde(alias = "serverUrl", alias = "httpUrl")]
    url: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    codemode: Ours,
}

pub(super) fn from_toml(text: &str) -> Result<RawConfig, Fault> {
    let file: TomlFile = toml::from_str(text).map_err(|error| {
        let problem = plainly(error.to_string().trim());
        Fault::Syntax(match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => format!("is JSON, with the name of a TOML file; name it .json\n{problem}"),
            Err(_) => problem,
        })
    })?;
    Ok(RawConfig {
        table: "servers",
        servers: file.servers,
        approval_timeout: file.approval_timeout,
        relative_to_file: true,
    })
}

pub(super) fn from_json(text: &str) -> Result<RawConfig, Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let file: JsonFile = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        match error.into_inner() {
            inner if inner.is_data() && field != "." => {
                Fault::field(field, plainly(&inner.to_string()))
            }
            inner => Fault::Syntax(match toml::from_str::<toml::Table>(text) {
                Ok(table) if !table.is_empty() => {
                    String::from("is TOML, with the name of another file; name it .toml")
                }
                _ => format!("is no JSON of MCP servers: {inner}"),
            }),
        }
    })?;
    deserializer
        .end()
        .map_err(|error| Fault::Syntax(format!("has more than one value: {error}")))?;
    let (table, servers) = match (file.mcp_servers, file.servers) {
        (Some(servers), _) => ("mcpServers", servers),
        (None, Some(servers)) => ("servers", servers),
        (None, None) => return Err(Fault::NoServers),
    };
    let servers = servers
        .into_iter()
        .map(|(name, server)| {
            let server = server.plain().map_err(|(field, problem)| {
                Fault::field(format!("{table}.{name}.{field}"), problem)
            })?;
            Ok((name, server))
        })
        .collect::<Result<_, Fault>>()?;
    Ok(RawConfig { table, servers, approval_timeout: None, relative_to_file: false })
}

impl JsonServer {
    fn plain(self) -> Result<RawServer, (String, String)> {
        let mut env = BTreeMap::new();
        for (name, value) in self.env.into_iter().flatten() {
            let value = match value {
                serde_json::Value::String(text) => text,
                // Clients take these as well.
                value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                    value.to_string()
                }
                _ => {
                    return Err((format!("env.{name}"), String::from("must be a string")));
                }
            };
            env.insert(name, value);
        }
        let ours = self.codemode;
        Ok(RawServer {
            kind: self.kind,
            command: self.command,
            args: self.args.unwrap_or_default(),
            env,
            cwd: self.cwd,
            url: self.url,
            headers: self.headers.unwrap_or_default(),
            disabled: self.disabled,
            allow: ours.allow,
            deny: ours.deny,
            approve: ours.approve,
            trust: ours.trust,
            approve_destructive: ours.approve_destructive,
            start_timeout: ours.start_timeout,
            call_timeout: ours.call_timeout,
            ..RawServer::default()
        })
    }
}

impl RawConfig {
    pub(super) fn check(
        self,
        folder: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Fault> {
        let mut config = Config::default();
        if let Some(text) = &self.approval_timeout {
            let timeout =
                duration(text).map_err(|error| Fault::field("approval_timeout", error))?;
            config.approval_timeout = Some(timeout);
        }
        let base = self.relative_to_file.then_some(folder);
        for (name, server) in self.servers {
            if server.disabled {
                continue;
            }
            let field = format!("{}.{name}", self.table);
            let name = ServerName::new(name)?;
            let server = server.check(name, base, environment).map_err(|(part, problem)| {
                let dot = if part.is_empty() { "" } else { "." };
                Fault::field(format!("{field}{dot}{part}"), problem)
            })?;
            config.add(server)?;
        }
        Ok(config)
    }
}

/// The part of a server's table, and what is wrong with it.
type Wrong = (String, String);

impl RawServer {
    fn check(
        self,
        name: ServerName,
        base: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ServerConfig, Wrong> {
        let expand = |field: &str, text: &str| {
            expand(text, environment).map_err(|problem| (field.to_owned(), problem))
        };
        let transport = match (&self.command, &self.url) {
            (Some(_), Some(_)) => {
                return Err(wrong("", "has both `command` and `url`; a server is reached one way"));
            }
            (None, None) => {
                return Err(wrong(
                    "",
                    "has neither `command` nor `url`: name a program to start, or where the server is",
                ));
            }
            (Some(command), None) => {
                self.must_not_have("command", &[("headers", self.headers.is_empty())])?;
                let command = expand("command", command)?;
                if command.trim().is_empty() {
                    return Err(wrong("command", "is empty; name the program to start"));
                }
                let args = self
                    .args
                    .iter()
                    .enumerate()
                    .map(|(index, arg)| expand(&format!("args[{index}]"), arg))
                    .collect::<Result<_, _>>()?;
                let cwd = self.cwd.as_deref().map(|cwd| expand("cwd", cwd)).transpose()?;
                Transport::Stdio(StdioConfig {
                    command,
                    args,
                    env: expand_all("env", &self.env, environment)?,
                    inherit_env: self.inherit_env,
                    cwd: cwd.map(|cwd| {
                        base.map_or_else(|| PathBuf::from(&cwd), |base| base.join(&cwd))
                    }),
                })
            }
            (None, Some(url)) => {
                self.must_not_have(
                    "url",
                    &[
                        ("args", self.args.is_empty()),
                        ("env", self.env.is_empty()),
                        ("cwd", self.cwd.is_none()),
                    ],
                )?;
                if self.kind.as_deref() == Some("sse") {
                    Transport::Unsupported(String::from(
                        "its type is sse, the transport that MCP gave up in 2025: give the server's Streamable HTTP \
                         address, with \"type\": \"http\"",
                    ))
                } else {
                    Transport::Http(self.http(&expand("url", url)?, environment)?)
                }
            }
        };
        let tools = ToolRules::new(
            self.allow,
            self.deny,
            self.approve,
            self.trust,
            self.approve_destructive.unwrap_or(true),
        )
        .map_err(|(list, problem)| (list.to_owned(), problem))?;
        let timeout = |field: &str, text: Option<String>, default| match text {
            Some(text) => duration(&text).map_err(|error| (field.to_owned(), error)),
            None => Ok(default),
        };
        Ok(ServerConfig {
            name,
            transport,
            tools,
            start_timeout: timeout("start_timeout", self.start_timeout, DEFAULT_START_TIMEOUT)?,
            call_timeout: timeout("call_timeout", self.call_timeout, DEFAULT_CALL_TIMEOUT)?,
        })
    }

    fn http(
        &self,
        url: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<HttpConfig, Wrong> {
        let parsed = Url::parse(url)
            .ok()
            .filter(|parsed| matches!(parsed.scheme(), "http" | "https") && parsed.has_host());
        let Some(parsed) = parsed else {
            return Err(wrong(
                "url",
                &format!("is {url:?}, and must be an address such as https://example.com/mcp"),
            ));
        };
        let headers = expand_all("headers", &self.headers, environment)?;
        for (name, value) in &headers {
            let is_token = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
            if !is_token || value.contains(|char: char| char.is_control() || !char.is_ascii()) {
                return Err(wrong(&format!("headers.{name}"), "is no valid HTTP header"));
            }
        }
        let bearer_token = match &self.bearer_token_env {
            None => None,
            Some(name) => {
                Some(environment(name).filter(|token| !token.is_empty()).ok_or_else(|| {
                    wrong(
                        "bearer_token_env",
                        &format!("the environment variable {name} is not set; put the token there"),
                    )
                })?)
            }
        };
        let oauth = OauthConfig {
            client_id: self.oauth_client_id.clone(),
            scopes: self.oauth_scopes.clone(),
            tokens: token_folder(environment),
        };
        Ok(HttpConfig { url: parsed, headers, bearer_token, oauth })
    }

    fn must_not_have(&self, with: &str, absent: &[(&str, bool)]) -> Result<(), Wrong> {
        match absent.iter().find(|(_, is_absent)| !is_absent) {
            Some((field, _)) => {
                Err(wrong(field, &format!("means nothing beside `{with}`; remove one")))
            }
            None => Ok(()),
        }
    }
}

/// Where tokens are kept: with what else programs keep for their user.
fn token_folder(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let data = match environment("XDG_DATA_HOME").filter(|data| Path::new(data).is_absolute()) {
        Some(data) => PathBuf::from(data),
        None => {
            Path::new(&environment("HOME").filter(|home| !home.is_empty())?).join(".local/share")
        }
    };
    Some(data.join("codemode").join("mcp-tokens"))
}

fn expand_all(
    table: &str,
    values: &BTreeMap<String, String>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, Wrong> {
    values
        .iter()
        .map(|(name, value)| match expand(value, environment) {
            Ok(value) => Ok((name.clone(), value)),
            Err(problem) => Err((format!("{table}.{name}"), problem)),
        })
        .collect()
}

/// A problem with a type in the words of who writes such files.
fn plainly(problem: &str) -> String {
    let (before, problem) = match problem.rfind("invalid type: ") {
        Some(at) => problem.split_at(at),
        None => return problem.to_owned(),
    };
    let (found, expected) = problem.split_once(", expected ").unwrap_or((problem, ""));
    let found = match found {
        "invalid type: sequence" => "is a list",
        "invalid type: map" => "is a table or object",
        found => &found.replacen("invalid type: ", "is the ", 1),
    };
    let expected = expected.replacen("a sequence", "a list, such as [\"a\", \"b\"]", 1).replacen(
        "a map",
        "a table or object, such as {\"name\": …}",
        1,
    );
    format!("{before}{found}, and must be {expected}")
}

fn wrong(field: &str, problem: &str) -> Wrong {
    (field.to_owned(), problem.to_owned())
}

/// `500ms`, `30s`, `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err(String::from("must be longer than nothing")),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it like \"500ms\", \"30s\" or \"2m\"")),
    }
}
