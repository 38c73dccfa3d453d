//! Cells in worker processes, so that nothing a cell does to its process reaches anything else.
//!
//! An engine makes worker processes ahead of need (`pool`), as copies of one that has started (`zygote`); a tenant takes them for
//! its cells, and no other tenant ever has one of them (`tenant`); a thread of the engine looks after each (`keeper`). A worker runs the same engine as a
//! program without isolation would, behind what it does to itself first (`lockdown`). Between the two go frames (`wire`).

use std::{ffi::OsString, path::PathBuf};

pub use cgroup::{Groups, NoGroups, memory_of_this_process};
pub use child::run_worker;
pub use lockdown::{Layer, LayerReport, Report, Status, worker_environment};
pub use probe::{Examination, Finding, examine, probe};

mod cgroup;
mod child;
mod crossing;
mod death;
mod fork;
mod keeper;
#[cfg(test)]
mod lies;
pub(crate) mod lockdown;
mod memory;
mod outgoing;
pub(crate) mod pool;
mod probe;
mod remote;
pub(crate) mod remote_cell;
pub(crate) mod tenant;
mod wire;
mod zygote;

/// Which program the worker processes run, and what they may use.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// A program that calls [`run_worker`] when it is started with `arguments`: itself, and not by way of another that it starts.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Processes made ahead of need, in all. Each takes about 3 MB.
    pub warm: usize,
    /// Memory that one process may use, in bytes, whatever the heap limits of its cells are. A cell that makes it cross
    /// that ends with its heap limit exceeded; others in the same process are lost.
    pub memory_bytes: u64,
    /// How many processes a tenant spreads its live cells over before they share.
    pub spread: usize,
    /// How many live cells share a process at most.
    pub cells_per_process: usize,
    /// Whether each process gets a control group, where this program may make some. This process moves to one of its own then,
    /// within the one it is in.
    pub control_groups: bool,
    /// Told of each process that is ready, on a thread of the engine's: what it has shut itself off from.
    pub on_ready: Option<fn(&Report)>,
}

impl ProcessOptions {
    /// The threads that one process may have: one for each cell, as many that have had theirs and are about to end or kept
    /// for the next, and V8's own.
    fn threads(&self) -> u64 {
        2 * self.cells_per_process as u64 + 64
    }

    /// What stops a process for certain: well above the bound that it is ended at, because then it can be said
    /// which cell it was.
    fn hard_memory_bytes(&self) -> u64 {
        self.memory_bytes.saturating_add(self.memory_bytes / 4).saturating_add(256 << 20)
    }

    /// The same, as the kernel counts a process's data: what is mapped to be written, used or not. Of that each cell has a stack
    /// and room for compiled code, so it is tight for few cells alone.
    fn data_bytes(&self) -> u64 {
        let of_cell = (crate::worker::STACK_BYTES + crate::limits::CODE_RANGE_BYTES) as u64;
        let isolates = self.cells_per_process as u64 + crate::home::MAX_IDLE_PER_TENANT as u64 * 2;
        self.hard_memory_bytes().saturating_add(isolates.saturating_mul(of_cell))
    }
}

impl ProcessOptions {
    /// Runs the program that this process runs, with `arguments`.
    pub fn this_program<A: Into<OsString>>(
        arguments: impl IntoIterator<Item = A>,
    ) -> ProcessOptions {
        ProcessOptions {
            // Not the path: the file may be replaced while this process runs.
            program: PathBuf::from("/proc/self/exe"),
            arguments: arguments.into_iter().map(Into::into).collect(),
            warm: 2,
            memory_bytes: 2 << 30,
            spread: 4,
            cells_per_process: 256,
            control_groups: false,
            on_ready: None,
        }
    }
}
