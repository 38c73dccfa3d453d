//! The tables, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    error::Error,
    growth::{Axis, Growth, Line},
    machine::Machine,
    page::{Page, Section},
    peers::{Contestant, MATCHES, Match, PeerRounds},
    plot::Plot,
    rows::{Figure, Row, Target, Unit},
    stats::{Spread, median},
    subject::{Contender, Subjects},
};

/// All rounds of one row.
pub(crate) struct Series {
    row: &'static Row,
    /// The figures of each round, for each contender.
    rounds: [Vec<Vec<f64>>; Contender::ALL.len()],
    failures: [Option<String>; Contender::ALL.len()],
}

/// A whole run.
pub(crate) struct Report {
    machine: Machine,
    reference: bool,
    rounds: u32,
    series: Vec<Series>,
}

impl Series {
    pub(crate) fn new(row: &'static Row) -> Series {
        Series { row, rounds: Default::default(), failures: Default::default() }
    }

    pub(crate) fn add(&mut self, contender: Contender, figures: &[f64]) {
        self.rounds[contender as usize].push(figures.to_vec());
    }

    pub(crate) fn fail(&mut self, contender: Contender, error: &Error) {
        self.failures[contender as usize] = Some(error.to_string());
    }

    /// One line about the round that was just measured.
    pub(crate) fn latest(&self, round: u32) -> String {
        let mut line = format!("{:<10} round {}:", self.row.name, round + 1);
        for contender in Contender::ALL {
            let failed = self.failures[contender as usize].as_ref();
            let figures = self.rounds[contender as usize].last();
            let text = match (failed, figures) {
                (Some(error), _) => format!("failed: {error}"),
                (None, None) => continue,
                (None, Some(figures)) => figures
                    .iter()
                    .zip(self.row.figures)
                    .map(|(value, figure)| show(*value, figure.unit))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            let _ = write!(line, "  {} {text}", contender_name(contender));
        }
        line
    }

    fn values(&self, contender: Contender, figure: usize) -> Vec<f64> {
        let rounds = &self.rounds[contender as usize];
        rounds.iter().filter_map(|figures| figures.get(figure).copied()).collect()
    }

    fn spread(&self, contender: Contender, figure: usize) -> Option<Spread> {
        Spread::of(&self.values(contender, figure))
    }

    /// The median of the rounds' ratios, one of ours to the reference's.
    fn ratio(&self, ours: Contender, figure: usize) -> Option<f64> {
        let ours = self.values(ours, figure);
        let reference = self.values(Contender::Reference, figure);
        let ratios: Vec<f64> = ours.iter().zip(&reference).map(|(a, b)| a / b).collect();
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    fn cell(&self, contender: Contender, figure: usize, unit: Unit) -> String {
        match (self.spread(contender, figure), &self.failures[contender as usize]) {
            (Some(spread), _) => in_a_cell(spread, unit),
            (None, Some(error)) => format!("failed: {error}"),
            (None, None) => "—".to_owned(),
        }
    }

    /// The ratio to the reference, and whether the target is met.
    fn verdict(&self, contender: Contender, index: usize, target: Target) -> String {
        let ratio = self.ratio(contender, index);
        let ours = self.spread(contender, index).map(|spread| spread.median);
        let met = match target {
            Target::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Target::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
            Target::AtMost(most) => ours.map(|ours| ours <= most),
            Target::Open => None,
        };
        let ratio = ratio.map_or("—".to_owned(), |ratio| format!("{ratio:.3}"));
        match met {
            Some(true) => format!("{ratio} ✓"),
            Some(false) => format!("{ratio} ✗"),
            None => ratio,
        }
    }
}

/// What a row has to reach in the process of its host, in words.
fn in_words(figure: &Figure) -> String {
    match figure.target {
        Target::RatioAtMost(most) => format!("≤ {most}"),
        Target::RatioAtLeast(least) => format!("≥ {least}"),
        Target::AtMost(most) => format!("≤ {}", show(most, figure.unit)),
        Target::Open => "—".to_owned(),
    }
}

impl Report {
    pub(crate) fn new(
        machine: Machine,
        subjects: &Subjects,
        rounds: u32,
        series: Vec<Series>,
    ) -> Report {
        Report { machine, reference: subjects.reference.is_some(), rounds, series }
    }

    /// In Markdown.
    pub(crate) fn table(&self) -> String {
        let mut out = format!(
            "{}. {} rounds: median (lowest – highest).\n\n\
             | | isolated | in process | reference | isolated, ratio | in process, ratio | target | limit |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |\n",
            self.machine, self.rounds
        );
        for series in &self.series {
            for (index, figure) in series.row.figures.iter().enumerate() {
                let limit = match series.spread(Contender::Limit, index) {
                    Some(spread) => {
                        format!("{}: {}", show(spread.median, figure.unit), series.row.limit_is)
                    }
                    None => "—".to_owned(),
                };
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} | {} | {} | {} | {limit} |",
                    figure.title,
                    series.cell(Contender::Isolated, index, figure.unit),
                    series.cell(Contender::InProcess, index, figure.unit),
                    series.cell(Contender::Reference, index, figure.unit),
                    series.verdict(Contender::Isolated, index, figure.target.isolated()),
                    series.verdict(Contender::InProcess, index, figure.target),
                    in_words(figure),
                );
            }
        }
        out
    }

    /// Puts the table into the page and the figures beside it.
    pub(crate) fn save(&self, page: &Page) -> Result<(), Error> {
        page.put(Section::Table, &self.table(), self.json())
    }

    fn json(&self) -> Value {
        let mut figures = Vec::new();
        for series in &self.series {
            for (index, figure) in series.row.figures.iter().enumerate() {
                figures.push(json!({
                    "row": series.row.name,
                    "title": figure.title,
                    "unit": unit_name(figure.unit),
                    "isolated": series.values(Contender::Isolated, index),
                    "in_process": series.values(Contender::InProcess, index),
                    "reference": series.values(Contender::Reference, index),
                    "limit": series.values(Contender::Limit, index),
                    "isolated_ratio": series.ratio(Contender::Isolated, index),
                    "in_process_ratio": series.ratio(Contender::InProcess, index),
                    "failures": series.failures,
                }));
            }
        }
        json!({
            "machine": self.machine,
            "rounds": self.rounds,
            "with_reference": self.reference,
            "figures": figures,
        })
    }
}

/// All comparisons with peers.
pub(crate) struct PeerReport {
    machine: Machine,
    rounds: u32,
    of: PeerRounds,
}

impl PeerReport {
    pub(crate) fn new(machine: Machine, rounds: u32, of: PeerRounds) -> PeerReport {
        PeerReport { machine, rounds, of }
    }

    /// In Markdown.
    pub(crate) fn table(&self) -> String {
        let mut out = format!(
            "{}. {} rounds: median (lowest – highest).\n\n\
             | | the peer | | ours | | ours / the peer's |\n\
             | --- | --- | --- | --- | --- | --- |\n",
            self.machine, self.rounds
        );
        for line in MATCHES {
            let Some(ratio) = self.ratio(line) else { continue };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {}: {} | {} | {ratio:.3} {} |",
                line.what,
                line.peer.name(),
                self.cell(line.peer, line.theirs),
                line.ours.name(),
                line.our.words(),
                self.cell(line.ours, line.our.name()),
                if ratio <= 1.0 { "✓" } else { "✗" },
            );
        }
        for (contestant, error) in &self.of.failures {
            let _ = writeln!(out, "\nMissing: {}: {error}.", contestant.name());
        }
        out
    }

    pub(crate) fn save(&self, page: &Page) -> Result<(), Error> {
        let figures = MATCHES.iter().map(|line| {
            json!({
                "what": line.what,
                "peer": line.peer.name(),
                "unit": "ms",
                "theirs": self.of.values(line.peer, line.theirs),
                "ours": self.of.values(line.ours, line.our.name()),
                "ours_is": format!("{}: {}", line.ours.name(), line.our.words()),
                "ratio": self.ratio(line),
            })
        });
        let json = json!({
            "machine": self.machine,
            "rounds": self.rounds,
            "figures": figures.collect::<Vec<_>>(),
        });
        page.put(Section::Peers, &self.table(), json)
    }

    /// The median of the rounds' ratios.
    fn ratio(&self, line: &Match) -> Option<f64> {
        let ours = self.of.values(line.ours, line.our.name());
        let theirs = self.of.values(line.peer, line.theirs);
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    fn cell(&self, contestant: Contestant, figure: &str) -> String {
        let spread = Spread::of(&self.of.values(contestant, figure));
        spread.map_or("—".to_owned(), |spread| in_a_cell(spread, Unit::Millis))
    }
}

/// How cells grow.
pub(crate) struct GrowthReport {
    machine: Machine,
    rounds: u32,
    of: Vec<Growth>,
}

impl GrowthReport {
    pub(crate) fn new(machine: Machine, rounds: u32, of: Vec<Growth>) -> GrowthReport {
        GrowthReport { machine, rounds, of }
    }

    /// In Markdown: the plots, and under them what they say.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{}. Medians of {} rounds.\n\n", self.machine, self.rounds);
        for growth in &self.of {
            let Axis { title, grows, .. } = growth.axis;
            let _ = writeln!(out, "![{title} by {grows}]({})", file_name(growth.axis));
        }
        out.push_str(
            "\n| what grows | | from | to | each costs | exponent |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        for growth in &self.of {
            for line in Line::ALL {
                self.line(growth, line, &mut out);
            }
        }
        out
    }

    fn line(&self, growth: &Growth, line: Line, out: &mut String) {
        let spreads = growth.spreads(line);
        let (Some((few, low)), Some((many, high))) = (spreads.first(), spreads.last()) else {
            return;
        };
        let exponent = growth.exponent(line).map_or("—".to_owned(), |exponent| match line {
            Line::Echo => format!("{exponent:.2}"),
            _ => format!("{exponent:.2} {}", if exponent <= LINEAR { "✓" } else { "✗" }),
        });
        let each = growth.each(line).filter(|each| *each > 0.0);
        let each = each.map_or("nothing".to_owned(), |each| {
            format!("{:.3} µs a {}", each * 1000.0, growth.axis.unit)
        });
        let _ = writeln!(
            out,
            "| {} | {} | {} at {few} | {} at {many} | {each} | {exponent} |",
            growth.axis.grows,
            line.name(),
            show(low.median, Unit::Millis),
            show(high.median, Unit::Millis),
        );
    }

    pub(crate) fn save(&self, page: &Page) -> Result<(), Error> {
        let mut axes = Vec::new();
        for growth in &self.of {
            let lines = Line::ALL.map(|line| (line.name(), growth.spreads(line)));
            let plot = Plot {
                title: format!("{}, p50", growth.axis.title),
                x_title: growth.axis.grows,
                y_title: "ms",
                lines: lines.into_iter().filter(|(_, points)| !points.is_empty()).collect(),
            };
            page.put_file(&file_name(growth.axis), &plot.svg())?;
            let rounds = Line::ALL.map(|line| (line.name().to_owned(), json!(growth.rounds(line))));
            axes.push(json!({
                "axis": growth.axis.name,
                "grows": growth.axis.grows,
                "levels": growth.axis.levels,
                "unit": "ms",
                "rounds": Value::Object(rounds.into_iter().collect()),
                "failures": growth.failures.iter().map(|(line, error)| format!("{}: {error}", line.name())).collect::<Vec<_>>(),
            }));
        }
        let json = json!({"machine": self.machine, "axes": axes});
        page.put(Section::Growth, &self.text(), json)
    }
}

fn file_name(axis: &Axis) -> String {
    format!("growth-{}.svg", axis.name)
}

fn in_a_cell(Spread { min, median, max }: Spread, unit: Unit) -> String {
    format!("{} ({} – {})", show(median, unit), bare(min, unit), bare(max, unit))
}

pub(crate) fn show(value: f64, unit: Unit) -> String {
    format!("{} {}", bare(value, unit), unit_name(unit))
}

/// Three digits that mean something.
fn bare(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Millis if value < 1.0 => format!("{value:.3}"),
        Unit::Millis if value < 10.0 => format!("{value:.2}"),
        Unit::Millis if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Millis => "ms",
        Unit::PerSecond => "/s",
        Unit::Kib => "KiB",
    }
}

fn contender_name(contender: Contender) -> &'static str {
    match contender {
        Contender::Isolated => "isolated",
        Contender::InProcess => "in process",
        Contender::Reference => "reference",
        Contender::Limit => "limit",
    }
}

/// The exponent of what grows in proportion, and room for noise.
const LINEAR: f64 = 1.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        for (value, unit, expected) in [
            (0.0421, Unit::Millis, "0.042 ms"),
            (4.247, Unit::Millis, "4.25 ms"),
            (42.47, Unit::Millis, "42.5 ms"),
            (560.2, Unit::Millis, "560 ms"),
            (860.4, Unit::Kib, "860 KiB"),
            (1234.5, Unit::PerSecond, "1234 /s"),
        ] {
            assert_eq!(show(value, unit), expected);
        }
    }
}
