//! Instructions that hot paths take, as valgrind counts them: the same on a busy machine as on a quiet one.

use std::fmt::Write as _;

use codemode_host_protocol::{
    ClientToHost, Envelope as _, FrameDecoder, HEADER_LEN, HostToClient, encode_frame,
};
use serde_json::{Value, json};

use crate::{
    error::Error,
    frames, library,
    machine::Machine,
    ourselves,
    page::{Page, Section},
    valgrind::{callgrind, cannot_run},
};

/// Something that is done over and over.
struct Path {
    name: &'static str,
    what: &'static str,
    /// Does it so many times.
    run: fn(usize) -> Result<(), Error>,
    /// How often, the second time; half as often the first time.
    times: usize,
}

/// What one of them takes.
struct Count {
    path: &'static Path,
    /// Instructions for each time, of each run.
    runs: Vec<f64>,
    /// What the page has.
    before: Option<f64>,
}

pub(crate) struct Counts {
    machine: Machine,
    counts: Vec<Count>,
}

/// The part under valgrind.
pub(crate) fn run(name: &str, times: usize) -> Result<(), Error> {
    let path = PATHS.iter().find(|path| path.name == name);
    (path.ok_or_else(|| Error::new(format!("there is no path `{name}`")))?.run)(times)
}

/// Counts them all.
///
/// # Errors
/// When valgrind does not run this program.
pub(crate) fn measure(page: &Page, said: fn(&str)) -> Result<Counts, Error> {
    let before = page.figures(Section::Counts)?;
    let mut counts = Vec::new();
    for path in PATHS {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            // What comes before and after the path is the same in both.
            let (half, whole) =
                (instructions(path, path.times / 2)?, instructions(path, path.times)?);
            runs.push((whole - half) / (path.times - path.times / 2) as f64);
        }
        let before = before["instructions"][path.name].as_f64();
        let count = Count { path, runs, before };
        said(&format!("{:<10} {}", path.name, count.text()));
        counts.push(count);
    }
    Ok(Counts { machine: Machine::look(), counts })
}

fn instructions(path: &Path, times: usize) -> Result<f64, Error> {
    let output = callgrind("/dev/null")
        .arg(ourselves()?)
        .args(["count", path.name, &times.to_string()])
        .output()
        .map_err(cannot_run)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.parse().ok());
    match collected {
        Some(collected) if output.status.success() => Ok(collected),
        _ => Err(Error::new(format!(
            "{} under valgrind ended with {}:\n{said}",
            path.name, output.status
        ))),
    }
}

impl Count {
    /// The fewest: what else happens in the process only adds to them.
    fn each(&self) -> f64 {
        self.runs.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// How far the runs are from each other, in parts of the fewest.
    fn spread(&self) -> f64 {
        self.runs.iter().copied().fold(0.0, f64::max) / self.each() - 1.0
    }

    fn text(&self) -> String {
        let mut text = format!("{} instructions", thousands(self.each()));
        if let Some(before) = self.before {
            let _ = write!(
                text,
                ", {:+.2} % against the page's {}",
                (self.each() / before - 1.0) * 100.0,
                thousands(before)
            );
        }
        let _ = write!(text, "; {RUNS} runs within {:.2} %", self.spread() * 100.0);
        text
    }
}

impl Counts {
    /// In Markdown.
    pub(crate) fn table(&self) -> String {
        let mut out = format!(
            "{}. {RUNS} runs, the fewest.\n\n| | instructions | runs within |\n| --- | --- | --- |\n",
            self.machine
        );
        for count in &self.counts {
            let _ = writeln!(
                out,
                "| {} | {} | {:.2} % |",
                count.path.what,
                thousands(count.each()),
                count.spread() * 100.0
            );
        }
        out
    }

    pub(crate) fn save(&self, page: &Page) -> Result<(), Error> {
        let each =
            self.counts.iter().map(|count| (count.path.name.to_owned(), json!(count.each())));
        let json = json!({"machine": self.machine, "instructions": Value::Object(each.collect())});
        page.put(Section::Counts, &self.table(), json)
    }
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const PATHS: &[Path] = &[
    Path {
        name: "decode",
        what: "a request to execute a cell with 2 tools: its frame found and read",
        run: decode,
        times: 2000,
    },
    Path {
        name: "encode",
        what: "the result of a cell with one text, as a frame",
        run: encode,
        times: 4000,
    },
    Path { name: "render", what: "the declarations of 100 tools", run: render, times: 20 },
    Path {
        name: "call",
        what: "a nested call in this process, there and back",
        run: library::make_calls,
        times: 2000,
    },
    Path {
        name: "calls",
        what: "the same, a hundred at once",
        run: library::make_calls_at_once,
        times: 4000,
    },
    Path {
        name: "cell",
        what: "a trivial cell in this process, in an open session",
        run: library::run_cells,
        times: 60,
    },
];

fn decode(times: usize) -> Result<(), Error> {
    let frame = frames::execute(1, "s", "text('hi')", 10_000);
    for _ in 0..times {
        let mut decoder = FrameDecoder::new();
        let mut input = frame.as_slice();
        let body = decoder.next_frame(&mut input).map_err(|e| Error::new(e.to_string()))?;
        let read = ClientToHost::decode(body.unwrap_or_default());
        std::hint::black_box(read.map_err(|e| Error::new(e.to_string()))?);
    }
    Ok(())
}

fn encode(times: usize) -> Result<(), Error> {
    let answers = frames::trivial_answers();
    let second =
        HEADER_LEN + u32::from_le_bytes([answers[0], answers[1], answers[2], answers[3]]) as usize;
    let mut decoder = FrameDecoder::new();
    let mut input = &answers[second..];
    let body = decoder.next_frame(&mut input).map_err(|e| Error::new(e.to_string()))?;
    let message = HostToClient::decode(body.unwrap_or_default());
    let message = message.map_err(|e| Error::new(e.to_string()))?;
    let mut buffer = Vec::new();
    for _ in 0..times {
        buffer.clear();
        encode_frame(std::hint::black_box(&message), &mut buffer)
            .map_err(|e| Error::new(e.to_string()))?;
    }
    Ok(())
}

fn render(times: usize) -> Result<(), Error> {
    let tools = serde_json::from_str::<Vec<codemode_host_protocol::ToolDefinition>>(
        &frames::many_tools(100),
    )
    .map_err(|e| Error::new(e.to_string()))?;
    for _ in 0..times {
        std::hint::black_box(codemode_declarations::render(std::hint::black_box(&tools)));
    }
    Ok(())
}

/// More would tell little more, at five seconds each.
const RUNS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([7.0, 999.6, 14373724.0].map(thousands), ["7", "1,000", "14,373,724"]);
    }

    #[test]
    fn paths_can_be_taken() {
        for path in PATHS.iter().filter(|path| !["call", "calls", "cell"].contains(&path.name)) {
            assert_eq!(run(path.name, 1).map_err(|e| e.to_string()), Ok(()), "{}", path.name);
        }
        assert!(run("nowhere", 1).is_err());
    }
}
