//! Sessions, the cells that live in them, and the steps that the cells belong to.

pub use step::{Step, ToolFuture, ToolRuntime};

mod step;
