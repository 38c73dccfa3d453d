//! What clients are told of `exec` and `wait`.

use std::{borrow::Cow, sync::Arc};

use codemode_host_protocol::ToolDefinition;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

use super::arguments::MAX_YIELD_TIME_MS;
use crate::declarations;

/// `exec` and `wait` as they are advertised to a client whose cells have these tools. Their declarations take
/// `max_tokens` at most.
///
/// A client without a connection of its own names its sessions: that is what `stateless` adds.
pub(super) fn tools(
    definitions: &[ToolDefinition],
    max_tokens: usize,
    stateless: bool,
) -> Vec<Tool> {
    let mut exec = exec_schema();
    if stateless {
        exec["properties"]["session"] = json!({
            "type": "string",
            "description": "The session to go on with, as an earlier result named it: its cells share what they store()."
        });
    }
    let annotations = ToolAnnotations::new().read_only(false).open_world(true);
    let globals = declarations::common_globals();
    let tools = declarations::render_within(definitions, max_tokens);
    let description = format!("{CELLS}\n```ts\n{globals}\n\n{tools}```\n");
    vec![
        tool(EXEC, "Run code that calls tools", description.into(), exec)
            .annotate(annotations.clone().destructive(true)),
        tool(WAIT, "Wait for running code", WAITING.into(), wait_schema())
            .annotate(annotations.destructive(false)),
    ]
}

/// What the server says of itself as a whole.
pub(super) const INSTRUCTIONS: &str = "\
Tools are called from code: write one cell for `exec` that makes all the calls of a task, with loops, conditions and \
Promise.all, and shows only what matters. `exec`'s description declares the tools.";

pub(super) const EXEC: &str = "exec";
pub(super) const WAIT: &str = "wait";

fn tool(name: &'static str, title: &str, description: Cow<'static, str>, schema: Value) -> Tool {
    let schema = match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    Tool::new(name, description, Arc::new(schema)).with_title(title)
}

fn exec_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "code": {
                "type": "string",
                "description": "The cell: JavaScript or TypeScript, with top-level await."
            },
            "yield_time_ms": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_YIELD_TIME_MS,
                "description": "Answer after this long with what there is, while the cell goes on. Default 10000."
            },
            "max_output_tokens": {
                "type": "integer",
                "minimum": 0,
                "description": "Cut the output to this many tokens. Default 10000."
            }
        },
        "required": ["code"],
        "additionalProperties": false
    })
}

fn wait_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "cell_id": { "type": "string", "description": "The cell, as exec named it." },
            "until": {
                "type": "string",
                "enum": ["completion", "output", "yield"],
                "description": "What to wait for: its end alone; anything that it shows; or, by default, its end or a \
                                yield_control()."
            },
            "yield_time_ms": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_YIELD_TIME_MS,
                "description": "Answer after this long in any case. Default 10000, and 50000 with `until`."
            },
            "max_output_tokens": {
                "type": "integer",
                "minimum": 0,
                "description": "Cut the output to this many tokens. Default 10000."
            },
            "terminate": { "type": "boolean", "description": "End the cell now." },
            "decision": {
                "type": "string",
                "enum": ["approve", "deny"],
                "description": "The user's answer, where a cell waits for one about a tool call."
            }
        },
        "required": ["cell_id"],
        "additionalProperties": false
    })
}

/// Each sentence is there for a mistake that models make without it.
const CELLS: &str = "\
Run a cell of JavaScript or TypeScript that calls tools. Only what it shows, with text() and the like, comes back, so do \
the whole task in one cell: call, loop, filter, join, and show the result.

- `await tools.name({...})` calls a tool and returns its result as a value. Independent calls: `Promise.all`.
- A value that is only returned is not shown. Variables do not outlive their cell; what it store()s does.
- There is no network, file system, import, require, process or console: everything goes through tools.
- A cell that takes longer than yield_time_ms goes on; its result says how to `wait` for it. A first line \
`// @exec: {\"yield_time_ms\": 1000, \"max_output_tokens\": 2000}` sets what the arguments of those names do.
";

const WAITING: &str = "\
Wait for a cell that exec left running. Returns what it has shown since its last answer, and says whether it goes on. \
With \"until\": \"completion\" one call is enough, however often the cell yields. \"terminate\": true ends it.";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use codemode_host_protocol::{Json, ToolKind, ToolName};

    use super::*;

    #[test]
    fn exec_declares_the_tools() {
        let echo = ToolDefinition {
            name: "echo".to_owned(),
            tool_name: ToolName::plain("echo"),
            description: "Gives back what it gets.".to_owned(),
            kind: ToolKind::Function,
            input_schema: Some(
                Json::parse(r#"{"type":"object","properties":{"n":{"type":"number"}}}"#).unwrap(),
            ),
            output_schema: None,
        };
        let tools = tools(&[echo], 1_000, false);
        let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        assert_eq!(names, ["exec", "wait"]);
        let description = tools[0].description.as_deref().unwrap();
        assert!(description.contains("Gives back what it gets."), "{description}");
        assert!(description.contains("n?: number"), "{description}");
        // What every session pays before its first tool: more needs a reason.
        let none = super::tools(&[], 0, false);
        let tokens = bpe_openai::o200k_base().count(none[0].description.as_deref().unwrap());
        assert!(tokens < 640, "{tokens} tokens");
        assert!(!tools[0].input_schema.get("properties").unwrap().to_string().contains("session"));
        let stateless = super::tools(&[], 1_000, true);
        assert!(stateless[0].input_schema.get("properties").unwrap().get("session").is_some());
    }
}
