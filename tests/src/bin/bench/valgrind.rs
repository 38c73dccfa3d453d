//! Valgrind, which runs a program on a processor of its own making and counts what it does.

use std::{io, path::Path, process::Command};

use crate::error::Error;

/// Whether it can be run here.
pub(crate) fn is_there() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Has it count instructions, by function, and write that to `out`. More of its options may follow; then the program and its arguments.
pub(crate) fn callgrind(out: impl AsRef<Path>) -> Command {
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.as_ref().display()));
    command
}

pub(crate) fn cannot_run(error: io::Error) -> Error {
    Error::new(format!("cannot run valgrind: {error}"))
}
