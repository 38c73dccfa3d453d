//! The list of the tools.

use std::sync::Arc;

use codemode_cells::ToolFuture;
use codemode_host_protocol::{
    Json, ToolDefinition, ToolFailure, ToolInvocation, ToolKind, ToolName,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    Outcome, Permissions, Shared,
    arguments::{Arguments, input_schema, output_schema},
    cancel::Cancel,
    changing, edit, exec,
    folder::Folder,
    glob, info, manage, read, reading, search, write,
};

/// One tool of the workspace.
pub(super) struct Tool {
    name: &'static str,
    needs: Needs,
    description: &'static str,
    input: fn() -> Value,
    output: fn() -> Value,
    run: Box<dyn Fn(Arc<Shared>, ToolInvocation) -> ToolFuture<Json> + Send + Sync>,
}

impl Tool {
    pub(super) fn definition(&self) -> ToolDefinition {
        ToolDefinition {
            name: self.name.to_owned(),
            tool_name: ToolName::plain(self.name),
            description: self.description.to_owned(),
            kind: ToolKind::Function,
            input_schema: Some((self.input)().into()),
            output_schema: Some((self.output)().into()),
        }
    }

    pub(super) fn run(&self, shared: Arc<Shared>, call: ToolInvocation) -> ToolFuture<Json> {
        (self.run)(shared, call)
    }

    fn reads<A: Arguments, R: Serialize + JsonSchema + Send + 'static>(
        description: &'static str,
        work: fn(&Folder, A, &Cancel) -> Outcome<R>,
    ) -> Tool {
        Tool {
            name: A::TOOL,
            needs: Needs::Nothing,
            description,
            input: input_schema::<A>,
            output: output_schema::<R>,
            run: Box::new(move |shared, call| Box::pin(reading(shared, call, work))),
        }
    }

    fn changes<A: Arguments, R: Serialize + JsonSchema + Send + 'static>(
        description: &'static str,
        work: fn(&Folder, A, &Cancel) -> Outcome<R>,
    ) -> Tool {
        Tool {
            name: A::TOOL,
            needs: Needs::Write,
            description,
            input: input_schema::<A>,
            output: output_schema::<R>,
            run: Box::new(move |shared, call| Box::pin(changing(shared, call, work))),
        }
    }
}

/// What a tool may do that not every workspace allows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Write,
    Exec,
}

impl Needs {
    fn granted(self, permissions: Permissions) -> bool {
        match self {
            Needs::Nothing => true,
            Needs::Write => permissions.write,
            Needs::Exec => permissions.exec,
        }
    }
}

/// The tools that `permissions` allow.
pub(super) fn allowed(permissions: Permissions) -> impl Iterator<Item = &'static Tool> {
    all().iter().filter(move |tool| tool.needs.granted(permissions))
}

/// The tool that a cell named.
pub(super) fn find(name: &ToolName, permissions: Permissions) -> Outcome<&'static Tool> {
    let known = all().iter().find(|tool| name.namespace.is_none() && tool.name == name.name);
    match known {
        Some(tool) if tool.needs.granted(permissions) => Ok(tool),
        Some(tool) => Err(ToolFailure::new(match tool.needs {
            Needs::Exec => format!(
                "{name} is not allowed: this workspace runs no commands. Its user can start codemode \
                 with --allow-exec"
            ),
            _ => format!(
                "{name} is not allowed: this workspace is read-only. Its user can start codemode with --write"
            ),
        })),
        None => {
            let names: Vec<&str> = allowed(permissions).map(|tool| tool.name).collect();
            Err(ToolFailure::new(format!(
                "there is no tool {name} in this workspace; there are {}",
                names.join(", ")
            )))
        }
    }
}

fn all() -> &'static [Tool] {
    static ALL: std::sync::LazyLock<Vec<Tool>> = std::sync::LazyLock::new(|| {
        vec![
            Tool::reads(read::DESCRIPTION, read::read_file),
            Tool::reads(info::LIST_DESCRIPTION, info::list_directory),
            Tool::reads(glob::DESCRIPTION, glob::glob),
            Tool::reads(search::DESCRIPTION, search::search),
            Tool::reads(info::INFO_DESCRIPTION, info::file_info),
            Tool::changes(write::DESCRIPTION, write::write_file),
            Tool::changes(edit::DESCRIPTION, edit::edit_file),
            Tool::changes(manage::MOVE_DESCRIPTION, manage::move_file),
            Tool::changes(manage::DELETE_DESCRIPTION, manage::delete_file),
            Tool::changes(manage::CREATE_DESCRIPTION, manage::create_directory),
            Tool {
                name: exec::ExecCommand::TOOL,
                needs: Needs::Exec,
                description: exec::DESCRIPTION,
                input: input_schema::<exec::ExecCommand>,
                output: output_schema::<exec::CommandResult>,
                run: Box::new(|shared, call| Box::pin(exec::exec_command(shared, call))),
            },
        ]
    });
    &ALL
}
