//! Removing a folder with all that is in it, however deep.

use std::{
    ffi::{OsStr, OsString},
    io,
};

use cap_fs_ext::DirExt;
use cap_std::fs::Dir;

use super::write::unused_name;

/// Removes the folder `name` in `parent`, never following a link.
///
/// Folders can be nested without end, by moving one into the other, and going down them by recursion took the
/// whole process with it: one frame and one handle for each. So this goes down a bounded way, and moves what
/// is further down up to the top, to be removed from there.
///
/// # Errors
/// The first thing that cannot be removed; what was removed before it stays so.
pub(super) fn remove_tree(parent: &Dir, name: &OsStr) -> io::Result<()> {
    let top = parent.open_dir_nofollow(name)?;
    while remove_below(&top, &top, 0)? == Below::MovedUp {}
    drop(top);
    parent.remove_dir(name)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    AllGone,
    /// Something was too deep, and is now directly in the top folder.
    MovedUp,
}

fn remove_below(top: &Dir, dir: &Dir, depth: usize) -> io::Result<Below> {
    let mut below = Below::AllGone;
    // Listed whole before anything is removed: what a listing shows of changes during it is not defined.
    let entries: Vec<(OsString, bool)> = dir
        .entries()?
        .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?.is_dir()))))
        .collect::<io::Result<_>>()?;
    for (name, is_dir) in entries {
        if !is_dir {
            gone(dir.remove_file(&name))?;
        } else if depth == MAX_DEPTH {
            dir.rename(&name, top, unused_name())?;
            below = Below::MovedUp;
        } else {
            let Some(inner) = gone(dir.open_dir_nofollow(&name))? else { continue };
            if remove_below(top, &inner, depth + 1)? == Below::MovedUp {
                below = Below::MovedUp;
            }
            drop(inner);
            gone(dir.remove_dir(&name))?;
        }
    }
    Ok(below)
}

/// What somebody else has removed meanwhile is as good as removed here.
fn gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Folders within folders that are gone down; each holds a handle open and a frame on the stack.
const MAX_DEPTH: usize = 64;
