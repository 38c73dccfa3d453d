//! The codemode host as a library: what touches the world outside of the sandbox.

pub mod cli;
pub mod declarations;
pub mod workspace;
