use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Arena, Attack, HonestReport, Mode, honest::CRASHED};

/// What a soak has seen.
#[derive(Debug, Default)]
pub struct SoakReport {
    /// Attacks that were run.
    pub attacks: u64,
    /// Honest cells that answered.
    pub honest: u64,
    /// Honest cells whose process was killed under them.
    pub crashed: u64,
    /// Workers that were killed.
    pub killed: u64,
    /// Memory of this process, in KiB.
    pub memory_kib: Memory,
    /// Workers, and threads that look after some, that were left when all was over, and what could tell why.
    pub left: Vec<String>,
    /// What went otherwise than it must.
    pub wrong: Vec<String>,
}

/// What this process held in memory over a soak, in KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Before the first attack.
    pub begin: u64,
    /// Over its course, twenty times. What cells say while it is looked, large outputs among it, is in them.
    pub course: Vec<u64>,
    /// When the last cell had ended.
    pub end: u64,
}

impl Memory {
    /// The least that was held in the second quarter: by then all that is made once has been made.
    pub fn settled(&self) -> u64 {
        let quarter = self.course.len() / 4;
        self.course.iter().skip(quarter).take(quarter).copied().min().unwrap_or(self.begin)
    }
}

/// Runs random attacks and honest sessions beside each other in worker processes, and kills workers at random, until `enough`
/// says so of the attacks that were run and the time that has passed.
///
/// # Errors
/// When this system does not tell of processes.
pub async fn soak(
    attacks: Vec<Attack>,
    seed: u64,
    enough: impl Fn(u64, Duration) -> f64 + Send + Sync + 'static,
) -> io::Result<SoakReport> {
    let began = Instant::now();
    let arena = Arc::new(Arena::new(Mode::Process).await);
    let state = Arc::new(State {
        arena: Arc::clone(&arena),
        attacks,
        progress: Box::new(move |attacks| enough(attacks, began.elapsed())),
        run: AtomicU64::new(0),
        killed: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    let begin = memory_kib()?;
    let mut chance = Rng::with_seed(seed);
    let attackers: Vec<_> =
        (0..ATTACKERS).map(|_| tokio::spawn(attack(Arc::clone(&state), chance.fork()))).collect();
    let honest: Vec<_> = (0..HONEST).map(|_| tokio::spawn(work(Arc::clone(&state)))).collect();
    let killer = tokio::spawn(kill(Arc::clone(&state), chance.fork()));

    let mut report = SoakReport::default();
    for attacker in attackers {
        report.wrong.extend(joined(attacker.await));
    }
    state.over.store(true, Ordering::Relaxed);
    for honest in honest {
        let (answered, crashed, wrong) = joined(honest.await);
        report.honest += answered;
        report.crashed += crashed;
        report.wrong.extend(wrong);
    }
    let course = joined(killer.await)?;
    report.attacks = state.run.load(Ordering::Relaxed);
    report.killed = state.killed.load(Ordering::Relaxed);
    report.memory_kib = Memory { begin, course, end: memory_kib()? };
    drop(state);
    drop(arena);
    report.left = left().await?;
    Ok(report)
}

struct State {
    arena: Arc<Arena>,
    attacks: Vec<Attack>,
    /// Of the attacks that were run, how much of the soak is over: 1 for all of it.
    progress: Box<dyn Fn(u64) -> f64 + Send + Sync>,
    run: AtomicU64,
    killed: AtomicU64,
    over: AtomicBool,
}

impl State {
    fn progress(&self) -> f64 {
        (self.progress)(self.run.load(Ordering::Relaxed))
    }
}

/// Runs one random attack after the other.
async fn attack(state: Arc<State>, mut chance: Rng) -> Vec<String> {
    let mut wrong = Vec::new();
    while state.progress() < 1.0 {
        let attack = &state.attacks[chance.usize(..state.attacks.len())];
        let faults = state.arena.run(attack).await.wrong;
        // Killed under it: then it ended like that, and not as it says.
        if !faults.iter().any(|fault| fault.contains(CRASHED)) {
            wrong.extend(faults.into_iter().map(|fault| format!("{}: {fault}", attack.name)));
        }
        state.run.fetch_add(1, Ordering::Relaxed);
    }
    wrong
}

/// Works honestly: how many cells answered, how many were killed, and what was wrong.
async fn work(state: Arc<State>) -> (u64, u64, Vec<String>) {
    let mut honest = state.arena.honest();
    let (mut crashed, mut wrong) = (0, Vec::new());
    while !state.over.load(Ordering::Relaxed) {
        match honest.work().await {
            HonestReport::Right => {}
            HonestReport::Crashed => crashed += 1,
            HonestReport::Wrong(what) => {
                wrong.push(what);
                break;
            }
        }
    }
    (honest.cells(), crashed, wrong)
}

/// Kills a random worker for every few attacks, and notes how much memory there is over the course of it.
async fn kill(state: Arc<State>, mut chance: Rng) -> io::Result<Vec<u64>> {
    let mut course = Vec::new();
    let mut seen = 0;
    while !state.over.load(Ordering::Relaxed) {
        if state.progress() * LOOKS > course.len() as f64 {
            course.push(memory_kib()?);
        }
        // A little chaos between looks, so that the worker is at no certain place.
        tokio::time::sleep(Duration::from_micros(500 + chance.u64(..20_000))).await;
        let run = state.run.load(Ordering::Relaxed);
        if run < seen + ATTACKS_PER_KILL {
            continue;
        }
        seen = run;
        let workers = workers()?;
        if workers.is_empty() {
            continue;
        }
        let victim = workers[chance.usize(..workers.len())];
        // By a handle, and looked at again: its number can be somebody else's by now.
        let Ok(handle) = pidfd_open(victim, PidfdFlags::empty()) else { continue };
        if is_worker(victim) && pidfd_send_signal(&handle, Signal::KILL).is_ok() {
            state.killed.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(course)
}

/// What is left of the engine, and what could tell why. Empty once its pool starts no more processes, and whoever looks after
/// one has waited for its end.
async fn left() -> io::Result<Vec<String>> {
    let patience = Instant::now() + PATIENCE;
    // Nothing tells when the last of a thread is gone. Processes come after: until the pool's thread has ended, there can be
    // one more.
    while keepers()? > 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut left: Vec<String> = workers()?.into_iter().map(describe).collect();
    let keepers = keepers()?;
    if !left.is_empty() || keepers > 0 {
        left.push(format!(
            "{keepers} keepers in this process: {}",
            threads(Path::new("/proc/self"))
        ));
    }
    Ok(left)
}

/// How many threads of this process start workers, or look after one.
fn keepers() -> io::Result<usize> {
    let tasks = fs::read_dir("/proc/self/task")?.flatten();
    let names = tasks.map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default());
    Ok(names.filter(|name| KEEPERS.contains(&name.trim())).count())
}

/// The children of this process that are workers.
///
/// Not those of each of its threads: the kernel gives them to another thread when theirs ends, and who looks at one thread
/// after the other misses them.
fn workers() -> io::Result<Vec<Pid>> {
    let numbers =
        fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let processes = numbers.filter_map(|number| number.parse().ok().and_then(Pid::from_raw));
    Ok(processes.filter(|&process| is_worker(process)).collect())
}

/// Whether a process is a worker, and a child of this one. The process that workers are copies of is none.
fn is_worker(process: Pid) -> bool {
    let folder = format!("/proc/{}", process.as_raw_nonzero());
    let stat = fs::read_to_string(format!("{folder}/stat")).unwrap_or_default();
    // Its name, in parentheses, can have any character; after it come its state and its parent.
    let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
    parent.is_some_and(|parent| parent == std::process::id().to_string())
        && stat.contains("(codemode-worker)")
}

/// What a worker does that should have gone.
fn describe(worker: Pid) -> String {
    let folder = format!("/proc/{}", worker.as_raw_nonzero());
    let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
    let told = ["State:", "VmRSS:", "Threads:", "SigPnd:", "ShdPnd:"];
    let status: Vec<&str> =
        status.lines().filter(|line| told.iter().any(|name| line.starts_with(name))).collect();
    let stat = fs::read_to_string(format!("{folder}/stat")).unwrap_or_default();
    format!("worker {worker:?}: {status:?}, {stat}: {}", threads(Path::new(&folder)))
}

/// The threads of a process, and where in the kernel each of them waits.
fn threads(process: &Path) -> String {
    let Ok(tasks) = fs::read_dir(process.join("task")) else { return String::from("gone") };
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let mut threads: Vec<String> = tasks
        .flatten()
        .map(|task| {
            let [name, place] = ["comm", "wchan"].map(|file| read(task.path().join(file)));
            format!("{name} in {place}")
        })
        .collect();
    threads.sort();
    threads.join(", ")
}

fn memory_kib() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = resident.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))
}

fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Attacks at a time.
const ATTACKERS: usize = 8;

/// Honest sessions.
const HONEST: usize = 4;

const ATTACKS_PER_KILL: u64 = 5;

/// How often it is looked how much memory there is.
const LOOKS: f64 = 20.0;

/// The threads of an engine that start workers and look after them.
const KEEPERS: [&str; 2] = ["codemode-pool", "codemode-worker"];

/// How long the last processes may take to go. Only an engine that keeps some needs it.
const PATIENCE: Duration = Duration::from_secs(60);
