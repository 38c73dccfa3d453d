//! `codemode doctor`: whether the sandbox stands on this machine.

use std::{io::Write as _, process::Command};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use bytesize::ByteSize;
use clap::Args;
use codemode_runtime_js::{
    Engine,
    process::{self, Examination, Finding, Groups, Layer, Status},
};
use serde::Serialize;

use super::{UsageError, exit};

/// Check the sandbox of this machine by trying to get out of it
///
/// Starts processes that lock themselves up as workers do, has them go every way out that we know of, and says what
/// held: with all layers up, and with each layer alone. Changes nothing, and takes about a second.
///
/// Exit codes: 0 every way out was closed; 1 one was open, or no cell runs behind the layers; with --strict also
/// when this system denies a layer.
#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,

    /// Fail when this system denies a layer, though the others hold
    #[arg(long)]
    strict: bool,

    /// Be one of those that try
    #[arg(long, hide = true)]
    from_within: bool,
}

pub(super) fn run(arguments: &DoctorArguments) -> Result<u8, UsageError> {
    if arguments.from_within {
        return Ok(if process::probe() { exit::OK } else { exit::FAILED });
    }
    let within = || {
        let mut command = Command::new("/proc/self/exe");
        command.args(["doctor", "--from-within"]);
        command.env_clear().envs(process::worker_environment());
        command
    };
    let examination = process::examine(&within)
        .map_err(|error| UsageError::new(format!("cannot try the sandbox: {error}")))?;
    let diagnosis = Diagnosis::new(examination);
    let stdout = std::io::stdout();
    let written = if arguments.json {
        let text = serde_json::to_string_pretty(&diagnosis);
        let text = text.unwrap_or_else(|error| format!("the diagnosis is no JSON: {error}"));
        writeln!(stdout.lock(), "{text}")
    } else {
        let mut out = AutoStream::auto(stdout.lock());
        diagnosis.print(&mut out).and_then(|()| out.flush())
    };
    Ok(match written {
        Err(_) => exit::BROKEN_PIPE,
        Ok(()) if diagnosis.holds && !(arguments.strict && diagnosis.denied() > 0) => exit::OK,
        Ok(()) => exit::FAILED,
    })
}

/// All that was found out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Diagnosis {
    holds: bool,
    version: &'static str,
    v8: &'static str,
    kernel: String,
    architecture: &'static str,
    #[serde(flatten)]
    sandbox: Examination,
    machine: Machine,
}

/// What of this machine limits the number and the size of workers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Machine {
    /// Why workers get no control groups; `None` when they do.
    no_control_groups: Option<String>,
    /// The memory that this process and its workers may use together, in bytes.
    memory_bytes: Option<u64>,
    /// Threads and processes that this user may have.
    threads: Option<u64>,
    /// Address space that a process may have, in bytes.
    address_space_bytes: Option<u64>,
    /// Descriptors that this process may have.
    descriptors: Option<u64>,
    processors: usize,
}

impl Diagnosis {
    fn new(sandbox: Examination) -> Diagnosis {
        let uname = rustix::system::uname();
        Diagnosis {
            holds: sandbox.holds(),
            version: env!("CARGO_PKG_VERSION"),
            v8: Engine::v8_version(),
            kernel: uname.release().to_string_lossy().into_owned(),
            architecture: std::env::consts::ARCH,
            sandbox,
            machine: Machine::look(),
        }
    }

    fn denied(&self) -> usize {
        let denied = |finding: &&Finding| matches!(finding.status, Status::Denied { .. });
        self.sandbox.layers.iter().filter(denied).count()
    }

    fn print(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        let Diagnosis { version, v8, kernel, architecture, .. } = self;
        writeln!(out, "codemode {version}, V8 {v8}, Linux {kernel} on {architecture}\n")?;
        writeln!(out, "A worker process, in which cells run:")?;
        for finding in &self.sandbox.layers {
            let line = Line::of_layer(finding);
            line.print(out, name(finding.layer))?;
        }
        self.together().print(out, "all together")?;
        writeln!(out, "\nWorkers on this machine:")?;
        for (what, line) in self.machine.lines() {
            line.print(out, what)?;
        }
        let denied = self.denied();
        writeln!(out)?;
        let crossed = |finding: &Finding| !finding.crossed.is_empty();
        if self.sandbox.crossed.is_empty()
            && !self.sandbox.layers.iter().any(crossed)
            && !self.holds
        {
            writeln!(out, "{BAD}Cells do not run here in processes of their own.{BAD:#}")
        } else if !self.holds {
            let advice = "The sandbox does not hold here. Do not run cells that you do not trust.";
            writeln!(out, "{BAD}{advice}{BAD:#}")
        } else if denied > 0 {
            let layers = if denied == 1 { "a layer" } else { "some layers" };
            writeln!(
                out,
                "This system denies {layers}; the others close every way out that was tried."
            )
        } else {
            writeln!(
                out,
                "Every way out that was tried is closed, by each layer that is there to close it."
            )
        }
    }

    fn together(&self) -> Line {
        let Examination { tried, crossed, cell_failed, .. } = &self.sandbox;
        if !crossed.is_empty() {
            return Line::crossed(crossed);
        }
        match cell_failed {
            None => Line::good(format!("{tried} ways out tried, all closed; and cells run")),
            Some(error) => Line::bad("broken", format!("no cell runs behind it: {error}")),
        }
    }
}

impl Machine {
    fn look() -> Machine {
        use rustix::process::{Resource, getrlimit};
        Machine {
            no_control_groups: Groups::find().err().map(|why| why.to_string()),
            memory_bytes: process::memory_of_this_process(),
            threads: getrlimit(Resource::Nproc).current,
            address_space_bytes: getrlimit(Resource::As).current,
            descriptors: getrlimit(Resource::Nofile).current,
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }

    fn lines(&self) -> Vec<(&'static str, Line)> {
        let groups = match &self.no_control_groups {
            None => Line::good("one control group for each worker".into()),
            Some(why) => Line::plain(format!(
                "{why}; the memory of workers is bounded by the kernel's limit on data, and watched"
            )),
        };
        let memory = match self.memory_bytes {
            None => Line::plain("no limit on this process".into()),
            Some(bytes) if bytes < LITTLE_MEMORY => Line::fair(
                "little",
                format!(
                    "{} for all workers together: a few large cells use that up",
                    ByteSize(bytes)
                ),
            ),
            Some(bytes) => Line::plain(format!("{} for all workers together", ByteSize(bytes))),
        };
        let few = |count: Option<u64>, least: u64, what: &str, flag: &str, use_: &str| match count {
            None => Line::plain(format!("any number of {what}")),
            Some(count) if count < least => Line::fair(
                "few",
                format!("{count} {what}: {use_}; `ulimit {flag}` or the service manager raises it"),
            ),
            Some(count) => Line::plain(format!("{count} {what}")),
        };
        let address_space = self.address_space_bytes.map(|bytes| {
            let what =
                format!("{} of address space: V8 reserves more than it uses", ByteSize(bytes));
            (
                "address space",
                Line::fair("little", format!("{what}; `ulimit -v unlimited` lets it")),
            )
        });
        let mut lines = vec![
            ("memory", groups),
            ("", memory),
            (
                "threads",
                few(self.threads, 1000, "threads for this user", "-u", "each live cell is one"),
            ),
            (
                "descriptors",
                few(
                    self.descriptors,
                    256,
                    "descriptors for the host",
                    "-n",
                    "a session takes some",
                ),
            ),
            ("processors", Line::plain(self.processors.to_string())),
        ];
        lines.extend(address_space);
        lines
    }
}

/// One line of the table.
struct Line {
    mark: &'static str,
    style: Style,
    text: String,
}

impl Line {
    fn of_layer(finding: &Finding) -> Line {
        let Finding { layer, status, tried, crossed } = finding;
        if !crossed.is_empty() {
            return Line::crossed(crossed);
        }
        let meaning = meaning(*layer);
        match status {
            Status::Active { detail } => {
                let detail = detail.as_ref().map_or(String::new(), |detail| format!("; {detail}"));
                let ways = if *tried == 1 { "way" } else { "ways" };
                Line::good(format!("{meaning} ({tried} {ways} tried{detail})"))
            }
            Status::Denied { reason } => Line::fair("denied", reason.clone()),
            Status::NotApplicable { reason } => Line::plain(reason.clone()),
        }
    }

    fn crossed(ways: &[String]) -> Line {
        let (shown, more) = ways.split_at(ways.len().min(MAX_WAYS_SHOWN));
        let more = match more.len() {
            0 => String::new(),
            more => format!(", and {more} more; --json names them all"),
        };
        Line::bad("OPEN", format!("can {}{more}", shown.join(", ")))
    }

    fn good(text: String) -> Line {
        Line { mark: "ok", style: GOOD, text }
    }

    fn fair(mark: &'static str, text: String) -> Line {
        Line { mark, style: FAIR, text }
    }

    fn bad(mark: &'static str, text: String) -> Line {
        Line { mark, style: BAD, text }
    }

    fn plain(text: String) -> Line {
        Line { mark: "", style: Style::new(), text }
    }

    fn print(&self, out: &mut dyn std::io::Write, name: &str) -> std::io::Result<()> {
        let Line { mark, style, text } = self;
        writeln!(out, "  {style}{mark:<7}{style:#} {name:<13} {text}")
    }
}

fn name(layer: Layer) -> &'static str {
    match layer {
        Layer::SystemCalls => "system calls",
        Layer::Files => "files",
        Layer::Network => "network",
        Layer::Scope => "processes",
        Layer::Privileges => "privileges",
        Layer::Descriptors => "descriptors",
        Layer::Environment => "environment",
        Layer::NotDumpable => "memory image",
        Layer::Resources => "resources",
        Layer::Memory => "memory",
        Layer::Threads => "threads",
        Layer::HostDeath => "host's death",
        _ => "other",
    }
}

fn meaning(layer: Layer) -> &'static str {
    match layer {
        Layer::SystemCalls => "computes, talks to its host, and asks the kernel for nothing else",
        Layer::Files => "opens, makes and runs no file, even without the filter above",
        Layer::Network => "has no TCP, even without the filter",
        Layer::Scope => "reaches no process by signal or abstract socket, even without the filter",
        Layer::Privileges => "is nobody, and cannot become anybody",
        Layer::Descriptors => "inherits none but the line to its host",
        Layer::Environment => {
            "inherits nothing: it is told the time zone, and how malloc keeps memory"
        }
        Layer::NotDumpable => "is closed to debuggers, and leaves no core",
        Layer::Resources => "may have few descriptors, no files and no locked memory",
        Layer::Memory => "gets no more memory than its bound",
        Layer::Threads => "gets no more threads than its bound",
        Layer::HostDeath => "ends with its host, though it may not listen to it",
        _ => "",
    }
}

const MAX_WAYS_SHOWN: usize = 4;

/// Of about four workers at their default bound.
const LITTLE_MEMORY: u64 = 4 << 30;

const GOOD: Style = AnsiColor::Green.on_default();
const FAIR: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
