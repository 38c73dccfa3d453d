//! Servers that are child processes: one JSON message a line, on their standard input and output.

use std::{
    borrow::Cow,
    collections::VecDeque,
    future::Future,
    io,
    process::{Command, Stdio},
    sync::Arc,
};

use parking_lot::Mutex;
use rmcp::{
    ErrorData, RoleClient,
    model::{ErrorCode, RequestId, ServerJsonRpcMessage},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::oneshot,
};

use super::StdioConfig;
use crate::child::{Exit, ProcessGroup, signal_name};

/// A server's process, and those it started.
///
/// Dropping it kills all of them.
pub(super) struct Process {
    group: ProcessGroup,
    exit: Option<oneshot::Receiver<Exit>>,
    pub(super) notes: Arc<Notes>,
}

impl Process {
    /// Starts the process. Blocks while the system does.
    pub(super) fn start(config: &StdioConfig) -> Result<(Process, Pipes), String> {
        if let Some(cwd) = config.cwd.as_deref().filter(|cwd| !cwd.is_dir()) {
            return Err(format!("its folder {} is not there; change `cwd`", cwd.display()));
        }
        let mut command = Command::new(&config.command);
        command.args(&config.args);
        if !config.inherit_env {
            command.env_clear();
            let basics = std::env::vars_os().filter(|(name, _)| {
                name.to_str().is_some_and(|name| {
                    BASICS.contains(&name)
                        || BASIC_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                })
            });
            command.envs(basics);
        }
        command.envs(&config.env);
        if let Some(cwd) = &config.cwd {
            command.current_dir(cwd);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = ProcessGroup::start(&mut command)
            .map_err(|error| explain_start(&config.command, &error))?;
        let notes = Arc::new(Notes::default());
        let pipes = (|| {
            Some((
                ChildStdin::from_std(started.stdin?).ok()?,
                ChildStdout::from_std(started.stdout?).ok()?,
                ChildStderr::from_std(started.stderr?).ok()?,
            ))
        })();
        let Some((stdin, stdout, stderr)) = pipes else {
            return Err(String::from("its pipes could not be opened"));
        };
        tokio::spawn(keep_tail(stderr, Arc::clone(&notes)));
        let pipes = Pipes {
            stdin: Arc::new(tokio::sync::Mutex::new(Some(stdin))),
            stdout: BufReader::with_capacity(READ_BYTES, stdout),
            line: Vec::new(),
            notes: Arc::clone(&notes),
        };
        Ok((Process { group: started.group, exit: Some(started.exit), notes }, pipes))
    }

    /// Asks the processes to end, gives them a moment, and kills what is left.
    pub(super) async fn end(mut self) {
        self.group.terminate();
        if let Some(exit) = self.exit.take() {
            let _ = tokio::time::timeout(GRACE, exit).await;
        }
    }

    /// How the process ended, if it does within a moment, in words that follow "it".
    pub(super) async fn ending(&mut self) -> Option<String> {
        let exit = tokio::time::timeout(MOMENT, self.exit.as_mut()?).await.ok()?;
        self.exit = None;
        Some(match exit.ok()? {
            Exit::Code(code) => format!("exited with code {code}"),
            Exit::Signal(signal) => format!("was ended by {}", signal_name(signal)),
        })
    }
}

/// What a process said beside the protocol, and what was wrong with what it said.
#[derive(Debug, Default)]
pub(super) struct Notes {
    tail: Mutex<VecDeque<u8>>,
    fault: Mutex<Option<String>>,
}

impl Notes {
    /// The last lines that the process wrote to its standard error, bounded.
    pub(super) fn tail(&self) -> Option<String> {
        let bytes: Vec<u8> = self.tail.lock().iter().copied().collect();
        // It may be printed on a terminal, which must not do what a server says.
        let is_shown = |char: &char| !char.is_control() || matches!(char, '\n' | '\t');
        let text: String = String::from_utf8_lossy(&bytes).chars().filter(is_shown).collect();
        let lines: Vec<&str> =
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines.len().saturating_sub(TAIL_LINES);
        let shown = lines[last..].join("\n");
        (!shown.is_empty()).then_some(shown)
    }

    /// Why we stopped listening, if it was for what the process said.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    fn add(&self, bytes: &[u8]) {
        let mut tail = self.tail.lock();
        let bytes = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let excess = (tail.len() + bytes.len()).saturating_sub(TAIL_BYTES);
        tail.drain(..excess);
        tail.extend(bytes);
    }
}

/// The two pipes of a server.
pub(super) struct Pipes {
    stdin: Arc<tokio::sync::Mutex<Option<ChildStdin>>>,
    stdout: BufReader<ChildStdout>,
    /// What was read of a line.
    line: Vec<u8>,
    notes: Arc<Notes>,
}

impl Transport<RoleClient> for Pipes {
    type Error = io::Error;

    fn name() -> Cow<'static, str> {
        Cow::Borrowed("stdio")
    }

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let stdin = Arc::clone(&self.stdin);
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let mut stdin = stdin.lock().await;
            let stdin = stdin.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            stdin.write_all(&line).await?;
            stdin.flush().await
        }
    }

    /// Cancel safety: what was read of a line stays for the next call.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            self.read_line().await?;
            let message = read_message(&self.line);
            if message.is_none() {
                // Servers print here what was meant for their log.
                self.notes.add(&self.line);
            }
            self.line.clear();
            if message.is_some() {
                return message;
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        drop(self.stdin.lock().await.take());
        Ok(())
    }
}

impl Pipes {
    /// Reads until a line is whole. `None` at the end of the stream, and for a line that is too long.
    async fn read_line(&mut self) -> Option<()> {
        loop {
            let available = match self.stdout.fill_buf().await {
                Ok([]) => return None,
                Ok(available) => available,
                Err(error) => {
                    *self.notes.fault.lock() = Some(format!("its output cannot be read: {error}"));
                    return None;
                }
            };
            let end = memchr::memchr(b'\n', available);
            let take = end.map_or(available.len(), |end| end + 1);
            if self.line.len() + take > MAX_MESSAGE_BYTES {
                *self.notes.fault.lock() = Some(format!(
                    "it sent a message of more than {} MiB, the most that codemode takes",
                    MAX_MESSAGE_BYTES >> 20
                ));
                self.line = Vec::new();
                return None;
            }
            self.line.extend_from_slice(&available[..take]);
            self.stdout.consume(take);
            if end.is_some() {
                return Some(());
            }
        }
    }
}

/// The message in `line`. An answer that is no valid one is an error, so that who waits for it is told.
pub(super) fn read_message(line: &[u8]) -> Option<ServerJsonRpcMessage> {
    let error = match serde_json::from_slice::<ServerJsonRpcMessage>(line) {
        Ok(message) => return Some(message),
        Err(error) => error,
    };
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(line) else { return None };
    let is_answer = object.contains_key("result") || object.contains_key("error");
    let id = object.get("id").filter(|_| is_answer)?;
    let id: RequestId = serde_json::from_value(id.clone()).ok()?;
    let error = ErrorData::new(
        ErrorCode::PARSE_ERROR,
        format!("the answer is no message of the protocol: {error}"),
        None,
    );
    Some(ServerJsonRpcMessage::error(error, Some(id)))
}

/// Keeps the end of what a server writes to its standard error; the rest is dropped, so that the pipe is never full.
async fn keep_tail(mut stderr: ChildStderr, notes: Arc<Notes>) {
    let mut bytes = vec![0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
        notes.add(&bytes[..count]);
    }
}

fn explain_start(program: &str, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::NotFound if program.contains(char::is_whitespace) => {
            ". A `command` is the program alone; what follows it belongs in `args`"
        }
        io::ErrorKind::NotFound => {
            ". It is not installed, or not in PATH; give its whole path as `command`"
        }
        io::ErrorKind::PermissionDenied => ". It may have to be made executable",
        _ => "",
    };
    format!("cannot start {program:?}: {error}{hint}")
}

/// What a server's environment always has: what programs need to find themselves, their user and the network. Secrets
/// are named otherwise, and a server gets those that its configuration gives it.
const BASICS: &[&str] = &[
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
    "PYENV_ROOT",
    "NVM_DIR",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
];
const BASIC_PREFIXES: &[&str] = &["LC_", "XDG_"];

/// The longest message. Pictures come in them, as base64.
pub(super) const MAX_MESSAGE_BYTES: usize = 16 << 20;

const READ_BYTES: usize = 64 << 10;
const TAIL_BYTES: usize = 8 << 10;
const TAIL_LINES: usize = 10;

/// How long processes that were asked to end may take before they are killed.
const GRACE: std::time::Duration = std::time::Duration::from_millis(1500);

/// How long a process whose output has ended is given to tell how it ended itself.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(500);
