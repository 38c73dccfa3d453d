//! Automation: from a clone to a running, tested codemode with one command.
//!
//! Nothing here links V8 or takes long to compile: this is the program that makes sure that the rest can be built.

mod apt;
mod archive;
mod bench;
mod check;
mod demo;
mod digest;
mod download;
mod error;
mod ninja;
mod peers;
mod provide;
mod recipe;
mod say;
mod soak;
mod source_build;
mod target_dir;
mod workspace;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{archive::Archive, check::Step, error::Error, peers::Peers, workspace::Workspace};

/// Builds, shows and checks codemode. Each command does the set-up it needs.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Put V8's archive and every crate where plain `cargo build` finds them
    Setup,
    /// Run `examples/repo-report.ts` over this checkout
    Demo,
    /// Check everything: formatting, lints, docs, tests, licences
    Test {
        /// Only these steps, in their usual order [default: all]
        steps: Vec<Step>,
    },
    /// Measure, in a release build; the arguments go to the benchmark
    Bench {
        /// Passed on as they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Attack for minutes on end, with honest sessions beside and worker processes killed at random
    Soak {
        /// Passed on as they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Put what tests and the benchmark run of others into the target folder; `test` and `bench` do it too
    Peers,
    /// Say which V8 archive is needed and provide it
    V8 {
        /// Build the archive from the sources of the `v8` crate, with registry packages alone
        #[arg(long)]
        from_source: bool,
        /// Write the built archive here rather than into Cargo's cache
        #[arg(long, requires = "from_source", value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            say::failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    let workspace = Workspace::load()?;
    match command {
        Command::Setup => setup(&workspace)?,
        Command::Demo => {
            setup(&workspace)?;
            demo::run(&workspace)?;
        }
        Command::Test { steps } => {
            setup(&workspace)?;
            return check::run(&workspace, &steps);
        }
        Command::Bench { arguments } => {
            setup(&workspace)?;
            bench::run(&workspace, &arguments)?;
        }
        Command::Soak { arguments } => {
            setup(&workspace)?;
            soak::run(&workspace, &arguments)?;
        }
        Command::Peers => {
            peers::provide(&workspace, &Peers::MCP)?;
            peers::provide(&workspace, &Peers::BENCH)?;
        }
        Command::V8 { from_source: false, .. } => setup(&workspace)?,
        Command::V8 { from_source: true, output } => {
            let archive = Archive::of(&workspace)?;
            match output {
                Some(file) => source_build::build(&workspace, &archive, &file)?,
                None => provide::from_source(&workspace, &archive)?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn setup(workspace: &Workspace) -> Result<(), Error> {
    let archive = Archive::of(workspace)?;
    provide::provide(workspace, &archive)
}
