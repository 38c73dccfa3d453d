//! Real clients, unchanged: the MCP Inspector's command line, and the official SDKs for TypeScript and Python.

use std::path::Path;

use expect_test::expect;
use tokio::process::Command;

use super::support::{HttpServer, codemode, modules, printed, program_of, script, servers};
use crate::mcp::support::{peers, python};

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_calls_a_cell() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "words").unwrap();
    let inspect = async |arguments: &[&str]| {
        let main =
            modules(&peers).join("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
        let mut command = program_of(&peers);
        command.arg(main).args(["--cli", codemode(), "mcp", "--workspace"]);
        printed(command.arg(folder.path()).args(arguments)).await
    };
    let listed = inspect(&["--method", "tools/list"]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let names: Vec<_> = listed["tools"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    assert_eq!(names, ["exec", "wait"]);
    let code = "code=text((await tools.list_directory({ path: '.' })).entries.map(e => e.name))";
    let called =
        inspect(&["--method", "tools/call", "--tool-name", "exec", "--tool-arg", code]).await;
    let called: serde_json::Value = serde_json::from_str(&called).unwrap();
    assert_eq!(called["content"][0]["text"], r#"["a.txt"]"#, "{called}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_sees_all_there_is() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(&peers, folder.path());
    // The same over both transports.
    let transcript = expect![[r#"
        tools: ["exec","wait"]
        declared: true
        text: ["42","{\"a\":[1]}"]
        structured: {"a":[1]}
        image: ["(image image/png)"]
        failed: [true,"before","TypeError: Cannot read properties of null (reading 'x')"]
        refused: [true,["`code` must be a string, and is 5"]]
        unknown tool: "MCP error -32602: there is no tool \"run\"; there are exec and wait, and cells call all others"
        stored: ["ok"]
        loaded: ["[1,2]"]
        notified: ["told"]
        log: {"level":"info","logger":"cell 7","data":"half way"}
        progress: "1 tool call, 0 outputs"
        terminated: ["Cell N was terminated."]
        running: "running"
        completed: ["a","b"]
        again: "exec cell N not found: it completed N ms ago, and its result was read N ms ago; what that showed is repeated here; no cell of this session is live"
        aborted: "MCP error -32001: enough"
        its cell: "was terminated"
        elicited: ["everything: Please provide inputs for the following fields:","Name: Ada"]
        sent to a page: ["everything: See",true]
        sampled: true
        roots: "file:///one"
        other roots: "file:///two"
        approved: [["A cell wants to call echo of asking with {\"message\":\"allowed\"}. May it?"],["{\"content\":[{\"text\":\"Echo: allowed\",\"type\":\"text\"}]}"]]
        quiet: ["ok"]
    "#]];
    let mut over_stdio = program_of(&peers);
    over_stdio.arg(script("client.mjs")).arg(modules(&peers));
    over_stdio.args([codemode(), "mcp", "--mcp-config"]).arg(&servers);
    let over_stdio = printed(&mut over_stdio).await;
    let server = HttpServer::start(&["--mcp-config", servers.to_str().unwrap()]).await;
    let mut over_http = program_of(&peers);
    over_http.arg(script("client.mjs")).arg(modules(&peers)).arg(&server.url);
    assert_eq!(printed(&mut over_http).await, over_stdio);
    transcript.assert_eq(&over_stdio);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_speaks_the_newest_revision_over_stdio() {
    check_python("auto", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_speaks_the_newest_revision_over_http() {
    // The client is asked in a result, and makes its call again with the answer.
    check_python("auto", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_speaks_an_older_revision_over_stdio() {
    check_python("legacy", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_speaks_an_older_revision_over_http() {
    check_python("legacy", true).await;
}

/// The same but for the revision, whatever that is and whatever carries it.
async fn check_python(mode: &str, http: bool) {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(&peers, folder.path());
    let mut client = python_client(&peers, mode);
    let server;
    if http {
        server = HttpServer::start(&["--mcp-config", servers.to_str().unwrap()]).await;
        client.arg(&server.url);
    } else {
        client.args([codemode(), "mcp", "--mcp-config"]).arg(&servers);
    }
    let printed = printed(&mut client).await;
    let (revision, transcript) = printed.split_once('\n').unwrap_or_default();
    let expected = if mode == "auto" { "2026-07-28" } else { "2025-11-25" };
    assert_eq!(revision, format!("revision: {expected:?}"), "{printed}");
    expect![[r#"
        tools: ["exec", "wait"]
        text: ["42"]
        failed: [true, "TypeError: Cannot read properties of null (reading 'x')"]
        notified: ["told"]
        log: ["half way"]
        stored: "stored"
        loaded: "5"
        waited: ["a", "b"]
        approved: [["A cell wants to call echo of asking with {\"message\":\"allowed\"}. May it?"], ["{\"content\":[{\"text\":\"Echo: allowed\",\"type\":\"text\"}]}"]]
    "#]]
    .assert_eq(transcript);
}

fn python_client(peers: &Path, mode: &str) -> Command {
    let mut command = Command::new(python(peers));
    command.arg(script("client.py")).arg(mode).kill_on_drop(true);
    command
}
