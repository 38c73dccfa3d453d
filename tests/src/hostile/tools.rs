use std::sync::Arc;

use codemode_cells::{Step, ToolFuture, ToolRuntime, Toolset};
use codemode_host_protocol::{
    CellId, Json, ToolDefinition, ToolFailure, ToolInvocation, ToolKind, ToolName,
};

/// A step with the tools that hostile cells find, and honest ones beside them.
///
/// - `echo` answers with its input, `later` does so after a while
/// - `fail` fails, with its input as the message
/// - `panic` panics, `never` does not answer
/// - `big` answers with a text of so many bytes, `deep` with so many arrays in each other
/// - `raw` answers with the JSON that its input spells
///
/// All of them are there once more in the namespace `server`.
pub(crate) fn step() -> Arc<Step> {
    let named = |name: &str, namespace: Option<&str>| {
        tool(ToolName { name: name.to_owned(), namespace: namespace.map(str::to_owned) })
    };
    let plain = TOOLS.iter().map(|name| named(name, None));
    let tools = plain.chain(TOOLS.iter().map(|name| named(name, Some("server"))));
    Arc::new(Step::new(tools.collect::<Toolset>(), Arc::new(Tools)))
}

fn tool(tool_name: ToolName) -> ToolDefinition {
    ToolDefinition {
        name: tool_name.to_string().replace('.', "__"),
        description: format!("The tool {tool_name}."),
        tool_name,
        kind: ToolKind::Function,
        input_schema: None,
        output_schema: None,
    }
}

struct Tools;

impl ToolRuntime for Tools {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        let input = call.input.unwrap_or_else(Json::null);
        match call.tool_name.name.as_str() {
            "echo" => Box::pin(async { Ok(input) }),
            "later" => Box::pin(async {
                tokio::task::yield_now().await;
                Ok(input)
            }),
            "never" => Box::pin(std::future::pending()),
            "panic" => panic!("on purpose"),
            name => {
                let answer = answer(name, &input);
                Box::pin(async { answer })
            }
        }
    }

    fn notify(&self, _call_id: &str, _cell: &CellId, _text: String) -> ToolFuture<()> {
        Box::pin(async { Ok(()) })
    }
}

fn answer(tool: &str, input: &Json) -> Result<Json, ToolFailure> {
    let wrong = |error: serde_json::Error| ToolFailure::new(error.to_string());
    match tool {
        "fail" => Err(ToolFailure::new(input.read::<String>().unwrap_or_default())),
        "big" => Json::from_value(&"x".repeat(input.read().map_err(wrong)?)).map_err(wrong),
        "deep" => {
            let levels: usize = input.read().map_err(wrong)?;
            Json::parse(format!("{}{}", "[".repeat(levels), "]".repeat(levels))).map_err(wrong)
        }
        "raw" => Json::parse(input.read::<String>().map_err(wrong)?).map_err(wrong),
        other => Err(ToolFailure::new(format!("there is no tool {other}"))),
    }
}

const TOOLS: [&str; 8] = ["echo", "later", "fail", "panic", "never", "big", "deep", "raw"];
