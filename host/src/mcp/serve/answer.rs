//! What a cell answered, as the result of a tool.

use codemode_cells::{Counting, DEFAULT_MAX_OUTPUT_TOKENS, truncate};
use codemode_host_protocol::{ContentItem, RuntimeResponse};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject};
use serde_json::Value;

use super::desk::Pending;

/// A response, and what the client has to know beside it.
pub(super) struct Answer {
    pub(super) response: RuntimeResponse,
    pub(super) max_output_tokens: Option<u64>,
    /// The cell's name for the client, where it is not the session's own.
    pub(super) cell: String,
    /// The calls of the cell that wait for a yes from the client.
    pub(super) pending: Vec<Pending>,
    /// More to say.
    pub(super) note: Option<String>,
}

impl Answer {
    /// The result of a tool that says all of it.
    pub(super) fn into_result(self) -> CallToolResult {
        let Answer { response, max_output_tokens, cell, pending, note } = self;
        let (mut items, error, status) = match response {
            RuntimeResponse::Result { content_items, error_text: None, .. } => {
                (content_items, None, "completed")
            }
            RuntimeResponse::Result { content_items, error_text, .. } => {
                (content_items, error_text, "failed")
            }
            RuntimeResponse::Yielded { content_items, .. } => (content_items, None, "running"),
            RuntimeResponse::Terminated { content_items, .. } => {
                (content_items, None, "terminated")
            }
        };
        let failed = error.is_some();
        // Among the items, so that output and error together are what the budget of tokens says. Its end is what
        // stays of a text that is cut.
        items.extend(error.map(ContentItem::text));
        let max_tokens = max_output_tokens.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS);
        let max_tokens = usize::try_from(max_tokens).unwrap_or(usize::MAX);
        let items = truncate(items, max_tokens, Counting::O200k);
        let structured = match (status, items.as_slice()) {
            ("completed", [ContentItem::InputText { text }]) => object(text),
            _ => None,
        };
        let mut content: Vec<ContentBlock> = items.into_iter().map(block).collect();
        match status {
            "running" if pending.is_empty() => content.push(ContentBlock::text(format!(
                "Cell {cell} is still running. To go on: wait({{\"cell_id\": \"{cell}\"}}), with \"until\": \
                 \"completion\" to hear of its end alone, or \"terminate\": true to end it."
            ))),
            "terminated" => content.push(ContentBlock::text(format!("Cell {cell} was terminated."))),
            "completed" if content.is_empty() => content.push(ContentBlock::text(
                "The cell completed and showed nothing; what it passes to text() would be here.",
            )),
            _ => {}
        }
        if !pending.is_empty() {
            content.push(ContentBlock::text(ask_for_decision(&cell, &pending)));
        }
        content.extend(note.map(ContentBlock::text));
        let mut result = match failed {
            true => CallToolResult::error(content),
            false => CallToolResult::success(content),
        };
        result.structured_content = structured;
        let mut meta = JsonObject::new();
        meta.insert("codemode/cellId".to_owned(), Value::from(cell));
        meta.insert("codemode/status".to_owned(), Value::from(status));
        result.with_meta(Some(MetaObject(meta)))
    }
}

/// The result of a call that came to nothing, because of how it was made.
pub(super) fn refusal(message: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(message.into())])
}

/// One JSON object and nothing else: such an output is structured, and clients may read it as what it is.
fn object(text: &str) -> Option<Value> {
    if !text.starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok().filter(Value::is_object)
}

fn block(item: ContentItem) -> ContentBlock {
    match item {
        ContentItem::InputText { text } => ContentBlock::text(text),
        ContentItem::InputImage { image_url, .. } => match data(&image_url) {
            Some((mime, data)) => ContentBlock::image(data, mime),
            None => ContentBlock::text(format!("(an image: {image_url})")),
        },
        ContentItem::InputAudio { audio_url } => match data(&audio_url) {
            Some((mime, data)) => ContentBlock::audio(data, mime),
            None => ContentBlock::text(format!("(audio: {audio_url})")),
        },
    }
}

/// MIME type and base64 of a `data:` URL.
fn data(url: &str) -> Option<(String, String)> {
    let (head, body) = url.get(5..)?.split_once(',')?;
    let scheme = url.get(..5)?;
    let mime = head.strip_suffix(";base64")?;
    scheme.eq_ignore_ascii_case("data:").then(|| (mime.to_owned(), body.trim().to_owned()))
}

fn ask_for_decision(cell: &str, pending: &[Pending]) -> String {
    let mut text = format!("Cell {cell} waits for a decision about ");
    text.push_str(match pending {
        [_] => "a tool call:\n",
        _ => "tool calls:\n",
    });
    for Pending { server, tool, arguments } in pending {
        let (arguments, more) = match arguments.char_indices().nth(MAX_ARGUMENT_CHARS) {
            Some((end, _)) => (&arguments[..end], "…"),
            None => (arguments.as_str(), ""),
        };
        text.push_str(&format!("- {tool} of {server}: {arguments}{more}\n"));
    }
    text.push_str(&format!(
        "Ask the user. Then: wait({{\"cell_id\": \"{cell}\", \"decision\": \"approve\"}}), or \"deny\"."
    ));
    text
}

/// What a person can be expected to read before saying yes.
const MAX_ARGUMENT_CHARS: usize = 4_000;

#[cfg(test)]
mod tests {
    use codemode_host_protocol::CellId;
    use expect_test::{Expect, expect};

    use super::*;

    #[test]
    fn results_say_all_that_a_model_needs() {
        let result = |items, error: Option<&str>| RuntimeResponse::Result {
            cell_id: CellId::new("7"),
            content_items: items,
            error_text: error.map(str::to_owned),
            limit_exceeded: None,
            result_buffered_for_ns: 0,
            code_mode_host_duration_ns: 0,
        };
        let text = ContentItem::text;
        check(
            result(vec![text("a"), text("b")], None),
            expect![[
                r#"{"content":[{"text":"a","type":"text"},{"text":"b","type":"text"}],"isError":false}"#
            ]],
        );
        check(
            result(vec![text(r#"{"a":1}"#)], None),
            expect![[
                r#"{"content":[{"text":"{\"a\":1}","type":"text"}],"isError":false,"structuredContent":{"a":1}}"#
            ]],
        );
        check(
            result(vec![], Some("Error: boom\n    at cell:1")),
            expect![[
                r#"{"content":[{"text":"Error: boom\n    at cell:1","type":"text"}],"isError":true}"#
            ]],
        );
        check(
            result(vec![], None),
            expect![[
                r#"{"content":[{"text":"The cell completed and showed nothing; what it passes to text() would be here.","type":"text"}],"isError":false}"#
            ]],
        );
        let image = ContentItem::InputImage {
            image_url: "data:image/png;base64,iVBO".to_owned(),
            detail: None,
        };
        let audio = ContentItem::InputAudio { audio_url: "data:audio/wav;base64,UklG".to_owned() };
        let linked =
            ContentItem::InputImage { image_url: "https://e.org/a.png".to_owned(), detail: None };
        check(
            result(vec![image, audio, linked], None),
            expect![[
                r#"{"content":[{"data":"iVBO","mimeType":"image/png","type":"image"},{"data":"UklG","mimeType":"audio/wav","type":"audio"},{"text":"(an image: https://e.org/a.png)","type":"text"}],"isError":false}"#
            ]],
        );
        let running = RuntimeResponse::Yielded {
            cell_id: CellId::new("7"),
            content_items: vec![text("so far")],
            code_mode_host_duration_ns: 0,
        };
        check(
            running,
            expect![[
                r#"{"content":[{"text":"so far","type":"text"},{"text":"Cell 7 is still running. To go on: wait({\"cell_id\": \"7\"}), with \"until\": \"completion\" to hear of its end alone, or \"terminate\": true to end it.","type":"text"}],"isError":false}"#
            ]],
        );
        let terminated = RuntimeResponse::Terminated {
            cell_id: CellId::new("7"),
            content_items: vec![],
            code_mode_host_duration_ns: 0,
        };
        check(
            terminated,
            expect![[
                r#"{"content":[{"text":"Cell 7 was terminated.","type":"text"}],"isError":false}"#
            ]],
        );
    }

    #[test]
    fn output_that_is_cut_is_not_structured() {
        let long = format!("{{\"a\":\"{}\"}}", "x y ".repeat(100));
        let response = RuntimeResponse::Result {
            cell_id: CellId::new("7"),
            content_items: vec![ContentItem::text(long)],
            error_text: None,
            limit_exceeded: None,
            result_buffered_for_ns: 0,
            code_mode_host_duration_ns: 0,
        };
        let result = answer(response, Some(10)).into_result();
        assert_eq!(result.structured_content, None);
    }

    fn check(response: RuntimeResponse, expected: Expect) {
        let result = answer(response, None).into_result();
        let mut json = serde_json::to_value(result).unwrap_or_default();
        for implied in ["_meta", "resultType"] {
            json.as_object_mut().map(|json| json.remove(implied));
        }
        expected.assert_eq(&json.to_string());
    }

    fn answer(response: RuntimeResponse, max_output_tokens: Option<u64>) -> Answer {
        Answer { response, max_output_tokens, cell: "7".to_owned(), pending: vec![], note: None }
    }
}
