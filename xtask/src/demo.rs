use std::process::{Command, ExitCode};

use crate::{
    error::Error,
    say,
    workspace::{self, Workspace},
};

/// Builds `codemode` and lets it run the example cell on this checkout; its output is ours.
pub(crate) fn run(checkout: &Workspace) -> Result<ExitCode, Error> {
    say::note("building `codemode`: some minutes the first time");
    if !workspace::run(&mut checkout.cargo(["build", "--package=codemode-host", "--bin=codemode"]))?
    {
        return Err(Error::new("`codemode` did not build"));
    }
    let cell = checkout.root.join("examples").join("repo-report.ts");
    let codemode = checkout.target.join("debug").join("codemode");
    say::note(&format!("codemode run --workspace . {}", "examples/repo-report.ts"));
    let mut command = Command::new(&codemode);
    command.args(["run", "--workspace"]).arg(&checkout.root).arg(&cell);
    let status = command
        .status()
        .map_err(|e| Error::new(format!("cannot run {}: {e}", codemode.display())))?;
    // A shell's convention, for a cell that a signal ended.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(130);
    Ok(ExitCode::from(code))
}
