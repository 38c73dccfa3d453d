//! Walking the folder: in order, inside, without what `.gitignore` leaves out.

use std::{ffi::OsString, io::Read, path::Path, sync::Arc};

use cap_std::fs::{Dir, FileType};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{
    Outcome,
    cancel::Cancel,
    folder::{Folder, WorkspacePath, open_entry},
    write::is_temporary,
};

/// What to walk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// Also what `.gitignore` and `.ignore` files leave out, and `.git`.
    pub(super) include_ignored: bool,
    /// How many folders deep, 1 being the entries of the folder itself; no bound but [`MAX_DEPTH`] if `None`.
    pub(super) max_depth: Option<usize>,
}

/// One entry that a walk came to. Symbolic links are entries and are not followed.
pub(super) struct Entry<'a> {
    /// From the workspace's folder on, parts joined with `/`.
    pub(super) path: &'a str,
    /// From the folder on where the walk began.
    pub(super) path_in_walk: &'a str,
    /// The last part.
    pub(super) name: &'a str,
    pub(super) file_type: FileType,
    /// The folder it is in.
    pub(super) dir: &'a Arc<Dir>,
    /// Its name there, as the system has it.
    pub(super) os_name: &'a OsString,
}

/// What to do after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    Stop,
}

/// What a walk has not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Entries that an ignore file leaves out; what is in a folder left out is not counted.
    pub(super) ignored: u64,
    /// Folders that could not be read.
    pub(super) unreadable: u64,
    /// Folders that are nested too deeply.
    pub(super) too_deep: u64,
    /// Entries whose names are no UTF-8, and so cannot be said in JSON.
    pub(super) unnamable: u64,
}

impl Report {
    /// One sentence for each thing left out that nobody asked to leave out.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.unreadable > 0 {
            notes.push(format!("{} could not be read", folders(self.unreadable)));
        }
        if self.too_deep > 0 {
            notes.push(format!(
                "{} nested deeper than {MAX_DEPTH} were left out",
                folders(self.too_deep)
            ));
        }
        if self.unnamable > 0 {
            notes.push(format!(
                "names that are not valid UTF-8 ({}) are shown with U+FFFD and cannot be used as paths",
                self.unnamable
            ));
        }
        notes
    }
}

/// Shows `visit` each entry beneath `base`, a folder before what is in it, names in order.
///
/// # Errors
/// When `base` cannot be opened, the call was cancelled, or `visit` fails. A folder further down that cannot
/// be read is counted in the report.
pub(super) fn walk(
    folder: &Folder,
    base: &WorkspacePath,
    options: &Options,
    cancel: &Cancel,
    visit: impl FnMut(&Entry<'_>) -> Outcome<Next>,
) -> Outcome<Report> {
    let dir = folder.open_dir(base)?;
    let real = folder.resolve(base).map_err(|error| folder.explain("open", base, &error))?;
    let mut walker = Walker {
        options,
        cancel,
        visit,
        rules: Vec::new(),
        prefix: String::new(),
        base_len: 0,
        report: Report::default(),
    };
    if !options.include_ignored {
        walker.rules_down_to(folder, &real);
    }
    if !real.is_root() {
        walker.prefix = format!("{}/", real.shown());
    }
    walker.base_len = walker.prefix.len();
    walker.folder(&Arc::new(dir), 1)?;
    Ok(walker.report)
}

struct Walker<'a, V> {
    options: &'a Options,
    cancel: &'a Cancel,
    visit: V,
    /// The ignore files of the folders from the workspace's to the current one.
    rules: Vec<Rules>,
    /// The current folder's path and a `/`; empty at the workspace's folder.
    prefix: String,
    base_len: usize,
    report: Report,
}

/// What the ignore files of one folder say.
struct Rules {
    /// Bytes of a path up to what is relative to that folder.
    prefix_len: usize,
    ignore: Gitignore,
    gitignore: Gitignore,
    exclude: Gitignore,
}

impl<V: FnMut(&Entry<'_>) -> Outcome<Next>> Walker<'_, V> {
    fn folder(&mut self, dir: &Arc<Dir>, depth: usize) -> Outcome<Next> {
        self.cancel.check()?;
        let mut entries = Vec::new();
        let Ok(listing) = dir.entries() else {
            self.report.unreadable += 1;
            return Ok(Next::Go);
        };
        for entry in listing {
            self.cancel.check()?;
            let Ok(entry) = entry else { continue };
            let Ok(file_type) = entry.file_type() else { continue };
            let name = entry.file_name();
            if !is_temporary(&name) {
                entries.push((name, file_type));
            }
        }
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let has = |name: &str| {
            entries.binary_search_by(|(entry, _)| entry.as_os_str().cmp(name.as_ref())).is_ok()
        };
        // Most folders have no rules, and asking the system for each file that could have some costs as much as
        // reading the folder.
        let may_have_rules = has(".ignore") || has(".gitignore") || has(".git");
        let own_rules = !self.options.include_ignored && may_have_rules && self.add_rules(dir);
        let mut next = Next::Go;
        for (os_name, file_type) in &entries {
            self.cancel.check()?;
            next = self.entry(dir, os_name, *file_type, depth)?;
            if next == Next::Stop {
                break;
            }
        }
        if own_rules {
            self.rules.pop();
        }
        Ok(next)
    }

    fn entry(
        &mut self,
        dir: &Arc<Dir>,
        os_name: &OsString,
        file_type: FileType,
        depth: usize,
    ) -> Outcome<Next> {
        let name = os_name.to_string_lossy();
        let path = format!("{}{name}", self.prefix);
        if self.is_ignored(&path, &name, file_type.is_dir()) {
            self.report.ignored += 1;
            return Ok(Next::Go);
        }
        self.report.unnamable += u64::from(os_name.to_str().is_none());
        let entry = Entry {
            path: &path,
            path_in_walk: &path[self.base_len..],
            name: &name,
            file_type,
            dir,
            os_name,
        };
        if (self.visit)(&entry)? == Next::Stop {
            return Ok(Next::Stop);
        }
        if !file_type.is_dir() || self.options.max_depth.is_some_and(|max| depth >= max) {
            return Ok(Next::Go);
        }
        if depth >= MAX_DEPTH {
            self.report.too_deep += 1;
            return Ok(Next::Go);
        }
        // By name in the open folder around it: whatever takes this name's place meanwhile, a way up or out
        // is refused, and so the walk ends.
        let Ok(inner) = dir.open_dir(os_name) else {
            self.report.unreadable += 1;
            return Ok(Next::Go);
        };
        let outer = std::mem::replace(&mut self.prefix, path + "/");
        let next = self.folder(&Arc::new(inner), depth + 1);
        self.prefix = outer;
        next
    }

    fn is_ignored(&self, path: &str, name: &str, is_dir: bool) -> bool {
        if self.options.include_ignored {
            return false;
        }
        // A worktree's `.git` is a file.
        if name == ".git" {
            return true;
        }
        // As git and ripgrep have it: the file closest by decides; an `.ignore` anywhere comes before any
        // `.gitignore`, and that before `.git/info/exclude`.
        type Part = fn(&Rules) -> &Gitignore;
        let parts: [Part; 3] =
            [|rules| &rules.ignore, |rules| &rules.gitignore, |rules| &rules.exclude];
        for part in parts {
            for rules in self.rules.iter().rev() {
                let relative = Path::new(&path[rules.prefix_len..]);
                let verdict = part(rules).matched(relative, is_dir);
                if !verdict.is_none() {
                    return verdict.is_ignore();
                }
            }
        }
        false
    }

    /// Reads the ignore files above the folder where the walk begins.
    fn rules_down_to(&mut self, folder: &Folder, base: &WorkspacePath) {
        let mut above = WorkspacePath::root();
        for part in base.parts() {
            let Ok(dir) = folder.open_dir(&above) else { return };
            self.add_rules(&dir);
            above = above.join(&part.to_string_lossy());
            self.prefix = format!("{}/", above.shown());
        }
    }

    /// Whether the current folder has rules of its own.
    fn add_rules(&mut self, dir: &Dir) -> bool {
        let exclude = match self.prefix.is_empty() {
            true => dir.open_dir(".git/info").map(|info| matcher(&info, "exclude")),
            false => Ok(Gitignore::empty()),
        };
        let rules = Rules {
            prefix_len: self.prefix.len(),
            ignore: matcher(dir, ".ignore"),
            gitignore: matcher(dir, ".gitignore"),
            exclude: exclude.unwrap_or_else(|_| Gitignore::empty()),
        };
        if rules.ignore.is_empty() && rules.gitignore.is_empty() && rules.exclude.is_empty() {
            return false;
        }
        self.rules.push(rules);
        true
    }
}

/// The rules of the ignore file `name`; none where there is no such file. Lines that are no globs are passed
/// over, as git does.
fn matcher(dir: &Dir, name: &str) -> Gitignore {
    let Some((file, _)) = open_entry(dir, name.as_ref()) else { return Gitignore::empty() };
    let mut text = Vec::new();
    if file.take(MAX_IGNORE_FILE).read_to_end(&mut text).is_err() {
        return Gitignore::empty();
    }
    let mut builder = GitignoreBuilder::new("");
    for line in String::from_utf8_lossy(&text).trim_start_matches('\u{feff}').lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

fn folders(count: u64) -> String {
    if count == 1 { "1 folder".to_owned() } else { format!("{count} folders") }
}

/// Folders within folders that a walk goes down. Each holds a handle open and a frame on the stack.
const MAX_DEPTH: usize = 128;

/// Bytes of an ignore file that are read: real ones have a few kilobytes, and matching costs time.
const MAX_IGNORE_FILE: u64 = 256 * 1024;
