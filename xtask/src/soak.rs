use std::{os::unix::process::CommandExt as _, process::Command};

use crate::{
    error::Error,
    say,
    workspace::{self, Workspace},
};

/// Builds `codemode` and the soak, and becomes the soak. Returns only if something of that failed.
pub(crate) fn run(checkout: &Workspace, arguments: &[String]) -> Result<(), Error> {
    say::note("building the soak");
    let built = workspace::run(&mut checkout.cargo([
        "build",
        "--package=codemode-host",
        "--bin=codemode",
        "--package=codemode-tests",
        "--bin=soak",
    ]))?;
    if !built {
        return Err(Error::new("the soak did not build"));
    }
    let program = checkout.target.join("debug").join("soak");
    // In many arenas the C library keeps what was freed: 10 MB a minute, with 3 MB in use all the while.
    let error = Command::new(&program)
        .current_dir(&checkout.root)
        .args(arguments)
        .env("MALLOC_ARENA_MAX", "1")
        // One of the tools panics on purpose, and what a backtrace is made from stays in memory: 100 MB.
        .env("RUST_BACKTRACE", "0")
        .exec();
    Err(Error::new(format!("cannot run {}: {error}", program.display())))
}
