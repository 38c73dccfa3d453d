//! `codemode mcp` as a process, and a client that speaks JSON by hand.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::mcp::support::{entry, node, npm_server};

pub(crate) fn codemode() -> &'static str {
    env!("CARGO_BIN_EXE_codemode")
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mcp").join(name)
}

pub(crate) fn modules(peers: &Path) -> PathBuf {
    peers.join("node_modules")
}

pub(crate) fn program_of(peers: &Path) -> Command {
    let mut command = Command::new(node(peers));
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// A file of `mcpServers` with server-everything twice: as `everything`, and as `asking`, each of whose calls needs a
/// yes.
pub(crate) fn servers(peers: &Path, folder: &Path) -> PathBuf {
    let server = npm_server(peers, "server-everything", &["stdio"]);
    let mut asking = entry(&server);
    asking["codemode"] = json!({ "approve": ["*"], "call_timeout": "60s" });
    let file = folder.join("servers.json");
    let text = json!({ "mcpServers": { "everything": entry(&server), "asking": asking } });
    std::fs::write(&file, text.to_string()).unwrap();
    file
}

/// What a program printed, however it ended.
pub(crate) async fn printed(command: &mut Command) -> String {
    let output = tokio::time::timeout(Duration::from_secs(240), command.output());
    let output = output.await.expect("the program does not end").unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return printed;
    }
    // The conformance suite fails where one scenario does, and programs that break say why.
    format!("{printed}{}", String::from_utf8_lossy(&output.stderr))
}

/// `codemode mcp --http` on a port of its own.
pub(crate) struct HttpServer {
    pub(crate) url: String,
    _process: Child,
}

impl HttpServer {
    pub(crate) async fn start(arguments: &[&str]) -> HttpServer {
        let mut process = Command::new(codemode())
            .args(["mcp", "--http", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        HttpServer { url, _process: process }
    }
}

/// A client over stdio that does what it is told.
pub(crate) struct Raw {
    pub(crate) process: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    /// Answers that came before somebody waited for them.
    answers: Vec<Value>,
    pub(crate) notifications: Vec<Value>,
    last_id: u64,
}

impl Raw {
    /// A client that has introduced itself, with no abilities.
    pub(crate) async fn start(arguments: &[&str]) -> Raw {
        Raw::unknown(arguments).introduced().await
    }

    /// The same client of another server.
    pub(crate) async fn of(program: &str, arguments: &[String], env: &[(&str, &Path)]) -> Raw {
        let mut command = Command::new(program);
        command.args(arguments).envs(env.iter().copied()).stderr(Stdio::null());
        Raw::introduced_to(&mut command).await
    }

    /// The same client of what `command` starts.
    pub(crate) async fn introduced_to(command: &mut Command) -> Raw {
        Raw::spawn(command).introduced().await
    }

    async fn introduced(self) -> Raw {
        let mut raw = self;
        let hello = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "raw", "version": "1" }
        });
        let id = raw.ask("initialize", hello).await;
        raw.answer(id).await;
        raw.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        raw
    }

    /// A client that has said nothing.
    pub(crate) fn unknown(arguments: &[&str]) -> Raw {
        Raw::spawn(Command::new(codemode()).arg("mcp").args(arguments))
    }

    fn spawn(command: &mut Command) -> Raw {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let input = process.stdin.take();
        Raw { process, input, lines, answers: vec![], notifications: vec![], last_id: 0 }
    }

    pub(crate) async fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).await.unwrap();
        input.write_all(b"\n").await.unwrap();
        input.flush().await.unwrap();
    }

    /// Asks, and says under which id.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(&request.to_string()).await;
        id
    }

    pub(crate) async fn begin(&mut self, tool: &str, arguments: Value) -> u64 {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// Calls a tool, and returns its result.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.begin(tool, arguments).await;
        self.answer(id).await["result"].clone()
    }

    /// Waits for the answer to a request.
    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        loop {
            if let Some(at) = self.answers.iter().position(|answer| answer["id"] == id) {
                return self.answers.swap_remove(at);
            }
            let message = self.next().await.expect("the server is gone");
            self.keep(message);
        }
    }

    /// Waits for a notification.
    pub(crate) async fn notified(&mut self, method: &str) -> Value {
        loop {
            let found = self.notifications.iter().position(|message| message["method"] == method);
            if let Some(at) = found {
                return self.notifications.remove(at)["params"].clone();
            }
            let message = self.next().await.expect("the server is gone");
            self.keep(message);
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(Duration::from_secs(120), self.lines.next_line());
        let line = line.await.expect("the server says nothing").unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    /// Closes the server's input, and waits for the exit code.
    pub(crate) async fn leave(&mut self) -> Option<i32> {
        self.input = None;
        let end = tokio::time::timeout(Duration::from_secs(60), self.process.wait());
        end.await.expect("the server does not end").unwrap().code()
    }

    fn keep(&mut self, message: Value) {
        match message.get("method") {
            Some(_) => self.notifications.push(message),
            None => self.answers.push(message),
        }
    }
}

/// The texts of a result, one after the other.
pub(crate) fn texts(result: &Value) -> String {
    let blocks = result["content"].as_array().unwrap_or_else(|| panic!("no result: {result}"));
    let texts = blocks.iter().map(|block| block["text"].as_str().unwrap_or("(no text)"));
    texts.collect::<Vec<_>>().join("\n")
}
