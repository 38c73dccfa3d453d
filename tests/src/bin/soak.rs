//! Attacks and honest sessions for minutes on end, with workers killed at random.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use codemode_tests::hostile::{attacks, soak};

/// Runs random attacks beside honest sessions, kills workers at random, and looks what is left.
#[derive(Parser)]
#[command(bin_name = "cargo xtask soak")]
struct Arguments {
    /// For how long
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// What the random choices begin with
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let Arguments { minutes, seed } = Arguments::parse();
    match run(Duration::from_secs(60 * minutes), seed) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether all went as it must.
fn run(time: Duration, seed: u64) -> Result<bool, Box<dyn std::error::Error>> {
    let attacks = attacks(&Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let share = move |_, passed: Duration| passed.as_secs_f64() / time.as_secs_f64();
    let report = runtime.block_on(soak(attacks, seed, share))?;
    say(&format!("{report:#?}"));
    let memory = &report.memory_kib;
    let grown = memory.end.saturating_sub(memory.settled());
    let course: Vec<u64> = memory.course.iter().map(|kib| kib >> 10).collect();
    say(&format!(
        "memory in MiB: {} at the beginning, then {course:?}, {} at the end: {} more than it had settled at",
        memory.begin >> 10,
        memory.end >> 10,
        grown >> 10
    ));
    let faults = [
        (!report.wrong.is_empty(), "something went otherwise than it must"),
        (report.crashed > report.killed, "more honest cells crashed than workers were killed"),
        (grown > SLACK_KIB, "memory has grown"),
        (!report.left.is_empty(), "workers are left"),
        (report.honest == 0 || report.killed == 0, "nothing was soaked"),
    ];
    for (is_so, what) in faults {
        if is_so {
            say(&format!("error: {what}"));
        }
    }
    Ok(!faults.iter().any(|(is_so, _)| *is_so))
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What an allocator may keep to itself.
const SLACK_KIB: u64 = 64 << 10;
