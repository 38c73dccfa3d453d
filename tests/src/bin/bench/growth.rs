//! What a cell takes as something grows: live cells, stored values, tools, output.

use std::time::{Duration, Instant};

use crate::{
    error::Error,
    frames,
    host::{Host, Kind, YIELD_NEVER_MS},
    rows::Scale,
    stats::{Spread, percentile},
    subject::{Subject, Subjects},
};

/// Something that grows.
pub(crate) struct Axis {
    /// Of the plot's file, and for `--axes`.
    pub(crate) name: &'static str,
    /// What is timed.
    pub(crate) title: &'static str,
    /// What grows, and how much of it there is at each level.
    pub(crate) grows: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) levels: &'static [f64],
    measure: fn(&Subject, &Axis, Scale, &mut Points) -> Result<(), Error>,
    /// As far as the reference is asked to go.
    reference_levels: usize,
    with_echo: bool,
}

/// Milliseconds at each level, in order.
pub(crate) type Points = Vec<f64>;

/// Who is measured: a line of a plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Isolated,
    InProcess,
    Reference,
    /// A process that reads the same frames and only answers.
    Echo,
}

/// All rounds of one axis.
pub(crate) struct Growth {
    pub(crate) axis: &'static Axis,
    rounds: [Vec<Points>; Line::ALL.len()],
    pub(crate) failures: Vec<(Line, String)>,
}

/// Measures one axis, each round with hosts of its own.
pub(crate) fn measure(
    axis: &'static Axis,
    subjects: &Subjects,
    scale: Scale,
    rounds: u32,
    said: fn(&str),
) -> Result<Growth, Error> {
    let echo = Subject::echo()?;
    let mut growth = Growth { axis, rounds: Default::default(), failures: Vec::new() };
    for round in 0..rounds as usize {
        let mut order = Line::ALL;
        order.rotate_left(round % Line::ALL.len());
        for line in order {
            let subject = match line {
                Line::Isolated => Some(&subjects.isolated),
                Line::InProcess => Some(&subjects.in_process),
                Line::Reference => subjects.reference.as_ref(),
                Line::Echo => axis.with_echo.then_some(&echo),
            };
            let Some(subject) = subject else { continue };
            if growth.failures.iter().any(|(failed, _)| *failed == line) {
                continue;
            }
            let levels = match line {
                Line::Reference => axis.reference_levels,
                _ => axis.levels.len(),
            };
            let shorter = Axis { levels: &axis.levels[..levels], ..*axis };
            let began = Instant::now();
            let mut points = Points::new();
            if let Err(error) = (axis.measure)(subject, &shorter, scale, &mut points) {
                growth.failures.push((line, error.to_string()));
                said(&format!("{:<8} {}: {error}", axis.name, line.name()));
            }
            let shown: Vec<_> = points.iter().map(|ms| format!("{ms:.3}")).collect();
            said(&format!(
                "{:<8} round {}: {:<10} {} ms, measured in {:.1} s",
                axis.name,
                round + 1,
                line.name(),
                shown.join(", "),
                began.elapsed().as_secs_f64(),
            ));
            growth.rounds[line as usize].push(points);
        }
    }
    Ok(growth)
}

impl Growth {
    /// What a line has at each of its levels.
    pub(crate) fn spreads(&self, line: Line) -> Vec<(f64, Spread)> {
        let at = |level: usize| {
            let rounds = self.rounds[line as usize].iter();
            let values: Vec<f64> = rounds.filter_map(|points| points.get(level).copied()).collect();
            Some((self.axis.levels[level], Spread::of(&values)?))
        };
        (0..self.axis.levels.len()).map_while(at).collect()
    }

    /// Each round's figures.
    pub(crate) fn rounds(&self, line: Line) -> &[Points] {
        &self.rounds[line as usize]
    }

    /// Milliseconds that the highest level takes more than the lowest, for each of what there is more of.
    pub(crate) fn each(&self, line: Line) -> Option<f64> {
        let spreads = self.spreads(line);
        let ((few, low), (many, high)) = (spreads.first()?, spreads.last()?);
        (many > few).then(|| (high.median - low.median) / (many - few))
    }

    /// How it grows from the last level but one to the last: 0 not at all, 1 in proportion, 2 with the square.
    pub(crate) fn exponent(&self, line: Line) -> Option<f64> {
        let spreads = self.spreads(line);
        let [.., (few, low), (many, high)] = spreads[..] else { return None };
        (few > 0.0).then(|| (high.median / low.median).ln() / (many / few).ln())
    }
}

impl Line {
    pub(crate) const ALL: [Line; 4] =
        [Line::Isolated, Line::InProcess, Line::Reference, Line::Echo];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Line::Isolated => "isolated",
            Line::InProcess => "in process",
            Line::Reference => "reference",
            Line::Echo => "only read",
        }
    }
}

/// The p50 of a trivial cell in the session `s0`.
fn trivial(host: &mut Host, cells: usize) -> Result<f64, Error> {
    let mut samples = Vec::new();
    for _ in 0..cells {
        let frame = frames::execute(host.id(), "s0", "text('hi')", YIELD_NEVER_MS);
        samples.push(host.time_cell(&frame)?);
    }
    Ok(percentile(&mut samples, 0.5))
}

/// Cells that wait for a timer, spread over sessions; one of these runs the cells that are timed.
fn live_cells(
    subject: &Subject,
    axis: &Axis,
    scale: Scale,
    points: &mut Points,
) -> Result<(), Error> {
    let (mut host, _) = Host::start(subject)?;
    let sessions: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
    for session in &sessions {
        host.open(session)?;
    }
    host.warm_up("s0", 20)?;
    let mut live = 0;
    for level in counts(axis) {
        while live < level {
            let batch = BATCH.min(level - live);
            for number in live..live + batch {
                let (id, session) = (host.id(), &sessions[number % sessions.len()]);
                // Not for a tool: a connection has places for 4,096 calls.
                let source = "yield_control(); await new Promise((wake) => setTimeout(wake, 6e6));";
                host.send(&frames::execute(id, session, source, YIELD_NEVER_MS))?;
            }
            for _ in 0..batch {
                host.until(Kind::Initial)?;
            }
            live += batch;
        }
        settle();
        points.push(trivial(&mut host, scale.of(100))?);
    }
    Ok(())
}

/// Values of 6,400 bytes, ten thousand at the end.
fn stored_values(
    subject: &Subject,
    axis: &Axis,
    scale: Scale,
    points: &mut Points,
) -> Result<(), Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("s0")?;
    host.warm_up("s0", 20)?;
    let mut stored = 0;
    for megabytes in axis.levels {
        let wanted = (megabytes * 1e6 / VALUE_BYTES as f64) as usize;
        while stored < wanted {
            let next = wanted.min(stored + 1000);
            let source = format!(
                "const value = 'x'.repeat({}); for (let i = {stored}; i < {next}; i++) store('key' + i, value + i);",
                VALUE_BYTES - 20,
            );
            let id = host.id();
            host.send(&frames::execute(id, "s0", &source, YIELD_NEVER_MS))?;
            host.until(Kind::Initial)?;
            host.until(Kind::Closed)?;
            stored = next;
        }
        settle();
        points.push(trivial(&mut host, scale.of(100))?);
    }
    Ok(())
}

/// Tools that come with each cell, and that it does not use.
fn tools(subject: &Subject, axis: &Axis, scale: Scale, points: &mut Points) -> Result<(), Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("s0")?;
    host.warm_up("s0", 20)?;
    for level in counts(axis) {
        let tools = frames::many_tools(level);
        let mut samples = Vec::new();
        for _ in 0..scale.of(100) {
            let frame = frames::execute_with(host.id(), "s0", "text('hi')", &tools);
            samples.push(host.time_cell(&frame)?);
        }
        points.push(percentile(&mut samples, 0.5));
    }
    Ok(())
}

/// One text.
fn output(subject: &Subject, axis: &Axis, scale: Scale, points: &mut Points) -> Result<(), Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("s0")?;
    host.warm_up("s0", 20)?;
    for megabytes in axis.levels {
        let bytes = (megabytes * 1e6) as usize;
        let source = format!("text('x'.repeat({bytes}))");
        let mut samples = Vec::new();
        for _ in 0..scale.of((20_000_000 / bytes).clamp(3, 50)) {
            let frame = frames::execute(host.id(), "s0", &source, YIELD_NEVER_MS);
            samples.push(host.time_cell(&frame)?);
        }
        points.push(percentile(&mut samples, 0.5));
    }
    Ok(())
}

fn counts(axis: &Axis) -> impl Iterator<Item = usize> {
    axis.levels.iter().map(|level| *level as usize)
}

/// What follows is about what there is, not about the work of getting there.
fn settle() {
    std::thread::sleep(Duration::from_millis(50));
}

/// All of them.
pub(crate) const AXES: &[Axis] = &[
    Axis {
        name: "live",
        title: "Trivial cell",
        grows: "live cells, each waiting for a timer",
        unit: "live cell",
        levels: &[1.0, 10.0, 100.0, 1000.0, 5000.0],
        measure: live_cells,
        // It takes 4 ms for each of them, and a gigabyte for a thousand.
        reference_levels: 4,
        with_echo: false,
    },
    Axis {
        name: "stored",
        title: "Trivial cell",
        grows: "stored values that it does not load, MB",
        unit: "MB",
        levels: &[0.0, 0.064, 0.64, 6.4, 64.0],
        measure: stored_values,
        reference_levels: 5,
        with_echo: false,
    },
    Axis {
        name: "tools",
        title: "Trivial cell",
        grows: "enabled tools that it does not use, 350 bytes each in its request",
        unit: "tool",
        levels: &[0.0, 2.0, 20.0, 200.0, 2000.0],
        measure: tools,
        reference_levels: 5,
        with_echo: true,
    },
    Axis {
        name: "output",
        title: "Cell with one text",
        grows: "output, MB",
        unit: "MB",
        levels: &[0.001, 0.01, 0.1, 1.0, 10.0, 60.0],
        measure: output,
        reference_levels: 6,
        with_echo: false,
    },
];

const VALUE_BYTES: usize = 6400;

/// The reference has died of 200 calls at once.
const BATCH: usize = 20;
