//! The handle of a running cell.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use codemode_host_protocol::{Json, ToolFailure};
use parking_lot::Mutex;

#[cfg(target_os = "linux")]
use crate::process::remote_cell::RemoteCell;
use crate::{
    CallId, End, EventSink, Limits, Usage,
    cpu::CpuTime,
    inbox::{Inbox, Put},
    run::{Ending, outcome_of_stop},
    worker::Worker,
};

/// A running cell. Cheap to clone; the cell is terminated when the last clone is dropped.
#[derive(Clone)]
pub struct Cell(Arc<Guard>);

enum Guard {
    /// In an isolate of this process.
    Here(Arc<Shared>),
    #[cfg(target_os = "linux")]
    Remote(Arc<RemoteCell>),
}

impl Cell {
    pub(crate) fn new(shared: Arc<Shared>) -> Cell {
        Cell(Arc::new(Guard::Here(shared)))
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn remote(cell: Arc<RemoteCell>) -> Cell {
        Cell(Arc::new(Guard::Remote(cell)))
    }

    /// Answers a tool call. `false` when the cell has no such call open: it was answered before, never was, or
    /// the cell has ended.
    ///
    /// Never blocks on the cell; callable from any thread, also from within its [`EventSink`](crate::EventSink).
    pub fn deliver(&self, call: CallId, result: Result<Json, ToolFailure>) -> bool {
        match &*self.0 {
            Guard::Here(shared) => shared.deliver(call, result),
            #[cfg(target_os = "linux")]
            Guard::Remote(cell) => cell.deliver(call, result),
        }
    }

    /// Ends the cell, wherever it is; its [`End`](crate::End) follows as an event. Does nothing when the cell has
    /// ended. Never blocks; callable from any thread.
    pub fn terminate(&self) {
        self.0.terminate();
    }

    /// The processor time that has been used for the cell until now, or until its end.
    pub fn cpu_time(&self) -> Duration {
        match &*self.0 {
            Guard::Here(shared) => shared.cpu.used(),
            #[cfg(target_os = "linux")]
            Guard::Remote(cell) => cell.cpu_time(),
        }
    }

    /// Whether its code runs now.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_busy(&self) -> bool {
        match &*self.0 {
            Guard::Here(shared) => shared.runs(),
            Guard::Remote(_) => false,
        }
    }
}

#[cfg(all(target_os = "linux", test))]
impl Cell {
    /// The worker process that it runs in.
    pub(crate) fn process(&self) -> Option<rustix::process::Pid> {
        match &*self.0 {
            Guard::Here(_) => None,
            Guard::Remote(cell) => Some(cell.process()),
        }
    }
}

#[cfg(test)]
impl Cell {
    /// Whether nothing runs in its isolate.
    pub(crate) fn rests(&self) -> bool {
        matches!(&*self.0, Guard::Here(shared) if shared.worker.get().is_some_and(Worker::rests))
    }

    pub(crate) fn shares_an_isolate_with(&self, other: &Cell) -> bool {
        match (&*self.0, &*other.0) {
            (Guard::Here(one), Guard::Here(other)) => {
                one.worker.get().zip(other.worker.get()).is_some_and(|(one, other)| one.is(other))
            }
            _ => false,
        }
    }
}

impl Guard {
    fn terminate(&self) {
        match self {
            Guard::Here(shared) => shared.stop(Stop::Terminated),
            #[cfg(target_os = "linux")]
            Guard::Remote(cell) => cell.terminate(),
        }
    }

    fn id(&self) -> u64 {
        match self {
            Guard::Here(shared) => shared.id,
            #[cfg(target_os = "linux")]
            Guard::Remote(cell) => cell.id(),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.terminate();
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cell").field(&self.0.id()).finish()
    }
}

/// What a cell's handle, its thread and the clock share.
pub(crate) struct Shared {
    /// Unique in the process.
    pub(crate) id: u64,
    pub(crate) inbox: Inbox,
    pub(crate) cpu: CpuTime,
    /// The worker, once it has one.
    worker: OnceLock<Worker>,
    stop: AtomicU8,
    lying: Mutex<Option<Lying>>,
}

/// What is needed to end a cell that has no isolate yet, or waits in one in which another one runs.
pub(crate) struct Lying {
    pub(crate) sink: Box<dyn EventSink>,
    pub(crate) stored: BTreeMap<String, Json>,
    /// All but the wall time.
    pub(crate) usage: Usage,
    pub(crate) limits: Limits,
    pub(crate) started: Instant,
}

impl Shared {
    pub(crate) fn new(id: u64) -> Shared {
        Shared {
            id,
            inbox: Inbox::default(),
            cpu: CpuTime::default(),
            worker: OnceLock::new(),
            stop: AtomicU8::new(0),
            lying: Mutex::default(),
        }
    }

    fn deliver(&self, call: CallId, result: Result<Json, ToolFailure>) -> bool {
        let put = self.inbox.deliver(call, result);
        if put == Put::Wakes
            && let Some(worker) = self.worker.get()
        {
            worker.wake(self.id);
        }
        put != Put::Refused
    }

    /// The cell has a worker now.
    pub(crate) fn belongs_to(&self, worker: &Worker) {
        let _ = self.worker.set(worker.clone());
    }

    /// The cell waits, and its thread may be busy with another one meanwhile.
    pub(crate) fn lie_down(&self, lying: Lying) {
        *self.lying.lock() = Some(lying);
    }

    /// The cell goes on. `None` when it has been ended.
    pub(crate) fn get_up(&self) -> Option<Lying> {
        self.lying.lock().take()
    }

    /// Ends the cell from outside. The first reason stands.
    pub(crate) fn stop(self: &Arc<Shared>, why: Stop) {
        if self.stop.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        if self.inbox.stop() == Put::Refused {
            return;
        }
        let interrupt = match self.worker.get() {
            Some(worker) => {
                worker.wake_first(self.id);
                worker.interrupt(self.id)
            }
            None => Interrupt::AnotherRuns,
        };
        if interrupt == Interrupt::AnotherRuns && self.lying.lock().is_some() {
            let cell = Arc::clone(self);
            // Whoever stops the cell must not be made to hear of it. Without a thread, it ends when the other one rests.
            let _ = std::thread::Builder::new()
                .name(String::from("codemode-end"))
                .stack_size(ENDING_STACK_BYTES)
                .spawn(move || cell.end_lying(why));
        }
    }

    /// Ends the cell if it was stopped before it lay down.
    pub(crate) fn end_if_stopped(&self) {
        if let Some(why) = self.stopped() {
            self.end_lying(why);
        }
    }

    /// Ends the cell while it waits, without its isolate.
    fn end_lying(&self, why: Stop) {
        let Some(Lying { sink, stored, usage, limits, started }) = self.get_up() else {
            return;
        };
        self.inbox.close();
        let usage = Usage { wall: started.elapsed(), ..usage };
        let outcome = outcome_of_stop(why, &limits, &usage);
        Ending { sink: Some(sink), end: End { outcome, stored, usage } }.tell();
    }

    #[cfg(target_os = "linux")]
    fn runs(&self) -> bool {
        self.worker.get().is_some_and(|worker| worker.runs(self.id))
    }

    /// Why the cell was ended from outside, if it was.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        match self.stop.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Stop::Terminated),
            2 => Some(Stop::Time),
            _ => Some(Stop::Cpu),
        }
    }
}

/// What became of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// The cell was running, or nothing was: it will hear of it at once.
    Done,
    /// Its thread is busy with another cell, or it has none yet.
    AnotherRuns,
}

/// Why a cell is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stop {
    Terminated = 1,
    Time = 2,
    Cpu = 3,
}

/// For an [`EventSink`] that is told one thing.
const ENDING_STACK_BYTES: usize = 256 << 10;
