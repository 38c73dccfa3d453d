//! The tools, called as cells call them, over real folders.
#![allow(clippy::unwrap_used)]

mod changes;
mod commands;
mod finding;
mod hostile;
mod reading;

use std::{fs, path::Path, time::Duration};

use codemode_cells::ToolRuntime;
use codemode_host_protocol::{CellId, Json, ToolInvocation, ToolKind, ToolName};
use serde_json::Value;
use tempfile::TempDir;

use super::{Permissions, Workspace};

/// A folder of its own for one test, and the workspace over a folder in it.
pub(super) struct Fixture {
    /// What is around the workspace, where nothing may reach.
    outside: TempDir,
    pub(super) workspace: Workspace,
}

impl Fixture {
    /// A workspace that allows all, with these files; what ends in `/` is a folder.
    pub(super) fn new(files: &[(&str, &str)]) -> Fixture {
        Fixture::with(Permissions { write: true, exec: true }, files)
    }

    pub(super) fn with(permissions: Permissions, files: &[(&str, &str)]) -> Fixture {
        let outside = TempDir::new().unwrap();
        let root = outside.path().join("workspace");
        fs::create_dir(&root).unwrap();
        for (path, text) in files {
            let path = root.join(path);
            if path.to_string_lossy().ends_with('/') {
                fs::create_dir_all(path).unwrap();
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Fixture { workspace: Workspace::open(&root, permissions).unwrap(), outside }
    }

    pub(super) fn root(&self) -> &Path {
        self.workspace.root()
    }

    pub(super) fn outside(&self) -> &Path {
        self.outside.path()
    }

    pub(super) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    /// Calls a tool; its result, or the message of its failure.
    pub(super) async fn call(&self, tool: &str, input: Value) -> Result<Value, String> {
        self.start(tool, input).await
    }

    /// The same as a future that does not borrow.
    pub(super) fn start(
        &self,
        tool: &str,
        input: Value,
    ) -> impl Future<Output = Result<Value, String>> + Send + 'static {
        let call = self.workspace.invoke(invocation(tool, input));
        async move { call.await.map(|result| result.read().unwrap()).map_err(|failure| failure.message) }
    }

    /// Calls a tool that must succeed.
    pub(super) async fn ok(&self, tool: &str, input: Value) -> Value {
        match self.call(tool, input.clone()).await {
            Ok(result) => result,
            Err(message) => panic!("{tool}({input}) failed: {message}"),
        }
    }

    /// Calls a tool that must fail, and gives its message with the folder's path left out.
    pub(super) async fn fails(&self, tool: &str, input: Value) -> String {
        match self.call(tool, input.clone()).await {
            Ok(result) => panic!("{tool}({input}) gave {result}"),
            Err(message) => message.replace(&*self.root().to_string_lossy(), "ROOT"),
        }
    }
}

pub(super) fn invocation(tool: &str, input: Value) -> ToolInvocation {
    ToolInvocation {
        cell_id: CellId::from_number(1),
        runtime_tool_call_id: "tool-1".to_owned(),
        tool_name: ToolName::plain(tool),
        tool_kind: ToolKind::Function,
        input: Some(Json::from(input)),
    }
}

/// Waits until something is so; a test that waits in vain fails instead of hanging.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), waiting).await.is_err() {
        panic!("waited in vain: {what}");
    }
}

#[tokio::test]
async fn the_permissions_decide_which_tools_there_are() {
    let names = |write, exec| -> Vec<String> {
        let workspace = Fixture::with(Permissions { write, exec }, &[]).workspace.definitions();
        workspace.into_iter().map(|definition| definition.name).collect()
    };
    let read = ["read_file", "list_directory", "glob", "search", "file_info"];
    let write = ["write_file", "edit_file", "move_file", "delete_file", "create_directory"];
    assert_eq!(names(false, false), read);
    assert_eq!(names(true, false), [&read[..], &write[..]].concat());
    assert_eq!(names(false, true), [&read[..], &["exec_command"]].concat());

    let read_only = Fixture::with(Permissions::default(), &[("a.txt", "a")]);
    for tool in write {
        let message = read_only.fails(tool, serde_json::json!({ "path": "a.txt" })).await;
        assert!(message.contains("--write"), "{message}");
    }
    let message = read_only.fails("exec_command", serde_json::json!({ "command": "id" })).await;
    assert!(message.contains("--allow-exec"), "{message}");
    let message = read_only.fails("reed_file", serde_json::json!({})).await;
    assert!(message.contains("read_file"), "{message}");
    assert_eq!(read_only.text("a.txt"), "a");
}

#[test]
fn a_workspace_is_a_folder() {
    let fixture = Fixture::new(&[("a.txt", "a")]);
    let open = |path: &str| {
        Workspace::open(fixture.root().join(path), Permissions::default())
            .err()
            .map(|error| error.to_string().replace(&*fixture.root().to_string_lossy(), "ROOT"))
    };
    assert_eq!(
        open("a.txt").as_deref(),
        Some("the workspace ROOT/a.txt is not a folder; name the folder that contains it")
    );
    assert_eq!(
        open("none").as_deref(),
        Some("cannot open the workspace ROOT/none: No such file or directory (os error 2)")
    );
}
