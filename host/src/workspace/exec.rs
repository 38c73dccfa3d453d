//! `exec_command`: running a program, with its output as it comes.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    num::{NonZeroU64, NonZeroUsize},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use cap_std::fs::Dir;
use codemode_host_protocol::{CellId, Json, ToolFailure, ToolInvocation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{ChildStderr, ChildStdin, ChildStdout},
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    Outcome, Shared,
    arguments::{Arguments, OneOrMany},
    cancel::CancelOnDrop,
    folder::{Folder, WorkspacePath, shorten},
    internal,
};
use crate::child::{Exit, GRACE, ProcessGroup, Started, signal_name};

/// What a command printed, told while it runs.
#[derive(Clone, Copy, Debug)]
pub struct OutputChunk<'a> {
    /// The cell whose call started the command.
    pub cell_id: &'a CellId,
    /// The call, unique within its cell.
    pub call_id: &'a str,
    /// Where it was printed.
    pub stream: OutputStream,
    /// What was printed. A character may be split between two chunks.
    pub bytes: &'a [u8],
}

/// One of a command's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Told of each chunk, on a thread of the async runtime, before more is read: it must not block.
pub type OutputObserver = Arc<dyn Fn(OutputChunk<'_>) + Send + Sync>;

pub(super) const DESCRIPTION: &str = "Runs a command and gives its exit code and output. A string is run by the \
    shell (/bin/sh), an array is a program and its arguments, taken as they are. An exit code other than 0 is no \
    error of the call: look at exit_code. The command starts in the workspace but is not confined to it. Its input \
    is empty unless `stdin` is given. When it ends, all that it left running in the background ends with it.";

/// What `exec_command` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecCommand {
    /// A line for the shell, or a program and its arguments.
    command: OneOrMany,
    /// The folder to run in, relative to the workspace; the workspace itself by default.
    cwd: Option<String>,
    /// Environment variables to set beside those that codemode itself was started with.
    env: Option<BTreeMap<String, String>>,
    /// Text that the command reads as its input.
    stdin: Option<String>,
    /// Milliseconds after which the command is ended: 120000 by default.
    timeout_ms: Option<NonZeroU64>,
    /// How many bytes to give of stdout and of stderr each: 256 KiB by default, 16 MiB at most. Of more, the
    /// beginning and the end are given.
    #[schemars(range(min = 1, max = 16_777_216))]
    max_output_bytes: Option<NonZeroUsize>,
}

impl Arguments for ExecCommand {
    const TOOL: &'static str = "exec_command";
    const EXAMPLE: &'static str = r#"exec_command({ command: "cargo test", timeout_ms: 600000 })"#;
}

/// What `exec_command` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CommandResult {
    /// 0 means success; null if a signal ended the command.
    exit_code: Option<i32>,
    /// The signal that ended the command, such as "SIGKILL".
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    stdout: String,
    stderr: String,
    /// Whether the middle of stdout or stderr was left out.
    truncated: bool,
    /// Whether the command was ended because its time was up.
    timed_out: bool,
    duration_ms: u64,
    /// What else is worth knowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Cancel safety: dropping the future asks all processes of the command's group to end and kills those that
/// have not after [`GRACE`], at once if the async runtime ends meanwhile. Processes that put themselves
/// into another session (`setsid`, daemons) are out of reach.
pub(super) async fn exec_command(shared: Arc<Shared>, call: ToolInvocation) -> Outcome<Json> {
    let arguments = ExecCommand::parse(call.input.as_ref())?;
    let timeout =
        Duration::from_millis(arguments.timeout_ms.map_or(DEFAULT_TIMEOUT_MS, NonZeroU64::get));
    let limit =
        arguments.max_output_bytes.map_or(DEFAULT_OUTPUT, NonZeroUsize::get).min(MAX_OUTPUT);
    let _permit = shared.commands.acquire().await.map_err(internal)?;
    let begun = Instant::now();
    let folder = shared.folder.clone();
    // If the call is dropped now, the command is not started, or dropped at once, with its group.
    let guard = CancelOnDrop::new();
    let cancel = guard.cancel();
    let (started, stdin) = tokio::task::spawn_blocking(move || {
        cancel.check()?;
        start(&folder, &arguments).map(|started| (started, arguments.stdin))
    })
    .await
    .map_err(internal)??;
    let observe = |stream, bytes: &[u8]| {
        if let Some(observer) = &shared.observer {
            observer(OutputChunk {
                cell_id: &call.cell_id,
                call_id: &call.runtime_tool_call_id,
                stream,
                bytes,
            });
        }
    };
    let mut running = Running::new(started, limit).map_err(internal)?;
    let finished = running.finish(stdin, begun.checked_add(timeout), observe).await;
    let result = running.result(&finished, begun.elapsed());
    Json::from_value(&result).map_err(internal)
}

fn start(folder: &Folder, arguments: &ExecCommand) -> Outcome<Started> {
    let mut command = match &arguments.command {
        OneOrMany::One(line) => {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(line);
            command
        }
        OneOrMany::Many(words) => {
            let Some((program, rest)) = words.split_first() else {
                return Err(ToolFailure::new(
                    "command is an empty array; its first element is the program to run",
                ));
            };
            let mut command = Command::new(program);
            command.args(rest);
            command
        }
    };
    let cwd = match &arguments.cwd {
        Some(cwd) => folder.path(cwd)?,
        None => WorkspacePath::root(),
    };
    let dir = folder.open_dir(&cwd)?;
    command.current_dir(path_of(&dir, folder, &cwd)?);
    for (name, value) in arguments.env.iter().flatten() {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(ToolFailure::new(format!(
                "env has {}, which is no environment variable: a name is not empty and has no `=`, and neither \
                 name nor value has a NUL character",
                shorten(&format!("{name:?}"))
            )));
        }
        command.env(name, value);
    }
    command
        .stdin(if arguments.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    ProcessGroup::start(&mut command).map_err(|error| {
        let program = shorten(&format!("{:?}", command.get_program().to_string_lossy()));
        let hint = match (error.kind(), &arguments.command) {
            (io::ErrorKind::NotFound, OneOrMany::Many(words))
                if words.len() == 1 && words[0].contains(' ') =>
            {
                ". An array is a program and its arguments; give a line for the shell as a string"
            }
            (io::ErrorKind::NotFound, _) => ". It is not installed, or not in PATH",
            (io::ErrorKind::PermissionDenied, _) => ". It may have to be made executable",
            (io::ErrorKind::ArgumentListTooLong, _) => ". Pass the data through stdin instead",
            _ => "",
        };
        ToolFailure::new(format!("cannot start {program}: {error}{hint}"))
    })
}

/// A path by which a new process finds the open folder `dir`, wherever it may have been moved.
fn path_of(dir: &Dir, folder: &Folder, cwd: &WorkspacePath) -> Outcome<PathBuf> {
    let handles = Path::new("/proc/self/fd");
    if handles.exists() {
        // Read by the new process, which has the handle until it becomes the command.
        return Ok(handles.join(dir.as_raw_fd().to_string()));
    }
    let real = folder.resolve(cwd).map_err(|error| folder.explain("open", cwd, &error))?;
    Ok(folder.root().join(real.parts().collect::<PathBuf>()))
}

/// A command that runs, and what it has printed.
struct Running {
    /// `None` once the group was handed on.
    group: Option<ProcessGroup>,
    exit: oneshot::Receiver<Exit>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    printed: Collected,
    complained: Collected,
}

/// How waiting for a command ended.
#[derive(Default)]
struct Finished {
    exit: Option<Exit>,
    timed_out: bool,
    left_running: bool,
}

impl Running {
    fn new(started: Started, limit: usize) -> io::Result<Running> {
        Ok(Running {
            group: Some(started.group),
            exit: started.exit,
            stdin: started.stdin.map(ChildStdin::from_std).transpose()?,
            stdout: started.stdout.map(ChildStdout::from_std).transpose()?,
            stderr: started.stderr.map(ChildStderr::from_std).transpose()?,
            printed: Collected::new(limit),
            complained: Collected::new(limit),
        })
    }

    /// Waits for the end of the command and of its output.
    async fn finish(
        &mut self,
        stdin: Option<String>,
        deadline: Option<Instant>,
        observe: impl Fn(OutputStream, &[u8]),
    ) -> Finished {
        let mut finished = Finished::default();
        let mut feed = std::pin::pin!(feed(self.stdin.take(), stdin));
        let mut fed = false;
        let mut exited = false;
        // What is waited for: first the command's time, after its end the output of those it left behind, after
        // a request to end that it is heeded.
        let mut until = deadline;
        let (mut out, mut err) = (vec![0; CHUNK], vec![0; CHUNK]);
        while !exited || self.stdout.is_some() || self.stderr.is_some() {
            tokio::select! {
                count = read(&mut self.stdout, &mut out) => self.printed(&out[..count], &observe),
                count = read(&mut self.stderr, &mut err) => self.complained(&err[..count], &observe),
                exit = &mut self.exit, if !exited => {
                    exited = true;
                    finished.exit = exit.ok();
                    if !finished.timed_out {
                        until = Instant::now().checked_add(LINGER);
                    }
                }
                () = &mut feed, if !fed => fed = true,
                () = at(until) => {
                    if exited || finished.timed_out {
                        // Asked to end, or its leader gone: enough waiting.
                        finished.left_running = exited && !finished.timed_out;
                        break;
                    }
                    finished.timed_out = true;
                    if let Some(group) = &self.group {
                        group.terminate();
                    }
                    until = Instant::now().checked_add(GRACE);
                }
            }
        }
        // Whatever is left of the group is killed here.
        self.group = None;
        if !exited {
            finished.exit = (&mut self.exit).await.ok();
        }
        // What the killed ones still had in the pipes. One that left the group may hold a pipe open for ever.
        let drain = async {
            while self.stdout.is_some() || self.stderr.is_some() {
                tokio::select! {
                    count = read(&mut self.stdout, &mut out) => self.printed(&out[..count], &observe),
                    count = read(&mut self.stderr, &mut err) => self.complained(&err[..count], &observe),
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, drain).await;
        finished
    }

    /// Takes what came from stdout; nothing means that it is closed.
    fn printed(&mut self, bytes: &[u8], observe: &impl Fn(OutputStream, &[u8])) {
        if bytes.is_empty() {
            self.stdout = None;
            return;
        }
        observe(OutputStream::Stdout, bytes);
        self.printed.add(bytes);
    }

    /// The same for stderr.
    fn complained(&mut self, bytes: &[u8], observe: &impl Fn(OutputStream, &[u8])) {
        if bytes.is_empty() {
            self.stderr = None;
            return;
        }
        observe(OutputStream::Stderr, bytes);
        self.complained.add(bytes);
    }

    fn result(&mut self, finished: &Finished, duration: Duration) -> CommandResult {
        let (exit_code, signal) = match finished.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal_name(signal))),
            None => (None, None),
        };
        let note = if finished.timed_out {
            Some("the command was ended because its time (timeout_ms) was up".to_owned())
        } else if finished.left_running {
            Some("processes that the command had left in the background were ended".to_owned())
        } else {
            None
        };
        CommandResult {
            exit_code,
            signal,
            truncated: self.printed.is_cut() || self.complained.is_cut(),
            stdout: self.printed.text(),
            stderr: self.complained.text(),
            timed_out: finished.timed_out,
            duration_ms: duration.as_millis().try_into().unwrap_or(u64::MAX),
            note,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(group) = self.group.take() else { return };
        group.terminate();
        // Without a runtime to wait in, dropping the group kills at once; and so it does when the runtime ends
        // before the grace is over.
        let Ok(runtime) = Handle::try_current() else { return };
        let (_, never) = oneshot::channel();
        let exit = std::mem::replace(&mut self.exit, never);
        let (mut stdout, mut stderr) = (self.stdout.take(), self.stderr.take());
        runtime.spawn(async move {
            let (mut out, mut err) = (vec![0; CHUNK], vec![0; CHUNK]);
            let gone = async {
                // The command has ended, and nobody holds its output open.
                let _ = exit.await;
                while stdout.is_some() || stderr.is_some() {
                    tokio::select! {
                        count = read(&mut stdout, &mut out) => if count == 0 { stdout = None },
                        count = read(&mut stderr, &mut err) => if count == 0 { stderr = None },
                    }
                }
            };
            let _ = tokio::time::timeout(GRACE, gone).await;
            drop(group);
        });
    }
}

/// Reads from an output; a closed one never has anything. An error counts as the end.
async fn read(output: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match output {
        Some(output) => output.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

/// Gives a command its input. One that does not read it all is not at fault.
async fn feed(pipe: Option<ChildStdin>, text: Option<String>) {
    if let (Some(mut pipe), Some(text)) = (pipe, text) {
        let _ = pipe.write_all(text.as_bytes()).await;
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The beginning and the end of an output.
struct Collected {
    limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes between the two.
    left_out: u64,
}

impl Collected {
    fn new(limit: usize) -> Collected {
        Collected { limit, head: Vec::new(), tail: VecDeque::new(), left_out: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        let for_head = (self.limit.div_ceil(2) - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..for_head]);
        self.tail.extend(&bytes[for_head..]);
        let surplus = self.tail.len().saturating_sub(self.limit / 2);
        self.tail.drain(..surplus);
        self.left_out += surplus as u64;
    }

    fn is_cut(&self) -> bool {
        self.left_out > 0
    }

    fn text(&mut self) -> String {
        let (mut head, tail) = (std::mem::take(&mut self.head), std::mem::take(&mut self.tail));
        let tail = Vec::from(tail);
        if self.left_out == 0 {
            head.extend(tail);
            return lossy(head);
        }
        // A character that was cut in two is left out whole.
        let cut_end = match std::str::from_utf8(&head) {
            Err(error) if error.error_len().is_none() => head.len() - error.valid_up_to(),
            _ => 0,
        };
        head.truncate(head.len() - cut_end);
        let cut_start = tail.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
        let left_out = self.left_out + (cut_end + cut_start) as u64;
        format!(
            "{}\n[… {left_out} bytes left out …]\n{}",
            lossy(head),
            lossy(tail[cut_start..].to_vec())
        )
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Time for a command that nobody gave a time.
const DEFAULT_TIMEOUT_MS: u64 = 120_000;

/// Bytes of each output without asking for more.
const DEFAULT_OUTPUT: usize = 256 * 1024;

/// Bytes of each output that can be asked for.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// How long after the end of a command its output may take to end, too. Longer than a pipeline's last member
/// takes to print, shorter than anyone wants to wait for a server that was left in the background.
const LINGER: Duration = Duration::from_millis(500);

const CHUNK: usize = 16 * 1024;
