//! `cargo xtask test`: the whole check, step by step. Continuous integration runs the same.

use std::{
    env,
    io::{BufRead, BufReader, Write, stdout},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use clap::ValueEnum;

use crate::{
    apt::is_on_path,
    error::Error,
    peers::{self, Peers},
    say,
    workspace::{Workspace, run as run_command},
};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// `cargo fmt --check`
    Format,
    /// `cargo clippy`, warnings refused
    Lint,
    /// `cargo doc`, warnings refused
    Doc,
    /// `cargo test`, doc tests included
    Test,
    /// The interleavings of a cell's life
    Interleavings,
    /// The fuzz targets with their seeds and some thousand variations of them
    Fuzz,
    /// `cargo deny check`: licences, bans, sources; skipped where cargo-deny is not installed
    Deny,
}

/// Runs the steps, all of them even if one fails, and closes with a summary.
pub(crate) fn run(workspace: &Workspace, only: &[Step]) -> Result<ExitCode, Error> {
    let chosen: Vec<_> = Step::value_variants()
        .iter()
        .copied()
        .filter(|step| only.is_empty() || only.contains(step))
        .collect();
    let mut tests = Tests::default();
    let mut outcomes = Vec::new();
    for step in chosen {
        say::header(step.title());
        let start = Instant::now();
        let result = step.run(workspace, &mut tests)?;
        outcomes.push(Outcome { step, result, time: start.elapsed() });
    }
    say::header("summary");
    for outcome in &outcomes {
        outcome.say();
    }
    if tests.ran() {
        tests.say();
    }
    let failed = outcomes.iter().any(|outcome| outcome.result == StepResult::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Step {
    fn title(self) -> &'static str {
        match self {
            Self::Format => "format: cargo fmt --check",
            Self::Lint => "lint: cargo clippy",
            Self::Doc => "doc: cargo doc",
            Self::Test => "test: cargo test",
            Self::Interleavings => "interleavings: shuttle",
            Self::Fuzz => "fuzz: seeds and variations",
            Self::Deny => "deny: cargo deny check",
        }
    }

    fn run(self, workspace: &Workspace, tests: &mut Tests) -> Result<StepResult, Error> {
        let passed = match self {
            Self::Format => {
                run_command(&mut workspace.cargo(["fmt", "--all", "--check"]))?
                    & run_command(&mut workspace.cargo(["fmt", "--check", FUZZ]))?
            }
            Self::Lint => {
                let lint = |which: &[&str]| {
                    let mut command = workspace.cargo(["clippy"]);
                    command.arg("--target-dir").arg(&workspace.target).args(which);
                    command.args(["--", "--deny=warnings"]);
                    run_command(&mut command)
                };
                // The programs for fuzzing, a line each, need what `cargo fuzz` brings.
                lint(&["--workspace", "--all-targets"])?
                    & lint(&[&INTERLEAVINGS[..], &["--lib", "--tests"]].concat())?
                    & lint(&[FUZZ, "--lib", "--tests"])?
            }
            Self::Doc => run_command(
                workspace
                    .cargo(["doc", "--workspace", "--no-deps"])
                    .env("RUSTDOCFLAGS", "--deny=warnings"),
            )?,
            Self::Test => {
                let mut test = workspace.cargo(["test", "--workspace", "--no-fail-fast"]);
                if let Err(error) = peers::provide(workspace, &Peers::MCP) {
                    say::note(&format!(
                        "MCP: tests with real servers and clients are SKIPPED: {error}"
                    ));
                    test.env(SKIP_PEERS, "1");
                }
                tests.run(&mut test)?
            }
            Self::Interleavings => tests.run(
                workspace.cargo(["test"]).args(INTERLEAVINGS).args(["--lib", "interleavings"]),
            )?,
            // It shares what the main workspace has built.
            Self::Fuzz => tests.run(
                workspace.cargo(["test", "--lib", FUZZ]).arg("--target-dir").arg(&workspace.target),
            )?,
            Self::Deny if !is_on_path("cargo-deny") => {
                return Ok(StepResult::Skipped("cargo-deny is not installed"));
            }
            Self::Deny => {
                let check = ["--offline", "check", "bans", "licenses", "sources"];
                let deny =
                    |of: &[&str]| run_command(workspace.cargo(["deny"]).args(of).args(check));
                deny(&[])? & deny(&[FUZZ, "--config=deny.toml"])?
            }
        };
        Ok(if passed { StepResult::Passed } else { StepResult::Failed })
    }
}

struct Outcome {
    step: Step,
    result: StepResult,
    time: Duration,
}

#[derive(PartialEq, Eq)]
enum StepResult {
    Passed,
    Failed,
    Skipped(&'static str),
}

impl Outcome {
    fn say(&self) {
        let line = format!("{:<26} {:>12}", self.step.title(), say::duration(self.time));
        match self.result {
            StepResult::Skipped(why) => say::note(&format!("{line}  skipped: {why}")),
            _ => say::outcome(self.result == StepResult::Passed, &line),
        }
    }
}

/// What the test binaries say in their closing lines, added up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tests {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tests {
    /// Runs a `cargo test`, passes its output on and counts.
    fn run(&mut self, command: &mut Command) -> Result<bool, Error> {
        if say::is_terminal() && env::var_os("NO_COLOR").is_none() {
            command.args(["--color=always", "--", "--color=always"]);
        }
        let failed = |error| Error::new(format!("cannot run `cargo test`: {error}"));
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                self.count(&String::from_utf8_lossy(&line));
                let mut out = stdout().lock();
                // Nobody who closed our output is served by the end of the tests.
                let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
            }
        }
        Ok(child.wait().map_err(failed)?.success())
    }

    fn count(&mut self, line: &str) {
        let Some(closing) = line.trim_start().strip_prefix("test result: ") else { return };
        for part in closing.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }

    fn ran(&self) -> bool {
        *self != Self::default()
    }

    fn say(&self) {
        let mut out = stdout().lock();
        let Self { passed, failed, ignored } = self;
        let _ = writeln!(out, "tests: {passed} passed, {failed} failed, {ignored} skipped");
    }
}

/// Tells tests that what [`peers`] provides is not to be had. Without it they fail, and say how to get it.
const SKIP_PEERS: &str = "CODEMODE_SKIP_MCP_PEERS";

/// What the threads of this crate share is shuttle's then, which none of its other tests can do with.
const INTERLEAVINGS: [&str; 2] = ["--package=codemode-cells", "--features=shuttle"];

/// A workspace of its own, of which only the library is built: its programs are for `cargo fuzz`.
const FUZZ: &str = "--manifest-path=fuzz/Cargo.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let mut tests = Tests::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 31 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.12s",
            "test result: \x1b[32mok\x1b(B\x1b[m. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.50s",
            "the cell said: 9 passed; 9 failed",
        ] {
            tests.count(line);
        }
        assert_eq!(tests, Tests { passed: 36, failed: 1, ignored: 2 });
    }
}
