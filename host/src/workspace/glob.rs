//! `glob`: files by their names.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    arguments::{Arguments, OneOrMany},
    cancel::Cancel,
    folder::{Folder, WorkspacePath},
    pattern::{self, Pattern},
    walk::{self, Next},
};

pub(super) const DESCRIPTION: &str = "Finds files by name. `*` matches within one name, `**` any number of \
    folders, `{a,b}` either: \"**/*.{ts,tsx}\". Paths come back relative to the workspace and in order, ready \
    for the other tools. What .gitignore leaves out is skipped, symbolic links to folders are not followed. \
    A pattern without wildcards tells whether a file exists.";

/// What `glob` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Glob {
    /// The glob, relative to `path`. "*.rs" means files in that folder only, "**/*.rs" in all folders below.
    pattern: String,
    /// Where to look; the whole workspace by default.
    path: Option<String>,
    /// Leave out what matches one of these globs; one without "/" means a name in any folder.
    exclude: Option<OneOrMany>,
    /// What to find; files by default.
    kind: Option<Wanted>,
    /// Look at files that .gitignore leaves out and into .git, too.
    include_ignored: Option<bool>,
    /// How many paths to give at most: 10000 by default, 100000 at most.
    #[schemars(range(min = 1, max = 100_000))]
    max_results: Option<NonZeroUsize>,
}

impl Arguments for Glob {
    const TOOL: &'static str = "glob";
    const EXAMPLE: &'static str = r#"glob({ pattern: "src/**/*.ts" })"#;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    #[default]
    File,
    Directory,
    Any,
}

/// What `glob` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Found {
    /// The matches, relative to the workspace.
    paths: Vec<String>,
    /// Whether there are more than `max_results`.
    truncated: bool,
    /// What was left out, or why nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(super) fn glob(folder: &Folder, arguments: Glob, cancel: &Cancel) -> Outcome<Found> {
    let start = match &arguments.path {
        Some(path) => folder.path(path)?,
        None => WorkspacePath::root(),
    };
    folder.open_dir(&start)?;
    let pattern = Pattern::parse(folder, &start, &arguments.pattern)?;
    let exclude = pattern::filter(arguments.exclude.as_ref())?;
    let wanted =
        if pattern.folders_only { Wanted::Directory } else { arguments.kind.unwrap_or_default() };
    let max_results =
        arguments.max_results.map_or(DEFAULT_RESULTS, NonZeroUsize::get).min(MAX_RESULTS);
    if !folder.metadata(&pattern.base).is_ok_and(|metadata| metadata.is_dir()) {
        let note = format!("there is no folder {}", pattern.base);
        return Ok(Found { paths: Vec::new(), truncated: false, note: Some(note) });
    }

    let options = walk::Options {
        include_ignored: arguments.include_ignored.unwrap_or(false),
        max_depth: pattern.max_depth,
    };
    // The pattern is relative to `start`, the walk begins further down.
    let above = match pattern.base == start {
        true => String::new(),
        false => spelled_out(&start, &pattern.base),
    };
    let (mut paths, mut bytes, mut truncated) = (Vec::new(), 0, false);
    let report = walk::walk(folder, &pattern.base, &options, cancel, |entry| {
        let is_wanted = match wanted {
            Wanted::Any => true,
            Wanted::Directory => entry.file_type.is_dir(),
            // A link to a file is as good as the file.
            Wanted::File if entry.file_type.is_symlink() => {
                entry.dir.metadata(entry.os_name).is_ok_and(|metadata| metadata.is_file())
            }
            Wanted::File => entry.file_type.is_file(),
        };
        if !is_wanted || !pattern.matches(&format!("{above}{}", entry.path_in_walk)) {
            return Ok(Next::Go);
        }
        if exclude.as_ref().is_some_and(|exclude| excludes(exclude, entry.path)) {
            return Ok(Next::Go);
        }
        if paths.len() == max_results || bytes > MAX_BYTES {
            truncated = true;
            return Ok(Next::Stop);
        }
        bytes += entry.path.len();
        paths.push(entry.path.to_owned());
        Ok(Next::Go)
    })?;

    let mut notes = report.notes();
    if truncated {
        notes.push(format!(
            "there are more matches than these {}; narrow the pattern, or raise max_results, up to \
             {MAX_RESULTS}",
            paths.len()
        ));
    }
    if paths.is_empty() {
        notes.extend(why_nothing(folder, &start, &arguments.pattern, &pattern, report.ignored));
    }
    Ok(Found { paths, truncated, note: join(notes) })
}

/// Whether one of the globs means `path` or a folder it is in.
pub(super) fn excludes(globs: &globset::GlobSet, path: &str) -> bool {
    std::path::Path::new(path)
        .ancestors()
        .any(|part| !part.as_os_str().is_empty() && globs.is_match(part))
}

/// Notes as one text.
pub(super) fn join(notes: Vec<String>) -> Option<String> {
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// The folders from `start` down to `base`.
fn spelled_out(start: &WorkspacePath, base: &WorkspacePath) -> String {
    let parts: Vec<String> = base
        .parts()
        .skip(start.parts().count())
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    format!("{}/", parts.join("/"))
}

fn why_nothing(
    folder: &Folder,
    start: &WorkspacePath,
    text: &str,
    pattern: &Pattern,
    ignored: u64,
) -> Option<String> {
    let named = start.join(text.trim_matches('/'));
    if pattern.literal && folder.metadata(&named).is_ok_and(|metadata| metadata.is_dir()) {
        return Some(format!(
            "{named} is a folder; {:?} means the files in it",
            format!("{text}/**")
        ));
    }
    if ignored > 0 {
        return Some(format!(
            "{ignored} files or folders that .gitignore leaves out were not looked at; include_ignored: true \
             does"
        ));
    }
    if !text.contains(['/', '{']) && !text.contains("**") && !pattern.literal {
        return Some(format!("{text:?} means the folder itself; \"**/{text}\" all folders below"));
    }
    None
}

/// Paths that a cell gets without asking for more.
const DEFAULT_RESULTS: usize = 10_000;

/// Paths that a cell can ask for.
const MAX_RESULTS: usize = 100_000;

/// Bytes of paths after which no more are given, whatever was asked for.
const MAX_BYTES: usize = 16 * 1024 * 1024;
