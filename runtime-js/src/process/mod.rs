//! Cells in processes of their own.

pub use lockdown::{Layer, LayerReport, Report, Status, worker_environment};
pub use probe::{Examination, Finding, examine, probe};

mod crossing;
pub(crate) mod lockdown;
mod probe;
