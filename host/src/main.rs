//! The `codemode` command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    codemode_host::cli::main()
}
