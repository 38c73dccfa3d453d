//! What a call gives the cell.

use codemode_host_protocol::{FailureKind, Json};
use rmcp::model::{CallToolResult, ServerResult};
use serde_json::{Map, Value, json};

use super::failure::Failure;

/// The result of a call as one JSON value.
///
/// A tool that has an output schema gives its structured content, with what it shows beside text in `content`. Any
/// other gives the whole result: `content`, whose blocks `text`, `image`, `audio` and `content` take as they are, and
/// `structuredContent` if there is some.
pub(super) fn read(
    server: &str,
    tool: &str,
    structured: bool,
    answer: ServerResult,
) -> Result<Json, Failure> {
    let mut result = match answer {
        ServerResult::CallToolResult(result) => whole(result),
        ServerResult::EmptyResult(_) | ServerResult::TaskAckResult(_) => {
            Ok(Map::from_iter([(String::from("content"), json!([]))]))
        }
        ServerResult::CustomResult(value) => novel(value.0),
        ServerResult::InputRequiredResult(_) => {
            Err(String::from("it wants input first, in a way we do not speak"))
        }
        ServerResult::CreateTaskResult(_) => {
            Err(String::from("it began a task, which we do not speak"))
        }
        _ => Err(String::from("it is the result of something else")),
    }
    .map_err(|why| {
        let message =
            format!("the MCP server {server} answered {tool} against the protocol: {why}");
        Failure::new(FailureKind::Protocol, message)
    })?;
    if result.remove("isError") == Some(Value::Bool(true)) {
        return Err(Failure::new(FailureKind::Tool, error_text(tool, &result)));
    }
    result.remove("resultType");
    if !structured {
        return Ok(Value::Object(result).into());
    }
    let Some(mut content) = result.remove("structuredContent") else {
        return Ok(Value::Object(result).into());
    };
    if let (Value::Object(fields), Some(Value::Array(blocks))) =
        (&mut content, result.remove("content"))
    {
        let shown: Vec<Value> =
            blocks.into_iter().filter(|block| block.get("type") != Some(&json!("text"))).collect();
        if !shown.is_empty() && !fields.contains_key("content") {
            fields.insert(String::from("content"), Value::Array(shown));
        }
    }
    Ok(content.into())
}

/// The schema of the result of a tool that has none of its own.
pub(super) fn whole_schema() -> Json {
    json!({
        "title": "CallToolResult",
        "type": "object",
        "properties": {
            "content": {
                "type": "array",
                "items": {
                    "title": "ContentBlock",
                    "type": "object",
                    "properties": {
                        "type": {"enum": ["text", "image", "audio", "resource", "resource_link"]},
                        "text": {"type": "string"},
                        "data": {"type": "string"},
                        "mimeType": {"type": "string"},
                        "uri": {"type": "string"},
                        "resource": {"type": "object"}
                    },
                    "required": ["type"]
                }
            },
            "structuredContent": {}
        },
        "required": ["content"]
    })
    .into()
}

fn whole(result: CallToolResult) -> Result<Map<String, Value>, String> {
    match serde_json::to_value(result) {
        Ok(Value::Object(result)) => Ok(result),
        Ok(_) => Err(String::from("it is no object")),
        Err(error) => Err(error.to_string()),
    }
}

/// A result with blocks of a kind that is newer than we are: they go through as they are.
fn novel(result: Value) -> Result<Map<String, Value>, String> {
    let Value::Object(result) = result else { return Err(String::from("it is no object")) };
    let Some(Value::Array(blocks)) = result.get("content") else {
        return Err(String::from("it has no array `content`"));
    };
    let is_block = |block: &Value| match block.get("type").and_then(Value::as_str) {
        Some("text") => block.get("text").is_some_and(Value::is_string),
        Some(_) => true,
        None => false,
    };
    if let Some(index) = blocks.iter().position(|block| !is_block(block)) {
        return Err(format!("its content[{index}] is no block of content"));
    }
    if result.get("isError").is_some_and(|is_error| !is_error.is_boolean()) {
        return Err(String::from("its `isError` is neither true nor false"));
    }
    Ok(result)
}

/// What a tool says of its failure.
fn error_text(tool: &str, result: &Map<String, Value>) -> String {
    let blocks = result.get("content").and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<&str> =
        blocks.filter_map(|block| block.get("text").and_then(Value::as_str)).collect();
    let text = texts.join("\n");
    if !text.trim().is_empty() {
        return cut(&text, MAX_ERROR_BYTES);
    }
    match result.get("structuredContent") {
        Some(content) => cut(&content.to_string(), MAX_ERROR_BYTES),
        None => format!("{tool} failed, and does not say why"),
    }
}

/// `text`, or its beginning and a note.
pub(super) fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes);
    format!("{}… ({} bytes more)", &text[..end], text.len() - end)
}

/// Text of a server's as a part of a sentence of ours.
pub(super) fn shorten(text: &str) -> String {
    cut(text, MAX_SHORT_BYTES)
}

/// An error is read by a model; more than this of it is seldom of use.
const MAX_ERROR_BYTES: usize = 16 << 10;
const MAX_SHORT_BYTES: usize = 2 << 10;
