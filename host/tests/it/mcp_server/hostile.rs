//! Clients that do not do what clients should.

use serde_json::json;
use tokio::process::Command;

use super::support::{Raw, codemode, texts};
use crate::mcp::support::{entry, misbehaving, peers, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_harms_nobody() {
    let mut raw = start().await;
    for line in [
        "not JSON",
        "{",
        "[]",
        "null",
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"1.0","id":77,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/nonsense","params":7}"#,
        r#"{"jsonrpc":"2.0","id":4000,"result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4001}}"#,
        "\u{0}\u{1}",
    ] {
        raw.send(line).await;
    }
    assert_eq!(texts(&raw.call("exec", json!({ "code": "text(1)" })).await), "1");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    raw.send(&deep).await;
    assert_eq!(texts(&raw.call("exec", json!({ "code": "text(2)" })).await), "2");
    assert_eq!(raw.leave().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_of_wrong_types_are_told_from() {
    let mut raw = start().await;
    for (tool, arguments, expected) in [
        ("exec", json!({}), "exec needs `code`"),
        ("exec", json!({ "code": ["text(1)"] }), "`code` must be a string"),
        ("exec", json!({ "code": "1", "yield_time_ms": 1e300 }), "`yield_time_ms` must be"),
        ("exec", json!({ "code": "1", "yield_time_ms": -1 }), "`yield_time_ms` must be"),
        ("exec", json!({ "code": "1", "x": 1 }), "there is no argument `x`"),
        ("wait", json!({ "cell_id": "1" }), "there are no cells yet"),
        ("wait", json!({ "cell_id": [] }), "`cell_id` must be"),
        ("wait", json!({ "cell_id": "1", "until": "noon" }), "`until` must be one of"),
    ] {
        let result = raw.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        assert!(texts(&result).contains(expected), "{result}");
    }
    let id = raw.ask("tools/call", json!({ "name": "exec", "arguments": 5 })).await;
    let raw_answer = raw.next().await.unwrap();
    assert!(raw_answer.get("error").is_some(), "request {id}: {raw_answer}");
    assert_eq!(texts(&raw.call("exec", json!({ "code": "text(1)" })).await), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_fifty_megabytes_is_refused() {
    let mut raw = start().await;
    let source = format!("text('{}')", "x".repeat(50 << 20));
    let result = raw.call("exec", json!({ "code": source })).await;
    assert_eq!(result["isError"], true);
    assert!(texts(&result).contains("SourceLimitExceeded"), "{result}");
    assert_eq!(texts(&raw.call("exec", json!({ "code": "text(1)" })).await), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_more_than_64_mib_is_refused() {
    let mut raw = start().await;
    let code = format!("text('{}')", "x".repeat(64 << 20));
    let id = raw.begin("exec", json!({ "code": code })).await;
    let answer = raw.answer(id).await;
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("and may have 67108864"), "{message}");
    assert_eq!(texts(&raw.call("exec", json!({ "code": "text(1)" })).await), "1");
    assert_eq!(raw.leave().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_start_in_the_order_in_which_they_were_sent() {
    let mut raw = start().await;
    let mut ids = Vec::new();
    for n in 1..=200 {
        ids.push(raw.begin("exec", json!({ "code": format!("text({n})") })).await);
    }
    for (n, id) in (1..).zip(ids) {
        let result = raw.answer(id).await["result"].clone();
        assert_eq!(result["_meta"]["codemode/cellId"], json!(n.to_string()), "{result}");
        assert_eq!(texts(&result), n.to_string());
    }
    // What comes behind a cell finds it.
    let endless = raw.begin("exec", json!({ "code": "for (;;);", "yield_time_ms": 600_000 })).await;
    let ended = raw.call("wait", json!({ "cell_id": "201", "terminate": true })).await;
    assert_eq!(texts(&ended), "Cell 201 was terminated.");
    raw.answer(endless).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_cells_at_once_all_answer() {
    let mut raw = start().await;
    let mut ids = Vec::new();
    for n in 0..100 {
        let code = format!("await tools.glob({{ pattern: '*' }}); text({n})");
        ids.push(raw.begin("exec", json!({ "code": code, "yield_time_ms": 600_000 })).await);
    }
    for (n, id) in ids.into_iter().enumerate() {
        assert_eq!(texts(&raw.answer(id).await["result"]), n.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_cells_are_ended_whenever_it_comes() {
    let mut raw = start().await;
    for n in 0..40 {
        let id = raw.begin("exec", json!({ "code": "for (;;);", "yield_time_ms": 600_000 })).await;
        if n % 2 == 0 {
            // Once it has been begun; the others are cancelled before that or after, as it happens.
            raw.call("exec", json!({ "code": "text(1)" })).await;
        }
        let cancel = json!({
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": { "requestId": id, "reason": "enough" }
        });
        raw.send(&cancel.to_string()).await;
        raw.send(&cancel.to_string()).await;
    }
    // Sixty cells have been, and none of those that never end is among the living.
    let id = raw.begin("exec", json!({ "code": "text('still here')" })).await;
    assert_eq!(texts(&raw.answer(id).await["result"]), "still here");
    for cell in 1..=61 {
        let ended = raw.call("wait", json!({ "cell_id": cell, "until": "completion" })).await;
        assert_ne!(ended["_meta"]["codemode/status"], "running", "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_takes_its_cells_along() {
    let mut raw = start().await;
    let running = raw.call("exec", json!({ "code": "yield_control(); for (;;);" })).await;
    assert_eq!(running["_meta"]["codemode/status"], "running");
    raw.begin("exec", json!({ "code": "for (;;);", "yield_time_ms": 600_000 })).await;
    assert_eq!(raw.leave().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_begin_with_hello_is_told_what_to_do() {
    let mut raw = Raw::unknown(&["--workspace", "."]);
    let id = raw.ask("tools/list", json!({})).await;
    let answer = raw.answer(id).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("_meta"), "{answer}");
    assert_eq!(raw.leave().await, Some(0));
    let mut silent = Raw::unknown(&["--workspace", "."]);
    assert_eq!(silent.leave().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_hide_others_are_in_the_log() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = json!({ "mcpServers": {
        "glob": entry(&misbehaving(&peers, folder.path(), "broken")),
        "twins": entry(&misbehaving(&peers, folder.path(), "twins")),
    } });
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("servers.json"), servers.to_string()).unwrap();
    let mut command = Command::new(codemode());
    command.args(["mcp", "--workspace", ".", "--mcp-config", "servers.json"]);
    command.current_dir(folder.path()).stderr(std::fs::File::create(file("log")).unwrap());
    let mut raw = Raw::introduced_to(&mut command).await;
    for expected in [
        "another tool is `mcp__twins__do_it` already; `deny` one of them",
        "`tools.glob` is the tool glob, and not the MCP server glob",
        "server=glob",
        "the tool \"no_schema\" is left out",
    ] {
        until(|| std::fs::read_to_string(file("log")).unwrap().contains(expected)).await;
    }
    assert_eq!(raw.leave().await, Some(0));
}

async fn start() -> Raw {
    Raw::start(&["--workspace", env!("CARGO_MANIFEST_DIR")]).await
}
