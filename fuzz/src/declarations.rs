use codemode_host::declarations::{render, render_within};
use codemode_host_protocol::{Json, ToolDefinition, ToolKind, ToolName};
use codemode_runtime_js::Outcome;

use crate::cell;

/// Any schema makes a declaration that TypeScript can read, whole and cut down. The first line is the tool's name, the second
/// its description, the rest the schema.
pub fn declarations(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\n');
    let name = parts.next().unwrap_or_default();
    let description = parts.next().unwrap_or_default().replace('\r', "\n");
    let schema = parts.next().and_then(|schema| Json::parse(schema).ok());
    let tool = |name: &str, kind, namespace: Option<&str>| ToolDefinition {
        name: name.to_owned(),
        tool_name: ToolName { name: name.to_owned(), namespace: namespace.map(str::to_owned) },
        description: description.clone(),
        kind,
        input_schema: schema.clone(),
        output_schema: schema.clone(),
    };
    let tools = [
        tool(name, ToolKind::Function, None),
        tool("other", ToolKind::Freeform, None),
        tool("served", ToolKind::Function, Some(name)),
        tool("served too", ToolKind::Function, Some("server")),
    ];
    let whole = render(&tools);
    let cut = render_within(&tools, whole.len() / 8);
    // A cell gets types erased. What follows says that all before it was a declaration. Plain JavaScript it is not, so that
    // the source is read as TypeScript in any case.
    for declared in [whole, cut] {
        let run = cell::run(&format!("{declared}\nlet done: string = 'done';\ntext(done)"));
        assert!(
            matches!(run.end.outcome, Outcome::Completed) && run.shown == ["done"],
            "{:?}\n{declared}",
            run.end.outcome
        );
    }
}
