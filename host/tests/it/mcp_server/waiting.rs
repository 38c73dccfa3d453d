//! Cells that take their time, and calls that wait for a yes.

use serde_json::json;

use super::support::{Raw, servers, texts};
use crate::mcp::support::{entry, misbehaving, peers};

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_what_it_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut raw = Raw::start(&["--workspace", folder.path().to_str().unwrap()]).await;
    // The cell and the test take turns by way of a file.
    let source = "
        const there = async path => { while (!(await tools.glob({ pattern: path })).paths.length); };
        text('first');
        yield_control();
        await there('one'); text('second'); yield_control();
        await there('two'); yield_control(); text('third');
        await there('three'); text('last');
    ";
    let running = raw.call("exec", json!({ "code": source })).await;
    assert!(texts(&running).starts_with("first\nCell 1 is still running."), "{running}");
    let by_time = raw.call("wait", json!({ "cell_id": "1", "yield_time_ms": 1 })).await;
    assert_eq!(by_time["_meta"]["codemode/status"], "running");
    let output = raw.begin("wait", json!({ "cell_id": "1", "until": "output" })).await;
    std::fs::write(folder.path().join("one"), "").unwrap();
    assert!(texts(&raw.answer(output).await["result"]).starts_with("second\n"));
    let busy = raw.begin("wait", json!({ "cell_id": "1", "until": "completion" })).await;
    std::fs::write(folder.path().join("two"), "").unwrap();
    std::fs::write(folder.path().join("three"), "").unwrap();
    assert_eq!(texts(&raw.answer(busy).await["result"]), "third\nlast");
    assert_eq!(raw.leave().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_passes_on_what_its_user_decides() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(&peers, folder.path());
    let mut raw = Raw::start(&["--mcp-config", servers.to_str().unwrap()]).await;
    let code = "
        const said = await Promise.allSettled([1, 2].map(n => tools.asking.echo({ message: `m${n}` })));
        for (const s of said) text(s.status == 'fulfilled' ? s.value.content[0].text : String(s.reason));
    ";
    for (cell, decision, expected) in [
        ("1", "approve", "Echo: m1\nEcho: m2"),
        (
            "2",
            "deny",
            "ToolError: the call of echo was denied: the user said no\n\
             ToolError: the call of echo was denied: the user said no",
        ),
    ] {
        let mut asked = texts(&raw.call("exec", json!({ "code": code })).await);
        while !(asked.contains(r#"{"message":"m1"}"#) && asked.contains(r#"{"message":"m2"}"#)) {
            assert!(asked.contains(&format!("Cell {cell} waits for a decision")), "{asked}");
            assert!(asked.contains("- echo of asking: "), "{asked}");
            let again = raw.call("wait", json!({ "cell_id": cell, "until": "completion" }));
            asked = texts(&again.await);
        }
        let done = raw
            .call("wait", json!({ "cell_id": cell, "decision": decision, "until": "completion" }));
        assert_eq!(texts(&done.await), expected);
    }
    let moot = raw.call("wait", json!({ "cell_id": "1", "decision": "approve" })).await;
    assert_eq!(texts(&moot), "no tool call of cell 1 waits for a decision; wait without one");
    assert_eq!(raw.leave().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_to_who_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut raw = Raw::start(&["--workspace", folder.path().to_str().unwrap()]).await;
    let id = raw
        .ask(
            "tools/call",
            json!({
                "name": "exec",
                "arguments": { "code": "text(1); for (;;) await tools.glob({ pattern: '*' })", "yield_time_ms": 600_000 },
                "_meta": { "progressToken": "token" }
            }),
        )
        .await;
    let first = raw.notified("notifications/progress").await;
    let second = raw.notified("notifications/progress").await;
    assert_eq!(first["progressToken"], "token");
    assert!(first["message"].as_str().unwrap().contains("1 output"), "{first}");
    assert!(second["progress"].as_f64() > first["progress"].as_f64(), "{first} {second}");
    raw.call("wait", json!({ "cell_id": "1", "terminate": true })).await;
    assert_eq!(texts(&raw.answer(id).await["result"]), "1\nCell 1 was terminated.");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_a_servers_call_is_is_told_too() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(&peers, folder.path());
    let mut raw = Raw::start(&["--mcp-config", servers.to_str().unwrap()]).await;
    // A step each second, for longer than anybody waits.
    let code =
        "await tools.everything.trigger_long_running_operation({ duration: 600, steps: 600 })";
    let id = raw
        .ask(
            "tools/call",
            json!({
                "name": "exec",
                "arguments": { "code": code, "yield_time_ms": 600_000 },
                "_meta": { "progressToken": "token" }
            }),
        )
        .await;
    let waiting = "1 tool call, 0 outputs; waiting for everything.trigger-long-running-operation (";
    let mut steps = std::collections::BTreeSet::new();
    while steps.len() < 2 {
        let told = raw.notified("notifications/progress").await;
        let message = told["message"].as_str().unwrap();
        if let Some(step) = message.strip_prefix(waiting) {
            assert!(step.ends_with(" of 600)"), "{message}");
            steps.insert(step.to_owned());
        }
    }
    raw.call("wait", json!({ "cell_id": "1", "terminate": true })).await;
    assert_eq!(texts(&raw.answer(id).await["result"]), "Cell 1 was terminated.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_hears_when_the_tools_of_cells_change() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = misbehaving(&peers, folder.path(), "");
    let config = json!({ "mcpServers": { "bad": entry(&server) } });
    let file = folder.path().join("servers.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut raw = Raw::start(&["--mcp-config", file.to_str().unwrap()]).await;
    let described = async |raw: &mut Raw| {
        let id = raw.ask("tools/list", json!({})).await;
        raw.answer(id).await["result"]["tools"][0]["description"].as_str().unwrap().to_owned()
    };
    let before = described(&mut raw).await;
    let grown = raw.call("exec", json!({ "code": "await tools.bad.add_tool({})" })).await;
    assert_eq!(grown["isError"], false, "{grown}");
    raw.notified("notifications/tools/list_changed").await;
    assert_ne!(described(&mut raw).await, before);
}
