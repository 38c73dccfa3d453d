//! The handle of a running cell.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use codemode_host_protocol::{Json, ToolFailure};

#[cfg(target_os = "linux")]
use crate::process::remote_cell::RemoteCell;
use crate::{CallId, cpu::CpuTime, inbox::Inbox, worker::Worker};

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
            Guard::Here(shared) => shared.inbox.deliver(call, result),
            #[cfg(target_os = "linux")]
            Guard::Remote(cell) => cell.deliver(call, result),
        }
    }

    /// Ends the cell, wherever it is; its [`End`](crate::End) follows as an event. Does nothing when the cell has
    /// ended. Never blocks; callable from any thread.
    pub fn terminate(&self) {
        self.0.terminate();
    }

    /// The processor time that the cell's thread has used for it until now, or until its end.
    pub fn cpu_time(&self) -> Duration {
        match &*self.0 {
            Guard::Here(shared) => shared.cpu.used(),
            #[cfg(target_os = "linux")]
            Guard::Remote(cell) => cell.cpu_time(),
        }
    }

    /// Whether its code runs now, and does not wait for anything.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_busy(&self) -> bool {
        match &*self.0 {
            Guard::Here(shared) => !shared.inbox.is_waited_for(),
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
    worker: Worker,
    stop: AtomicU8,
}

impl Shared {
    pub(crate) fn new(id: u64, worker: Worker) -> Shared {
        Shared {
            id,
            inbox: Inbox::default(),
            cpu: CpuTime::default(),
            worker,
            stop: AtomicU8::new(0),
        }
    }

    /// Ends the cell from outside. The first reason stands.
    pub(crate) fn stop(&self, why: Stop) {
        if self.stop.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        self.inbox.stop();
        self.worker.interrupt(self.id);
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

/// Why a cell is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stop {
    Terminated = 1,
    Time = 2,
    Cpu = 3,
}
