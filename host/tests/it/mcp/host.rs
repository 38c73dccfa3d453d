//! A host that has the tools of servers itself.

use std::sync::Arc;

use codemode_cells::{CellRequest, CodeModeSession as _};
use codemode_host::{
    Host, HostOptions,
    client::{Client, ClientSession, OpenOptions},
};
use codemode_host_protocol::{ContentItem, RuntimeResponse};

use super::support::*;
use crate::host::desk::{Desk, step};

async fn run(session: &ClientSession, desk: &Desk, source: &str) -> Vec<String> {
    let request = CellRequest { tool_call_id: String::from("call"), ..CellRequest::new(source) };
    let cell = session.execute(step(desk, &["whose"]), request).await.unwrap();
    let RuntimeResponse::Result { content_items, error_text, .. } =
        cell.response.await.unwrap().into_inner()
    else {
        panic!("no result")
    };
    assert_eq!(error_text, None);
    let text = |item| match item {
        ContentItem::InputText { text } => text,
        other => panic!("{other:?}"),
    };
    content_items.into_iter().map(text).collect()
}

#[tokio::test]
async fn cells_have_the_tools_that_their_session_was_told() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = config([server("bad", misbehaving(&peers, folder.path(), ""))]);
    let host = Host::new(HostOptions { servers, ..HostOptions::default() });
    let client = Client::in_process(&host).await.unwrap();
    let session = client.open(OpenOptions::default()).await.unwrap();
    let desk = Desk::new("desk");
    let names = "text(ALL_TOOLS.map(tool => tool.name).join())";
    assert_eq!(run(&session, &desk, names).await, ["whose"]);
    let tools = loop {
        let tools = session.host_tools().await.unwrap();
        if !tools.is_empty() {
            break tools;
        }
        tokio::task::yield_now().await;
    };
    assert!(tools.iter().any(|tool| tool.name == "mcp__bad__echo"), "{tools:?}");
    let source = "
        text(await tools.whose());
        text((await tools.mcp__bad__echo({ a: 1 })).content[0].text);
        for (const name of ['die', 'fail', 'refuse', 'malformed']) {
            await tools['mcp__bad__' + name]({}).catch(error => text(`${name}: ${error.kind}: ${error.message.slice(0, 24)}`));
        }
    ";
    let shown = run(&session, &desk, source).await;
    assert_eq!(
        shown,
        [
            "desk",
            r#"{"a": 1}"#,
            "die: denied: the call of die was deni",
            "fail: tool: no such thing",
            "refuse: protocol: the MCP server bad refus",
            "malformed: protocol: the MCP server bad answe",
        ]
    );
    let log = desk.log();
    assert!(!log.iter().any(|line| line.contains("bad")), "{log:?}");
    // Another session was told nothing.
    let other = client.open(OpenOptions::default()).await.unwrap();
    assert_eq!(run(&other, &desk, names).await, ["whose"]);
    let _ = Arc::new(other).shutdown().await;
}
