//! Glob patterns as cells write them.

use std::path::{Component, Path};

use codemode_host_protocol::ToolFailure;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{
    Outcome,
    arguments::OneOrMany,
    folder::{Folder, WorkspacePath, shorten},
};

/// One glob, and what it says about where to look.
pub(super) struct Pattern {
    matcher: GlobSet,
    /// The folders that the glob begins with, spelled out.
    pub(super) base: WorkspacePath,
    /// How many folders below `base` a match can be at most.
    pub(super) max_depth: Option<usize>,
    /// The glob ends in `/` and so can only mean folders.
    pub(super) folders_only: bool,
    /// The glob has no wildcard in it.
    pub(super) literal: bool,
}

impl Pattern {
    /// Reads a glob that is relative to `start`.
    pub(super) fn parse(folder: &Folder, start: &WorkspacePath, text: &str) -> Outcome<Pattern> {
        let mut glob = text;
        if Path::new(glob).is_absolute() {
            let root = folder.root().to_string_lossy();
            glob = glob.strip_prefix(root.as_ref()).filter(|rest| rest.starts_with('/')).ok_or_else(|| {
                ToolFailure::new(format!(
                    "the pattern {} is outside of the workspace. Patterns are relative to the workspace's \
                     folder, such as \"src/**/*.rs\"",
                    shorten(&format!("{text:?}"))
                ))
            })?;
            glob = glob.trim_start_matches('/');
        }
        while let Some(rest) = glob.strip_prefix("./") {
            glob = rest;
        }
        let folders_only = glob.ends_with('/');
        let glob = glob.trim_end_matches('/');
        if Path::new(glob).components().any(|part| part == Component::ParentDir) {
            return Err(ToolFailure::new(format!(
                "the pattern {} has `..` in it, and a match would be elsewhere than it says; name the folder \
                 to start in with `path`",
                shorten(&format!("{text:?}"))
            )));
        }
        // A set of one: a glob that makes too large a matcher is then an error, where it would be a panic.
        let matcher = build(GlobSetBuilder::new().add(compile(glob, text)?))?;
        let parts: Vec<&str> = glob.split('/').collect();
        // An alternation may have a `/` in it, and then parts are no folders.
        let plain = if glob.contains('{') {
            0
        } else {
            parts[..parts.len() - 1].iter().take_while(|part| !has_wildcard(part)).count()
        };
        let mut base = start.clone();
        for part in &parts[..plain] {
            base = base.join(part);
        }
        let bounded = !glob.contains("**") && !glob.contains('{');
        Ok(Pattern {
            matcher,
            base,
            max_depth: bounded.then(|| parts.len() - plain),
            folders_only,
            literal: !has_wildcard(glob),
        })
    }

    /// Whether the glob means `path`, which is relative to the pattern's start.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.matcher.is_match(path)
    }
}

/// Globs that say which files of a walk to take, in the manner of `.gitignore`: one without a `/` means a name
/// in any folder. `None` if there are no globs.
pub(super) fn filter(globs: Option<&OneOrMany>) -> Outcome<Option<GlobSet>> {
    let Some(globs) = globs else { return Ok(None) };
    let mut set = GlobSetBuilder::new();
    for text in globs.as_slice() {
        let glob = text.trim_start_matches("./").trim_end_matches('/');
        match glob.strip_prefix('/') {
            Some(anchored) => set.add(compile(anchored, text)?),
            None if glob.contains('/') => set.add(compile(glob, text)?),
            None => set.add(compile(&format!("**/{glob}"), text)?),
        };
    }
    let set = build(&set)?;
    Ok((!set.is_empty()).then_some(set))
}

fn build(globs: &GlobSetBuilder) -> Outcome<GlobSet> {
    globs.build().map_err(|_| {
        ToolFailure::new(
            "the globs are too large to match; use simpler ones, and filter in the cell",
        )
    })
}

fn compile(glob: &str, text: &str) -> Outcome<globset::Glob> {
    if glob.is_empty() {
        return Err(ToolFailure::new(
            "the pattern is empty; \"**/*\" means all files, \"*\" those in the folder itself",
        ));
    }
    if glob.len() > MAX_GLOB {
        return Err(ToolFailure::new(format!(
            "a glob has at most {MAX_GLOB} bytes, and {} has {}",
            shorten(&format!("{text:?}")),
            glob.len()
        )));
    }
    GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build().map_err(|error| {
        ToolFailure::new(format!(
            "{} is not a glob: {}. `*` and `?` match within a name, `**` any folders, `[a-z]` one character, \
             `{{a,b}}` either; a backslash before one of them means the character itself",
            shorten(&format!("{text:?}")),
            error.kind()
        ))
    })
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '[', '{', '\\'])
}

/// Bytes of a glob. The longest path that a system takes is no longer.
const MAX_GLOB: usize = 4096;
