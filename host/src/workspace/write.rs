//! `write_file`, and how files are replaced.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{File, Metadata, OpenOptions, PermissionsExt};
use codemode_host_protocol::ToolFailure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    arguments::Arguments,
    cancel::Cancel,
    folder::{Folder, Place, WorkspacePath, kind_name},
};

pub(super) const DESCRIPTION: &str = "Writes a text file whole: a new one, with the folders it needs, or in \
    place of an old one, whose permissions are kept. Readers see the old text or the new, nothing between. \
    To change parts of a file use edit_file.";

/// What `write_file` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteFile {
    /// The file, relative to the workspace.
    path: String,
    /// All of its text.
    text: String,
    /// Refuse to replace a file that is there; false by default.
    create_only: Option<bool>,
}

impl Arguments for WriteFile {
    const TOOL: &'static str = "write_file";
    const EXAMPLE: &'static str = r#"write_file({ path: "notes.md", text: "…" })"#;
}

/// What `write_file` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Written {
    /// The file that was written, symbolic links followed.
    path: String,
    /// Whether the file is new.
    created: bool,
    size_bytes: u64,
}

pub(super) fn write_file(
    folder: &Folder,
    arguments: WriteFile,
    cancel: &Cancel,
) -> Outcome<Written> {
    let path = folder.path(&arguments.path)?;
    if arguments.path.ends_with('/') {
        return Err(ToolFailure::new(format!(
            "{path} with a / at its end names a folder; create_directory creates one"
        )));
    }
    let target = Target::find(folder, &path)?;
    let created = target.existing.is_none();
    if !created && arguments.create_only.unwrap_or(false) {
        return Err(ToolFailure::new(format!(
            "{path} is there already, and create_only says not to replace it"
        )));
    }
    cancel.check()?;
    target.replace(folder, arguments.text.as_bytes(), !created)?;
    Ok(Written { path: target.path.shown(), created, size_bytes: arguments.text.len() as u64 })
}

/// A file about to be written: where it really is, and what is there now.
pub(super) struct Target {
    pub(super) path: WorkspacePath,
    existing: Option<Metadata>,
}

impl Target {
    /// Follows symbolic links, as writing through a link is meant for the file it leads to.
    pub(super) fn find(folder: &Folder, path: &WorkspacePath) -> Outcome<Target> {
        let failed = |error: io::Error| folder.explain("write", path, &error);
        // Looked at before it is resolved: where the kernel does not resolve paths beneath a handle (before
        // Linux 5.6, or without `openat2`), resolving opens what it finds, and a pipe would never open.
        match folder.metadata(path) {
            Ok(metadata) => require_writable(path, &metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if folder.symlink_metadata(path).is_ok() {
                    // A link to nothing: creating its target by the link's name would surprise.
                    return Err(failed(error));
                }
                return Ok(Target { path: path.clone(), existing: None });
            }
            Err(error) => return Err(failed(error)),
        }
        let real = folder.resolve(path).map_err(failed)?;
        let metadata = folder.symlink_metadata(&real).map_err(failed)?;
        require_writable(path, &metadata)?;
        Ok(Target { path: real, existing: Some(metadata) })
    }

    /// Puts `bytes` in the file's place at once: written beside it, then renamed.
    ///
    /// This keeps readers and a failing disk from ever seeing half a file. It is not made to last through a
    /// power cut (`fsync` would cost milliseconds for each file).
    pub(super) fn replace(&self, folder: &Folder, bytes: &[u8], overwrite: bool) -> Outcome<()> {
        let failed = |error: io::Error| folder.explain("write", &self.path, &error);
        let place = folder.place(&self.path, !overwrite)?;
        let (temporary, mut file) = create_beside(&place).map_err(failed)?;
        let written = self
            .fill(&mut file, bytes)
            .and_then(|()| move_entry(&place.parent, &temporary, &place, overwrite));
        written.map_err(|error| {
            // Nothing else will ever ask for this file.
            let _ = place.parent.remove_file(&temporary);
            match error.kind() {
                io::ErrorKind::AlreadyExists => ToolFailure::new(format!(
                    "{} came to be while it was written, so it was left as it is; try again",
                    self.path
                )),
                _ => failed(error),
            }
        })
    }

    fn fill(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if let Some(existing) = &self.existing {
            file.set_permissions(existing.permissions())?;
        }
        file.write_all(bytes)
    }
}

/// Moves `name` in `from` to `to`; what is there is replaced only if `overwrite`.
pub(super) fn move_entry(
    from: &cap_std::fs::Dir,
    name: &OsStr,
    to: &Place,
    overwrite: bool,
) -> io::Result<()> {
    use rustix::fs::{RenameFlags, renameat_with};
    if overwrite {
        return from.rename(name, &to.parent, &to.name);
    }
    // Both are single names in open folders: there is nothing in them to follow.
    match renameat_with(from, name, &to.parent, &to.name, RenameFlags::NOREPLACE) {
        // Not every file system knows the flag; then there is a moment between the look and the leap.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if to.parent.symlink_metadata(&to.name).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            from.rename(name, &to.parent, &to.name)
        }
        result => Ok(result?),
    }
}

/// Whether `name` is one of [`unused_name`].
pub(super) fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(TEMPORARY_PREFIX.as_bytes()) && name.ends_with(TEMPORARY_SUFFIX.as_bytes())
}

fn require_writable(path: &WorkspacePath, metadata: &Metadata) -> Outcome<()> {
    if !metadata.is_file() {
        return Err(ToolFailure::new(format!(
            "{path} is a {}, not a regular file, and cannot be written",
            kind_name(metadata.file_type())
        )));
    }
    if metadata.permissions().readonly() {
        return Err(ToolFailure::new(format!(
            "{path} is read-only (mode {:o}), so it was left as it is",
            metadata.permissions().mode() & 0o7777
        )));
    }
    Ok(())
}

/// Creates a file in the folder of `place` under a name that nobody has.
fn create_beside(place: &Place) -> io::Result<(OsString, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).follow(FollowSymlinks::No);
    loop {
        let name = unused_name();
        match place.parent.open_with(&name, &options) {
            // A process of the same number that was killed while it wrote may have left one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|file| (name, file)),
        }
    }
}

/// A name for an entry that is there for a moment only, and shown to nobody.
pub(super) fn unused_name() -> OsString {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Unique among the processes there are by the first number, within this one by the second.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{TEMPORARY_PREFIX}{}-{count}{TEMPORARY_SUFFIX}", std::process::id()).into()
}

const TEMPORARY_PREFIX: &str = ".codemode-";
const TEMPORARY_SUFFIX: &str = ".tmp";
