//! What one file has that a search looks for.

use std::{
    collections::VecDeque,
    io::{self, Read},
};

use cap_std::fs::File;
use codemode_host_protocol::ToolFailure;
use grep_matcher::{LineTerminator, Matcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkFinish, SinkMatch,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Outcome, cancel::Cancel};

/// One match.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FoundLine {
    /// Relative to the workspace.
    path: String,
    /// The line's number, counted from 1.
    line: u64,
    /// The line without its end; the part around the match if the line is long.
    text: String,
    /// The lines before it, if `context` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Vec<String>>,
    /// The lines after it, if `context` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Vec<String>>,
    /// The number of the last line that the match is on.
    #[serde(skip)]
    last_line: u64,
}

/// What to look for, and how much to give.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) pattern: String,
    pub(super) literal: bool,
    pub(super) ignore_case: bool,
    pub(super) multiline: bool,
    /// Lines before and after each match.
    pub(super) context: usize,
    /// Matches of one file.
    pub(super) max_results: usize,
    /// Bytes of text of one file's matches.
    pub(super) max_bytes: usize,
}

/// What one file has.
#[derive(Debug, Default)]
pub(super) struct FileMatches {
    pub(super) found: Vec<FoundLine>,
    /// Bytes of text in `found`.
    pub(super) bytes: usize,
    /// There are more than are wanted.
    pub(super) has_more: bool,
    /// The file is no text, and nothing of it is in `found`.
    pub(super) is_binary: bool,
    /// Reading ended early.
    pub(super) problem: Option<Problem>,
}

/// Why a file was not searched to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Unreadable,
    /// More than [`MAX_HELD`] bytes would have to be held at once.
    TooLong,
}

/// Searches one file after another.
#[derive(Clone)]
pub(super) struct FileSearch {
    matcher: RegexMatcher,
    searcher: Searcher,
    context: Option<usize>,
    max_results: usize,
    max_bytes: usize,
}

impl FileSearch {
    pub(super) fn new(wanted: &Wanted) -> Outcome<FileSearch> {
        // The matcher's own, or the two would not work together.
        let line_end = match wanted.multiline {
            true => LineTerminator::byte(b'\n'),
            false => LineTerminator::crlf(),
        };
        let searcher = SearcherBuilder::new()
            .line_terminator(line_end)
            .line_number(true)
            .multi_line(wanted.multiline)
            .before_context(wanted.context)
            .after_context(wanted.context)
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(MAX_HELD))
            .build();
        Ok(FileSearch {
            matcher: matcher(wanted)?,
            searcher,
            context: (wanted.context > 0).then_some(wanted.context),
            max_results: wanted.max_results,
            max_bytes: wanted.max_bytes,
        })
    }

    /// Searches `file`. What a cancelled search found is not all there is.
    pub(super) fn search(&mut self, path: &str, file: File, cancel: &Cancel) -> FileMatches {
        let mut lines = Lines {
            path,
            matcher: &self.matcher,
            context: self.context,
            max_results: self.max_results,
            max_bytes: self.max_bytes,
            before: VecDeque::new(),
            file: FileMatches::default(),
        };
        let reader = Cancellable { file, cancel };
        let result = self.searcher.search_reader(&self.matcher, reader, &mut lines);
        let mut file = lines.file;
        if let Err(error) = result {
            // The library has no kind of error of its own for this.
            let is_too_long = error.to_string().contains("allocation limit");
            file.problem = Some(if is_too_long { Problem::TooLong } else { Problem::Unreadable });
        }
        if file.is_binary {
            return FileMatches { is_binary: true, ..FileMatches::default() };
        }
        file
    }
}

fn matcher(wanted: &Wanted) -> Outcome<RegexMatcher> {
    if wanted.pattern.is_empty() {
        return Err(ToolFailure::new(
            "the pattern is empty and would match every line; glob lists files, read_file reads them",
        ));
    }
    let mut builder = RegexMatcherBuilder::new();
    builder
        .case_insensitive(wanted.ignore_case)
        .fixed_strings(wanted.literal)
        .multi_line(true)
        .size_limit(MAX_REGEX);
    if !wanted.multiline {
        builder.crlf(true);
    }
    builder.build(&wanted.pattern).map_err(|error| {
        let error = error.to_string();
        let hint = if error.contains("look-around") || error.contains("backreferences") {
            "Filter the matches in the cell with a JavaScript RegExp instead"
        } else if error.contains("\\n") && !wanted.multiline {
            "Set multiline: true to match over line ends"
        } else {
            "Set literal: true to search for the text as it stands"
        };
        ToolFailure::new(format!("the pattern is not a regular expression: {error}\n{hint}"))
    })
}

/// Collects what one file has.
struct Lines<'a> {
    path: &'a str,
    matcher: &'a RegexMatcher,
    context: Option<usize>,
    max_results: usize,
    max_bytes: usize,
    /// The last lines, for the matches to come.
    before: VecDeque<String>,
    file: FileMatches,
}

impl Lines<'_> {
    /// Gives a line to the matches before that it is the context of, and keeps it for those to come.
    fn passed(&mut self, number: u64, text: &[u8]) {
        let Some(context) = self.context else { return };
        let text = cut(without_end(text), 0);
        for found in self.file.found.iter_mut().rev() {
            let Some(after) = &mut found.after else { break };
            if after.len() == context {
                break;
            }
            // A match of several lines is its own context no more than one of a single line.
            if number > found.last_line {
                self.file.bytes += text.len();
                after.push(text.clone());
            }
        }
        self.before.push_back(text);
        if self.before.len() > context {
            self.before.pop_front();
        }
    }
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        if self.file.found.len() == self.max_results || self.file.bytes > self.max_bytes {
            self.file.has_more = true;
            // With context on, the lines after the last match are still wanted, and one that matches is
            // among them.
            let Some(context) = self.context else { return Ok(false) };
            if self
                .file
                .found
                .last()
                .is_none_or(|last| last.after.as_ref().is_none_or(|after| after.len() == context))
            {
                return Ok(false);
            }
        }
        let line = found.line_number().unwrap_or(0);
        let text = without_end(found.bytes());
        let shown = around_match(text, self.matcher);
        let before = self.context.map(|_| self.before.iter().cloned().collect());
        let mut last_line = line;
        for (number, text) in (line..).zip(text.split(|byte| *byte == b'\n')) {
            self.passed(number, text);
            last_line = number;
        }
        if self.file.has_more {
            return Ok(true);
        }
        let after = self.context.map(|_| Vec::new());
        self.file.bytes += self.path.len() + shown.len();
        self.file.bytes += before.iter().flatten().map(String::len).sum::<usize>();
        self.file.found.push(FoundLine {
            path: self.path.to_owned(),
            line,
            text: shown,
            before,
            after,
            last_line,
        });
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> io::Result<bool> {
        let number = context.line_number().unwrap_or(0);
        self.passed(number, without_end(context.bytes()));
        Ok(true)
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> io::Result<bool> {
        self.file.is_binary = true;
        Ok(false)
    }

    fn finish(&mut self, _: &Searcher, finish: &SinkFinish) -> io::Result<()> {
        self.file.is_binary |= finish.binary_byte_offset().is_some();
        Ok(())
    }
}

/// Stops a search in the middle of a large file.
struct Cancellable<'a> {
    file: File,
    cancel: &'a Cancel,
}

impl Read for Cancellable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        self.file.read(buffer)
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The line; of a long one, the part around the first match.
fn around_match(text: &[u8], matcher: &RegexMatcher) -> String {
    if text.len() <= MAX_LINE {
        return cut(text, 0);
    }
    let start = matcher.find(text).ok().flatten().map_or(0, |found| found.start());
    cut(text, start.saturating_sub(MAX_LINE / 4))
}

/// At most [`MAX_LINE`] bytes of `text` from `from` on, with an ellipsis where something is missing.
fn cut(text: &[u8], from: usize) -> String {
    if text.len() <= MAX_LINE {
        return String::from_utf8_lossy(text).into_owned();
    }
    let is_start = |at: usize| text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let from = (from..from + 4).find(|at| is_start(*at)).unwrap_or(from).min(text.len());
    let to = from + MAX_LINE.min(text.len() - from);
    let to = (to.saturating_sub(3)..=to).rev().find(|at| is_start(*at)).unwrap_or(to);
    format!(
        "{}{}{}",
        if from > 0 { "…" } else { "" },
        String::from_utf8_lossy(&text[from..to]),
        if to < text.len() { "…" } else { "" }
    )
}

/// Bytes of a line that are given; minified files have lines of megabytes.
const MAX_LINE: usize = 1000;

/// Bytes of a file held at once: a line, or with `multiline` the whole file.
pub(super) const MAX_HELD: usize = 16 * 1024 * 1024;

/// Bytes of a compiled regular expression; the library's own default is ten times this.
const MAX_REGEX: usize = 10 * 1024 * 1024;
