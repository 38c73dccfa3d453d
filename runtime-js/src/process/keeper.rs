//! The thread that looks after a worker process.

use std::{
    cmp::Reverse,
    fmt::Display,
    io::{self, PipeReader, Read as _},
    os::unix::{net::UnixStream, process::ExitStatusExt as _},
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Signal, kill_process},
};

use super::{
    ProcessOptions,
    cgroup::Group,
    death::{LAST_WORDS_BYTES, ends_in_a_moment, how_it_ended, reap},
    lockdown::Report,
    memory::{Gauge, Watch},
    outgoing::Incoming,
    pool::Stock,
    remote::{Remote, Standing},
    remote_cell::RemoteCell,
    wire::{FrameReader, FromWorker},
};
use crate::{Outcome, RuntimeCrash, cell::Stop};

/// The thread that looks after one worker process.
pub(super) struct Keeper {
    worker: Remote,
    socket: Arc<UnixStream>,
    reader: FrameReader<Incoming>,
    woken: UnixStream,
    stderr: Option<PipeReader>,
    /// The end of what the process wrote to stderr.
    last_words: Vec<u8>,
    memory: Watch,
    group: Option<Group>,
    on_ready: Option<fn(&Report)>,
    stock: Arc<Stock>,
    /// Whether others are made ahead of need.
    has_others: bool,
}

/// Why a worker process ends.
pub(super) enum Why {
    /// Nobody needs it any more.
    Unused,
    /// It said what makes no sense, or closed the connection.
    Broken(String),
    /// A cell could not be ended otherwise.
    GivenUp,
    /// It held more than its bound, and these cells were running.
    Memory { cells: Vec<u64>, bytes: u64, bound_bytes: u64 },
}

impl Keeper {
    pub(super) fn new(
        worker: Remote,
        stderr: PipeReader,
        socket: Arc<UnixStream>,
        woken: UnixStream,
        options: &ProcessOptions,
        stock: Arc<Stock>,
        group: Option<Group>,
    ) -> Keeper {
        let memory = Watch::new(Gauge::of(worker.0.pid), options.memory_bytes);
        // What a cell passes on at once is a part of what it holds.
        let max_body_bytes = usize::try_from(options.memory_bytes / 4).unwrap_or(usize::MAX);
        let reader = FrameReader::new(Incoming(Arc::clone(&socket)), max_body_bytes);
        let on_ready = options.on_ready;
        let last_words = Vec::new();
        let stderr = Some(stderr);
        let has_others = options.warm > 0;
        Keeper {
            worker,
            socket,
            reader,
            woken,
            stderr,
            last_words,
            memory,
            group,
            on_ready,
            stock,
            has_others,
        }
    }

    pub(super) fn run(mut self) {
        let why = loop {
            if let Some(why) = self.check() {
                break why;
            }
            if let Err(why) = self.wait_and_read() {
                break why;
            }
        };
        self.finish(why);
    }

    /// What is to be done by now.
    fn check(&mut self) -> Option<Why> {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut state = self.worker.0.state.lock();
        while let Some(Reverse((at, cell))) = state.deadlines.peek()
            && *at <= now
        {
            due.extend(state.cells.get(cell).cloned());
            state.deadlines.pop();
        }
        drop(state);
        for cell in due {
            let stop = cell.stopped();
            match stop {
                None => cell.look(now),
                Some((why, at)) if at <= now => self.give_up(&cell, why, now),
                Some(_) => {}
            }
        }
        let mut state = self.worker.0.state.lock();
        let idle = state.idle_since.is_some_and(|since| now - since >= self.idle_time(now));
        let live = !state.cells.is_empty();
        let ends = match state.standing {
            Standing::Condemned(at) if !live || at <= now => Some(Why::GivenUp),
            Standing::Leaves if !live => Some(Why::Unused),
            Standing::Serves if !live && idle => Some(Why::Unused),
            _ => None,
        };
        if ends.is_some() {
            // Before the lock is released: a cell that came now would be ended with the process.
            state.standing = Standing::Gone;
            return ends;
        }
        drop(state);
        if self.worker.0.outgoing.is_stuck() {
            return Some(Why::Broken(String::from("does not read what it is sent")));
        }
        if live { self.memory.check(now, &self.worker) } else { None }
    }

    /// Ends a cell that does not end by itself, and its process as soon as that harms no other.
    fn give_up(&self, cell: &Arc<RemoteCell>, why: Stop, now: Instant) {
        let mut state = self.worker.0.state.lock();
        if !matches!(state.standing, Standing::Condemned(_)) {
            state.standing = Standing::Condemned(now + SIBLING_GRACE);
        }
        drop(state);
        self.worker.forget(cell.id());
        cell.end(cell.outcome_of(why), None);
    }

    /// Sleeps until something happens, and reads what the process says.
    fn wait_and_read(&mut self) -> Result<(), Why> {
        // What was read before and not looked at makes no connection readable.
        let unread = self.reader.has_more();
        let timeout = if unread { Some(Timespec::default()) } else { self.timeout() };
        let mut socket_events = PollFlags::IN;
        if !self.worker.0.outgoing.is_empty() {
            socket_events |= PollFlags::OUT;
        }
        let mut fds =
            vec![PollFd::new(&self.socket, socket_events), PollFd::new(&self.woken, PollFlags::IN)];
        if let Some(stderr) = &self.stderr {
            fds.push(PollFd::new(stderr, PollFlags::IN));
        }
        // Interrupted, or out of memory: the next round sees to it.
        let _ = poll(&mut fds, timeout.as_ref());
        let happened: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        if !happened[1].is_empty() {
            let mut rest = [0; 64];
            while matches!((&self.woken).read(&mut rest), Ok(n) if n == rest.len()) {}
        }
        if happened[0].contains(PollFlags::OUT) {
            self.worker.0.outgoing.flush();
        }
        if happened.get(2).is_some_and(|flags| !flags.is_empty()) {
            self.read_stderr();
        }
        match unread || !happened[0].difference(PollFlags::OUT).is_empty() {
            true => self.read(),
            false => Ok(()),
        }
    }

    /// How long the process is kept without a cell.
    fn idle_time(&self, now: Instant) -> Duration {
        match self.has_others && !self.stock.is_brisk(now) {
            true => IDLE_TIME,
            false => LONG_IDLE_TIME,
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        let now = Instant::now();
        let state = self.worker.0.state.lock();
        let deadline = state.deadlines.peek().map(|Reverse((at, _))| *at);
        let live = !state.cells.is_empty();
        let memory = live.then_some(self.memory.next);
        let idle = state.idle_since.map(|since| match since + IDLE_TIME {
            at if at > now => at,
            // It was kept, and may be kept on.
            _ => now + IDLE_TIME,
        });
        let condemned = match state.standing {
            Standing::Condemned(at) => Some(at),
            _ => None,
        };
        let next = [deadline, condemned, memory, idle].into_iter().flatten().min()?;
        Timespec::try_from(next.saturating_duration_since(now)).ok()
    }

    fn read(&mut self) -> Result<(), Why> {
        // So many that a worker which never stops talking does not keep this thread from its deadlines.
        for _ in 0..FRAMES_AT_ONCE {
            let frame = match self.reader.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Err(Why::Broken(String::from("closed its connection"))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Why::Broken(format!("broke its connection: {error}"))),
            };
            let message = FromWorker::decode(frame).map_err(nonsense)?;
            match message {
                FromWorker::Ready { report } => {
                    let before = std::mem::replace(&mut self.worker.0.state.lock().ready, true);
                    if before {
                        continue;
                    }
                    self.stock.ripens();
                    if let Some(told) = self.on_ready {
                        told(&report);
                    }
                }
                FromWorker::Borrow { budget, least, most } => {
                    self.worker.lend(budget, least, most).map_err(nonsense)?;
                }
                FromWorker::GiveBack { budget, keeps } => {
                    self.worker.take_back(budget, keeps).map_err(nonsense)?;
                }
                FromWorker::Running { cells } => self.memory.running = Some(cells),
                FromWorker::Cell { cell, said } => {
                    self.memory.soon();
                    // Of a cell that was given up, nothing is of interest.
                    let cell = self.worker.0.state.lock().cells.get(&cell).cloned();
                    if let Some(cell) = cell {
                        cell.heard(said).map_err(nonsense)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn read_stderr(&mut self) {
        let Some(stderr) = &mut self.stderr else { return };
        let mut bytes = [0; 4096];
        loop {
            match stderr.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => {
                    self.last_words.extend_from_slice(&bytes[..n]);
                    let excess = self.last_words.len().saturating_sub(LAST_WORDS_BYTES);
                    self.last_words.drain(..excess);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.stderr = None;
    }

    /// Ends the process, and what is left of its cells.
    fn finish(mut self, why: Why) {
        // Before it is waited for: what came now would end with it.
        self.worker.0.state.lock().standing = Standing::Gone;
        // Of a process that has died, more can be said than that its connection is closed.
        let ended = matches!(why, Why::Broken(_)) && ends_in_a_moment(self.worker.0.pid);
        let cells: Vec<Arc<RemoteCell>> =
            self.worker.0.state.lock().cells.drain().map(|(_, cell)| cell).collect();
        for cell in &cells {
            cell.comes_to_rest();
        }
        let _ = kill_process(self.worker.0.pid, Signal::KILL);
        self.read_stderr();
        let status = reap(self.worker.0.pid).ok().filter(|_| ended);
        if status.is_some_and(|status| status.signal().is_some()) {
            self.stock.distrust();
        }
        self.worker.take_all_back();
        let text = match (&why, status) {
            (_, Some(status)) => self.obituary(status),
            (Why::Broken(what), None) => format!("the cell's process {what}"),
            (Why::GivenUp, None) => String::from(
                "the cell's process was ended, because another cell of the session could not be stopped otherwise",
            ),
            (Why::Memory { bound_bytes, .. }, None) => {
                format!("the cell's process used more than its {bound_bytes} bytes of memory")
            }
            (Why::Unused, None) => String::from("the cell's process was ended"),
        };
        for cell in cells {
            let outcome = match &why {
                Why::Memory { cells, bytes, .. } if cells.contains(&cell.id()) => {
                    cell.out_of_memory(*bytes)
                }
                _ => Outcome::Crashed(RuntimeCrash { why: text.clone() }),
            };
            cell.end(outcome, None);
        }
    }

    fn obituary(&self, status: ExitStatus) -> String {
        if self.group.as_ref().is_some_and(Group::ran_out_of_memory) {
            return String::from(
                "the cell's process was ended by the system: it used too much memory",
            );
        }
        how_it_ended("the cell's process", status, &self.last_words)
    }
}

fn nonsense(bad: impl Display) -> Why {
    Why::Broken(format!("said what makes no sense: {bad}"))
}

/// What the other cells of a process have to come to an end once it must end because of one of them.
const SIBLING_GRACE: Duration = Duration::from_secs(5);

/// A process without cells is kept for so long for its session's next one, where others are made ahead of need: such a one is there
/// at once too, and a session that is quiet costs nothing. Shorter than the time after which a worker clears up, which would be in vain.
const IDLE_TIME: Duration = Duration::from_millis(800);

/// The same where none are, or where they are taken faster than they should be made.
const LONG_IDLE_TIME: Duration = Duration::from_secs(30);

const FRAMES_AT_ONCE: usize = 256;
