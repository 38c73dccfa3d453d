use std::{os::unix::process::CommandExt as _, process::Command};

use crate::{
    error::Error,
    peers::{self, Peers},
    say,
    workspace::{self, Workspace},
};

/// Builds `codemode` and the benchmark with optimisations, and becomes the benchmark, which fetches the reference
/// host; other sandboxes to compare with are put in place here. Returns only if something of that failed.
///
/// With `--micro` it is the micro-benchmarks instead, and arguments after it are theirs.
pub(crate) fn run(checkout: &Workspace, arguments: &[String]) -> Result<(), Error> {
    if let [first, theirs @ ..] = arguments
        && first == "--micro"
    {
        return micro(checkout, theirs);
    }
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

/// Each crate that has some, in turn.
fn micro(checkout: &Workspace, arguments: &[String]) -> Result<(), Error> {
    say::note("building the micro-benchmarks, in release mode: some minutes the first time");
    let packages = MICRO.map(|package| format!("--package={package}"));
    let mut command = checkout.cargo(["bench", "--bench=micro"]);
    if workspace::run(command.args(packages).arg("--").args(arguments))? {
        return Ok(());
    }
    Err(Error::new("the micro-benchmarks did not run"))
}

/// Those with a `benches/micro.rs`.
const MICRO: [&str; 3] = ["codemode-host-protocol", "codemode-declarations", "codemode-cells"];
