//! `codemode host` against the reference host: the same frames, the same machine, the same run.
//!
//! One driver speaks to both over stdio, from one thread. Rounds alternate, so that whatever else the machine does
//! meets both; the ratio of a row is the median of its rounds' ratios. `docs/performance.md` explains the rows.

mod counts;
mod echo;
mod error;
mod frames;
mod growth;
mod host;
mod library;
mod limit;
mod machine;
mod memory;
mod order;
mod page;
mod peers;
mod plot;
mod report;
mod rows;
mod stats;
mod subject;
mod valgrind;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand, builder::PossibleValuesParser};

use crate::{
    error::Error,
    machine::Machine,
    page::Page,
    report::{GrowthReport, PeerReport, Report, Series},
    rows::{Measure, Row, Scale},
    subject::{Contender, Subjects},
};

/// Measures `codemode host`, the reference host and, where it can be told, what the machine itself allows.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Only these rows, by name
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    rows: Vec<String>,
    /// Measure how cells fare as live cells, stored values, tools and output grow, instead of the rows
    #[arg(long, conflicts_with = "rows")]
    growth: bool,
    /// Only these of what grows
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAMES",
        value_parser = PossibleValuesParser::new(growth::AXES.iter().map(|axis| axis.name)),
        requires = "growth",
        conflicts_with = "save"
    )]
    axes: Vec<String>,
    /// Count the instructions of hot paths under valgrind, instead of measuring
    #[arg(long, conflicts_with_all = ["rows", "growth"])]
    counts: bool,
    /// See which functions a start runs, and where they are in the program, instead of measuring
    #[arg(long, conflicts_with_all = ["rows", "growth", "counts"])]
    order: bool,
    /// How many times each row is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A tenth of the work a row: to see that it runs, not for figures
    #[arg(long)]
    quick: bool,
    /// One more argument for `codemode host`
    #[arg(long = "host-arg", value_name = "ARG", allow_hyphen_values = true)]
    host_args: Vec<String>,
    /// Write what was measured into docs/performance.md, and docs/performance.json beside it; the order into host/link-order.txt
    #[arg(long)]
    save: bool,
    /// Name the rows and stop
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Parts that run as processes of their own.
#[derive(Subcommand)]
enum Part {
    /// Answer frames as fast as a pipe allows
    #[command(hide = true)]
    Echo,
    /// Hold isolates that wait, and say what one takes
    #[command(hide = true)]
    WaitingIsolates { count: usize },
    /// Time `codemode` as a library
    #[command(hide = true)]
    Library {
        #[arg(long)]
        processes: bool,
        #[arg(long, default_value_t = 1)]
        divisor: usize,
    },
    /// Take a path so many times, to be counted
    #[command(hide = true)]
    Count { path: String, times: usize },
    /// Run cells for the library
    #[command(hide = true)]
    Worker,
    /// Run a command, and say how long it took and how much memory it had
    #[command(hide = true)]
    Once { command: Vec<String> },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.part {
        Some(Part::Echo) => return echo::serve(),
        Some(Part::WaitingIsolates { count }) => return limit::hold_isolates(count),
        Some(Part::Library { processes, divisor }) => {
            return library::time(processes, Scale { divisor });
        }
        Some(Part::Count { path, times }) => return counts::run(&path, times),
        Some(Part::Worker) => codemode_runtime_js::process::run_worker(),
        Some(Part::Once { command }) => return memory::once(&command),
        None => {}
    }
    if arguments.counts {
        return count(&arguments);
    }
    if arguments.order {
        return order(&arguments);
    }
    if arguments.growth {
        return measure_growth(&arguments);
    }
    let Chosen { rows, with_peers } = chosen(&arguments.rows)?;
    if arguments.list {
        for row in &rows {
            say(&format!("{:<12} {}", row.name, row.what));
        }
        if with_peers {
            say(&format!(
                "{PEERS:<12} isolated-vm, quickjs-emscripten and Monty beside what is most like them here"
            ));
        }
        return Ok(());
    }
    let scale = Scale { divisor: if arguments.quick { 10 } else { 1 } };
    let machine = Machine::look();
    say(&machine.to_string());
    let page = Page::ours();
    if !rows.is_empty() {
        let subjects = Subjects::find(&arguments.host_args)?;
        if let Some(notice) = subjects.notice() {
            say(notice);
        }
        let all: Vec<Series> =
            rows.iter().map(|row| measure(row, &subjects, scale, arguments.rounds)).collect();
        let report = Report::new(machine.clone(), &subjects, arguments.rounds, all);
        say(&format!("\n{}", report.table()));
        if arguments.save {
            report.save(&page)?;
        }
    }
    if with_peers {
        let rounds = peers::measure(scale, arguments.rounds, say);
        let report = PeerReport::new(machine, arguments.rounds, rounds);
        say(&format!("\n{}", report.table()));
        if arguments.save {
            report.save(&page)?;
        }
    }
    if arguments.save {
        say(&format!("written to {}", page.path().display()));
    }
    Ok(())
}

fn order(arguments: &Arguments) -> Result<(), Error> {
    if !has_valgrind() {
        return Ok(());
    }
    let order = order::record(&Subjects::find(&arguments.host_args)?, say)?;
    let path = order::path();
    let listed = std::fs::read_to_string(&path).unwrap_or_default();
    say(&format!("\n{}", order.summary(&listed)));
    if arguments.save {
        std::fs::write(&path, order.text())?;
        say(&format!("written to {}", path.display()));
    }
    Ok(())
}

/// Whether valgrind is there; says so if not.
fn has_valgrind() -> bool {
    let has = valgrind::is_there();
    if !has {
        say("skipped: there is no valgrind here; install it (Debian: apt-get install valgrind)");
    }
    has
}

fn count(arguments: &Arguments) -> Result<(), Error> {
    if !has_valgrind() {
        return Ok(());
    }
    let page = Page::ours();
    let counts = counts::measure(&page, say)?;
    say(&format!("\n{}", counts.table()));
    if arguments.save {
        counts.save(&page)?;
        say(&format!("written to {}", page.path().display()));
    }
    Ok(())
}

fn measure_growth(arguments: &Arguments) -> Result<(), Error> {
    let scale = Scale { divisor: if arguments.quick { 10 } else { 1 } };
    let rounds = arguments.rounds;
    let machine = Machine::look();
    say(&machine.to_string());
    let subjects = Subjects::find(&arguments.host_args)?;
    if let Some(notice) = subjects.notice() {
        say(notice);
    }
    let axes = growth::AXES.iter();
    let axes = axes.filter(|axis| {
        arguments.axes.is_empty() || arguments.axes.iter().any(|name| name == axis.name)
    });
    let all = axes
        .map(|axis| growth::measure(axis, &subjects, scale, rounds, say))
        .collect::<Result<_, _>>()?;
    let report = GrowthReport::new(machine, rounds, all);
    say(&format!("\n{}", report.text()));
    if arguments.save {
        let page = Page::ours();
        report.save(&page)?;
        say(&format!("written to {}", page.path().display()));
    }
    Ok(())
}

/// What to measure.
struct Chosen {
    rows: Vec<&'static Row>,
    with_peers: bool,
}

fn chosen(names: &[String]) -> Result<Chosen, Error> {
    if names.is_empty() {
        return Ok(Chosen { rows: rows::ALL.iter().collect(), with_peers: true });
    }
    let find = |name: &&String| rows::ALL.iter().find(|row| row.name == name.as_str());
    let rows = names
        .iter()
        .filter(|name| name.as_str() != PEERS)
        .map(|name| {
            find(&name).ok_or_else(|| {
                let known: Vec<&str> = rows::ALL.iter().map(|row| row.name).collect();
                let known = known.join(", ");
                Error::new(format!("there is no row `{name}`; there are {known}, and {PEERS}"))
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Chosen { rows, with_peers: names.iter().any(|name| name == PEERS) })
}

/// All rounds of one row. Who goes first changes from round to round.
fn measure(row: &'static Row, subjects: &Subjects, scale: Scale, rounds: u32) -> Series {
    let mut series = Series::new(row);
    for round in 0..rounds {
        let mut order = Contender::ALL;
        order.rotate_left(round as usize % Contender::ALL.len());
        for contender in order {
            let figures = match (contender, row.measure) {
                (Contender::Limit, _) => row.limit.map(|limit| limit(scale)),
                (Contender::Isolated, Measure::Host(measure)) => {
                    Some(measure(&subjects.isolated, scale))
                }
                (Contender::InProcess, Measure::Host(measure)) => {
                    Some(measure(&subjects.in_process, scale))
                }
                (Contender::Reference, Measure::Host(measure)) => {
                    subjects.reference.as_ref().map(|reference| measure(reference, scale))
                }
                (Contender::InProcess, Measure::Ours(measure)) => {
                    Some(measure(&subjects.in_process, scale))
                }
                (Contender::Isolated | Contender::Reference, Measure::Ours(_)) => None,
            };
            match figures {
                None => {}
                Some(Ok(figures)) => series.add(contender, &figures),
                Some(Err(error)) => series.fail(contender, &error),
            }
        }
        say(&series.latest(round));
    }
    series
}

fn say(text: &str) {
    // A closed stdout has no reader to tell.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// This program, which also plays some of the parts.
fn ourselves() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|e| Error::new(format!("cannot tell what program runs: {e}")))
}

/// The name of the comparison with other sandboxes, for `--rows`.
const PEERS: &str = "peers";
