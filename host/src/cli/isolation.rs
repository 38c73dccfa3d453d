//! `--isolation`, and the worker processes that it asks for.

use clap::ValueEnum;
use codemode_runtime_js::Isolation;
#[cfg(target_os = "linux")]
use codemode_runtime_js::process::ProcessOptions;

/// What keeps cells from the process that starts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum IsolationKind {
    /// Worker processes that can reach nothing but this one
    #[cfg(target_os = "linux")]
    Process,
    /// V8 and the budgets alone
    None,
}

impl IsolationKind {
    /// What a host has that is not told otherwise.
    #[cfg(target_os = "linux")]
    pub(super) const OF_HOST: IsolationKind = IsolationKind::Process;
    #[cfg(not(target_os = "linux"))]
    pub(super) const OF_HOST: IsolationKind = IsolationKind::None;

    pub(super) fn isolation(self) -> Isolation {
        match self {
            #[cfg(target_os = "linux")]
            IsolationKind::Process => Isolation::Process(ProcessOptions::this_program([WORKER])),
            IsolationKind::None => Isolation::None,
        }
    }
}

/// The hidden command of a worker process.
#[cfg(target_os = "linux")]
pub(super) const WORKER: &str = "worker";
