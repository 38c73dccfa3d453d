//! What the driver sends. Written out, so that both hosts get the very same bytes.

use codemode_host_protocol::HEADER_LEN;
use serde_json::{Value, json};

/// The hello of a client that asks for what the Codex CLI asks for.
pub(crate) fn hello() -> Vec<u8> {
    frame(&json!({
        "type": "connection/hello",
        "supportedVersions": [1],
        "requiredCapabilities": [],
        "optionalCapabilities": [
            "bounded-output-v1",
            "delegate-capacity-4096",
            "session-cell-execution-resource-limits",
            "yield-observation",
        ],
    }))
}

pub(crate) fn open(id: i64, session: &str) -> Vec<u8> {
    operation(id, json!({"method": "session/open", "sessionId": session}))
}

/// A cell with the tools `echo` and `wait`, which yields after `yield_time_ms`.
pub(crate) fn execute(id: i64, session: &str, source: &str, yield_time_ms: u64) -> Vec<u8> {
    operation(
        id,
        json!({
            "method": "session/execute",
            "sessionId": session,
            "request": {
                "tool_call_id": "call-1",
                "enabled_tools": [tool("echo"), tool("wait")],
                "source": source,
                "yield_time_ms": yield_time_ms,
                "max_output_tokens": null,
            },
        }),
    )
}

/// The same, with other tools: definitions as JSON text, from [`many_tools`].
pub(crate) fn execute_with(id: i64, session: &str, source: &str, tools: &str) -> Vec<u8> {
    let source = Value::from(source);
    let body = format!(
        r#"{{"type":"operation/request","id":{id},"request":{{"method":"session/execute","sessionId":"{session}","request":{{"tool_call_id":"call-1","enabled_tools":{tools},"source":{source},"yield_time_ms":600000,"max_output_tokens":null}}}}}}"#
    );
    let mut out = vec![0; HEADER_LEN];
    out.extend_from_slice(body.as_bytes());
    finish(&mut out, 0);
    out
}

/// The source of a cell that makes as many calls, one after the other.
pub(crate) fn nested_source(calls: usize) -> String {
    format!("for (let i = 0; i < {calls}; i++) await tools.echo({{ i, text: 'hello' }});")
}

/// As many tools, each with a schema, as an agent with many MCP servers has them.
pub(crate) fn many_tools(count: usize) -> String {
    let tool = |number: usize| {
        json!({
            "name": format!("server_{}_tool_{number}", number % 20),
            "tool_name": {"name": format!("tool_{number}"), "namespace": format!("server_{}", number % 20)},
            "description": "Finds what was asked for and says where it is, most recent first.",
            "kind": "function",
            "input_schema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "What to look for"},
                    "limit": {"type": "integer", "minimum": 1},
                },
                "required": ["query"],
            },
            "output_schema": null,
        })
    };
    Value::from((0..count).map(tool).collect::<Vec<_>>()).to_string()
}

pub(crate) fn wait(id: i64, session: &str, cell: &str, yield_time_ms: u64) -> Vec<u8> {
    operation(
        id,
        json!({
            "method": "session/wait",
            "sessionId": session,
            "request": {"cell_id": cell, "yield_time_ms": yield_time_ms},
        }),
    )
}

pub(crate) fn terminate(id: i64, session: &str, cell: &str) -> Vec<u8> {
    operation(id, json!({"method": "session/terminate", "sessionId": session, "cellId": cell}))
}

pub(crate) fn shutdown(id: i64, session: &str) -> Vec<u8> {
    operation(id, json!({"method": "session/shutdown", "sessionId": session}))
}

/// The answer to a tool call; `result` is JSON text.
pub(crate) fn tool_result(id: i64, result: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
    out.extend_from_slice(br#"{"type":"delegate/response","id":"#);
    out.extend_from_slice(id.to_string().as_bytes());
    out.extend_from_slice(br#","result":{"status":"ok","value":{"type":"tool/result","result":"#);
    out.extend_from_slice(result.as_bytes());
    out.extend_from_slice(b"}}}");
    finish(out, start);
}

/// What a host answers to a hello.
pub(crate) fn ready() -> Vec<u8> {
    frame(&json!({"type": "connection/ready", "selectedVersion": 1, "capabilities": []}))
}

/// What a host answers to a trivial cell, for the pipe that stands in for one.
pub(crate) fn trivial_answers() -> Vec<u8> {
    let mut out = frame(&json!({
        "type": "operation/response", "id": 2,
        "result": {"status": "ok", "value": {"type": "execution/started", "cellId": "1"}},
    }));
    out.extend(frame(&json!({
        "type": "execute/initialResponse", "id": 2,
        "result": {"status": "ok", "value": {"Result": {
            "cell_id": "1", "content_items": [{"type": "input_text", "text": "hi"}],
            "error_text": null, "result_buffered_for_ns": 0, "code_mode_host_duration_ns": 512_603,
        }}},
    })));
    out.extend(frame(&json!({"type": "cell/closed", "sessionId": "s", "cellId": "1"})));
    out
}

fn operation(id: i64, request: Value) -> Vec<u8> {
    frame(&json!({"type": "operation/request", "id": id, "request": request}))
}

fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "tool_name": {"name": name, "namespace": null},
        "description": "A tool of the benchmark.",
        "kind": "function",
        "input_schema": null,
        "output_schema": null,
    })
}

fn frame(message: &Value) -> Vec<u8> {
    let mut out = vec![0; HEADER_LEN];
    out.extend_from_slice(message.to_string().as_bytes());
    finish(&mut out, 0);
    out
}

/// Fills in the header of the frame that starts at `start`.
fn finish(out: &mut [u8], start: usize) {
    let len = (out.len() - start - HEADER_LEN) as u32;
    out[start..start + HEADER_LEN].copy_from_slice(&len.to_le_bytes());
}
