use std::process::ExitCode;

use crate::{
    error::Error,
    say,
    workspace::{self, Workspace},
};

/// Builds the benchmark with optimisations and runs it.
pub(crate) fn run(checkout: &Workspace, arguments: &[String]) -> Result<ExitCode, Error> {
    say::note("building the benchmark, in release mode: some minutes the first time");
    let mut command =
        checkout.cargo(["run", "--release", "--package=codemode-tests", "--bin=bench", "--"]);
    Ok(if workspace::run(command.args(arguments))? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
