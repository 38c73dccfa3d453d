use std::{os::unix::process::CommandExt, process::Command};

use crate::{
    error::Error,
    say,
    workspace::{self, Workspace},
};

/// Builds `codemode` and becomes it, running the example cell on this checkout.
///
/// Returns only if that failed. Unoptimised: an optimised build takes longer, and what it would speed up takes a
/// second.
pub(crate) fn run(checkout: &Workspace) -> Result<(), Error> {
    say::note("building `codemode`: some minutes the first time");
    let mut build = checkout.cargo(["build", "--package=codemode-host", "--bin=codemode"]);
    if !workspace::run(&mut build)? {
        return Err(Error::new("`codemode` did not build"));
    }
    say::note(&format!("codemode run --workspace . {CELL}"));
    let codemode = checkout.target.join("debug").join("codemode");
    // In our place, so that an interrupt and the exit code are codemode's own affair.
    let error = Command::new(&codemode)
        .args(["run", "--workspace", ".", CELL])
        .current_dir(&checkout.root)
        .exec();
    Err(Error::file("run", &codemode, &error))
}

const CELL: &str = "examples/repo-report.ts";
