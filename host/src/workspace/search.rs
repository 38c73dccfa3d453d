//! `search`: lines by what they say.

use std::{
    collections::VecDeque,
    io::{self, Read},
};

use cap_std::fs::File;
use codemode_host_protocol::ToolFailure;
use globset::GlobSet;
use grep_matcher::{LineTerminator, Matcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkFinish, SinkMatch,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    arguments::{Arguments, OneOrMany},
    cancel::Cancel,
    folder::{Folder, WorkspacePath, open_entry},
    glob, pattern,
    walk::{self, Next},
};

pub(super) const DESCRIPTION: &str = "Searches the text of files with a regular expression (Rust's: no look-around, \
    no back-references), line by line. Gives each matching line with its path and number, in order. What \
    .gitignore leaves out and binary files are skipped, symbolic links are not followed.";

/// What `search` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// The regular expression.
    pattern: String,
    /// The folder or file to search, relative to the workspace; all of it by default.
    path: Option<String>,
    /// Search only files that match one of these globs; one without "/" means a name in any folder: "*.rs".
    include: Option<OneOrMany>,
    /// Leave out files and folders that match one of these globs.
    exclude: Option<OneOrMany>,
    /// Take the pattern as the text itself, not as a regular expression.
    literal: Option<bool>,
    /// Let upper and lower case count as the same.
    ignore_case: Option<bool>,
    /// Let a match go over several lines, and `\n` and `(?s).` match line ends.
    multiline: Option<bool>,
    /// How many lines to give before and after each match: 0 by default, 50 at most.
    #[schemars(range(max = 50))]
    context: Option<usize>,
    /// How many matches to give at most: 1000 by default, 100000 at most.
    #[schemars(range(min = 1, max = 100_000))]
    max_results: Option<usize>,
    /// Search files that .gitignore leaves out and .git, too.
    include_ignored: Option<bool>,
}

impl Arguments for Search {
    const TOOL: &'static str = "search";
    const EXAMPLE: &'static str = r#"search({ pattern: "TODO|FIXME", include: "*.rs" })"#;
}

/// What `search` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Matches {
    /// The matches, by path and line.
    matches: Vec<FoundLine>,
    /// Whether there are more than `max_results`.
    truncated: bool,
    /// How many files were searched.
    files_searched: u64,
    /// What was left out, or why nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FoundLine {
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
}

pub(super) fn search(folder: &Folder, arguments: Search, cancel: &Cancel) -> Outcome<Matches> {
    let path = match &arguments.path {
        Some(path) => folder.path(path)?,
        None => WorkspacePath::root(),
    };
    let matcher = matcher(&arguments)?;
    let include = pattern::filter(arguments.include.as_ref())?;
    let exclude = pattern::filter(arguments.exclude.as_ref())?;
    let metadata =
        folder.metadata(&path).map_err(|error| folder.explain("search", &path, &error))?;
    let mut search = Running::new(&arguments, matcher, cancel);
    let mut report = walk::Report::default();
    if metadata.is_dir() {
        let options = walk::Options {
            include_ignored: arguments.include_ignored.unwrap_or(false),
            max_depth: None,
        };
        report = walk::walk(folder, &path, &options, cancel, |entry| {
            if !entry.file_type.is_file()
                || !is_wanted(entry.path, include.as_ref(), exclude.as_ref())
            {
                return Ok(Next::Go);
            }
            match open_entry(entry.dir, entry.os_name) {
                Some((file, _)) => search.file(entry.path, file)?,
                None => search.unreadable += 1,
            }
            Ok(if search.has_more { Next::Stop } else { Next::Go })
        })?;
    } else {
        let (file, _) = folder.open_file(&path)?;
        search.file(&path.shown(), file)?;
    }
    Ok(search.finish(&report))
}

fn is_wanted(path: &str, include: Option<&GlobSet>, exclude: Option<&GlobSet>) -> bool {
    include.is_none_or(|include| include.is_match(path))
        && exclude.is_none_or(|exclude| !glob::excludes(exclude, path))
}

fn matcher(arguments: &Search) -> Outcome<RegexMatcher> {
    if arguments.pattern.is_empty() {
        return Err(ToolFailure::new(
            "the pattern is empty and would match every line; glob lists files, read_file reads them",
        ));
    }
    let multiline = arguments.multiline.unwrap_or(false);
    let mut builder = RegexMatcherBuilder::new();
    builder
        .case_insensitive(arguments.ignore_case.unwrap_or(false))
        .fixed_strings(arguments.literal.unwrap_or(false))
        .multi_line(true)
        .size_limit(MAX_REGEX);
    if !multiline {
        builder.crlf(true);
    }
    builder.build(&arguments.pattern).map_err(|error| {
        let error = error.to_string();
        let hint = if error.contains("look-around") || error.contains("backreferences") {
            "Filter the matches in the cell with a JavaScript RegExp instead"
        } else if error.contains("\\n") && !multiline {
            "Set multiline: true to match over line ends"
        } else {
            "Set literal: true to search for the text as it stands"
        };
        ToolFailure::new(format!("the pattern is not a regular expression: {error}\n{hint}"))
    })
}

/// A search on its way through the files.
struct Running<'a> {
    matcher: RegexMatcher,
    searcher: Searcher,
    cancel: &'a Cancel,
    context: Option<usize>,
    max_results: usize,
    multiline: bool,
    matches: Vec<FoundLine>,
    /// Bytes of text in `matches`.
    bytes: usize,
    has_more: bool,
    files: u64,
    binary: u64,
    unreadable: u64,
    too_long: u64,
}

impl<'a> Running<'a> {
    fn new(arguments: &Search, matcher: RegexMatcher, cancel: &'a Cancel) -> Running<'a> {
        let context = arguments.context.map_or(0, |lines| lines.min(MAX_CONTEXT));
        let multiline = arguments.multiline.unwrap_or(false);
        // The matcher's own, or the two would not work together.
        let line_end = match multiline {
            true => LineTerminator::byte(b'\n'),
            false => LineTerminator::crlf(),
        };
        let searcher = SearcherBuilder::new()
            .line_terminator(line_end)
            .line_number(true)
            .multi_line(multiline)
            .before_context(context)
            .after_context(context)
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(MAX_HELD))
            .build();
        Running {
            matcher,
            searcher,
            cancel,
            context: (context > 0).then_some(context),
            max_results: arguments.max_results.unwrap_or(DEFAULT_RESULTS).clamp(1, MAX_RESULTS),
            multiline,
            matches: Vec::new(),
            bytes: 0,
            has_more: false,
            files: 0,
            binary: 0,
            unreadable: 0,
            too_long: 0,
        }
    }

    fn file(&mut self, path: &str, file: File) -> Outcome<()> {
        self.cancel.check()?;
        self.files += 1;
        let mut sink = Lines {
            path,
            matcher: &self.matcher,
            context: self.context,
            room: self.max_results - self.matches.len(),
            bytes: self.bytes,
            found: Vec::new(),
            before: VecDeque::new(),
            has_more: false,
            is_binary: false,
        };
        let reader = Cancellable { file, cancel: self.cancel };
        let result = self.searcher.search_reader(&self.matcher, reader, &mut sink);
        let Lines { found, bytes, has_more, is_binary, .. } = sink;
        self.cancel.check()?;
        if let Err(error) = result {
            if error.to_string().contains("allocation limit") {
                self.too_long += 1;
            } else {
                self.unreadable += 1;
            }
        }
        if is_binary {
            self.binary += 1;
            return Ok(());
        }
        self.matches.extend(found);
        self.bytes = bytes;
        self.has_more |= has_more;
        Ok(())
    }

    fn finish(self, report: &walk::Report) -> Matches {
        let mut notes = report.notes();
        if self.unreadable > 0 {
            notes.push(format!("{} could not be read", files(self.unreadable)));
        }
        if self.too_long > 0 {
            notes.push(format!(
                "{} not searched to the end: {} longer than {} MiB",
                files(self.too_long),
                if self.multiline { "with multiline, files must not be" } else { "a line is" },
                MAX_HELD >> 20
            ));
        }
        if self.has_more {
            notes.push(format!(
                "there are more matches than these {}; narrow the search, or raise max_results, up to \
                 {MAX_RESULTS}",
                self.matches.len()
            ));
        }
        if self.matches.is_empty() {
            if self.files == 0 {
                notes.push("no file was searched; check path, include and exclude".to_owned());
            }
            if self.binary > 0 {
                notes.push(format!("{} skipped as binary", files(self.binary)));
            }
            if report.ignored > 0 {
                notes.push(format!(
                    "{} files or folders that .gitignore leaves out were not searched; include_ignored: true \
                     does",
                    report.ignored
                ));
            }
        }
        Matches {
            matches: self.matches,
            truncated: self.has_more,
            files_searched: self.files,
            note: glob::join(notes),
        }
    }
}

/// Collects what one file has.
struct Lines<'a> {
    path: &'a str,
    matcher: &'a RegexMatcher,
    context: Option<usize>,
    /// Matches that still fit into the result.
    room: usize,
    /// Bytes of text in the result so far.
    bytes: usize,
    found: Vec<FoundLine>,
    /// The last lines, for the matches to come.
    before: VecDeque<String>,
    has_more: bool,
    is_binary: bool,
}

impl Lines<'_> {
    /// Gives a line to the matches before that it is the context of, and keeps it for those to come.
    fn passed(&mut self, number: u64, text: &str) {
        let Some(context) = self.context else { return };
        for found in self.found.iter_mut().rev() {
            let Some(after) = &mut found.after else { break };
            if after.len() == context {
                break;
            }
            // A match of several lines is its own context no more than one of a single line.
            if number > found.line + found.text.matches('\n').count() as u64 {
                self.bytes += text.len();
                after.push(text.to_owned());
            }
        }
        self.before.push_back(text.to_owned());
        if self.before.len() > context {
            self.before.pop_front();
        }
    }
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        if self.found.len() == self.room || self.bytes > MAX_BYTES {
            self.has_more = true;
            // With context on, the lines after the last match are still wanted, and one that matches is
            // among them.
            let Some(context) = self.context else { return Ok(false) };
            if self
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
        for (number, text) in (line..).zip(text.split(|byte| *byte == b'\n')) {
            self.passed(number, &cut(text, 0));
        }
        if self.has_more {
            return Ok(true);
        }
        let after = self.context.map(|_| Vec::new());
        self.bytes += self.path.len() + shown.len();
        self.bytes += before.iter().flatten().map(String::len).sum::<usize>();
        self.found.push(FoundLine { path: self.path.to_owned(), line, text: shown, before, after });
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> io::Result<bool> {
        let number = context.line_number().unwrap_or(0);
        self.passed(number, &cut(without_end(context.bytes()), 0));
        Ok(true)
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> io::Result<bool> {
        self.is_binary = true;
        Ok(false)
    }

    fn finish(&mut self, _: &Searcher, finish: &SinkFinish) -> io::Result<()> {
        self.is_binary |= finish.binary_byte_offset().is_some();
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

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// Matches without asking for more.
const DEFAULT_RESULTS: usize = 1000;

/// Matches that can be asked for.
const MAX_RESULTS: usize = 100_000;

/// Bytes of text after which no more matches are given, whatever was asked for.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Lines before and after a match that can be asked for.
const MAX_CONTEXT: usize = 50;

/// Bytes of a line that are given; minified files have lines of megabytes.
const MAX_LINE: usize = 1000;

/// Bytes of a file held at once: a line, or with `multiline` the whole file.
const MAX_HELD: usize = 64 * 1024 * 1024;

/// Bytes of a compiled regular expression; the library's own default is ten times this.
const MAX_REGEX: usize = 10 * 1024 * 1024;
