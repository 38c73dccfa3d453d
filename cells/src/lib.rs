//! Sessions, the cells that live in them, and the steps that the cells belong to.

pub use step::{Step, ToolFuture, ToolRuntime};
pub use truncate::{Counting, truncate};

mod step;
mod truncate;
