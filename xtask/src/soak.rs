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
    let error = Command::new(&program).current_dir(&checkout.root).args(arguments).exec();
    Err(Error::new(format!("cannot run {}: {error}", program.display())))
}
