//! `--isolation`, and the worker processes that it asks for.

#[cfg(target_os = "linux")]
use std::sync::Once;

use clap::ValueEnum;
use codemode_runtime_js::Isolation;
#[cfg(target_os = "linux")]
use codemode_runtime_js::process::{ProcessOptions, Report};

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
            IsolationKind::Process => Isolation::Process(ProcessOptions {
                control_groups: true,
                on_ready: Some(say_what_is_denied),
                ..ProcessOptions::this_program([WORKER])
            }),
            IsolationKind::None => Isolation::None,
        }
    }
}

/// Logs, once in this process, what the system denies. It is the same for all workers.
#[cfg(target_os = "linux")]
fn say_what_is_denied(report: &Report) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        for (layer, reason) in report.denied() {
            tracing::warn!("this system denies cells' processes one layer, {layer}: {reason}");
        }
        if report.denied().next().is_some() {
            tracing::warn!("`codemode doctor` says what the others hold");
        } else {
            tracing::info!("cells' processes have all their layers");
        }
    });
}

/// The hidden command of a worker process.
#[cfg(target_os = "linux")]
pub(super) const WORKER: &str = "worker";
