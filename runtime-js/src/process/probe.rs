//! Whether a worker's layers hold, by trying to get out of one.
//!
//! [`examine`] starts children that lock themselves down as a worker does, and then go every way out that
//! `crossing.rs` knows: once with all layers up, and once for each layer with that one alone, since behind a system-call filter nobody would
//! notice that Landlock does nothing.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt as _,
        unix::{
            net::{SocketAddr, UnixListener, UnixStream},
            process::ExitStatusExt as _,
        },
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::Duration,
};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::{
    crossing::{self, Outside},
    death::reap,
    fork::fork_sibling,
    lockdown::{Layer, LayerReport, Lockdown, Report, Status},
};
use crate::{CellSpec, Engine, Event, Outcome};

/// What was found out about one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which.
    pub layer: Layer,
    /// What the kernel said when it was put up.
    #[serde(flatten)]
    pub status: Status,
    /// The ways out that were tried with this layer alone.
    pub tried: usize,
    /// Those of them that were open.
    pub crossed: Vec<String>,
}

/// What was found out about all layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    /// Each layer by itself.
    pub layers: Vec<Finding>,
    /// The ways out that were tried with all layers up.
    pub tried: usize,
    /// Those of them that were open.
    pub crossed: Vec<String>,
    /// Why no cell runs behind the layers; `None` when one does.
    pub cell_failed: Option<String>,
}

impl Examination {
    /// Whether every way out was closed, and a cell runs.
    pub fn holds(&self) -> bool {
        self.crossed.is_empty()
            && self.cell_failed.is_none()
            && self.layers.iter().all(|finding| finding.crossed.is_empty())
    }
}

/// Tries every layer. `command` starts this program so that it calls [`probe`], in an empty environment but for what
/// [`worker_environment`](super::lockdown::worker_environment) has.
///
/// Takes about a second; leaves nothing behind.
///
/// # Errors
/// When a child cannot be started, or says what no child says.
pub fn examine(command: &(dyn Fn() -> Command + Sync)) -> io::Result<Examination> {
    let world = World::new()?;
    // One that children would inherit, if they didn't close it.
    let leaked = rustix::pipe::pipe()?;
    let examination = std::thread::scope(|scope| {
        let outside = &world.outside;
        let mut alone: Vec<_> = Vec::new();
        for layer in Layer::ALL {
            alone.push(scope.spawn(move || examine_alone(command, outside, layer)));
        }
        let together = scope.spawn(|| examine_together(command, outside));
        let (tried, crossed, cell_failed) = joined(together)?;
        let layers = alone.into_iter().map(joined).collect::<Result<_, _>>()?;
        Ok::<_, io::Error>(Examination { layers, tried, crossed, cell_failed })
    })?;
    drop(leaked);
    Ok(examination)
}

/// What a child of [`examine`] does: locks itself down, tries what it is told to, and says what came of it. Whether it could.
pub fn probe() -> bool {
    let ran = run_probe();
    if let Err(error) = &ran {
        let _ = say(&Said::Failed(error.to_string()));
    }
    ran.is_ok()
}

fn run_probe() -> io::Result<()> {
    let mut line = String::new();
    // Whatever is read ahead is for nobody else.
    BufReader::new(io::stdin().lock()).read_line(&mut line)?;
    let task: Task = serde_json::from_str(&line)?;
    if let Task::StandIn { program, arguments } = task {
        return stand_in_for_host(&program, &arguments);
    }
    let Task::Cross { only, crossings, engine, wait, outside } = task else { return Ok(()) };
    if engine {
        // As the process that workers are copies of does.
        match fork_sibling().map_err(|error| no_copy(error.into()))? {
            Some(copy) => say(&Said::Copied(copy.as_raw_nonzero().get()))?,
            None => std::process::exit(0),
        }
    }
    let mut lockdown =
        Lockdown::of_program(only).and_then(Lockdown::begin).map_err(io::Error::other)?;
    lockdown.limit_threads(THREADS);
    lockdown.prepare();
    let engine = engine.then(Engine::new);
    if let Some(engine) = &engine {
        run_cell(engine).map_err(io::Error::other)?;
    }
    say(&Said::LockedDown(lockdown.finish(MEMORY_BYTES)))?;
    if let Some(engine) = &engine {
        say(&Said::Cell(run_cell(engine)))?;
    }
    for name in crossings {
        let Some(crossing) = crossing::named(&name) else { continue };
        let outcome = (crossing.go)(&outside).map_err(|error| error.to_string());
        say(&Said::Tried(name, outcome))?;
    }
    if wait {
        // Deaf to its host, as one would be that has been taken over; but not for ever.
        std::thread::sleep(PATIENCE);
    }
    Ok(())
}

/// Runs a cell that makes V8 do some of everything.
fn run_cell(engine: &Engine) -> Result<(), String> {
    let (send, events) = mpsc::channel();
    let spec = CellSpec::new(CELL);
    let started = engine.tenant().start(spec, move |event| drop(send.send(event)));
    let _cell = started.map_err(|error| error.to_string())?;
    loop {
        match events.recv_timeout(PATIENCE).map_err(|error| error.to_string())? {
            Event::End(end) if end.outcome == Outcome::Completed => return Ok(()),
            Event::End(end) => return Err(format!("{:?}", end.outcome)),
            _ => {}
        }
    }
}

/// Starts a worker and waits, until it is killed.
fn stand_in_for_host(program: &str, arguments: &[String]) -> io::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stderr(Stdio::inherit());
    let wait = Task::Cross {
        only: Some(Layer::HostDeath),
        crossings: Vec::new(),
        engine: false,
        wait: true,
        outside: Outside::nowhere(),
    };
    let mut worker = Running::start(command, &wait)?;
    worker.next()?;
    say(&Said::WorkerWaits)?;
    std::thread::sleep(PATIENCE);
    Ok(())
}

fn say(said: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    let mut rest = line.as_slice();
    while !rest.is_empty() {
        let written = rustix::io::write(io::stdin(), rest)?;
        rest = &rest[written..];
    }
    Ok(())
}

fn examine_alone(
    command: &(dyn Fn() -> Command + Sync),
    outside: &Outside,
    layer: Layer,
) -> io::Result<Finding> {
    let ways: Vec<_> =
        crossing::ALL.iter().filter(|way| way.alone.contains(&layer)).map(|way| way.name).collect();
    let tried = go(command, outside, Some(layer), &ways, false)?;
    let status = tried.report.and_then(|report| {
        let found = report.layers.into_iter().find(|report| report.layer == layer);
        found.map(|LayerReport { status, .. }| status)
    });
    let mut finding = Finding {
        layer,
        status: status.ok_or_else(|| io::Error::other("the child reported no layer"))?,
        tried: ways.len(),
        crossed: tried.crossed,
    };
    if layer == Layer::HostDeath {
        finding.tried += 1;
        if !dies_with_host(command())? {
            finding.crossed.push(String::from("live on without a host"));
        }
    }
    // What was not put up cannot be crossed; that it was not is said already.
    if !matches!(finding.status, Status::Active { .. }) {
        finding.crossed.clear();
        finding.tried = 0;
    }
    Ok(finding)
}

type Together = (usize, Vec<String>, Option<String>);

fn examine_together(
    command: &(dyn Fn() -> Command + Sync),
    outside: &Outside,
) -> io::Result<Together> {
    let ways: Vec<_> = crossing::ALL.iter().map(|way| way.name).collect();
    let (mut tried, no_engine) = match go(command, outside, None, &ways, true) {
        Ok(tried) => (tried, None),
        // V8 does not start here; the layers can be tried without.
        Err(error) => (go(command, outside, None, &ways, false)?, Some(error.to_string())),
    };
    // Taking without a bound is no way out. Where the bound is denied, that is said of it; all else has to be closed by
    // somebody.
    let denied: Vec<Layer> =
        tried.report.iter().flat_map(Report::denied).map(|(layer, _)| layer).collect();
    let bounds = [Layer::Threads, Layer::Memory, Layer::Resources];
    let unbound = |layer: &Layer| bounds.contains(layer) && denied.contains(layer);
    tried
        .crossed
        .retain(|name| crossing::named(name).is_none_or(|way| !way.alone.iter().all(unbound)));
    let cell_failed = match tried.cell {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(error),
        None => no_engine.or_else(|| Some(String::from("the child ended"))),
    };
    Ok((ways.len(), tried.crossed, cell_failed))
}

#[derive(Default)]
struct Tried {
    report: Option<Report>,
    cell: Option<Result<(), String>>,
    crossed: Vec<String>,
    /// The others, and what was said.
    refused: Vec<(String, String)>,
}

/// Goes these ways, with a new child whenever one was ended for it.
fn go(
    command: &(dyn Fn() -> Command + Sync),
    outside: &Outside,
    only: Option<Layer>,
    ways: &[&str],
    engine: bool,
) -> io::Result<Tried> {
    let mut tried = Tried::default();
    let mut rest = ways;
    loop {
        let task = Task::Cross {
            only,
            crossings: rest.iter().copied().map(String::from).collect(),
            // One cell says it; a child without V8 is there sooner.
            engine: engine && tried.report.is_none(),
            wait: false,
            outside: outside.clone(),
        };
        let mut command = command();
        command.stderr(Stdio::piped());
        let mut child = Running::start(command, &task)?;
        while let Some(said) = child.next()? {
            match said {
                Said::LockedDown(report) => tried.report = Some(report),
                Said::Cell(outcome) => tried.cell = Some(outcome),
                Said::Tried(name, outcome) => {
                    match outcome {
                        Ok(()) => tried.crossed.push(name),
                        Err(error) => tried.refused.push((name, error)),
                    }
                    rest = &rest[1..];
                }
                Said::Failed(error) => return Err(io::Error::other(error)),
                Said::Copied(copy) => {
                    let copy = Pid::from_raw(copy).filter(|_| engine);
                    copy.map(reap).transpose().map_err(no_copy)?;
                }
                Said::WorkerWaits => {}
            }
        }
        let (status, last_words) = child.end()?;
        let Some((way, others)) = rest.split_first() else { return Ok(tried) };
        if tried.report.is_none() {
            let what = "a child could not lock itself down";
            return Err(io::Error::other(format!("{what}: {status}: {last_words}")));
        }
        // It ended on this way: by the filter's hand, or because it got through, to another program for example.
        if status.signal() == Some(SIGSYS) {
            tried.refused.push((String::from(*way), status.to_string()));
        } else {
            tried.crossed.push(String::from(*way));
        }
        rest = others;
    }
}

/// Whether a worker ends when its host is killed, though it does not listen to it.
fn dies_with_host(mut command: Command) -> io::Result<bool> {
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let task = Task::StandIn {
        program: text(command.get_program()),
        arguments: command.get_args().map(text).collect(),
    };
    // The worker holds the other end for as long as it lives.
    let (alive, theirs) = UnixStream::pair()?;
    command.stderr(OwnedFd::from(theirs));
    let mut host = Running::start(command, &task)?;
    let started = matches!(host.next()?, Some(Said::WorkerWaits));
    host.child.kill()?;
    host.end()?;
    alive.set_read_timeout(Some(PATIENCE / 2))?;
    let ended = loop {
        match (&alive).read(&mut [0; 256]) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(_) => break false,
        }
    };
    if started { Ok(ended) } else { Err(io::Error::other("no stand-in for the host")) }
}

/// A child, and the line to it.
struct Running {
    child: Child,
    socket: BufReader<UnixStream>,
}

impl Running {
    fn start(mut command: Command, task: &Task) -> io::Result<Running> {
        let (ours, theirs) = UnixStream::pair()?;
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        let child = command.spawn()?;
        // It keeps the other end otherwise, and nobody would notice the child's end.
        drop(command);
        let mut line = serde_json::to_vec(task)?;
        line.push(b'\n');
        (&ours).write_all(&line)?;
        ours.set_read_timeout(Some(PATIENCE))?;
        Ok(Running { child, socket: BufReader::new(ours) })
    }

    /// What the child says next; `None` when it has ended.
    fn next(&mut self) -> io::Result<Option<Said>> {
        let mut line = String::new();
        match self.socket.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(serde_json::from_str(&line)?)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for its end. How it ended, and what it said on standard error if that was kept.
    fn end(self) -> io::Result<(ExitStatus, String)> {
        drop(self.socket);
        let output = self.child.wait_with_output()?;
        // Without V8's frames, and the borders around its words.
        let stderr = String::from_utf8_lossy(&output.stderr);
        let lines = stderr.lines().map(|line| line.trim_matches(['#', ' ']));
        let told =
            lines.take_while(|line| !line.starts_with("====")).filter(|line| !line.is_empty());
        Ok((output.status, told.collect::<Vec<_>>().join(" ")))
    }
}

/// What there is to reach for, while it is examined.
struct World {
    outside: Outside,
    _tcp: TcpListener,
    _unix: UnixListener,
}

impl World {
    fn new() -> io::Result<World> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let name = format!(
            "codemode-doctor-{}-{}",
            std::process::id(),
            since.unwrap_or_default().as_nanos()
        );
        let folder = std::env::temp_dir().join(&name);
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let unix = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        crossing::make_folder(&folder).map_err(|error| {
            let what = format!("no folder can be made at {}: {error}", folder.display());
            io::Error::new(error.kind(), format!("{what}; TMPDIR names another place"))
        })?;
        let host = std::process::id().cast_signed();
        let outside = Outside { host, tcp: tcp.local_addr()?, unix: name, folder };
        Ok(World { outside, _tcp: tcp, _unix: unix })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What an open way leaves behind.
        let _ = rustix::mount::unmount(&self.outside.folder, rustix::mount::UnmountFlags::DETACH);
        let _ = std::fs::remove_file(crossing::SHARED_MEMORY);
        let _ = std::fs::remove_dir_all(&self.outside.folder);
    }
}

fn no_copy(error: io::Error) -> io::Error {
    io::Error::other(format!("no copy of a process can be made, as workers are: {error}"))
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, io::Result<T>>) -> io::Result<T> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the examination panicked")))
}

/// What a child is told.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    /// To lock itself down and try these.
    Cross {
        only: Option<Layer>,
        crossings: Vec<String>,
        engine: bool,
        wait: bool,
        outside: Outside,
    },
    /// To be the host of another child, which waits.
    StandIn { program: String, arguments: Vec<String> },
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    /// It has made a copy of itself, which is a child of its parent and has ended.
    Copied(i32),
    LockedDown(Report),
    Cell(Result<(), String>),
    Tried(String, Result<(), String>),
    WorkerWaits,
    Failed(String),
}

/// Some of all that V8 may need the system for: helper threads, a collection, the optimising compiler, a regular expression,
/// the locale, the time zone.
const CELL: &str = r#"
let sum = 0;
for (let i = 0; i < 200000; i++) sum += Math.sqrt(i) % 7;
let kept = [];
for (let i = 0; i < 200; i++) kept = [new Array(10000).fill(i), kept[0]];
new Uint8Array(1 << 20).fill(1);
/(a+)+b/.test('a'.repeat(15));
new Date(2024, 6, 1).toLocaleString('de-DE', { timeZoneName: 'long' });
new Intl.NumberFormat('ja-JP', { style: 'currency', currency: 'JPY' }).format(1234.5);
await new Promise((done) => setTimeout(done, 1));
text(sum);
"#;

/// Enough for the cell, and far less than what is asked for.
const MEMORY_BYTES: u64 = 1 << 30;

/// Enough for the cell, and far fewer than what is asked for.
const THREADS: u64 = 32;

/// How long a child may take for one thing, and a deaf one lives.
const PATIENCE: Duration = Duration::from_secs(20);

/// "Bad system call", on the processors that are supported.
const SIGSYS: i32 = libc::SIGSYS;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::crossing::Crossing, *};

    /// This test binary, as a child that [`child`] runs in.
    pub(super) fn this() -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        // One test thread runs on the main thread.
        command
            .args(["--exact", "process::probe::tests::child", "--nocapture", "--test-threads=1"])
            .env_clear()
            .envs(super::super::worker_environment());
        command
    }

    /// Not a test: what the tests start. On its own it has no socket and does nothing.
    #[test]
    fn child() {
        use rustix::net::{SocketType, sockopt::socket_type};
        if socket_type(io::stdin()).ok() == Some(SocketType::STREAM) {
            std::process::exit(i32::from(!probe()));
        }
    }

    #[test]
    fn every_way_out_is_closed() {
        let examination = examine(&this).unwrap();
        assert!(examination.holds(), "{examination:#?}");
        let active = |layer: &&Finding| matches!(layer.status, Status::Active { .. });
        let names = |layers: Vec<&Finding>| layers.iter().map(|f| f.layer).collect::<Vec<_>>();
        // What Landlock can depends on the kernel, and a process that has threads, such as this test, gets no name space
        // of users. All else is there on every Linux that V8 runs on.
        let passive = names(examination.layers.iter().filter(|layer| !active(layer)).collect());
        let may_be = [Layer::Files, Layer::Network, Layer::Scope, Layer::Threads];
        assert!(passive.iter().all(|layer| may_be.contains(layer)), "{passive:?}");
    }

    /// A way that is closed anyway says nothing of a layer.
    #[test]
    fn without_the_layers_the_ways_are_open() {
        let world = World::new().unwrap();
        let _leaked = rustix::pipe::pipe().unwrap();
        let root = rustix::process::geteuid().is_root();
        // Yama may keep these from others than root.
        let debugging =
            ["debug the host", "read the host's memory", "read the host's memory as a file"];
        let for_root = |way: &Crossing| {
            way.alone.contains(&Layer::Privileges) || debugging.contains(&way.name)
        };
        let mut closed = Vec::new();
        for way in crossing::ALL.iter().filter(|way| root || !for_root(way)) {
            // This layer closes one way, which is tried with another.
            let other =
                if way.alone == [Layer::Environment] { Layer::Scope } else { Layer::Environment };
            let command = || {
                let mut command = this();
                command.env("OF_THE_HOST", "1");
                command
            };
            let tried = go(&command, &world.outside, Some(other), &[way.name], false).unwrap();
            closed.extend(tried.refused);
            let folder = &world.outside.folder;
            let _ = rustix::mount::unmount(folder, rustix::mount::UnmountFlags::DETACH);
            std::fs::remove_dir_all(folder).unwrap();
            crossing::make_folder(folder).unwrap();
        }
        // But for what this kernel was built without.
        closed.retain(|(_, error)| !error.contains("not implemented"));
        assert_eq!(closed, []);
    }

    /// All that cells are tested for, once more in a process that has locked itself down; but for what compares with a
    /// file, of which there are none.
    #[test]
    fn cells_behave_behind_the_layers() {
        let (_host, theirs) = UnixStream::pair().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["tests::", "--nocapture", "--skip", "process::", "--skip", "isolated::"])
            .args(["--skip", "reachable"])
            .env_clear()
            .envs([("TZ", "Asia/Tokyo"), (crate::tests::LOCKED, "1")])
            .stdin(OwnedFd::from(theirs))
            .stderr(Stdio::piped())
            .spawn();
        let output = child.unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{stderr}", output.status);
    }
}
