//! Good and bad frames, and what the host makes of them.

use serde_json::json;

use super::raw::{Raw, WATCHDOG, frame, hello, host_command, read_body, texts};

#[tokio::test]
async fn a_frame_may_come_in_any_pieces() {
    let mut raw = Raw::silent();
    let bytes = frame(hello().to_string().as_bytes());
    for byte in &bytes[..bytes.len() - 1] {
        raw.write(&[*byte]).await;
    }
    let open = br#"{"type":"operation/request","id":1,"request":{"method":"session/open","sessionId":"s"}}"#;
    raw.write(&[&bytes[bytes.len() - 1..], &frame(open)].concat()).await;
    for expected in ["connection/ready", "operation/response"] {
        // Not through the order check, which did not see what was sent.
        assert_eq!(raw.hear_unchecked().await["type"], expected);
    }
    raw.hang_up();
    assert_eq!(raw.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn each_cell_has_the_tools_that_it_came_with() {
    let mut raw = Raw::open().await;
    let source = "text(Object.keys(tools).join()); await tools.ask().catch(() => {})";
    for tools in [&["ask"][..], &["ask"], &["ask", "b"], &["ask"], &["ask", "b"], &["b", "ask"]] {
        let cell = raw.execute(source, tools).await;
        let call = raw.hear_type("delegate/request").await;
        raw.answer_delegate(&call["id"], json!({"type": "tool/result", "result": null})).await;
        assert_eq!(texts(&raw.initial(cell).await), [tools.join(",")]);
    }
}

#[tokio::test]
async fn a_broken_message_with_an_id_is_answered_and_the_rest_goes_on() {
    let mut raw = Raw::open().await;
    let cell = raw.execute("text(await tools.ask())", &["ask"]).await;
    let call = raw.hear_type("delegate/request").await;
    for (id, broken, reason) in [
        (
            90,
            r#"{"type":"operation/request","id":90,"request":{"method":"session/nap"}}"#,
            "request.method",
        ),
        (
            91,
            r#"{"id":91,"type":"operation/request","request":{"method":"session/open""#,
            "not JSON",
        ),
        (
            92,
            r#"{"type":"operation/request","id":92,"request":{"method":"session/open","sessionId":" "}}"#,
            "blank",
        ),
        (93, r#"{"type":"operation/pause","id":93}"#, "operation/pause"),
    ] {
        raw.write(&frame(broken.as_bytes())).await;
        let answer = raw.hear_unchecked().await;
        assert_eq!((&answer["id"], &answer["result"]["status"]), (&json!(id), &json!("error")));
        let message = answer["result"]["message"].as_str().unwrap();
        assert!(message.contains(reason), "{message}");
    }
    // Of these the id is another's, so nothing is said.
    let quiet = format!(r#"{{"type":"operation/cancel","id":{cell},"why":1}}"#);
    raw.write(&frame(quiet.as_bytes())).await;
    raw.answer_delegate(&call["id"], json!({"type": "tool/result", "result": "still here"})).await;
    assert_eq!(texts(&raw.initial(cell).await), ["still here"]);
}

#[tokio::test]
async fn a_broken_answer_fails_its_call_and_nothing_else() {
    let mut raw = Raw::open().await;
    let source = "try { await tools.ask() } catch (e) { text(e.message) }";
    let id = raw.execute(source, &["ask"]).await;
    let call = raw.hear_type("delegate/request").await["id"].clone();
    raw.answer_delegate(&call, json!({"type": "notification/delivered"})).await;
    let expected = ["code-mode client returned an invalid tool result"];
    assert_eq!(texts(&raw.initial(id).await), expected);

    raw.execute(source, &["ask"]).await;
    let call = raw.hear_type("delegate/request").await["id"].clone();
    let broken =
        format!(r#"{{"type":"delegate/response","id":{call},"result":{{"status":"meh"}}}}"#);
    raw.write(&frame(broken.as_bytes())).await;
    // The order check has not seen an answer.
    let response = raw.hear_unchecked().await["result"]["value"].take();
    assert!(texts(&response)[0].contains("result.status"), "{response}");
    assert_eq!(raw.hear_unchecked().await["type"], "cell/closed");
}

#[tokio::test]
async fn what_ends_a_connection_says_why() {
    let too_long = (64_u32 << 20) + 1;
    for (bytes, reason) in [
        (frame(b"garbage"), "not JSON"),
        (frame(b""), "not JSON"),
        (frame(br#"{"type":"operation/request","request":{}}"#), "id is missing"),
        (frame(&[0xff; 40]), "not UTF-8"),
        (frame(hello().to_string().as_bytes()), "second code-mode client hello"),
        (frame(br#"{"type":"operation/request","id":1,"request":{"method":"session/open","sessionId":"t"}}"#), "duplicate code-mode request ID 1"),
        (too_long.to_le_bytes().to_vec(), "67108865 bytes"),
    ] {
        let mut raw = Raw::open().await;
        let busy = raw.execute_for("for (;;);", &[], 0).await;
        raw.initial(busy).await;
        raw.write(&bytes).await;
        assert_eq!(raw.try_hear_rest().await, 0, "{reason}");
        let (status, stderr) = raw.ended().await;
        assert_eq!(status.code(), Some(1), "{reason}");
        assert!(stderr.contains(reason) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[tokio::test]
async fn a_client_that_vanishes_inside_a_frame_is_noticed() {
    let whole = frame(hello().to_string().as_bytes());
    for (cut, part) in [(2, "header"), (30, "body")] {
        let mut raw = Raw::open().await;
        raw.write(&whole[..cut]).await;
        raw.hang_up();
        let (status, stderr) = raw.ended().await;
        assert_eq!(status.code(), Some(1));
        assert!(stderr.contains(&format!("of its {part}")), "{stderr}");
    }
}

#[tokio::test]
async fn who_does_not_fit_is_told() {
    for (first, expected, code) in [
        (json!({"type": "operation/cancel", "id": 1}), "first message must be connection/hello", 0),
        (
            json!({"type": "connection/hello", "supportedVersions": [7],
                "requiredCapabilities": [], "optionalCapabilities": []}),
            "noCompatibleVersion",
            0,
        ),
        (
            json!({"type": "connection/hello", "supportedVersions": [1],
                "requiredCapabilities": ["b", "a"], "optionalCapabilities": []}),
            r#""capability":"a""#,
            0,
        ),
        (json!({"type": "connection/hello", "supportedVersions": []}), "must not be empty", 1),
    ] {
        let mut raw = Raw::silent();
        raw.write(&frame(first.to_string().as_bytes())).await;
        let answer = raw.hear_unchecked().await;
        assert_eq!(answer["type"], "connection/rejected");
        assert!(answer.to_string().contains(expected), "{answer}");
        assert_eq!(raw.ended().await.0.code(), Some(code));
    }
}

#[tokio::test]
async fn a_message_of_the_largest_size_is_taken_and_one_too_large_is_not_sent() {
    let mut raw = Raw::open().await;
    let id = raw.execute("text((await tools.ask()).length)", &["ask"]).await;
    let call = raw.hear_type("delegate/request").await["id"].clone();
    let empty = json!({"type": "delegate/response", "id": call,
        "result": {"status": "ok", "value": {"type": "tool/result", "result": ""}}});
    let room = (64 << 20) - empty.to_string().len();
    raw.answer_delegate(&call, json!({"type": "tool/result", "result": "x".repeat(room)})).await;
    assert_eq!(texts(&raw.initial(id).await), [room.to_string()]);

    let source = "try { await tools.ask('x'.repeat(64 << 20)) } catch (e) { text(e.message) }";
    let id = raw.execute(source, &["ask"]).await;
    let response = raw.initial(id).await;
    assert!(texts(&response)[0].contains("67108864 bytes"), "{response}");

    let id = raw.execute("for (let i = 0; i < 63; i++) text('\\n'.repeat(1 << 20))", &[]).await;
    let is_initial =
        |m: &serde_json::Value| m["type"] == "execute/initialResponse" && m["id"] == id;
    let message = raw.hear_where(is_initial).await["result"]["message"].to_string();
    assert!(message.contains("initial response exceeds the IPC frame limit"), "{message}");
    assert_eq!(texts(&raw.run("text('alive')").await), ["alive"]);
}

#[tokio::test]
async fn observers_are_answered_given_up_and_hurried() {
    let mut raw = Raw::open().await;
    let first = raw.execute("text('a'); await tools.ask(); text('b')", &["ask"]).await;
    let call = raw.hear_type("delegate/request").await["id"].clone();
    let second = raw.wait("1", 60_000).await;
    assert_eq!(raw.answer(second).await["message"], "exec cell 1 already has an active observer");
    raw.say(json!({"type": "operation/yield", "id": first})).await;
    assert_eq!(texts(&raw.initial(first).await), ["a"]);
    // One after another, without a look at the answers: each takes effect before the next.
    let given_up = raw.wait("1", 60_000).await;
    raw.say(json!({"type": "operation/cancel", "id": given_up})).await;
    let last = raw.wait("1", 60_000).await;
    assert_eq!(raw.answer(given_up).await["message"], "code-mode request cancelled");
    raw.answer_delegate(&call, json!({"type": "tool/result", "result": null})).await;
    let outcome = raw.answer(last).await;
    assert_eq!(texts(&outcome["value"]["outcome"]["LiveCell"]), ["b"]);
    raw.say(json!({"type": "operation/cancel", "id": last})).await;
    raw.say(json!({"type": "operation/yield", "id": 4711})).await;
    assert_eq!(texts(&raw.run("text('alive')").await), ["alive"]);
}

#[tokio::test]
async fn who_terminates_is_answered_before_who_waits() {
    let mut raw = Raw::open().await;
    for round in 1..=20 {
        let cell = round.to_string();
        let execute = raw.execute("text('x'); await tools.ask()", &["ask"]).await;
        raw.hear_type("delegate/request").await;
        let (observer, observes) = match round % 2 {
            0 => (execute, "execute/initialResponse"),
            _ => {
                raw.say(json!({"type": "operation/yield", "id": execute})).await;
                raw.initial(execute).await;
                (raw.wait(&cell, 60_000).await, "operation/response")
            }
        };
        let terminate = raw.terminate(&cell).await;
        let mut order = Vec::new();
        while order.last().is_none_or(|last| last != "cell/closed") {
            let message = raw.hear().await;
            let kind = message["type"].as_str().unwrap().to_owned();
            order.push(match message["id"].as_i64() {
                Some(id) if id == terminate => "terminate".to_owned(),
                Some(id) if id == observer && kind == observes => "observer".to_owned(),
                // That of the execute, which was not read above.
                _ if kind == "operation/response" => continue,
                _ => kind,
            });
        }
        assert_eq!(order, ["delegate/cancel", "terminate", "observer", "cell/closed"]);
    }
}

#[tokio::test]
async fn the_program_passes_for_the_host_that_codex_looks_for() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("codex-code-mode-host");
    std::os::unix::fs::symlink(super::raw::binary(), &link).unwrap();
    let mut command = tokio::process::Command::new(&link);
    command.kill_on_drop(true);
    let mut raw = Raw::start(command);
    raw.greet().await;
    assert_eq!(texts(&raw.run("text('hi')").await), ["hi"]);
    raw.hang_up();
    let (status, stderr) = raw.ended().await;
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

/// Node.js gives its child processes a socket for each direction.
#[tokio::test]
async fn two_sockets_carry_more_than_they_hold() {
    use std::os::{fd::OwnedFd, unix::net::UnixStream};
    let (input, its_input) = UnixStream::pair().unwrap();
    let (its_output, output) = UnixStream::pair().unwrap();
    let child = host_command(&[])
        .stdin(OwnedFd::from(its_input))
        .stdout(OwnedFd::from(its_output))
        .spawn()
        .unwrap();
    let client = codemode_host::client::Client::over_stream(our_end(output), our_end(input)).await;
    let client = client.unwrap();
    let session = client.open(Default::default()).await.unwrap();
    let desk = super::desk::Desk::new("desk");
    for bytes in [1, 100_000, 3_000_000] {
        let said = "y".repeat(bytes);
        let answer = desk.run(&session, &format!("text('{said}')")).await;
        assert!(answer == format!(r#"result["{said}"]"#), "{bytes}: {} bytes", answer.len());
    }
    drop((session, client));
    assert_eq!(exit_code(child).await, Some(0));
}

/// As `inetd` does it.
#[tokio::test]
async fn one_socket_may_be_standard_error_too() {
    use std::os::{fd::OwnedFd, unix::net::UnixStream};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (ours, theirs) = UnixStream::pair().unwrap();
    let holder = || OwnedFd::from(theirs.try_clone().unwrap());
    let mut command = host_command(&[]);
    let child = command.stdin(holder()).stdout(holder()).stderr(holder()).spawn().unwrap();
    drop(command);
    let mut ours = our_end(ours);
    ours.write_all(&frame(hello().to_string().as_bytes())).await.unwrap();
    let ready = read_body(&mut ours).await.unwrap();
    assert!(String::from_utf8(ready).unwrap().contains("connection/ready"));
    let marks = rustix::fs::fcntl_getfl(&theirs).unwrap();
    assert!(!marks.contains(rustix::fs::OFlags::NONBLOCK), "all who hold it see that");
    ours.write_all(&frame(b"no message")).await.unwrap();
    assert_eq!(exit_code(child).await, Some(1));
    drop(theirs);
    let mut said = String::new();
    ours.read_to_string(&mut said).await.unwrap();
    assert!(said.contains("the message is not JSON"), "{said}");
}

#[tokio::test]
async fn a_socket_serves_as_stdio_too() {
    use std::os::fd::OwnedFd;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let output = theirs.try_clone().unwrap();
    let child = host_command(&[])
        .stdin(OwnedFd::from(theirs))
        .stdout(OwnedFd::from(output))
        .spawn()
        .unwrap();
    let (reader, writer) = our_end(ours).into_split();
    let client = codemode_host::client::Client::over_stream(reader, writer).await.unwrap();
    let session = client.open(Default::default()).await.unwrap();
    let desk = super::desk::Desk::new("desk");
    assert_eq!(desk.run(&session, "text('hi')").await, r#"result["hi"]"#);
    drop((session, client));
    assert_eq!(exit_code(child).await, Some(0));
}

/// Of a pair, as tokio has it.
fn our_end(stream: std::os::unix::net::UnixStream) -> tokio::net::UnixStream {
    stream.set_nonblocking(true).unwrap();
    tokio::net::UnixStream::from_std(stream).unwrap()
}

async fn exit_code(mut child: tokio::process::Child) -> Option<i32> {
    tokio::time::timeout(WATCHDOG, child.wait()).await.unwrap().unwrap().code()
}
