//! The handle of a running cell.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use codemode_host_protocol::{Json, ToolFailure};

use crate::{CallId, cpu::CpuTime, inbox::Inbox, worker::Worker};

/// A running cell. Cheap to clone; the cell is terminated when the last clone is dropped.
#[derive(Clone)]
pub struct Cell(Arc<Guard>);

struct Guard(Arc<Shared>);

impl Cell {
    pub(crate) fn new(shared: Arc<Shared>) -> Cell {
        Cell(Arc::new(Guard(shared)))
    }

    /// Answers a tool call. `false` when the cell has no such call open: it was answered before, never was, or
    /// the cell has ended.
    ///
    /// Never blocks on the cell; callable from any thread, also from within its [`EventSink`](crate::EventSink).
    pub fn deliver(&self, call: CallId, result: Result<Json, ToolFailure>) -> bool {
        self.0.0.inbox.deliver(call, result)
    }

    /// Ends the cell, wherever it is; its [`End`](crate::End) follows as an event. Does nothing when the cell has
    /// ended. Never blocks; callable from any thread.
    pub fn terminate(&self) {
        self.0.0.stop(Stop::Terminated);
    }

    /// The processor time that the cell's thread has used for it until now, or until its end.
    pub fn cpu_time(&self) -> Duration {
        self.0.0.cpu.used()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.stop(Stop::Terminated);
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cell").field(&self.0.0.id).finish()
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
