//! Cells in processes of their own.

pub use cgroup::{Groups, NoGroups, memory_of_this_process};
pub use lockdown::{Layer, LayerReport, Report, Status, worker_environment};
pub use probe::{Examination, Finding, examine, probe};

mod cgroup;
mod crossing;
pub(crate) mod lockdown;
mod probe;
