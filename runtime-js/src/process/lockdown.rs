//! What a worker process takes from itself before it reads its first cell.
//!
//! In three steps. [`Lockdown::of_program`] is for what the zygote hands on to its copies. [`Lockdown::begin`] comes in a worker before
//! V8, which starts threads: there is one thread yet, for what the kernel keeps for each thread and hands on to those that it starts
//! (identity, capabilities, Landlock). [`Lockdown::finish`] comes when V8 is up, and takes all system calls but those that V8 needs to run.
//!
//! Each layer is tried for itself and reported for itself: a kernel or a container that denies one does not cost the
//! others.

use std::{
    ffi::OsString,
    fmt,
    fs::File,
    io::{self, Read as _},
    os::fd::AsFd as _,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::FileType,
    net::sockopt::socket_type,
    process::{DumpableBehavior, Resource, Rlimit, Signal},
    thread::{CapabilitySet, CapabilitySets},
};
use serde::{Deserialize, Serialize};

use filter::Filter;

mod filter;
mod landlock;

/// A lockdown that has begun.
#[derive(Debug)]
pub(crate) struct Lockdown {
    /// Of all layers, this one alone: to see what it holds by itself.
    only: Option<Layer>,
    layers: Vec<LayerReport>,
    /// Threads that were there before, which what the kernel keeps for each thread does not reach.
    other_threads: usize,
    /// Open before there are no files any more.
    memory: Option<File>,
    /// Made before it is needed.
    filter: Option<Filter>,
    page_bytes: u64,
}

impl Lockdown {
    /// The first step, before anything else.
    ///
    /// # Errors
    /// When this process has no host: fd 0 is no socket to one.
    pub(crate) fn of_program(only: Option<Layer>) -> Result<Lockdown, NoHost> {
        if socket_type(io::stdin()).ok() != Some(rustix::net::SocketType::STREAM) {
            return Err(NoHost::NotASocket);
        }
        // Linux before 6.4 tells it in a file.
        let page_bytes = rustix::param::page_size() as u64;
        let other_threads = other_threads();
        let mut lockdown = Lockdown {
            only,
            layers: Vec::new(),
            other_threads,
            memory: None,
            filter: None,
            page_bytes,
        };
        lockdown.layer(Layer::Environment, bare_environment);
        lockdown.layer(Layer::Descriptors, close_descriptors);
        Ok(lockdown)
    }

    /// Whether threads were there before, whose locks nobody would open in a copy of this process.
    pub(crate) fn has_threads(&self) -> bool {
        self.other_threads > 0
    }

    /// The second step, before V8 and while there is one thread.
    ///
    /// # Errors
    /// When the host has gone.
    pub(crate) fn begin(mut self) -> Result<Lockdown, NoHost> {
        self.memory = File::open("/proc/self/statm").ok();
        let lockdown = &mut self;
        lockdown.layer(Layer::Privileges, drop_privileges);
        lockdown.layer(Layer::NotDumpable, || {
            // After the change of identity, which sets it anew, as it does the signal below.
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
            Ok(None)
        });
        lockdown.layer(Layer::HostDeath, || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(None)
        });
        // It may have died before there was a signal for that.
        if host_hung_up() {
            return Err(NoHost::Gone);
        }
        lockdown.layer(Layer::Resources, limit_resources);
        for (layer, apply) in landlock::LAYERS {
            lockdown.layer(layer, apply);
        }
        Ok(self)
    }

    /// Bounds the threads of this process; still before V8.
    pub(crate) fn limit_threads(&mut self, threads: u64) {
        self.layer(Layer::Threads, || limit_threads(threads));
    }

    /// Makes what [`Lockdown::finish`] takes, while there is nothing else to do.
    pub(crate) fn prepare(&mut self) {
        self.filter = Some(Filter::new());
    }

    /// The last step, once V8 is up and before anything of a cell is read. `memory_bytes` is the private memory that this
    /// process may take beyond what it has by now. It counts when it is asked for, and not when it is first used; the stacks of
    /// threads count in full.
    pub(crate) fn finish(mut self, memory_bytes: u64) -> Report {
        let page_bytes = self.page_bytes;
        let statm = self.memory.take();
        self.layer(Layer::Memory, || match statm {
            Some(statm) => limit_memory(statm, page_bytes, memory_bytes),
            None => Err(Denied::new("there is no /proc to read")),
        });
        let filter = self.filter.take();
        self.layer(Layer::SystemCalls, || {
            filter.unwrap_or_else(Filter::new).put_up().map_err(Denied::new)?;
            Ok(None)
        });
        Report { layers: self.layers }
    }

    fn layer(&mut self, layer: Layer, apply: impl FnOnce() -> Result<Option<String>, Denied>) {
        // The kernel bounds nobody's threads who is root.
        let needed = |only| only == layer || (only == Layer::Threads && layer == Layer::Privileges);
        if !self.only.is_none_or(needed) {
            let status = Status::NotApplicable { reason: String::from("left away") };
            return self.layers.push(LayerReport { layer, status });
        }
        let status = match apply() {
            Ok(_) if self.other_threads > 0 && OF_THREADS.contains(&layer) => Status::Denied {
                reason: format!(
                    "{} other threads were there before, and it does not reach them",
                    self.other_threads
                ),
            },
            Ok(detail) => Status::Active { detail },
            Err(Denied(reason)) => Status::Denied { reason },
        };
        self.layers.push(LayerReport { layer, status });
    }
}

/// The environment that a worker is started with: the time zone, so that its cells have the one that cells in the host's own
/// process would have. It cannot look for it by itself: there are no files when V8 asks. And how the C library shall keep its memory.
pub fn worker_environment() -> Vec<(&'static str, OsString)> {
    let zone =
        std::env::var_os("TZ").or_else(|| iana_time_zone::get_timezone().ok().map(OsString::from));
    let mut variables = vec![(TUNABLES, OsString::from(MALLOC))];
    variables.extend(zone.map(|zone| ("TZ", zone)));
    variables
}

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHost {
    #[error("standard input is no socket: a worker is started by its host, and not by hand")]
    NotASocket,
    #[error("the host has gone")]
    Gone,
}

/// What stands between a worker and the rest of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Layer {
    /// It dies when its host does.
    HostDeath,
    /// It is nobody, without capabilities, and cannot gain any.
    Privileges,
    /// Other processes of the same user cannot look into it, and it leaves no core.
    NotDumpable,
    /// It has the socket to its host, and no other descriptor.
    Descriptors,
    /// It knows no variable of its host's environment.
    Environment,
    /// No descriptors, files or locked memory to speak of.
    Resources,
    /// A limit on its threads that the kernel enforces.
    Threads,
    /// A limit on its memory that the kernel enforces.
    Memory,
    /// Landlock: no file can be opened, made or removed.
    Files,
    /// Landlock: no TCP.
    Network,
    /// Landlock: no signal to another process, no abstract socket.
    Scope,
    /// Seccomp: no system call but those that computing takes.
    SystemCalls,
}

impl Layer {
    /// All of them, in the order in which one reads about them.
    pub const ALL: [Layer; 12] = [
        Layer::SystemCalls,
        Layer::Files,
        Layer::Network,
        Layer::Scope,
        Layer::Privileges,
        Layer::Descriptors,
        Layer::Environment,
        Layer::NotDumpable,
        Layer::Resources,
        Layer::Memory,
        Layer::Threads,
        Layer::HostDeath,
    ];
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layer::HostDeath => "death with the host",
            Layer::Privileges => "no privileges",
            Layer::NotDumpable => "closed to debuggers",
            Layer::Descriptors => "no inherited descriptors",
            Layer::Environment => "empty environment",
            Layer::Resources => "resource limits",
            Layer::Memory => "memory limit",
            Layer::Threads => "thread limit",
            Layer::Files => "no files (Landlock)",
            Layer::Network => "no network (Landlock)",
            Layer::Scope => "no signals or sockets of others (Landlock)",
            Layer::SystemCalls => "system-call filter (seccomp)",
        })
    }
}

/// What became of each layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// In the order in which they were put up.
    pub layers: Vec<LayerReport>,
}

impl Report {
    /// The layers that the kernel denied, and why.
    pub fn denied(&self) -> impl Iterator<Item = (Layer, &str)> {
        self.layers.iter().filter_map(|report| match &report.status {
            Status::Denied { reason } => Some((report.layer, reason.as_str())),
            Status::Active { .. } | Status::NotApplicable { .. } => None,
        })
    }
}

/// What became of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Which.
    pub layer: Layer,
    /// What became of it.
    #[serde(flatten)]
    pub status: Status,
}

/// Whether a layer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "camelCase")]
pub enum Status {
    /// It stands.
    Active {
        /// In what form, where there is more than one.
        detail: Option<String>,
    },
    /// The kernel, or what this process runs in, does not let it.
    Denied {
        /// Why.
        reason: String,
    },
    /// There was nothing to do.
    NotApplicable {
        /// Why.
        reason: String,
    },
}

/// Why a layer could not be put up.
struct Denied(String);

impl Denied {
    fn new(reason: impl fmt::Display) -> Denied {
        Denied(reason.to_string())
    }
}

impl From<rustix::io::Errno> for Denied {
    fn from(errno: rustix::io::Errno) -> Denied {
        Denied::new(io::Error::from(errno))
    }
}

type Applied = Result<Option<String>, Denied>;

/// The spawner has cleared it; this says whether that is so.
fn bare_environment() -> Applied {
    match inherited_variables() {
        0 => Ok(None),
        count => Err(Denied::new(format_args!("{count} variables were inherited"))),
    }
}

/// How many variables there are that [`worker_environment`] does not have.
pub(super) fn inherited_variables() -> usize {
    let given = |(name, value): &(OsString, OsString)| {
        name == "TZ" || (name == TUNABLES && value == MALLOC)
    };
    std::env::vars_os().filter(|variable| !given(variable)).count()
}

/// Closes all but the socket (0) and standard error (2). What is said on standard output, which nobody should use, goes nowhere.
fn close_descriptors() -> Applied {
    let null = File::options().write(true).open("/dev/null").map_err(Denied::new)?;
    rustix::stdio::dup2_stdout(&null)?;
    drop(null);
    // The list is complete before the first is closed: it is read through a descriptor of its own.
    let open: Vec<i32> = match std::fs::read_dir("/proc/self/fd") {
        Ok(open) => {
            open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
        }
        Err(_) => (0..MANY_DESCRIPTORS).collect(),
    };
    for descriptor in open.into_iter().filter(|&fd| fd > 2) {
        // That of the list itself is closed by now.
        let _ = nix::unistd::close(descriptor);
    }
    // A file, where a pipe to the host belongs, is one more thing to write to.
    let stderr = rustix::fs::fstat(io::stderr())?;
    if FileType::from_raw_mode(stderr.st_mode) == FileType::RegularFile {
        return Err(Denied::new("standard error is a file, and no pipe to the host"));
    }
    Ok(None)
}

/// Who is root becomes nobody; who is somebody stays that, without capabilities.
fn drop_privileges() -> Applied {
    use rustix::{
        process::{Gid, Uid},
        thread,
    };
    thread::set_no_new_privs(true)?;
    let mut detail = None;
    if rustix::process::geteuid().is_root() {
        let (nobody, nogroup) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        let changed = thread::set_thread_groups(&[])
            .and_then(|()| thread::set_thread_res_gid(nogroup, nogroup, nogroup))
            .and_then(|()| thread::set_thread_res_uid(nobody, nobody, nobody));
        detail = Some(match changed {
            Ok(()) => String::from("root became nobody"),
            // Without files, signals and sockets it is root of nothing; worth a word still.
            Err(error) => format!("still root: {}", io::Error::from(error)),
        });
    }
    drop_capabilities()?;
    Ok(detail)
}

fn drop_capabilities() -> Result<(), Denied> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// The kernel counts threads over all processes of a user, which others use up; but in each name space of users anew. Nothing else
/// is wanted of the name space: what it would let this process do within is given back at once.
fn limit_threads(threads: u64) -> Applied {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)
        .map_err(|error| Denied::new(format_args!("no name space of users: {}", error.desc())))?;
    drop_capabilities()?;
    // A change of what a process may do can clear these.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    set_limit(Resource::Nproc, threads)?;
    Ok(None)
}

/// Threads beside this one. A program calls us before it starts any; the test harness cannot.
fn other_threads() -> usize {
    if cfg!(test) {
        return 0;
    }
    std::fs::read_dir("/proc/self/task").map_or(0, |threads| threads.count().saturating_sub(1))
}

/// Whether the other end of the socket is closed.
fn host_hung_up() -> bool {
    on_stdin(PollFlags::empty()).contains(PollFlags::HUP)
}

/// What has happened on the socket to the host, of `events` and what is always told.
pub(super) fn on_stdin(events: PollFlags) -> PollFlags {
    let stdin = io::stdin();
    let mut polled = [PollFd::from_borrowed_fd(stdin.as_fd(), events)];
    let _ = poll(&mut polled, Some(&rustix::event::Timespec::default()));
    polled[0].revents()
}

fn limit_resources() -> Applied {
    let limits = [
        (Resource::Core, 0),
        (Resource::Nofile, MAX_DESCRIPTORS),
        (Resource::Fsize, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Rtprio, 0),
    ];
    for (resource, limit) in limits {
        set_limit(resource, limit)?;
    }
    Ok(None)
}

/// Unlike one on address space, a limit on data goes with V8: what it merely reserves does not count. And unlike a look at
/// what is resident, it holds before the memory is there.
fn limit_memory(mut statm: File, page_bytes: u64, bytes: u64) -> Applied {
    let mut text = String::new();
    statm.read_to_string(&mut text).map_err(Denied::new)?;
    // The sixth figure is data and stack, in pages.
    let data_pages: u64 = text
        .split_whitespace()
        .nth(5)
        .and_then(|pages| pages.parse().ok())
        .ok_or_else(|| Denied::new("/proc/self/statm makes no sense"))?;
    let base = data_pages * page_bytes;
    let limit = base.saturating_add(bytes);
    set_limit(Resource::Data, limit)?;
    Ok(None)
}

fn set_limit(resource: Resource, limit: u64) -> Result<(), Denied> {
    // A stricter one that this process was started with stays.
    let before = rustix::process::getrlimit(resource);
    let limit = before.maximum.map_or(limit, |maximum| maximum.min(limit));
    rustix::process::setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    Ok(())
}

/// Where the C library looks for its settings.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// One arena for all threads, which grows by a megabyte at a time. V8 takes that much for its first isolate, and an arena of a thread's own
/// grows by the page: 61 system calls, and a twelfth of the time from a worker's beginning until it is ready. The rest is what malloc would come
/// to by itself with values of some megabytes, if nothing were set.
const MALLOC: &str = "glibc.malloc.arena_max=1:glibc.malloc.top_pad=1048576:\
    glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=67108864";

/// `nobody` and `nogroup`, or `nfsnobody`, on every Linux.
const NOBODY: u32 = 65_534;

/// What the kernel keeps for each thread, and hands on to those that it starts.
const OF_THREADS: [Layer; 4] = [Layer::Privileges, Layer::Files, Layer::Network, Layer::Scope];

/// Where there is no list of those that are open, so many are closed, open or not.
const MANY_DESCRIPTORS: i32 = 65_536;

/// The socket, standard output and error, and what little a library may open for a moment.
const MAX_DESCRIPTORS: u64 = 16;
