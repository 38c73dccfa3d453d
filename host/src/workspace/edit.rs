//! `edit_file`: exact replacements in one file, all or none.

use std::{io, io::Read};

use codemode_host_protocol::ToolFailure;
use memchr::memmem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    arguments::Arguments,
    cancel::Cancel,
    folder::{Folder, WorkspacePath, shorten},
    write::Target,
};

pub(super) const DESCRIPTION: &str = "Replaces text in one file. Each edit's old_text must be in the file exactly \
    once, white space included; give enough of the lines around it, or set replace_all. Edits are made in order, \
    each on the result of those before it. If one fails, the file is left as it was.";

/// What `edit_file` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditFile {
    /// The file, relative to the workspace.
    path: String,
    /// The replacements, in order.
    edits: Vec<Edit>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// What is in the file now, exactly.
    old_text: String,
    /// What to put in its place; "" removes it.
    new_text: String,
    /// Replace it wherever it occurs; false by default.
    replace_all: Option<bool>,
}

impl Arguments for EditFile {
    const TOOL: &'static str = "edit_file";
    const EXAMPLE: &'static str =
        r#"edit_file({ path: "src/main.rs", edits: [{ old_text: "foo()", new_text: "bar()" }] })"#;
}

/// What `edit_file` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Edited {
    /// The file that was written, symbolic links followed.
    path: String,
    /// How many places were replaced.
    replacements: usize,
    /// For each edit, the line of its first replacement at the time it was made.
    lines: Vec<u64>,
    size_bytes: u64,
}

pub(super) fn edit_file(folder: &Folder, arguments: EditFile, cancel: &Cancel) -> Outcome<Edited> {
    let path = folder.path(&arguments.path)?;
    if arguments.edits.is_empty() {
        return Err(ToolFailure::new("edits is empty; give at least one { old_text, new_text }"));
    }
    let mut bytes = read(folder, &path)?;
    let (mut replacements, mut lines) = (0, Vec::new());
    for (index, edit) in arguments.edits.iter().enumerate() {
        cancel.check()?;
        let which = match arguments.edits.len() {
            1 => String::new(),
            count => format!("edit {} of {count}: ", index + 1),
        };
        let made = apply(&mut bytes, edit).map_err(|problem| {
            ToolFailure::new(format!("{which}{}", problem.message(&path, &bytes, edit)))
        })?;
        replacements += made.count;
        lines.push(made.first_line);
    }
    let target = Target::find(folder, &path)?;
    cancel.check()?;
    target.replace(folder, &bytes, true)?;
    Ok(Edited { path: target.path.shown(), replacements, lines, size_bytes: bytes.len() as u64 })
}

fn read(folder: &Folder, path: &WorkspacePath) -> Outcome<Vec<u8>> {
    let (file, metadata) = folder.open_file(path)?;
    if metadata.len() > MAX_EDITED {
        return Err(ToolFailure::new(format!(
            "{path} has {} bytes; edit_file edits files of up to {MAX_EDITED}",
            metadata.len()
        )));
    }
    let mut bytes = Vec::new();
    file.take(MAX_EDITED + 1)
        .read_to_end(&mut bytes)
        .map_err(|error: io::Error| folder.explain("read", path, &error))?;
    Ok(bytes)
}

struct Made {
    count: usize,
    first_line: u64,
}

/// Why an edit cannot be made.
enum Problem {
    EmptyOldText,
    NothingToChange,
    NotFound,
    /// Found on these lines.
    Ambiguous(Vec<u64>),
    TooLarge,
}

/// Makes one edit. On bytes, not on text: a file that is not all UTF-8 keeps what was not touched.
fn apply(bytes: &mut Vec<u8>, edit: &Edit) -> Result<Made, Problem> {
    if edit.old_text.is_empty() {
        return Err(Problem::EmptyOldText);
    }
    if edit.old_text == edit.new_text {
        return Err(Problem::NothingToChange);
    }
    let (mut old, mut new) = (edit.old_text.clone(), edit.new_text.clone());
    let mut places: Vec<usize> = memmem::find_iter(bytes, &old).collect();
    if places.is_empty() && old.contains('\n') && !old.contains("\r\n") {
        // Cells write "\n" also for files whose lines end otherwise.
        old = old.replace('\n', "\r\n");
        new = new.replace("\r\n", "\n").replace('\n', "\r\n");
        places = memmem::find_iter(bytes, &old).collect();
    }
    let Some(first) = places.first() else { return Err(Problem::NotFound) };
    if places.len() > 1 && !edit.replace_all.unwrap_or(false) {
        return Err(Problem::Ambiguous(places.iter().map(|at| line_at(bytes, *at)).collect()));
    }
    let grown = new.len().saturating_sub(old.len()).saturating_mul(places.len());
    if bytes.len().saturating_add(grown) as u64 > MAX_EDITED {
        return Err(Problem::TooLarge);
    }
    let made = Made { count: places.len(), first_line: line_at(bytes, *first) };
    let mut result = Vec::with_capacity(bytes.len() + grown);
    let mut done = 0;
    for at in places {
        result.extend_from_slice(&bytes[done..at]);
        result.extend_from_slice(new.as_bytes());
        done = at + old.len();
    }
    result.extend_from_slice(&bytes[done..]);
    *bytes = result;
    Ok(made)
}

impl Problem {
    fn message(&self, path: &WorkspacePath, bytes: &[u8], edit: &Edit) -> String {
        match self {
            Problem::EmptyOldText => format!(
                "old_text is empty. Give the text beside which to insert, and repeat it in new_text; \
                 write_file writes {path} whole"
            ),
            Problem::NothingToChange => "old_text and new_text are the same".to_owned(),
            Problem::TooLarge => {
                format!(
                    "{path} would grow beyond {MAX_EDITED} bytes, which edit_file does not edit"
                )
            }
            Problem::Ambiguous(lines) => {
                let shown: Vec<String> =
                    lines.iter().take(MAX_LINES_SHOWN).map(u64::to_string).collect();
                let more = if lines.len() > MAX_LINES_SHOWN { ", …" } else { "" };
                format!(
                    "old_text is {} times in {path} (lines {}{more}). Give more of the lines around the one that \
                     is meant, or set replace_all: true",
                    lines.len(),
                    shown.join(", ")
                )
            }
            Problem::NotFound => {
                let text = String::from_utf8_lossy(bytes);
                let nearest = nearest(&text, &edit.old_text);
                format!("old_text is not in {path}.{nearest}")
            }
        }
    }
}

/// Says which place in `text` looks most like `wanted`.
fn nearest(text: &str, wanted: &str) -> String {
    let lines: Vec<&str> = text.lines().take(MAX_LINES_COMPARED).collect();
    let wanted: Vec<&str> = wanted.lines().collect();
    // What begins or ends with a line end has nothing to compare there.
    let first = wanted.iter().position(|line| !line.trim().is_empty());
    let last = wanted.iter().rposition(|line| !line.trim().is_empty());
    let (Some(first), Some(last)) = (first, last) else {
        return " It is white space only; give the text around it".to_owned();
    };
    let wanted = &wanted[first..=last];
    let bags: Vec<Bag> = lines.iter().map(|line| Bag::of(line)).collect();
    let wanted_bags: Vec<Bag> =
        wanted.iter().take(MAX_WANTED_COMPARED).map(|line| Bag::of(line)).collect();
    let score = |at: usize| -> f64 {
        let total: f64 = wanted_bags
            .iter()
            .enumerate()
            .map(|(offset, wanted)| bags.get(at + offset).map_or(0.0, |bag| bag.likeness(wanted)))
            .sum();
        total / wanted_bags.len() as f64
    };
    let best = (0..lines.len())
        .map(|at| (at, score(at)))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
    let Some((at, likeness)) = best.filter(|(_, likeness)| *likeness >= MIN_LIKENESS) else {
        return " Nothing in the file is like it: read_file shows what is there now".to_owned();
    };
    let end = (at + wanted.len()).min(lines.len());
    let found = &lines[at..end];
    let squeeze = |lines: &[&str]| -> String { lines.concat().split_whitespace().collect() };
    let how = if squeeze(found) == squeeze(wanted) {
        "differs in white space only"
    } else if likeness > 0.999 {
        "is made of the same pieces"
    } else {
        "is the most like it"
    };
    let shown: Vec<String> = found
        .iter()
        .take(MAX_LINES_SHOWN)
        .enumerate()
        .map(|(offset, line)| format!("{:>6}| {}", at + offset + 1, visible(line)))
        .collect();
    let more = if found.len() > MAX_LINES_SHOWN { "\n      | …" } else { "" };
    format!(
        " What stands from line {} on {how}:\n{}{more}\nCopy old_text from there",
        at + 1,
        shown.join("\n")
    )
}

/// A line as a set of its pieces: what tells likeness fast enough to ask it of each line of a file.
struct Bag {
    pairs: Vec<u64>,
}

impl Bag {
    fn of(line: &str) -> Bag {
        let text: Vec<char> =
            line.chars().filter(|c| !c.is_whitespace()).take(MAX_LINE_COMPARED).collect();
        let mut pairs: Vec<u64> = match text.as_slice() {
            [one] => vec![u64::from(*one)],
            _ => text
                .windows(2)
                .map(|pair| (u64::from(pair[0]) << 32) | u64::from(pair[1]))
                .collect(),
        };
        pairs.sort_unstable();
        Bag { pairs }
    }

    /// From 0 (nothing in common) to 1 (the same pieces): the Sørensen-Dice coefficient of character pairs.
    fn likeness(&self, other: &Bag) -> f64 {
        let (a, b) = (&self.pairs, &other.pairs);
        if a.is_empty() && b.is_empty() {
            return 1.0;
        }
        let (mut i, mut j, mut common) = (0, 0, 0usize);
        while i < a.len() && j < b.len() {
            match a[i].cmp(&b[j]) {
                std::cmp::Ordering::Less => i += 1,
                std::cmp::Ordering::Greater => j += 1,
                std::cmp::Ordering::Equal => {
                    common += 1;
                    i += 1;
                    j += 1;
                }
            }
        }
        2.0 * common as f64 / (a.len() + b.len()) as f64
    }
}

/// The line with tabs shown, as they are what is mostly wrong where white space is.
fn visible(line: &str) -> String {
    shorten(&line.replace('\t', "⇥"))
}

fn line_at(bytes: &[u8], at: usize) -> u64 {
    memchr::memchr_iter(b'\n', &bytes[..at]).count() as u64 + 1
}

/// Bytes of a file that can be edited.
const MAX_EDITED: u64 = 64 * 1024 * 1024;

/// Lines of a file, and of an edit, that are compared to find the nearest place: with the next bound, the cost
/// of an error stays below a second.
const MAX_LINES_COMPARED: usize = 20_000;
const MAX_WANTED_COMPARED: usize = 10;

/// Characters of a line that are compared.
const MAX_LINE_COMPARED: usize = 200;

/// Lines, or line numbers, that a message shows.
const MAX_LINES_SHOWN: usize = 10;

/// Below this, "the nearest place" would be any place.
const MIN_LIKENESS: f64 = 0.5;
