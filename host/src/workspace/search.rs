//! `search`: lines by what they say.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread,
};

use cap_std::fs::{Dir, File};
use globset::GlobSet;
use parking_lot::{Condvar, Mutex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    arguments::{Arguments, OneOrMany},
    cancel::Cancel,
    folder::{Folder, WorkspacePath, open_entry},
    glob,
    matching::{FileMatches, FileSearch, FoundLine, MAX_HELD, Problem, Wanted},
    pattern,
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
    max_results: Option<NonZeroUsize>,
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

pub(super) fn search(folder: &Folder, arguments: Search, cancel: &Cancel) -> Outcome<Matches> {
    let path = match &arguments.path {
        Some(path) => folder.path(path)?,
        None => WorkspacePath::root(),
    };
    let wanted = arguments.wanted();
    let file_search = FileSearch::new(&wanted)?;
    let include = pattern::filter(arguments.include.as_ref())?;
    let exclude = pattern::filter(arguments.exclude.as_ref())?;
    let metadata =
        folder.metadata(&path).map_err(|error| folder.explain("search", &path, &error))?;
    let results = Results::new(&wanted);
    if !metadata.is_dir() {
        let (file, _) = folder.open_file(&path)?;
        let mut file_search = file_search;
        results.add(0, Some(file_search.search(&path.shown(), file, cancel)));
        cancel.check()?;
        return Ok(results.finish(&walk::Report::default()));
    }

    let options = walk::Options {
        include_ignored: arguments.include_ignored.unwrap_or(false),
        max_depth: None,
    };
    let is_wanted = |entry: &walk::Entry<'_>| {
        entry.file_type.is_file() && is_included(entry.path, include.as_ref(), exclude.as_ref())
    };
    // Files wait for the disk, and regular expressions for the processor: one thread walks, the others search
    // what it finds. That the matches still come in order is the business of `Results`.
    let report = thread::scope(|scope| {
        let (files, to_search) = mpsc::sync_channel::<Job>(QUEUED_FILES);
        let to_search = Arc::new(Mutex::new(to_search));
        for _ in 0..searchers() {
            let (to_search, results) = (Arc::clone(&to_search), &results);
            let mut file_search = file_search.clone();
            scope.spawn(move || {
                loop {
                    // A statement of its own, so that the lock is not held while the file is searched.
                    let job = to_search.lock().recv();
                    let Ok(job) = job else { return };
                    results.wait_for_room(job.index);
                    if results.is_full() {
                        continue;
                    }
                    // After a cancellation each file still has its turn, as others may wait for it.
                    let found = match cancel.is_cancelled() {
                        true => Some(FileMatches::default()),
                        false => job.open().map(|file| file_search.search(&job.path, file, cancel)),
                    };
                    results.add(job.index, found);
                }
            });
        }
        drop(to_search);
        let mut index = 0;
        walk::walk(folder, &path, &options, cancel, |entry| {
            if results.is_full() {
                return Ok(Next::Stop);
            }
            if is_wanted(entry) {
                // It fails only if all searchers have died, which the scope passes on.
                let _ = files.send(Job::of(entry, index));
                index += 1;
            }
            Ok(Next::Go)
        })
    })?;
    cancel.check()?;
    Ok(results.finish(&report))
}

impl Search {
    fn wanted(&self) -> Wanted {
        Wanted {
            pattern: self.pattern.clone(),
            literal: self.literal.unwrap_or(false),
            ignore_case: self.ignore_case.unwrap_or(false),
            multiline: self.multiline.unwrap_or(false),
            context: self.context.map_or(0, |lines| lines.min(MAX_CONTEXT)),
            max_results: self
                .max_results
                .map_or(DEFAULT_RESULTS, NonZeroUsize::get)
                .min(MAX_RESULTS),
            max_bytes: MAX_BYTES,
        }
    }
}

fn is_included(path: &str, include: Option<&GlobSet>, exclude: Option<&GlobSet>) -> bool {
    include.is_none_or(|include| include.is_match(path))
        && exclude.is_none_or(|exclude| !glob::excludes(exclude, path))
}

/// A file to search, not yet open: handles are few.
struct Job {
    /// Which file of the walk it is.
    index: u64,
    path: String,
    dir: Arc<Dir>,
    name: OsString,
}

impl Job {
    fn of(entry: &walk::Entry<'_>, index: u64) -> Job {
        Job {
            index,
            path: entry.path.to_owned(),
            dir: Arc::clone(entry.dir),
            name: entry.os_name.clone(),
        }
    }

    fn open(&self) -> Option<File> {
        open_entry(&self.dir, &self.name).map(|(file, _)| file)
    }
}

/// Puts what several threads find in the order of the walk, and says when it is enough.
struct Results {
    max_results: usize,
    max_bytes: usize,
    multiline: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The file whose matches come next.
    next: u64,
    /// Files that were searched before their turn.
    early: BTreeMap<u64, Option<FileMatches>>,
    early_bytes: usize,
    matches: Vec<FoundLine>,
    bytes: usize,
    /// There are more matches than are wanted, and no more files are searched.
    has_more: bool,
    files: u64,
    binary: u64,
    unreadable: u64,
    too_long: u64,
}

impl Results {
    fn new(wanted: &Wanted) -> Results {
        Results {
            max_results: wanted.max_results,
            max_bytes: wanted.max_bytes,
            multiline: wanted.multiline,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.state.lock().has_more
    }

    /// Waits while what was found too early takes too much memory. Whoever has the file that comes next never
    /// waits, so that this ends.
    fn wait_for_room(&self, index: u64) {
        let mut state = self.state.lock();
        while state.early_bytes > self.max_bytes && state.next != index && !state.has_more {
            self.changed.wait(&mut state);
        }
    }

    /// Takes what the file of that number has; `None` if it could not be opened.
    fn add(&self, index: u64, found: Option<FileMatches>) {
        let mut state = self.state.lock();
        state.early_bytes += found.as_ref().map_or(0, |found| found.bytes);
        state.early.insert(index, found);
        while !state.has_more {
            let next = state.next;
            let Some(found) = state.early.remove(&next) else { break };
            state.next += 1;
            self.take(&mut state, found);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn take(&self, state: &mut State, found: Option<FileMatches>) {
        let Some(file) = found else {
            state.unreadable += 1;
            return;
        };
        state.early_bytes -= file.bytes;
        state.files += 1;
        state.binary += u64::from(file.is_binary);
        match file.problem {
            Some(Problem::Unreadable) => state.unreadable += 1,
            Some(Problem::TooLong) => state.too_long += 1,
            None => {}
        }
        let room = match state.bytes > self.max_bytes {
            true => 0,
            false => self.max_results - state.matches.len(),
        };
        state.has_more = file.has_more || file.found.len() > room;
        state.bytes += file.bytes;
        state.matches.extend(file.found.into_iter().take(room));
    }

    fn finish(self, report: &walk::Report) -> Matches {
        let state = self.state.into_inner();
        let mut notes = report.notes();
        if state.unreadable > 0 {
            notes.push(format!("{} could not be read", files(state.unreadable)));
        }
        if state.too_long > 0 {
            notes.push(format!(
                "{} not searched to the end: {} longer than {} MiB",
                files(state.too_long),
                if self.multiline { "with multiline, files must not be" } else { "a line is" },
                MAX_HELD >> 20
            ));
        }
        if state.has_more {
            notes.push(format!(
                "there are more matches than these {}; narrow the search, or raise max_results, up to \
                 {MAX_RESULTS}",
                state.matches.len()
            ));
        }
        if state.matches.is_empty() {
            if state.files == 0 {
                notes.push("no file was searched; check path, include and exclude".to_owned());
            }
            if state.binary > 0 {
                notes.push(format!("{} skipped as binary", files(state.binary)));
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
            matches: state.matches,
            truncated: state.has_more,
            files_searched: state.files,
            note: glob::join(notes),
        }
    }
}

/// Threads that search. A search by name, as most are, is as fast as the disk from a few on.
fn searchers() -> usize {
    thread::available_parallelism().map_or(1, |threads| threads.get().min(MAX_SEARCHERS))
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

/// Files that were found and not yet searched.
const QUEUED_FILES: usize = 64;

const MAX_SEARCHERS: usize = 8;
