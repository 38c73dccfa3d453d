//! How a host ends, and what it leaves behind.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::{
    raw::{Raw, frame, host_command, texts},
    support::within,
};

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_host_whatever_runs() {
    let mut raw = Raw::open().await;
    for source in
        ["for (;;);", "await tools.ask()", "setTimeout(() => 0, 1e9); await new Promise(() => {})"]
    {
        raw.execute_for(source, &["ask"], 0).await;
    }
    raw.hear_type("delegate/request").await;
    raw.hang_up();
    let (status, stderr) = raw.ended().await;
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_client_that_stops_reading_ends_the_host() {
    let mut raw = Raw::open().await;
    raw.execute_for("for (;;);", &[], 60_000).await;
    raw.stop_reading();
    // The host learns of it when it writes. Now and then a write is too early: a process that another test is just
    // about to start holds the reading end a moment longer.
    let mut stdin = raw.stdin.take().unwrap();
    let noticed = async {
        for id in 100.. {
            let request = json!({"method": "session/shutdown", "sessionId": "none"});
            let message = json!({"type": "operation/request", "id": id, "request": request});
            if stdin.write_all(&frame(message.to_string().as_bytes())).await.is_err() {
                return;
            }
        }
    };
    within(noticed).await;
    let (status, stderr) = raw.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("writing to the client failed"), "{stderr}");
}

#[tokio::test]
async fn a_host_that_is_told_to_stop_lets_cells_finish() {
    let mut raw = Raw::start(host_command(&["--drain-grace", "1m"]));
    raw.greet().await;
    let finishes = raw.execute("text(await tools.ask())", &["ask"]).await;
    let call = raw.hear_type("delegate/request").await["id"].clone();
    raw.signal("TERM");
    // The signal and the request take different ways: asked until it has arrived.
    let refused = loop {
        let id = raw.request(json!({"method": "session/open", "sessionId": raw.new_name()})).await;
        let answer = raw.answer(id).await;
        if answer["status"] == "error" {
            break answer;
        }
    };
    assert!(refused["message"].as_str().unwrap().contains("shutting down"), "{refused}");
    let id = raw.execute("text(1)", &[]).await;
    assert_eq!(raw.answer(id).await["status"], "error");
    raw.answer_delegate(&call, json!({"type": "tool/result", "result": "in time"})).await;
    assert_eq!(texts(&raw.initial(finishes).await), ["in time"]);
    assert_eq!(raw.hear_type("cell/closed").await["cellId"], "1");
    let (status, stderr) = raw.ended().await;
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_host_that_is_told_to_stop_ends_cells_that_go_on() {
    let mut raw = Raw::start(host_command(&["--drain-grace", "100ms"]));
    raw.greet().await;
    let waits = raw.execute("text('so far'); await tools.ask()", &["ask"]).await;
    raw.hear_type("delegate/request").await;
    let spins = raw.execute_for("for (;;);", &[], 0).await;
    raw.initial(spins).await;
    raw.signal("INT");
    // Not through the order check: it did not see why the cell closes that nobody waits for.
    let mut heard = Vec::new();
    while let Some(body) = raw.read_body().await {
        heard.push(serde_json::from_slice::<serde_json::Value>(&body).unwrap());
    }
    let of_type = |kind: &str| heard.iter().filter(|m| m["type"] == kind).collect::<Vec<_>>();
    let last = of_type("execute/initialResponse")[0];
    assert_eq!(last["id"], waits);
    let items = &last["result"]["value"]["Terminated"]["content_items"];
    assert_eq!(items[0]["text"], "so far");
    assert_eq!((of_type("delegate/cancel").len(), of_type("cell/closed").len()), (1, 2));
    let (status, stderr) = raw.ended().await;
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_second_signal_ends_a_host_at_once() {
    let mut raw = Raw::start(host_command(&["--drain-grace", "10m"]));
    raw.greet().await;
    raw.execute("await tools.ask()", &["ask"]).await;
    raw.hear_type("delegate/request").await;
    raw.signal("TERM");
    loop {
        let id = raw.request(json!({"method": "session/open", "sessionId": raw.new_name()})).await;
        if raw.answer(id).await["status"] == "error" {
            break;
        }
    }
    raw.signal("TERM");
    let (status, stderr) = raw.ended().await;
    assert_eq!(status.code(), Some(143));
    assert!(stderr.contains("told to stop twice"), "{stderr}");
}

#[tokio::test]
async fn the_log_goes_to_stderr_and_nowhere_else() {
    let mut raw = Raw::start(host_command(&["--log", "trace"]));
    raw.greet().await;
    assert_eq!(texts(&raw.run("text('hi')").await), ["hi"]);
    raw.hang_up();
    let (status, stderr) = raw.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(stderr.contains("operation/request"), "{stderr}");
}

#[tokio::test]
async fn bad_usage_is_explained() {
    for (arguments, reason) in [
        (&["--listen", "tcp://x"][..], "ws://127.0.0.1:7070"),
        (&["--listen", "ws://0.0.0.0:0"], "must show a token"),
        (&["--listen", "ws://127.0.0.1:0", "--token", "a b"], "visible ASCII"),
        (&["--log", "codemode_host=loud"], "is no filter"),
    ] {
        let raw = Raw::start(host_command(arguments));
        let (status, stderr) = raw.ended().await;
        assert_eq!(status.code(), Some(2), "{arguments:?}");
        assert!(stderr.contains(reason), "{stderr}");
    }
}
