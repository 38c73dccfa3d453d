//! The folder, reached through its handle, and paths in it.

use std::{
    ffi::OsString,
    fmt, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::{
    ambient_authority,
    fs::{Dir, File, Metadata, OpenOptions, OpenOptionsExt},
};
use codemode_host_protocol::ToolFailure;
use rustix::fs::OFlags;

use super::{Outcome, WorkspaceError, cancel::Cancel, walk};

/// The workspace's folder. Clones share the handle.
#[derive(Clone)]
pub(super) struct Folder {
    dir: Arc<Dir>,
    /// Where the folder was when it was opened. For messages, and to understand absolute paths; nothing is
    /// opened through it.
    root: Arc<Path>,
}

/// A path as a cell gave it: relative to the folder, without `.` parts. What it leads to is the kernel's
/// to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WorkspacePath(PathBuf);

/// Where an entry stands: the folder around it, open, and its name there.
pub(super) struct Place {
    pub(super) parent: Dir,
    pub(super) name: OsString,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder, WorkspaceError> {
        let failed = |cause| WorkspaceError::Open { path: path.to_owned(), cause };
        if !std::fs::metadata(path).map_err(failed)?.is_dir() {
            return Err(WorkspaceError::NotAFolder { path: path.to_owned() });
        }
        let root = std::fs::canonicalize(path).map_err(failed)?;
        let dir = Dir::open_ambient_dir(&root, ambient_authority()).map_err(failed)?;
        Ok(Folder { dir: Arc::new(dir), root: root.into() })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Takes a path from a cell. An absolute one is understood when it begins with the folder's own path.
    pub(super) fn path(&self, text: &str) -> Outcome<WorkspacePath> {
        if text.is_empty() {
            return Err(ToolFailure::new("the path is empty; the workspace itself is \".\""));
        }
        if text.contains('\0') {
            return Err(ToolFailure::new(format!(
                "no path has a NUL character in it: {}",
                shorten(&format!("{text:?}"))
            )));
        }
        let path = Path::new(text);
        let relative = match path.strip_prefix(&self.root) {
            Ok(relative) => relative,
            Err(_) if path.is_absolute() => {
                return Err(ToolFailure::new(format!(
                    "{} is outside of the workspace. Paths are relative to the workspace's folder, such \
                     as \"src/main.rs\"",
                    shorten(&format!("{text:?}"))
                )));
            }
            Err(_) => path,
        };
        let parts = relative.components().filter(|part| !matches!(part, Component::CurDir));
        Ok(WorkspacePath(parts.collect()))
    }

    /// Opens a regular file to read. Never waits for the other end of a pipe, never touches a device.
    pub(super) fn open_file(&self, path: &WorkspacePath) -> Outcome<(File, Metadata)> {
        let failed = |error| self.explain("read", path, &error);
        let metadata = self.dir.metadata(path.beneath()).map_err(failed)?;
        require_file(path, &metadata)?;
        let file = self.dir.open_with(path.beneath(), &read_options()).map_err(failed)?;
        // Asked again of what was opened: the name may lead elsewhere by now.
        let metadata = file.metadata().map_err(failed)?;
        require_file(path, &metadata)?;
        Ok((file, metadata))
    }

    pub(super) fn open_dir(&self, path: &WorkspacePath) -> Outcome<Dir> {
        self.dir.open_dir(path.beneath()).map_err(|error| {
            if self.dir.metadata(path.beneath()).is_ok_and(|metadata| !metadata.is_dir()) {
                return ToolFailure::new(format!("{path} is not a folder"));
            }
            self.explain("open", path, &error)
        })
    }

    /// What stands at `path`, symbolic links followed.
    pub(super) fn metadata(&self, path: &WorkspacePath) -> io::Result<Metadata> {
        self.dir.metadata(path.beneath())
    }

    /// What stands at `path`, a symbolic link for itself.
    pub(super) fn symlink_metadata(&self, path: &WorkspacePath) -> io::Result<Metadata> {
        self.dir.symlink_metadata(path.beneath())
    }

    /// What the symbolic link at `path` says.
    pub(super) fn read_link(&self, path: &WorkspacePath) -> io::Result<PathBuf> {
        self.dir.read_link_contents(path.beneath())
    }

    /// The same place without symbolic links and `..`.
    pub(super) fn resolve(&self, path: &WorkspacePath) -> io::Result<WorkspacePath> {
        self.dir.canonicalize(path.beneath()).map(|real| {
            let parts = real.components().filter(|part| !matches!(part, Component::CurDir));
            WorkspacePath(parts.collect())
        })
    }

    /// What is at `path` itself, which may be a symbolic link; says what went wrong for a tool that is to `verb` it.
    pub(super) fn entry(&self, verb: &str, path: &WorkspacePath) -> Outcome<Metadata> {
        self.symlink_metadata(path).map_err(|error| self.explain(verb, path, &error))
    }

    /// Opens the folder around `path`, whose last part is left as it is, creating it first where `create` says so.
    pub(super) fn place(&self, path: &WorkspacePath, create: bool) -> Outcome<Place> {
        let (around, name) = path.split().ok_or_else(|| {
            ToolFailure::new(format!(
                "{path} does not end in the name of a file or folder, which this tool needs"
            ))
        })?;
        if create && !around.is_root() {
            self.create_dir_all(&around)?;
        }
        Ok(Place { parent: self.open_dir(&around)?, name })
    }

    /// Creates the folder `path` and those around it.
    pub(super) fn create_dir_all(&self, path: &WorkspacePath) -> Outcome<()> {
        self.dir
            .create_dir_all(path.beneath())
            .map_err(|error| self.explain("create the folder", path, &error))
    }

    /// Says what went wrong at `path` and what to do about it.
    pub(super) fn explain(
        &self,
        verb: &str,
        path: &WorkspacePath,
        error: &io::Error,
    ) -> ToolFailure {
        let message = match error.kind() {
            // The kernel's own refusals carry its number; this one is cap-std's, of a path that leads out.
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => format!(
                "{path} leads out of the workspace, through `..` or a symbolic link. Only what is inside \
                 can be reached"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("the operating system does not let codemode {verb} {path}: {error}")
            }
            io::ErrorKind::NotFound => match self.read_link(path) {
                Ok(target) => format!(
                    "cannot {verb} {path}: it is a symbolic link to {:?}, which is not there",
                    shorten(&target.to_string_lossy())
                ),
                Err(_) => format!(
                    "cannot {verb} {path}: there is no such file or folder.{}",
                    self.near(path)
                ),
            },
            io::ErrorKind::NotADirectory => format!(
                "cannot {verb} {path}: a part of this path before the last is a file, not a folder"
            ),
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                format!("cannot {verb} {path}: its symbolic links go round in a circle")
            }
            _ => format!("cannot {verb} {path}: {error}"),
        };
        ToolFailure::new(message)
    }

    /// Names that the author of a path that is not there may have meant.
    fn near(&self, path: &WorkspacePath) -> String {
        let Some((around, wanted)) = self.first_missing(path) else { return String::new() };
        let wanted = wanted.to_string_lossy().into_owned();
        let mut names = self.same_name_elsewhere(path);
        let mut siblings = self.similar_siblings(&around, &wanted);
        siblings.retain(|name| !names.contains(name));
        names.extend(siblings);
        names.truncate(MAX_NEAR);
        if !names.is_empty() {
            return format!(" Near it: {}", names.join(", "));
        }
        if around.is_root() {
            return " See list_directory({ path: \".\" }) for what there is".to_owned();
        }
        format!(" The folder {around} is there; see list_directory for what is in it")
    }

    /// The deepest folder of `path` that is there, and the part after it.
    fn first_missing(&self, path: &WorkspacePath) -> Option<(WorkspacePath, OsString)> {
        let mut missing = path.clone();
        loop {
            let (around, name) = missing.split()?;
            if self.metadata(&around).is_ok_and(|metadata| metadata.is_dir()) {
                return Some((around, name));
            }
            missing = around;
        }
    }

    fn similar_siblings(&self, around: &WorkspacePath, wanted: &str) -> Vec<String> {
        let Ok(entries) = self
            .open_dir(around)
            .and_then(|dir| dir.entries().map_err(|error| self.explain("list", around, &error)))
        else {
            return Vec::new();
        };
        let wanted = wanted.to_lowercase();
        let mut scored: Vec<(f64, String)> = entries
            .take(MAX_ENTRIES_NEAR)
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .map(|name| (likeness(&wanted, &name.to_lowercase()), name))
            .filter(|(score, _)| *score >= MIN_SIMILARITY)
            .collect();
        scored.sort_by(|(a, name_a), (b, name_b)| b.total_cmp(a).then_with(|| name_a.cmp(name_b)));
        scored.into_iter().map(|(_, name)| around.join(&name).to_string()).collect()
    }

    /// Where in the workspace there is an entry whose name is the last part of `path`.
    fn same_name_elsewhere(&self, path: &WorkspacePath) -> Vec<String> {
        let Some((_, name)) = path.split() else { return Vec::new() };
        let wanted = name.to_string_lossy().to_lowercase();
        let (mut seen, mut found) = (0, Vec::new());
        // A walk that fails has found what it has found.
        let _ = walk::walk(
            self,
            &WorkspacePath::root(),
            &walk::Options::default(),
            &Cancel::default(),
            |entry| {
                seen += 1;
                if entry.name.to_lowercase() == wanted {
                    found.push(format!("{:?}", entry.path));
                }
                Ok(if seen < MAX_ENTRIES_NEAR && found.len() < MAX_NEAR {
                    walk::Next::Go
                } else {
                    walk::Next::Stop
                })
            },
        );
        found
    }
}

impl WorkspacePath {
    pub(super) fn root() -> WorkspacePath {
        WorkspacePath(PathBuf::new())
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.as_os_str().is_empty()
    }

    pub(super) fn join(&self, name: &str) -> WorkspacePath {
        WorkspacePath(self.0.join(name))
    }

    /// The path as tools give it back: parts joined with `/`, "." for the workspace itself.
    pub(super) fn shown(&self) -> String {
        if self.is_root() {
            return ".".to_owned();
        }
        self.0.to_string_lossy().into_owned()
    }

    /// The path without its last part, and that part; `None` when that part is no name.
    pub(super) fn split(&self) -> Option<(WorkspacePath, OsString)> {
        let name = self.0.file_name()?.to_owned();
        Some((WorkspacePath(self.0.parent()?.to_owned()), name))
    }

    /// The names that the path consists of.
    pub(super) fn parts(&self) -> impl Iterator<Item = &std::ffi::OsStr> {
        self.0.components().map(|part| part.as_os_str())
    }

    fn beneath(&self) -> &Path {
        if self.is_root() { Path::new(".") } else { &self.0 }
    }
}

impl fmt::Display for WorkspacePath {
    /// In quotes, shortened, for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shorten(&format!("{:?}", self.shown())))
    }
}

/// From 0 to 1. Names are mistyped (a letter swapped, missing, too many) or begin right and end wrong.
fn likeness(a: &str, b: &str) -> f64 {
    let mistyped = strsim::normalized_damerau_levenshtein(a, b);
    let misremembered = strsim::jaro_winkler(a, b);
    // Each alone calls too much alike: the first short names, the second long ones.
    mistyped.max(if misremembered >= 0.8 { misremembered } else { 0.0 })
}

/// Opens a regular file in `dir` by its name, which may not be a symbolic link; `None` for all else and for
/// what may not be read.
pub(super) fn open_entry(dir: &Dir, name: &std::ffi::OsStr) -> Option<(File, Metadata)> {
    if !dir.symlink_metadata(name).ok()?.is_file() {
        return None;
    }
    let mut options = read_options();
    options.follow(FollowSymlinks::No);
    let file = dir.open_with(name, &options).ok()?;
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some((file, metadata))
}

/// The name of a kind of entry, as tools say it.
pub(super) fn kind_name(file_type: cap_std::fs::FileType) -> &'static str {
    use cap_fs_ext::FileTypeExt;
    if file_type.is_file() {
        "file"
    } else if file_type.is_dir() {
        "directory"
    } else if file_type.is_symlink() {
        "symlink"
    } else if file_type.is_fifo() {
        "fifo"
    } else if file_type.is_socket() {
        "socket"
    } else {
        "device"
    }
}

/// Cuts what a cell gave to what fits into a message.
pub(super) fn shorten(text: &str) -> String {
    if text.chars().count() <= MAX_SHOWN {
        return text.to_owned();
    }
    let head: String = text.chars().take(MAX_SHOWN / 2).collect();
    let tail: Vec<char> = text.chars().rev().take(MAX_SHOWN / 2).collect();
    format!("{head}…{}", tail.into_iter().rev().collect::<String>())
}

fn require_file(path: &WorkspacePath, metadata: &Metadata) -> Outcome<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(ToolFailure::new(if metadata.is_dir() {
        format!("{path} is a folder; list_directory and glob say what is in it")
    } else {
        format!(
            "{path} is a {}, not a regular file; reading it could wait for ever",
            kind_name(metadata.file_type())
        )
    }))
}

fn read_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // A pipe would make a plain open wait for its writer; a terminal could become ours.
    options.read(true).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    options
}

/// Characters of a path that a message shows.
const MAX_SHOWN: usize = 200;

/// Names that a message offers.
const MAX_NEAR: usize = 4;

/// Entries looked at for such names: a bound on what a wrong path may cost.
const MAX_ENTRIES_NEAR: usize = 5000;

/// From here on two names count as alike; found by trying on misspelt file names.
const MIN_SIMILARITY: f64 = 0.6;
