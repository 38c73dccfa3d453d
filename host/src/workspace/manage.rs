//! `move_file`, `delete_file`, `create_directory`.

use std::io;

use codemode_host_protocol::ToolFailure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Outcome, arguments::Arguments, cancel::Cancel, folder::Folder, remove::remove_tree,
    write::move_entry,
};

pub(super) const MOVE_DESCRIPTION: &str = "Moves or renames a file or a folder. `to` is its whole new path; \
    folders on the way to it are created.";

pub(super) const DELETE_DESCRIPTION: &str = "Deletes a file, a symbolic link (not what it leads to) or an empty \
    folder; with recursive: true a folder and all that is in it. There is no way back.";

pub(super) const CREATE_DESCRIPTION: &str = "Creates a folder and those around it. One that is there already is \
    fine. write_file creates the folders it needs by itself.";

/// What `move_file` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveFile {
    /// What to move, relative to the workspace.
    from: String,
    /// Its new path, relative to the workspace, its name included.
    to: String,
    /// Replace a file that is at `to` already; false by default.
    overwrite: Option<bool>,
}

impl Arguments for MoveFile {
    const TOOL: &'static str = "move_file";
    const EXAMPLE: &'static str = r#"move_file({ from: "a.txt", to: "old/a.txt" })"#;
}

/// What `move_file` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Moved {
    from: String,
    to: String,
}

pub(super) fn move_file(folder: &Folder, arguments: MoveFile, cancel: &Cancel) -> Outcome<Moved> {
    let (from, to) = (folder.path(&arguments.from)?, folder.path(&arguments.to)?);
    let metadata = folder.entry("move", &from)?;
    let source = folder.place(&from, false)?;
    if folder.symlink_metadata(&to).is_ok_and(|at_target| at_target.is_dir()) {
        let inside = source.name.to_string_lossy();
        return Err(ToolFailure::new(format!(
            "{to} is a folder that is there already. To move {from} into it, name {}",
            to.join(&inside)
        )));
    }
    cancel.check()?;
    let target = folder.place(&to, true)?;
    let overwrite = arguments.overwrite.unwrap_or(false);
    move_entry(&source.parent, &source.name, &target, overwrite).map_err(|error| {
        match error.kind() {
            io::ErrorKind::AlreadyExists => ToolFailure::new(format!(
                "{to} is there already; set overwrite: true to replace it, or choose another name"
            )),
            io::ErrorKind::InvalidInput if metadata.is_dir() => {
                ToolFailure::new(format!("{from} cannot be moved into itself, to {to}"))
            }
            io::ErrorKind::NotADirectory => ToolFailure::new(format!(
                "{to} is a file, and {from} is a folder; delete the file first, or choose another name"
            )),
            io::ErrorKind::CrossesDevices => ToolFailure::new(format!(
                "{from} and {to} are on different file systems, and moving does not copy"
            )),
            _ => folder.explain("move", &from, &error),
        }
    })?;
    Ok(Moved { from: from.shown(), to: to.shown() })
}

/// What `delete_file` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteFile {
    /// What to delete, relative to the workspace.
    path: String,
    /// Delete a folder with all that is in it; false by default.
    recursive: Option<bool>,
}

impl Arguments for DeleteFile {
    const TOOL: &'static str = "delete_file";
    const EXAMPLE: &'static str = r#"delete_file({ path: "old.txt" })"#;
}

/// What `delete_file` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Deleted {
    /// What is gone.
    path: String,
}

pub(super) fn delete_file(
    folder: &Folder,
    arguments: DeleteFile,
    cancel: &Cancel,
) -> Outcome<Deleted> {
    let path = folder.path(&arguments.path)?;
    let failed = |error: io::Error| folder.explain("delete", &path, &error);
    let metadata = folder.entry("delete", &path)?;
    let place = folder.place(&path, false)?;
    cancel.check()?;
    let deleted = if !metadata.is_dir() {
        place.parent.remove_file(&place.name)
    } else if arguments.recursive.unwrap_or(false) {
        remove_tree(&place.parent, &place.name)
    } else {
        place.parent.remove_dir(&place.name)
    };
    deleted.map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty => ToolFailure::new(format!(
            "{path} is a folder with something in it; set recursive: true to delete all of it"
        )),
        _ => failed(error),
    })?;
    Ok(Deleted { path: path.shown() })
}

/// What `create_directory` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateDirectory {
    /// The folder, relative to the workspace.
    path: String,
}

impl Arguments for CreateDirectory {
    const TOOL: &'static str = "create_directory";
    const EXAMPLE: &'static str = r#"create_directory({ path: "docs/images" })"#;
}

/// What `create_directory` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Created {
    path: String,
    /// Whether it is new.
    created: bool,
}

pub(super) fn create_directory(
    folder: &Folder,
    arguments: CreateDirectory,
    _cancel: &Cancel,
) -> Outcome<Created> {
    let path = folder.path(&arguments.path)?;
    match folder.metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            return Ok(Created { path: path.shown(), created: false });
        }
        Ok(_) => {
            return Err(ToolFailure::new(format!(
                "{path} is there already and is not a folder; delete or move it first"
            )));
        }
        Err(_) => {}
    }
    folder.create_dir_all(&path)?;
    Ok(Created { path: path.shown(), created: true })
}
