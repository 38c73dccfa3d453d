//! Servers as they are on npm and PyPI.

use expect_test::expect;
use serde_json::json;

use super::support::*;

#[tokio::test]
async fn everything_is_called() {
    let Some(peers) = peers() else { return };
    let manager =
        manager([server("everything", npm_server(&peers, "server-everything", &["stdio"]))]).await;
    let snapshot = manager.snapshot();
    let names = names(&snapshot).join("\n");
    expect![[r#"
        mcp__everything__echo
        mcp__everything__get-annotated-message
        mcp__everything__get-env
        mcp__everything__get-resource-links
        mcp__everything__get-resource-reference
        mcp__everything__get-structured-content
        mcp__everything__get-sum
        mcp__everything__get-tiny-image
        mcp__everything__gzip-file-as-resource
        mcp__everything__toggle-simulated-logging
        mcp__everything__toggle-subscriber-updates
        mcp__everything__trigger-long-running-operation
        mcp__everything__simulate-research-query"#]]
    .assert_eq(&names);
    let echoed = call(&snapshot, "everything", "echo", json!({"message": "hé"})).await.unwrap();
    assert_eq!(text(&echoed), "Echo: hé");
    let image = call(&snapshot, "everything", "get-tiny-image", json!({})).await.unwrap();
    let block =
        image["content"].as_array().unwrap().iter().find(|block| block["type"] == "image").unwrap();
    assert!(block["data"].as_str().unwrap().starts_with("iVBOR"), "{block}");
    let weather = json!({"location": "New York"});
    let structured =
        call(&snapshot, "everything", "get-structured-content", weather).await.unwrap();
    assert!(structured["temperature"].is_number(), "{structured}");
    let resource = json!({"resourceType": "Text", "resourceId": 1});
    let resource = call(&snapshot, "everything", "get-resource-reference", resource).await.unwrap();
    let blocks = resource["content"].as_array().unwrap();
    assert!(blocks.iter().any(|block| block["type"] == "resource"), "{resource}");
    let error = call(&snapshot, "everything", "echo", json!({"message": 5})).await.unwrap_err();
    assert!(error.contains("message"), "{error}");
    manager.shutdown().await;
}

#[tokio::test]
async fn files_and_memory_stand_side_by_side() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let mut memory = npm_server(&peers, "server-memory", &[]);
    let store = root.join("memory.json").display().to_string();
    memory.env.insert(String::from("MEMORY_FILE_PATH"), store);
    let files = npm_server(&peers, "server-filesystem", &[root.to_str().unwrap()]);
    let manager = manager([server("files", files), server("memory", memory)]).await;
    let snapshot = manager.snapshot();
    std::fs::write(root.join("a.txt"), "hello").unwrap();
    let path = root.join("a.txt").display().to_string();
    let read = call(&snapshot, "files", "read_text_file", json!({"path": path})).await.unwrap();
    assert_eq!(read["content"], "hello");
    // It says that it is destructive, and nobody is there to be asked.
    let written = json!({"path": path, "content": "gone"});
    let error = call(&snapshot, "files", "write_file", written).await.unwrap_err();
    assert!(error.contains("denied"), "{error}");
    assert_eq!(std::fs::read_to_string(root.join("a.txt")).unwrap(), "hello");
    let entities =
        json!({"entities": [{"name": "V8", "entityType": "engine", "observations": ["fast"]}]});
    call(&snapshot, "memory", "create_entities", entities).await.unwrap();
    let graph = call(&snapshot, "memory", "read_graph", json!({})).await.unwrap();
    assert_eq!(graph["entities"][0]["name"], "V8", "{graph}");
    manager.shutdown().await;
}

#[tokio::test]
async fn time_of_pypi_is_told() {
    let Some(peers) = peers() else { return };
    let program =
        program(python(&peers), vec![String::from("-m"), String::from("mcp_server_time")]);
    let manager = manager([server("time", program)]).await;
    let snapshot = manager.snapshot();
    let input = json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
    let result = call(&snapshot, "time", "convert_time", input).await.unwrap();
    assert_eq!(result["time_difference"], "+9.0h", "{result}");
    manager.shutdown().await;
}
