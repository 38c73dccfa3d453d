use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use codemode_cells::SessionLimits;
use codemode_host_protocol::Budget;

/// One attack: a cell, or several that a session runs one after the other.
#[derive(Clone, Debug)]
pub struct Attack {
    /// Its file below `tests/hostile/`, without the ending: `escape/call-site`.
    pub name: String,
    /// What it tries, in the words of its header.
    pub tries: String,
    /// Whether it runs only where a worker process can be ended: what it does cannot be interrupted.
    pub needs_process: bool,
    /// What its cells have beyond the globals that all cells have.
    pub extras: Extras,
    /// What its session allows.
    pub limits: SessionLimits,
    /// Its cells.
    pub turns: Vec<Turn>,
}

/// Globals that a session can give its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// `console`.
    pub console: bool,
    /// `search_tools` and `describe_tool`, and the tools of a namespace together.
    pub discovery: bool,
}

/// One cell of an attack.
#[derive(Clone, Debug)]
pub struct Turn {
    /// JavaScript or TypeScript.
    pub source: String,
    /// How it must end.
    pub ending: Ending,
    /// What it must show, item by item; `None` where that is not looked at.
    pub shows: Option<Vec<String>>,
    /// Whether it is terminated as soon as it yields.
    pub terminate: bool,
}

/// How a cell must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It runs to its end.
    Completes,
    /// It fails, or crosses a limit, with an error that begins so.
    Fails(String),
    /// It is terminated.
    Terminated,
}

/// Why a file is no attack.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// It cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// Its header says something that is not understood.
    #[error("{0}: {1}")]
    Header(String, String),
}

/// All attacks below a folder, in order.
///
/// # Errors
/// When one cannot be read.
pub fn attacks(folder: &Path) -> Result<Vec<Attack>, AttackError> {
    let mut attacks = Vec::new();
    for kind in entries(folder)? {
        if !kind.is_dir() {
            continue;
        }
        for file in entries(&kind)? {
            let name = file.with_extension("");
            let name = name.strip_prefix(folder).unwrap_or(&name).display().to_string();
            let text = fs::read_to_string(&file).map_err(|e| AttackError::File(file, e))?;
            attacks.push(Attack::parse(&name, &text)?);
        }
    }
    Ok(attacks)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, AttackError> {
    let error = |e| AttackError::File(folder.to_owned(), e);
    let entries = fs::read_dir(folder).map_err(error)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(error)?;
    paths.sort();
    Ok(paths)
}

impl Attack {
    /// Reads a file. Its cells are divided by lines `// next cell`; comments at the head of each say what it tries and what
    /// must happen, as `tests/hostile/README.md` tells.
    ///
    /// # Errors
    /// When the header does not say what must happen, or says what is not understood.
    pub fn parse(name: &str, text: &str) -> Result<Attack, AttackError> {
        let mut attack = Attack {
            name: name.to_owned(),
            tries: String::new(),
            needs_process: false,
            extras: Extras::default(),
            limits: limits(),
            turns: Vec::new(),
        };
        for cell in text.split("\n// next cell\n") {
            let turn =
                attack.turn(cell).map_err(|what| AttackError::Header(name.to_owned(), what))?;
            attack.turns.push(turn);
        }
        if attack.tries.is_empty() {
            let what = String::from("the header does not say what the cell tries");
            return Err(AttackError::Header(name.to_owned(), what));
        }
        Ok(attack)
    }

    fn turn(&mut self, cell: &str) -> Result<Turn, String> {
        let mut ending = None;
        let mut shows = Vec::new();
        let mut shows_anything = false;
        let mut terminate = false;
        for line in cell.lines().map_while(|line| line.strip_prefix("// ")) {
            let directive = line.split_once(": ").filter(|(key, _)| !key.contains(' '));
            let Some((key, value)) = directive else {
                self.tries.push_str(line);
                self.tries.push(' ');
                continue;
            };
            match key {
                "expect" => ending = Some(Ending::parse(value)?),
                "shows" if value == "anything" => shows_anything = true,
                "shows" => shows.push(value.to_owned()),
                "terminate" if value == "when it yields" => terminate = true,
                "isolation" if value == "process" => self.needs_process = true,
                "console" if value == "yes" => self.extras.console = true,
                "discovery" if value == "yes" => self.extras.discovery = true,
                "limits" => {
                    for (budget, amount) in amounts(value)? {
                        set(&mut self.limits, budget, amount)?;
                    }
                }
                "session" => {
                    for (budget, amount) in amounts(value)? {
                        self.limits.session.set(budget, Some(amount as u64));
                    }
                }
                _ => return Err(format!("`{line}` is not understood")),
            }
        }
        let ending = ending.ok_or("there is no `// expect: …`")?;
        let shows = (!shows_anything).then_some(shows);
        Ok(Turn { source: cell.to_owned(), ending, shows, terminate })
    }
}

impl Ending {
    fn parse(text: &str) -> Result<Ending, String> {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("completes", "") => Ok(Ending::Completes),
            ("terminated", "") => Ok(Ending::Terminated),
            ("fails", error) if !error.is_empty() => Ok(Ending::Fails(error.to_owned())),
            _ => Err(format!("`{text}` is no end: completes, terminated, or fails ERROR")),
        }
    }
}

/// What an attack's session allows if its header says nothing: enough for an honest cell, little enough for thirty that are not.
pub(super) fn limits() -> SessionLimits {
    let mut limits = SessionLimits::default();
    limits.cell.heap_bytes = 32 << 20;
    limits.cell.buffer_bytes = 32 << 20;
    limits.cell.wall = Some(Duration::from_secs(600));
    limits.cell.cpu = None;
    limits.cell.output_bytes = 1 << 20;
    limits.cell.output_items = 1_000;
    limits.cell.stored_bytes = 1 << 20;
    limits.cell.stored_keys = 100;
    limits.session.set(Budget::StoredBytes, Some(1 << 20));
    limits.session.set(Budget::StoredValues, Some(100));
    limits.open_calls = 100;
    limits
}

/// Reads `heap=16MiB cpu=50ms`.
fn amounts(text: &str) -> Result<Vec<(Budget, usize)>, String> {
    let amount = |word: &str| {
        let (name, amount) = word.split_once('=').ok_or("budgets are written name=amount")?;
        let budget = Budget::named(name).ok_or_else(|| format!("`{name}` is no budget"))?;
        let amount = number(amount).ok_or_else(|| format!("`{amount}` is no amount"))?;
        Ok((budget, amount))
    };
    text.split(' ').map(amount).collect()
}

/// Sets the limit of that budget of one cell.
fn set(limits: &mut SessionLimits, budget: Budget, number: usize) -> Result<(), String> {
    let time = Some(Duration::from_millis(number as u64));
    let cell = &mut limits.cell;
    match budget {
        Budget::Heap => cell.heap_bytes = number,
        Budget::ArrayBuffers => cell.buffer_bytes = number,
        Budget::Cpu => cell.cpu = time,
        Budget::Wall => cell.wall = time,
        Budget::OutputBytes => cell.output_bytes = number,
        Budget::OutputItems => cell.output_items = number,
        Budget::StoredBytes => cell.stored_bytes = number,
        Budget::StoredValues => cell.stored_keys = number,
        Budget::ToolCalls => cell.tool_calls = number,
        Budget::OpenToolCalls => limits.open_calls = number,
        Budget::ArgumentBytes => cell.argument_bytes = number,
        Budget::ResultBytes => cell.result_bytes = number,
        Budget::Timers => cell.timers = number,
        Budget::SourceBytes => cell.source_bytes = number,
        Budget::Depth => cell.depth = number,
        budget => return Err(format!("`{budget}` is no budget of a cell")),
    }
    Ok(())
}

/// `16MiB` in bytes, `50ms` in milliseconds, or a plain number.
fn number(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: usize = digits.parse().ok()?;
    match &text[digits.len()..] {
        "" | "ms" => Some(number),
        "KiB" => Some(number << 10),
        "MiB" => Some(number << 20),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        let text = "// Does harm,\n// and more.\n// limits: heap=8MiB wall=50ms\n// expect: fails A: b\n// shows: x\nx()\n\
                    // next cell\n// terminate: when it yields\n// expect: terminated\n// isolation: process\ny()";
        let attack = Attack::parse("a", text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(attack.tries, "Does harm, and more. ");
        assert_eq!(attack.limits.cell.heap_bytes, 8 << 20);
        assert!(attack.needs_process);
        let [first, second] = &attack.turns[..] else { panic!("{attack:?}") };
        assert_eq!(first.ending, Ending::Fails("A: b".into()));
        assert_eq!(first.shows, Some(vec![String::from("x")]));
        assert!(second.terminate && second.source.ends_with("y()"));
    }

    #[test]
    fn mistakes_in_headers_are_found() {
        for (text, expected) in [
            ("// Harm.\nx()", "a: there is no `// expect: …`"),
            ("// expect: completes\nx()", "a: the header does not say what the cell tries"),
            (
                "// Harm.\n// expect: dies\nx()",
                "a: `dies` is no end: completes, terminated, or fails ERROR",
            ),
            ("// Harm.\n// limits: heap=1TB\n", "a: `1TB` is no amount"),
            ("// Harm.\n// expects: x\n", "a: `expects: x` is not understood"),
        ] {
            let error = Attack::parse("a", text).err().map(|e| e.to_string());
            assert_eq!(error.as_deref(), Some(expected));
        }
    }
}
