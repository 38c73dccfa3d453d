//! A server that does what servers must not do: what its calls say, and that nothing else suffers.

use std::time::Duration;

use codemode_host::mcp::{
    Approver, ApproverFuture, Ask, Config, Decision, Manager, ManagerOptions, ServerConfig,
    ServerState, ToolRules,
};
use serde_json::json;
use std::sync::Arc;

use super::support::*;

struct Scene {
    folder: tempfile::TempDir,
    peers: std::path::PathBuf,
}

impl Scene {
    fn new() -> Option<Scene> {
        Some(Scene { folder: tempfile::tempdir().unwrap(), peers: peers()? })
    }

    fn server(&self, mode: &str) -> ServerConfig {
        let mut server = server("bad", misbehaving(&self.peers, self.folder.path(), mode));
        server.tools = ToolRules::new(None, vec![], vec![], vec![], false).unwrap();
        server
    }

    fn notes(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_is_started_again() {
    let Some(scene) = Scene::new() else { return };
    let manager = manager([scene.server("")]).await;
    let snapshot = manager.snapshot();
    let other = tokio::spawn(invoke(&snapshot, "bad", "hang", json!({})));
    until(|| !scene.notes("hanging").is_empty()).await;
    let error = call(&snapshot, "bad", "die", json!({})).await.unwrap_err();
    assert_eq!(
        error,
        "die was lost with its MCP server bad: it exited with code 7. The last that it said:\nabout to die"
    );
    let error = other.await.unwrap().unwrap_err().message;
    assert!(
        error.starts_with("hang was lost with its MCP server bad: it exited with code 7"),
        "{error}"
    );
    until_ready(&manager).await;
    // The step that saw the first process reaches the second.
    let echoed = call(&snapshot, "bad", "echo", json!({"a": 1})).await.unwrap();
    assert_eq!(text(&echoed), r#"{"a": 1}"#);
    assert_eq!(scene.notes("started").lines().count(), 2);
    manager.shutdown().await;
}

#[tokio::test]
async fn a_server_that_hangs_at_its_start_is_given_up() {
    let Some(scene) = Scene::new() else { return };
    let mut hanging = scene.server("hang");
    hanging.start_timeout = Duration::from_millis(300);
    let mut good = scene.server("");
    good.name = codemode_host::mcp::ServerName::new("good").unwrap();
    let manager = manager([hanging, good]).await;
    let [bad, good] = &manager.status()[..] else { panic!() };
    let ServerState::Down { why, .. } = &bad.state else { panic!("{bad:?}") };
    assert!(
        why.starts_with("it did not start within 300ms; `start_timeout` gives it longer"),
        "{why}"
    );
    assert!(matches!(good.state, ServerState::Ready { tools: 16 }), "{good:?}");
    assert!(names(&manager.snapshot()).iter().all(|name| name.starts_with("mcp__good__")));
    manager.shutdown().await;
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let Some(scene) = Scene::new() else { return };
    let manager = manager([
        scene.server("exit"),
        server("none", program(String::from("no-such-program"), vec![])),
    ])
    .await;
    let [bad, none] = &manager.status()[..] else { panic!() };
    let ServerState::Down { why, .. } = &bad.state else { panic!("{bad:?}") };
    assert_eq!(
        why,
        "it exited with code 3 while it started. The last that it said:\nI need a [31mtoken[0m to start"
    );
    let ServerState::Failed { why } = &none.state else { panic!("{none:?}") };
    assert!(
        why.contains(r#"cannot start "no-such-program""#) && why.contains("not in PATH"),
        "{why}"
    );
    manager.shutdown().await;
}

#[tokio::test]
async fn lists_are_bounded() {
    let Some(scene) = Scene::new() else { return };
    let huge = manager([scene.server("huge")]).await;
    let [status] = &huge.status()[..] else { panic!() };
    assert_eq!(status.state, ServerState::Ready { tools: 16 });
    let [warning] = &status.warnings[..] else { panic!("{status:?}") };
    assert!(warning.starts_with(r#"the tool "huge" is left out: its schemas take 2"#), "{warning}");
    huge.shutdown().await;

    let broken = manager([scene.server("broken")]).await;
    let [status] = &broken.status()[..] else { panic!() };
    assert_eq!(status.state, ServerState::Ready { tools: 16 });
    assert_eq!(status.warnings.len(), 3, "{status:?}");
    assert!(status.warnings[0].contains("no_schema"), "{status:?}");
    broken.shutdown().await;

    let endless = manager([scene.server("endless")]).await;
    let [status] = &endless.status()[..] else { panic!() };
    let ServerState::Down { why, .. } = &status.state else { panic!("{status:?}") };
    assert!(why.contains("more than 100 pages"), "{why}");
    endless.shutdown().await;

    let many = manager([scene.server("many")]).await;
    let [status] = &many.status()[..] else { panic!() };
    assert_eq!(status.state, ServerState::Ready { tools: 1000 });
    assert!(status.warnings[0].contains("3000 tools"), "{status:?}");
    many.shutdown().await;
}

#[tokio::test]
async fn messages_are_bounded() {
    let Some(scene) = Scene::new() else { return };
    let manager = manager([scene.server("")]).await;
    let snapshot = manager.snapshot();
    for tool in ["big", "endless_line"] {
        let error = call(&snapshot, "bad", tool, json!({})).await.unwrap_err();
        assert!(error.contains("a message of more than 16 MiB"), "{error}");
        until_ready(&manager).await;
    }
    manager.shutdown().await;
}

#[tokio::test]
async fn a_flood_passes_by() {
    let Some(scene) = Scene::new() else { return };
    let manager = manager([scene.server("")]).await;
    let snapshot = manager.snapshot();
    let flooded = call(&snapshot, "bad", "flood", json!({})).await.unwrap();
    assert_eq!(text(&flooded), "flooded");
    let heard = call(&snapshot, "bad", "noise", json!({})).await.unwrap();
    assert_eq!(text(&heard), "heard");
    let changed = call(&snapshot, "bad", "change_all_the_time", json!({})).await.unwrap();
    assert_eq!(text(&changed), "changed");
    let novel = call(&snapshot, "bad", "novel", json!({})).await.unwrap();
    assert_eq!(novel, json!({"content": [{"type": "hologram", "data": "…"}]}));
    manager.shutdown().await;
}

#[tokio::test]
async fn failures_say_whose_they_are() {
    let Some(scene) = Scene::new() else { return };
    let manager = manager([scene.server("")]).await;
    let snapshot = manager.snapshot();
    for (tool, input, expected) in [
        ("fail", json!({}), "no such thing"),
        (
            "refuse",
            json!({}),
            "the MCP server bad refused refuse: wrong\u{1b}[2J arguments (JSON-RPC error -32602)",
        ),
        ("malformed", json!({}), "the MCP server bad answered malformed against the protocol"),
        ("echo", json!([1]), "echo takes one object with its arguments, not an array"),
        ("nothing", json!({}), "no MCP server has a tool bad.nothing"),
    ] {
        let error = call(&snapshot, "bad", tool, input).await.unwrap_err();
        assert!(error.starts_with(expected), "{tool}: {error}");
    }
    manager.shutdown().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_at_the_server() {
    let Some(scene) = Scene::new() else { return };
    let manager = manager([scene.server("")]).await;
    let snapshot = manager.snapshot();
    let open = tokio::spawn(invoke(&snapshot, "bad", "hang", json!({})));
    until(|| scene.notes("hanging").ends_with('\n')).await;
    open.abort();
    until(|| scene.notes("cancelled").ends_with('\n')).await;
    assert_eq!(scene.notes("cancelled"), scene.notes("hanging"));
    manager.shutdown().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled() {
    let Some(scene) = Scene::new() else { return };
    let mut slow = scene.server("");
    slow.call_timeout = Duration::from_millis(200);
    let manager = manager([slow]).await;
    let error = call(&manager.snapshot(), "bad", "hang", json!({})).await.unwrap_err();
    assert_eq!(
        error,
        "hang of the MCP server bad gave no answer within 200ms and was cancelled; `call_timeout` gives it longer"
    );
    until(|| scene.notes("cancelled").ends_with('\n')).await;
    manager.shutdown().await;
}

#[tokio::test]
async fn a_list_changes_for_the_next_step_alone() {
    let Some(scene) = Scene::new() else { return };
    let manager = manager([scene.server("")]).await;
    let before = manager.snapshot();
    call(&before, "bad", "add_tool", json!({})).await.unwrap();
    until(|| names(&manager.snapshot()).contains(&"mcp__bad__added")).await;
    assert!(!names(&before).contains(&"mcp__bad__added"));
    let error = call(&before, "bad", "added", json!({})).await.unwrap_err();
    assert_eq!(error, "no MCP server has a tool bad.added");
    call(&manager.snapshot(), "bad", "added", json!({})).await.unwrap();
    manager.shutdown().await;
}

#[tokio::test]
async fn a_configuration_is_replaced_at_once() {
    let Some(scene) = Scene::new() else { return };
    let manager = manager([scene.server("")]).await;
    let before = manager.snapshot();
    let pid = call(&before, "bad", "pid", json!({})).await.unwrap();
    let child = call(&before, "bad", "spawn", json!({})).await.unwrap();
    let open = tokio::spawn(invoke(&before, "bad", "hang", json!({})));
    until(|| scene.notes("hanging").ends_with('\n')).await;
    manager.replace(&Config::default());
    assert!(manager.snapshot().tools.is_empty());
    let error = open.await.unwrap().unwrap_err().message;
    assert_eq!(
        error,
        "hang was lost with its MCP server bad: its configuration was replaced, or it was shut down"
    );
    let error = call(&before, "bad", "echo", json!({})).await.unwrap_err();
    assert!(error.contains("was shut down, or its configuration replaced"), "{error}");
    // With all that it started.
    until(|| !lives(text(&pid)) && !lives(text(&child))).await;
}

#[tokio::test]
async fn a_server_is_not_given_the_environment() {
    let Some(scene) = Scene::new() else { return };
    let mut with = misbehaving(&scene.peers, scene.folder.path(), "");
    with.env.insert(String::from("GIVEN"), String::from("1"));
    let manager = manager([server("bad", with)]).await;
    let names = call(&manager.snapshot(), "bad", "environment", json!({})).await.unwrap();
    let names: Vec<String> = serde_json::from_str(text(&names)).unwrap();
    assert!(
        names.contains(&String::from("GIVEN")) && names.contains(&String::from("PATH")),
        "{names:?}"
    );
    assert!(!names.iter().any(|name| name.starts_with("CARGO")), "{names:?}");
    manager.shutdown().await;
}

/// Says what it was made to say, or nothing.
struct Says(Option<Decision>, tokio::sync::mpsc::UnboundedSender<Ask>);

impl Approver for Says {
    fn ask(&self, ask: Ask) -> ApproverFuture {
        let _ = self.1.send(ask);
        match self.0.clone() {
            Some(decision) => Box::pin(std::future::ready(decision)),
            None => Box::pin(std::future::pending()),
        }
    }
}

#[tokio::test]
async fn marked_tools_wait_for_a_yes() {
    let Some(scene) = Scene::new() else { return };
    let text = format!(
        "approval_timeout = \"200ms\"\n[servers.bad]\ncommand = {:?}\nargs = {:?}\napprove = [\"echo\"]\n",
        python(&scene.peers),
        misbehaving(&scene.peers, scene.folder.path(), "").args,
    );
    let config = Config::parse("c.toml".as_ref(), &text, &|_| None).unwrap();
    for (says, tool, expected) in [
        (Some(Decision::Approved), "echo", None),
        (
            Some(Decision::denied("too late in the day")),
            "echo",
            Some("the call of echo was denied: too late in the day"),
        ),
        (None, "echo", Some("the call of echo was denied: nobody answered within 200ms")),
        // By its hint; `fail` only reads, whatever else it says.
        (Some(Decision::Denied { reason: None }), "die", Some("the call of die was denied")),
        (Some(Decision::Denied { reason: None }), "fail", Some("no such thing")),
        (Some(Decision::Denied { reason: None }), "noise", None),
    ] {
        let (send, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let approver = Arc::new(Says(says, send));
        let options = ManagerOptions { approver, ..ManagerOptions::default() };
        let manager = Manager::start(config.clone(), options);
        manager.settled().await;
        let result = call(&manager.snapshot(), "bad", tool, json!({"a": 1})).await;
        assert_eq!(result.err().as_deref(), expected, "{tool}");
        if let Ok(ask) = asked.try_recv() {
            assert_eq!(
                (ask.server.as_str(), ask.tool.as_str(), ask.arguments.text()),
                ("bad", tool, r#"{"a":1}"#)
            );
            assert!(matches!(tool, "echo" | "die"), "{tool}");
        } else {
            assert!(matches!(tool, "fail" | "noise"), "{tool}");
        }
        manager.shutdown().await;
    }
}
