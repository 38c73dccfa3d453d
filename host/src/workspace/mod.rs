//! A folder as a set of tools.
//!
//! A [`Workspace`] executes the tool calls of cells over one folder: it reads, lists and searches, and,
//! where [`Permissions`] say so, writes and runs commands.
//!
//! Invariant: the folder is reached through its handle only. No path is ever checked as text and then
//! opened; each is resolved by the kernel beneath the handle (`openat2` where the system has it), so that
//! `..`, absolute paths and symbolic links that lead out are refused however they are dressed up, also when
//! they are exchanged while a call runs. The one exception is `exec_command`: a command starts in the folder
//! and can go wherever the user who started codemode can.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use codemode_cells::{ToolFuture, ToolRuntime};
use codemode_host_protocol::{CellId, Json, ToolDefinition, ToolFailure, ToolInvocation};
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore};

use self::{
    arguments::Arguments,
    cancel::{Cancel, CancelOnDrop},
    folder::Folder,
    tools::Tool,
};

pub use self::exec::{OutputChunk, OutputObserver, OutputStream};

mod arguments;
mod cancel;
mod edit;
mod exec;
mod folder;
mod glob;
mod info;
mod manage;
mod matching;
mod pattern;
mod read;
mod remove;
mod search;
mod tools;
mod walk;
mod write;

/// What cells may do in a workspace beyond reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Create, change, move and delete files and folders inside, `.git` and build scripts among them: what is
    /// written may be run when the user next builds or commits.
    pub write: bool,
    /// Run commands. A command can do all that the user can, outside of the folder too.
    pub exec: bool,
}

/// One folder whose files cells read, search and change through tools.
///
/// Cheap to clone; clones are the same workspace.
///
/// Changes (`write_file`, `edit_file`, `move_file`, `delete_file`, `create_directory`) run one at a time, so
/// that two edits of one file that a cell starts together are both kept. Reads run together.
///
/// Cancel safety: dropping the future of a call stops its work. A walk or a search stops at the next file, a
/// change that has not begun never begins, one that has begun is finished whole, and a command is ended
/// with all processes of its group.
#[derive(Clone)]
pub struct Workspace {
    shared: Arc<Shared>,
}

impl Workspace {
    /// Opens the folder `dir`.
    ///
    /// # Errors
    /// When `dir` is not there, is not a folder, or may not be opened.
    pub fn open(
        dir: impl AsRef<Path>,
        permissions: Permissions,
    ) -> Result<Workspace, WorkspaceError> {
        let folder = Folder::open(dir.as_ref())?;
        Ok(Workspace {
            shared: Arc::new(Shared {
                folder,
                permissions,
                reads: Semaphore::new(MAX_READS),
                changes: Arc::new(Mutex::new(())),
                commands: Semaphore::new(MAX_COMMANDS),
                observer: None,
            }),
        })
    }

    /// The same folder, telling `observer` what commands print while they run.
    #[must_use]
    pub fn observe_output(self, observer: OutputObserver) -> Workspace {
        let shared = Shared {
            folder: self.shared.folder.clone(),
            permissions: self.shared.permissions,
            reads: Semaphore::new(MAX_READS),
            changes: Arc::clone(&self.shared.changes),
            commands: Semaphore::new(MAX_COMMANDS),
            observer: Some(observer),
        };
        Workspace { shared: Arc::new(shared) }
    }

    /// The folder's path, absolute and without symbolic links, as it was when the workspace was opened.
    pub fn root(&self) -> &Path {
        self.shared.folder.root()
    }

    /// What cells may do here.
    pub fn permissions(&self) -> Permissions {
        self.shared.permissions
    }

    /// The tools that the permissions allow, in the order in which to show them.
    pub fn definitions(&self) -> Vec<ToolDefinition> {
        tools::allowed(self.shared.permissions).map(Tool::definition).collect()
    }
}

impl ToolRuntime for Workspace {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        match tools::find(&call.tool_name, self.shared.permissions) {
            Ok(tool) => tool.run(Arc::clone(&self.shared), call),
            Err(failure) => Box::pin(async { Err(failure) }),
        }
    }

    /// Accepts and drops the text: a folder has nobody to tell.
    fn notify(&self, _call_id: &str, _cell: &CellId, _text: String) -> ToolFuture<()> {
        Box::pin(async { Ok(()) })
    }
}

/// Why a folder could not become a workspace.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// There is nothing at the path, or it may not be opened.
    #[error("cannot open the workspace {}: {cause}", path.display())]
    Open {
        /// The path that was given.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The path names something else.
    #[error("the workspace {} is not a folder; name the folder that contains it", path.display())]
    NotAFolder {
        /// The path that was given.
        path: PathBuf,
    },
}

/// What the calls of one workspace have in common.
struct Shared {
    folder: Folder,
    permissions: Permissions,
    reads: Semaphore,
    changes: Arc<Mutex<()>>,
    commands: Semaphore,
    observer: Option<OutputObserver>,
}

/// The result of a tool, or what the model is told instead.
type Outcome<T> = Result<T, ToolFailure>;

/// Runs `work`, which only reads, on a thread that may block.
async fn reading<A: Arguments, R: Serialize + Send + 'static>(
    shared: Arc<Shared>,
    call: ToolInvocation,
    work: fn(&Folder, A, &Cancel) -> Outcome<R>,
) -> Outcome<Json> {
    let arguments = A::parse(call.input.as_ref())?;
    let _permit = shared.reads.acquire().await.map_err(internal)?;
    blocking(Arc::clone(&shared), arguments, work).await
}

/// Runs `work`, which changes the folder, on a thread that may block, after all changes before it.
async fn changing<A: Arguments, R: Serialize + Send + 'static>(
    shared: Arc<Shared>,
    call: ToolInvocation,
    work: fn(&Folder, A, &Cancel) -> Outcome<R>,
) -> Outcome<Json> {
    let arguments = A::parse(call.input.as_ref())?;
    // Owned, and moved to the thread: a call that is dropped half-way keeps the others waiting until the
    // work, which goes on, is done.
    let turn = Arc::clone(&shared.changes).lock_owned().await;
    blocking(shared, (arguments, turn), move |folder, (arguments, turn), cancel| {
        let result = work(folder, arguments, cancel);
        drop(turn);
        result
    })
    .await
}

async fn blocking<A: Send + 'static, R: Serialize + Send + 'static>(
    shared: Arc<Shared>,
    arguments: A,
    work: impl FnOnce(&Folder, A, &Cancel) -> Outcome<R> + Send + 'static,
) -> Outcome<Json> {
    let guard = CancelOnDrop::new();
    let cancel = guard.cancel();
    tokio::task::spawn_blocking(move || {
        cancel.check()?;
        let result = work(&shared.folder, arguments, &cancel)?;
        Json::from_value(&result).map_err(internal)
    })
    .await
    .map_err(internal)?
}

/// A failure that is codemode's own fault.
fn internal(error: impl std::fmt::Display) -> ToolFailure {
    ToolFailure::new(format!("the tool itself failed, which is a defect of codemode: {error}"))
}

/// Reads at one time. More would only take turns at the disk, and each may hold a file in memory.
const MAX_READS: usize = 16;

/// Commands at one time; each takes a thread and four file descriptors.
const MAX_COMMANDS: usize = 64;

#[cfg(test)]
mod tests;
