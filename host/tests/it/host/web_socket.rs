//! A host that listens on a WebSocket.

use std::{process::Stdio, time::Duration};

use codemode_host::client::{Client, ClientError};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::Child,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Message,
        client::IntoClientRequest as _,
        http::HeaderValue,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    desk::Desk,
    raw::{hello, host_command},
    support::within,
};

/// A host on a free port of this machine.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn start(arguments: &[&str]) -> Server {
        let arguments = [&["--listen", "ws://127.0.0.1:0", "--log", "off"], arguments].concat();
        let mut child = host_command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = within(lines.next_line()).await.unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Server { child, url }
    }

    async fn socket(&self) -> Socket {
        Socket(within(connect_async(&self.url)).await.unwrap().0)
    }

    /// A socket on which the handshake is over, and a session `s` open.
    async fn open(&self) -> Socket {
        let mut socket = self.socket().await;
        socket.say(&hello()).await;
        assert_eq!(socket.hear().await["type"], "connection/ready");
        socket.request(1, json!({"method": "session/open", "sessionId": "s"})).await;
        assert_eq!(socket.hear().await["id"], 1);
        socket
    }
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn request(&mut self, id: i64, request: Value) {
        self.say(&json!({"type": "operation/request", "id": id, "request": request})).await;
    }

    async fn execute(&mut self, id: i64, source: &str) {
        let request = json!({"tool_call_id": "call", "enabled_tools": [], "source": source,
            "yield_time_ms": 60000, "max_output_tokens": null});
        let request = json!({"method": "session/execute", "sessionId": "s", "request": request});
        self.request(id, request).await;
    }

    async fn hear(&mut self) -> Value {
        loop {
            match within(self.0.next()).await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn hear_type(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    async fn closed(&mut self) -> CloseFrame {
        loop {
            match within(self.0.next()).await.unwrap().unwrap() {
                Message::Close(frame) => return frame.unwrap(),
                Message::Text(_) | Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_message_is_one_envelope_in_text_or_binary() {
    let server = Server::start(&[]).await;
    let mut socket = server.socket().await;
    socket.0.send(Message::binary(hello().to_string().into_bytes())).await.unwrap();
    assert_eq!(socket.hear().await["type"], "connection/ready");
    socket.request(1, json!({"method": "session/open", "sessionId": "s"})).await;
    assert_eq!(socket.hear().await["result"]["value"]["sessionId"], "s");
    socket.execute(2, "for (let i = 0; i < 100; i++) notify('n'); text('é')").await;
    for _ in 0..100 {
        let id = socket.hear_type("delegate/request").await["id"].clone();
        let result = json!({"status": "ok", "value": {"type": "notification/delivered"}});
        socket.say(&json!({"type": "delegate/response", "id": id, "result": result})).await;
    }
    let response = socket.hear_type("execute/initialResponse").await;
    assert_eq!(response["result"]["value"]["Result"]["content_items"][0]["text"], "é");
    assert_eq!(socket.hear().await["type"], "cell/closed");
    let bye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    socket.0.close(Some(bye)).await.unwrap();
    assert_eq!(socket.closed().await.code, CloseCode::Normal);
}

#[tokio::test]
async fn one_connection_ends_with_a_reason_and_the_others_go_on() {
    let server = Server::start(&[]).await;
    let mut other = server.open().await;
    other.execute(2, "text(1); await tools.x").await;
    for (message, code, reason) in [
        (Message::text("garbage"), CloseCode::Invalid, "not JSON"),
        (Message::binary(vec![0xff; 9]), CloseCode::Invalid, "not UTF-8"),
        (Message::text(hello().to_string()), CloseCode::Protocol, "second code-mode client hello"),
        (Message::text("x".repeat((64 << 20) + 1)), CloseCode::Size, "67108865 bytes"),
    ] {
        let mut socket = server.open().await;
        // The host may close while the last of a large message is still on its way.
        let _ = socket.0.send(message).await;
        let frame = socket.closed().await;
        assert_eq!(frame.code, code, "{frame:?}");
        assert!(frame.reason.contains(reason), "{frame:?}");
    }
    let broken = json!({"type": "operation/request", "id": 3, "request": {"method": "nap"}});
    other.say(&broken).await;
    other.hear_type("execute/initialResponse").await;
    assert_eq!(other.hear_type("operation/response").await["result"]["status"], "error");
}

#[tokio::test]
async fn clients_that_vanish_take_nobody_with_them() {
    let server = Server::start(&[]).await;
    let address = server.url.strip_prefix("ws://").unwrap().to_owned();
    let mut other = server.open().await;
    for rounds in 0..5 {
        // In the HTTP request, after it, in the midst of a WebSocket frame, with cells that run.
        let mut half = TcpStream::connect(&address).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nUpgr").await.unwrap();
        drop(half);
        let mut socket = server.open().await;
        socket.execute(2, "for (;;);").await;
        socket.hear_type("operation/response").await;
        let MaybeTlsStream::Plain(mut stream) = socket.0.into_inner() else {
            panic!("no TLS here")
        };
        stream.write_all(&[0x81, 0xfe, 0x10]).await.unwrap();
        drop(stream);
        other.execute(10 + rounds, "text('alive')").await;
        other.hear_type("cell/closed").await;
    }
}

#[tokio::test]
async fn who_does_not_show_the_token_stays_outside() {
    let server =
        Server::start(&["--token", "s3cret", "--allow-origin", "https://ok.example"]).await;
    for (token, expected) in [
        (None, "this host wants a token: send `Authorization: Bearer TOKEN` (401 Unauthorized)"),
        (Some("wrong"), "the token is not this host's (401 Unauthorized)"),
    ] {
        match within(Client::connect(&server.url, token)).await {
            Err(ClientError::Connect { reason, .. }) => assert_eq!(reason, expected),
            other => panic!("{other:?}"),
        }
    }
    let client = within(Client::connect(&server.url, Some("s3cret"))).await.unwrap();
    let session = within(client.open(Default::default())).await.unwrap();
    assert_eq!(Desk::new("desk").run(&session, "text('in')").await, r#"result["in"]"#);

    for (origin, lets_in) in [("https://ok.example", true), ("https://evil.example", false)] {
        let mut request = server.url.as_str().into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("origin", HeaderValue::from_static(origin));
        let protocols = "codemode.v1, codemode.bearer.czNjcmV0";
        headers.insert("sec-websocket-protocol", HeaderValue::from_static(protocols));
        let connected = within(connect_async(request)).await;
        assert_eq!(connected.is_ok(), lets_in, "{origin}: {connected:?}");
    }
}

#[tokio::test]
async fn who_comes_when_there_are_enough_is_told_so() {
    let server = Server::start(&["--budget", "host.connections=2"]).await;
    let mut sockets = [server.open().await, server.open().await];
    let Err(ClientError::Connect { reason, .. }) = within(Client::connect(&server.url, None)).await
    else {
        panic!("a third was let in")
    };
    assert_eq!(
        reason,
        "ConnectionLimitExceeded: this host has its 2 connections; try again when one has ended, or start it with a \
         larger --budget host.connections (503 Service Unavailable)"
    );
    // Those that are in do not notice, and who leaves makes room.
    sockets[0].execute(2, "text('in')").await;
    sockets[0].hear_type("execute/initialResponse").await;
    drop(sockets);
    let client = loop {
        match within(Client::connect(&server.url, None)).await {
            Ok(client) => break client,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let session = within(client.open(Default::default())).await.unwrap();
    assert_eq!(Desk::new("desk").run(&session, "text('in')").await, r#"result["in"]"#);
}

#[tokio::test]
async fn a_page_from_elsewhere_is_refused_where_no_token_is_needed_too() {
    let server = Server::start(&[]).await;
    let mut request = server.url.as_str().into_client_request().unwrap();
    request.headers_mut().insert("origin", HeaderValue::from_static("https://evil.example"));
    let refused = within(connect_async(request)).await.unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_tells_its_clients() {
    let server = Server::start(&["--drain-grace", "50ms"]).await;
    let mut socket = server.open().await;
    socket.execute(2, "for (;;);").await;
    socket.hear_type("operation/response").await;
    let pid = server.child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").arg(&pid).status().unwrap().success());
    let last = socket.hear_type("execute/initialResponse").await;
    assert!(last["result"]["value"]["Terminated"].is_object(), "{last}");
    assert_eq!(socket.hear().await["type"], "cell/closed");
    assert_eq!(socket.closed().await.code, CloseCode::Away);
    drop(socket);
    let mut child = server.child;
    assert_eq!(within(child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_connection_that_ends_gives_its_threads_and_descriptors_back() {
    gives_back("none", 40).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_ends_gives_its_processes_back() {
    gives_back("process", 10).await;
}

/// Opens ten connections with five endless cells each, which take at least `threads` threads of the host, and looks at what
/// it has when they are gone.
async fn gives_back(isolation: &str, threads: usize) {
    let server = Server::start(&["--isolation", isolation]).await;
    let pid = server.child.id().unwrap();
    let held = || {
        let count = |what| std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
        (count("task"), count("fd"), children(pid))
    };
    // Once, so that what is made once is there.
    drop(server.open().await);
    let mut socket = server.open().await;
    socket.execute(2, "text(1)").await;
    socket.hear_type("cell/closed").await;
    // Nothing tells when all is made that is kept ready; what there is, is looked at until it stays.
    let mut before = held();
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let last = std::mem::replace(&mut before, held());
        if last == before {
            break;
        }
    }
    let mut sockets = Vec::new();
    for _ in 0..10 {
        let mut socket = server.open().await;
        for id in 2..7 {
            socket.execute(id, "for (;;);").await;
            socket.hear_type("operation/response").await;
        }
        sockets.push(socket);
    }
    // Some that are counted in `before` may have gone meanwhile.
    assert!(held().0 >= before.0 + threads && held().1 >= before.1 + 5);
    drop(sockets);
    let back = async {
        loop {
            let now = held();
            if now.0 <= before.0 && now.1 <= before.1 && now.2 <= before.2 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    within(back).await;
}

/// How many processes this one has started and not waited for.
fn children(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.map(|task| {
        let path = task.unwrap().path().join("children");
        // The thread may have gone.
        std::fs::read_to_string(path).unwrap_or_default().split_whitespace().count()
    });
    children.sum()
}
