use std::os::unix::process::CommandExt;

use crate::{error::Error, say, workspace::Workspace};

/// Builds the benchmark with optimisations and becomes it. Returns only if that failed.
pub(crate) fn run(checkout: &Workspace, arguments: &[String]) -> Result<(), Error> {
    say::note("building the benchmark, in release mode: some minutes the first time");
    let error = checkout
        .cargo(["run", "--release", "--package=codemode-tests", "--bin=bench", "--"])
        .args(arguments)
        .exec();
    Err(Error::new(format!("cannot run cargo: {error}")))
}
