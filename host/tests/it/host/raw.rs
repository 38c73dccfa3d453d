//! A client that says what a test wants it to say, byte by byte if need be.

use std::{
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use codemode_host_protocol::{ClientToHost, Envelope, HostToClient, OrderCheck};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

pub(crate) fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_codemode").into()
}

pub(crate) fn host_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("host").args(arguments).env_remove("CODEMODE_TOKEN").kill_on_drop(true);
    command
}

/// The next message as it came; `None` at the end of the stream.
pub(crate) async fn read_body(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let read = async {
        let mut header = [0; 4];
        from.read_exact(&mut header).await.ok()?;
        let mut body = vec![0; u32::from_le_bytes(header) as usize];
        from.read_exact(&mut body).await.unwrap();
        Some(body)
    };
    timeout(WATCHDOG, read).await.expect("the host is silent")
}

/// A host in a child process, and the order of what it says.
pub(crate) struct Raw {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    order: OrderCheck,
    last_id: i64,
    /// What came that no test has asked for yet.
    kept: Vec<Value>,
}

impl Raw {
    /// A host that nothing was said to.
    pub(crate) fn silent() -> Raw {
        Raw::start(host_command(&[]))
    }

    pub(crate) fn start(mut command: Command) -> Raw {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        Raw { child, stdin, stdout, order: OrderCheck::new(), last_id: 0, kept: Vec::new() }
    }

    /// A host with a session `s`.
    pub(crate) async fn open() -> Raw {
        let mut raw = Raw::silent();
        raw.greet().await;
        raw
    }

    pub(crate) async fn greet(&mut self) {
        self.say(hello()).await;
        assert_eq!(self.hear().await["type"], "connection/ready");
        let id = self.request(json!({"method": "session/open", "sessionId": "s"})).await;
        assert_eq!(self.answer(id).await["value"]["type"], "session/ready");
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).await.unwrap();
    }

    /// Sends a well-formed message.
    pub(crate) async fn say(&mut self, message: Value) {
        let text = message.to_string();
        self.order.client_sends(&ClientToHost::decode(text.as_bytes()).unwrap()).unwrap();
        self.write(&frame(text.as_bytes())).await;
    }

    /// Sends a request under a new id.
    pub(crate) async fn request(&mut self, request: Value) -> i64 {
        self.last_id += 1;
        let id = self.last_id;
        self.say(json!({"type": "operation/request", "id": id, "request": request})).await;
        id
    }

    pub(crate) async fn execute(&mut self, source: &str, tools: &[&str]) -> i64 {
        self.execute_for(source, tools, 60_000).await
    }

    pub(crate) async fn execute_for(&mut self, source: &str, tools: &[&str], ms: u64) -> i64 {
        let tools: Vec<_> = tools.iter().map(|name| tool(name)).collect();
        self.request(json!({"method": "session/execute", "sessionId": "s", "request": {
            "tool_call_id": "call", "enabled_tools": tools, "source": source,
            "yield_time_ms": ms, "max_output_tokens": null}}))
            .await
    }

    pub(crate) async fn wait(&mut self, cell: &str, ms: u64) -> i64 {
        let request = json!({"cell_id": cell, "yield_time_ms": ms});
        self.request(json!({"method": "session/wait", "sessionId": "s", "request": request})).await
    }

    pub(crate) async fn terminate(&mut self, cell: &str) -> i64 {
        self.request(json!({"method": "session/terminate", "sessionId": "s", "cellId": cell})).await
    }

    /// The next message; `None` at the end of the stream.
    pub(crate) async fn try_hear(&mut self) -> Option<Value> {
        if !self.kept.is_empty() {
            return Some(self.kept.remove(0));
        }
        let body = self.read_body().await?;
        let message = HostToClient::decode(&body).unwrap();
        if let Err(error) = self.order.host_sends(&message) {
            panic!("out of order: {error}: {}", String::from_utf8_lossy(&body));
        }
        Some(serde_json::from_slice(&body).unwrap())
    }

    /// The next message, for a test that sends what the order check cannot read.
    pub(crate) async fn hear_unchecked(&mut self) -> Value {
        let body = self.read_body().await.expect("the host closed the connection");
        HostToClient::decode(&body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// How many messages come until the end of the stream.
    pub(crate) async fn try_hear_rest(&mut self) -> usize {
        let mut count = 0;
        while self.read_body().await.is_some() {
            count += 1;
        }
        count
    }

    /// The next message as it came; `None` at the end of the stream.
    pub(crate) async fn read_body(&mut self) -> Option<Vec<u8>> {
        read_body(self.stdout.as_mut().unwrap()).await
    }

    pub(crate) async fn hear(&mut self) -> Value {
        self.try_hear().await.expect("the host closed the connection")
    }

    /// The next message that is `wanted`; the others are kept for later.
    pub(crate) async fn hear_where(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at);
        }
        let mut kept = std::mem::take(&mut self.kept);
        loop {
            let message = self.hear().await;
            if wanted(&message) {
                self.kept = kept;
                return message;
            }
            kept.push(message);
        }
    }

    pub(crate) async fn hear_type(&mut self, kind: &str) -> Value {
        self.hear_where(|message| message["type"] == kind).await
    }

    /// The `result` of the answer to a request.
    pub(crate) async fn answer(&mut self, id: i64) -> Value {
        let is_answer =
            |message: &Value| message["type"] == "operation/response" && message["id"] == id;
        self.hear_where(is_answer).await["result"].take()
    }

    /// What a cell showed first.
    pub(crate) async fn initial(&mut self, id: i64) -> Value {
        let is_initial =
            |message: &Value| message["type"] == "execute/initialResponse" && message["id"] == id;
        self.hear_where(is_initial).await["result"]["value"].take()
    }

    /// Runs a cell that needs nobody.
    pub(crate) async fn run(&mut self, source: &str) -> Value {
        let id = self.execute(source, &[]).await;
        self.initial(id).await
    }

    pub(crate) async fn answer_delegate(&mut self, id: &Value, value: Value) {
        let result = json!({"status": "ok", "value": value});
        self.say(json!({"type": "delegate/response", "id": id, "result": result})).await;
    }

    /// A name that no session has.
    pub(crate) fn new_name(&self) -> String {
        format!("session {}", self.last_id + 1)
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Closes stdout.
    pub(crate) fn stop_reading(&mut self) {
        self.stdout = None;
    }

    /// Closes stdin.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// How the process ended, and what it said on stderr; but not what this system denies it, as one does without name
    /// spaces of users: the tests of `doctor` are about that.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let mut stderr = self.child.stderr.take().unwrap();
        let mut text = String::new();
        let ended = async {
            stderr.read_to_string(&mut text).await.unwrap();
            self.child.wait().await.unwrap()
        };
        let status = timeout(WATCHDOG, ended).await.expect("the host goes on");
        let of_the_system = |line: &&str| line.contains(" codemode_host::cli::isolation: ");
        let lines = text.split_inclusive('\n').filter(|line| !of_the_system(line));
        (status, lines.collect())
    }
}

pub(crate) fn hello() -> Value {
    json!({"type": "connection/hello", "supportedVersions": [1], "requiredCapabilities": [],
        "optionalCapabilities": ["bounded-output-v1", "delegate-capacity-4096",
            "session-cell-execution-resource-limits", "yield-observation"]})
}

pub(crate) fn tool(name: &str) -> Value {
    json!({"name": name, "tool_name": {"name": name, "namespace": null}, "description": "",
        "kind": "function", "input_schema": null, "output_schema": null})
}

pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes()[..], body].concat()
}

/// The texts of a response.
pub(crate) fn texts(response: &Value) -> Vec<&str> {
    let response = response.as_object().unwrap().values().next().unwrap();
    let items = response["content_items"].as_array().unwrap();
    items.iter().map(|item| item["text"].as_str().unwrap()).collect()
}

/// For what would otherwise hang; no test passes because of it.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);
