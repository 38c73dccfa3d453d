//! Runs ninja and says how far it is.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{error::Error, say};

/// Why ninja did not build.
pub(crate) enum Failure {
    /// A step failed: its source does not compile as it is now.
    Step(Error),
    /// It was interrupted, or could not even begin.
    Stopped(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Stopped(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Step(error) | Failure::Stopped(error) => error,
        }
    }
}

/// Builds `target` in `out`, from where an earlier call left off. What the tools print goes to a log file there.
pub(crate) fn build(out: &Path, target: &str) -> Result<(), Failure> {
    let remaining: f64 = steps(out, &["-n", target])?.iter().map(|step| weight(step)).sum();
    let total: f64 = steps(out, &["-t", "inputs", target])?.iter().map(|step| weight(step)).sum();
    let mut progress = Progress::new(total.max(remaining), remaining);
    let log_path = out.join("build.log");
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .map_err(|e| Error::file("write", &log_path, &e))?;

    let mut child = ninja(out)
        .args(["-j", &jobs().to_string(), target])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| Error::new(format!("cannot run ninja: {e}")))?;
    let mut failure = Said::default();
    if let Some(stdout) = child.stdout.take() {
        failure = follow(BufReader::new(stdout), &mut log, &mut progress);
    }
    let status = child.wait().map_err(|e| Error::new(format!("ninja: {e}")))?;
    say::transient("");
    if status.success() {
        return Ok(());
    }
    let error = Error::new(format!("V8 did not build ({status})\n{}", failure.lines.join("\n")));
    // An interrupted ninja says of the steps that it took with it nothing, or that they failed.
    let interrupted = failure.last.contains("interrupted by user");
    Err(match failure.step_failed && !interrupted {
        true => {
            Failure::Step(error.hint(format!("all of the output is in {}", log_path.display())))
        }
        false => Failure::Stopped(error.hint("the same command goes on where this one was")),
    })
}

/// What ninja said of a build that did not succeed.
#[derive(Default)]
struct Said {
    /// The lines of the first failed step; its last words where no step failed.
    lines: Vec<String>,
    step_failed: bool,
    last: String,
}

/// Reads ninja's output to its end.
fn follow(lines: impl BufRead, log: &mut File, progress: &mut Progress) -> Said {
    let mut failure = Vec::new();
    let mut last = String::new();
    let mut tail = VecDeque::new();
    for line in lines.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        let _ = writeln!(log, "{line}");
        last.clone_from(&line);
        if line.starts_with('[') {
            progress.advance(weight(&line));
            if !failure.is_empty() {
                continue;
            }
        }
        if line.starts_with("FAILED") || (!failure.is_empty() && failure.len() < FAILURE_LINES) {
            failure.push(line);
        } else {
            tail.push_back(line);
            if tail.len() > 5 {
                tail.pop_front();
            }
        }
    }
    let step_failed = !failure.is_empty();
    Said { lines: if step_failed { failure } else { tail.into() }, step_failed, last }
}

/// Lines of a listing that name an object file.
fn steps(out: &Path, arguments: &[&str]) -> Result<Vec<String>, Error> {
    let output = ninja(out)
        .args(arguments)
        .output()
        .map_err(|e| Error::new(format!("cannot run ninja: {e}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Error::new(format!("ninja cannot plan the build: {text}")));
    }
    Ok(text.lines().filter(|line| line.ends_with(".o")).map(str::to_owned).collect())
}

fn ninja(out: &Path) -> Command {
    let mut command = Command::new("ninja");
    command.arg("-C").arg(out).env_remove("NINJA_STATUS");
    command
}

/// As many as there are processors, fewer where each would have less memory than the largest sources take.
fn jobs() -> u64 {
    let processors = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available_kb = memory.lines().find_map(|line| {
        line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse().ok()
    });
    let by_memory = available_kb.map_or(processors, |kb: u64| kb / MEMORY_OF_A_JOB_KB);
    processors.min(by_memory).max(1)
}

/// About how long a step takes, in seconds of one processor, from a build that was measured.
fn weight(step: &str) -> f64 {
    if !step.ends_with(".o") {
        return 0.0;
    }
    WEIGHTS.iter().find(|(part, _)| step.contains(part)).map_or(1.0, |(_, weight)| *weight)
}

struct Progress {
    total: f64,
    done: f64,
    done_before: f64,
    start: Instant,
    said: Instant,
}

impl Progress {
    fn new(total: f64, remaining: f64) -> Self {
        let now = Instant::now();
        let done = total - remaining;
        if done > 0.0 {
            say::note(&format!("compiling; {:.0} % were done before", 100.0 * done / total));
        }
        Self { total, done, done_before: done, start: now, said: now }
    }

    fn advance(&mut self, weight: f64) {
        self.done += weight;
        say::transient(&self.line());
        if !say::is_terminal() && self.said.elapsed() > BETWEEN_LINES {
            self.said = Instant::now();
            say::note(&self.line());
        }
    }

    fn line(&self) -> String {
        let (elapsed, done) = (self.start.elapsed(), self.done - self.done_before);
        let mut line = format!(
            "V8: {:3.0} %, {} so far",
            (100.0 * self.done / self.total).min(100.0),
            say::duration(elapsed)
        );
        // Before that the estimate would be a guess.
        if done > self.total / 50.0 {
            let left = elapsed.mul_f64((self.total - self.done).max(0.0) / done);
            line.push_str(&format!(", about {} to go", say::duration(left)));
        }
        line
    }
}

/// The heaviest targets, and seconds for one of their objects.
const WEIGHTS: &[(&str, f64)] = &[
    ("/v8_base_without_compiler/", 40.0),
    ("/v8_compiler/", 40.0),
    ("/v8_initializers/", 60.0),
    ("/torque_generated_initializers/", 20.0),
];

const MEMORY_OF_A_JOB_KB: u64 = 2_500_000;
const FAILURE_LINES: usize = 40;
const BETWEEN_LINES: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_first_failure_is_kept_and_everything_logged() {
        let output = "[1/3] CXX obj/a.o\n[2/3] CXX obj/b.o\nFAILED: obj/b.o\nclang b.cc\nb.cc:1: error\n[3/3] CXX obj/c.o\nninja: build stopped\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut progress = Progress::new(3.0, 3.0);
        let said = follow(output.as_bytes(), &mut File::create(&path).unwrap(), &mut progress);
        assert_eq!(said.lines[..3], ["FAILED: obj/b.o", "clang b.cc", "b.cc:1: error"]);
        assert!(said.step_failed);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), output);
        assert!((progress.done - 3.0).abs() < f64::EPSILON, "each object counts once");
    }

    #[test]
    fn without_a_failed_step_the_last_words_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = File::create(folder.path().join("log")).unwrap();
        let mut progress = Progress::new(1.0, 1.0);
        let said = follow(&b"ninja: error: loading 'build.ninja'\n"[..], &mut log, &mut progress);
        assert_eq!(said.lines, ["ninja: error: loading 'build.ninja'"]);
        assert!(!said.step_failed);
    }
}
