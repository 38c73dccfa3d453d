use std::{os::unix::process::CommandExt as _, process::Command};

use crate::{
    error::Error,
    peers::{self, Peers},
    say,
    workspace::{self, Workspace},
};

/// Builds `codemode` and the benchmark with optimisations, and becomes the benchmark, which fetches the reference
/// host; other sandboxes to compare with are put in place here. Returns only if something of that failed.
pub(crate) fn run(checkout: &Workspace, arguments: &[String]) -> Result<(), Error> {
    say::note("building the benchmark, in release mode: some minutes the first time");
    let built = workspace::run(&mut checkout.cargo([
        "build",
        "--release",
        "--package=codemode-host",
        "--bin=codemode",
        "--package=codemode-tests",
        "--bin=bench",
    ]))?;
    if !built {
        return Err(Error::new("the benchmark did not build"));
    }
    if let Err(error) = peers::provide(checkout, &Peers::BENCH) {
        say::note(&format!("bench: there is nothing of other sandboxes to compare with: {error}"));
    }
    let program = checkout.target.join("release").join("bench");
    let error = Command::new(&program).current_dir(&checkout.root).args(arguments).exec();
    Err(Error::new(format!("cannot run {}: {error}", program.display())))
}
