//! Servers at a URL: real ones, on loopback.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use codemode_host::mcp::{Config, Manager, ManagerOptions, ServerState};
use serde_json::json;

use super::support::*;

/// A server of npm's that listens on a port; ended with its value.
struct Listening {
    child: Child,
    port: u16,
}

impl Listening {
    /// Starts `script` with `variables`, `$PORT` and `$PORT2` in whose values are free ports, and waits for it.
    fn start(
        peers: &Path,
        script: &str,
        arguments: &[&str],
        variables: &[(&str, u8)],
    ) -> Listening {
        let ports: [u16; 2] = [(); 2].map(|()| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        });
        let mut command = Command::new(node(peers));
        command.arg(peers.join("node_modules/@modelcontextprotocol").join(script)).args(arguments);
        for &(name, index) in variables {
            command.env(name, ports[usize::from(index)].to_string());
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Each says so on one of the two.
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (send, receive) = std::sync::mpsc::channel();
        for stream in [Box::new(stdout) as Box<dyn std::io::Read + Send>, Box::new(stderr)] {
            let send = send.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = send.send(line);
                }
            });
        }
        let port = ports[0];
        while !receive.recv().unwrap().contains(&format!("listening on port {port}")) {}
        Listening { child, port }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(text: &str, environment: &BTreeMap<&str, String>) -> Config {
    Config::parse("c.toml".as_ref(), text, &|name| environment.get(name).cloned()).unwrap()
}

async fn started(text: &str, environment: &BTreeMap<&str, String>) -> Manager {
    let manager = Manager::start(parse(text, environment), ManagerOptions::default());
    manager.settled().await;
    manager
}

#[tokio::test]
async fn a_server_at_a_url_is_called_and_missed() {
    let Some(peers) = peers() else { return };
    let script = "server-everything/dist/index.js";
    let server = Listening::start(&peers, script, &["streamableHttp"], &[("PORT", 0)]);
    let text = format!("[servers.web]\nurl = \"http://127.0.0.1:{}/mcp\"\n", server.port);
    let manager = started(&text, &BTreeMap::new()).await;
    let snapshot = manager.snapshot();
    let echoed = call(&snapshot, "web", "echo", json!({"message": "hé"})).await.unwrap();
    assert_eq!(super::support::text(&echoed), "Echo: hé");
    let image = call(&snapshot, "web", "get-tiny-image", json!({})).await.unwrap();
    assert!(image["content"].as_array().unwrap().iter().any(|block| block["type"] == "image"));
    // A call that lasts, and its server ended meanwhile.
    let input = json!({"duration": 600, "steps": 600});
    let open = tokio::spawn(invoke(&snapshot, "web", "trigger-long-running-operation", input));
    call(&snapshot, "web", "echo", json!({"message": "it is under way"})).await.unwrap();
    drop(server);
    let error = call(&snapshot, "web", "echo", json!({"message": "?"})).await.unwrap_err();
    assert!(error.starts_with("echo failed on the way to its MCP server web or back"), "{error}");
    // Whether its own connection breaks or another call finds the server gone first.
    let error = open.await.unwrap().unwrap_err().message;
    assert!(
        error.starts_with("trigger-long-running-operation ")
            && error.contains("its MCP server web"),
        "{error}"
    );
    until(|| matches!(manager.status()[0].state, ServerState::Down { .. })).await;
    assert!(manager.snapshot().tools.is_empty());
    manager.shutdown().await;
}

#[tokio::test]
async fn nobody_at_a_url_is_said() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!("[servers.web]\nurl = \"http://127.0.0.1:{port}/mcp\"\n");
    let manager = started(&text, &BTreeMap::new()).await;
    let ServerState::Down { why, .. } = &manager.status()[0].state else { panic!("{manager:?}") };
    assert!(why.starts_with("it cannot be reached: ") && why.contains("refused"), "{why}");
}

/// Answers one request with `answer`, and gives its head.
fn one_request(answer: String) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let _ = stream.write_all(answer.as_bytes());
        head.to_lowercase()
    });
    (port, thread)
}

#[tokio::test]
async fn headers_and_tokens_are_sent_and_bodies_bounded() {
    let long = 17 << 20;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {long}\r\nconnection: close\r\n\r\n{}",
        " ".repeat(long)
    );
    let (port, request) = one_request(answer);
    let text = format!(
        "[servers.web]\nurl = \"http://127.0.0.1:{port}/mcp\"\nheaders = {{ \"X-Team\" = \"${{TEAM}}\" }}\n\
         bearer_token_env = \"TOKEN\"\n"
    );
    let environment = [("TEAM", String::from("blue")), ("TOKEN", String::from("s3cret"))].into();
    let manager = started(&text, &environment).await;
    let head = request.join().unwrap();
    assert!(head.contains("x-team: blue\r\n"), "{head}");
    assert!(head.contains("authorization: bearer s3cret\r\n"), "{head}");
    let status = format!("{:?}", manager.status());
    assert!(!status.contains("Ready") && !status.contains("s3cret"), "{status}");
}

#[tokio::test]
async fn a_login_gives_a_token_that_is_kept() {
    let Some(peers) = peers() else { return };
    let script = "sdk/dist/esm/examples/server/simpleStreamableHttp.js";
    let variables = [("MCP_PORT", 0), ("MCP_AUTH_PORT", 1)];
    let server = Listening::start(&peers, script, &["--oauth"], &variables);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codemode.toml");
    let text = format!("[servers.web]\nurl = \"http://localhost:{}/mcp\"\n", server.port);
    std::fs::write(&file, &text).unwrap();
    let environment = [("XDG_DATA_HOME", folder.path().display().to_string())].into();
    let manager = started(&text, &environment).await;
    let ServerState::Failed { why } = &manager.status()[0].state else { panic!("{manager:?}") };
    assert!(why.contains("codemode login"), "{why}");
    manager.shutdown().await;

    let mut login = Command::new(env!("CARGO_BIN_EXE_codemode"))
        .args(["login", "web", "--mcp-config"])
        .arg(&file)
        .env("XDG_DATA_HOME", folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(login.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut said = Vec::new();
    let url = loop {
        let line = lines.next().unwrap_or_else(|| panic!("no address: {said:?}"));
        if line.starts_with("http") {
            break line;
        }
        said.push(line);
    };
    assert!(url.contains("code_challenge_method=S256"), "{url}");
    // What a browser does; this server asks nobody.
    let back = get(&url).1.expect("a redirect");
    // One who does not know the state gets nowhere near it.
    assert_eq!(get(&back.replace("/callback", "/favicon.ico")).0, 404);
    assert_eq!(get(&back).0, 200);
    let rest: Vec<String> = lines.collect();
    assert_eq!(login.wait().unwrap().code(), Some(0), "{rest:?}");

    let tokens = folder.path().join("codemode/mcp-tokens");
    let token = std::fs::read_dir(&tokens).unwrap().next().unwrap().unwrap();
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&tokens).unwrap().permissions().mode() & 0o777, 0o700);
    let manager = started(&text, &environment).await;
    let greeted = call(&manager.snapshot(), "web", "greet", json!({"name": "you"})).await.unwrap();
    assert_eq!(super::support::text(&greeted), "Hello, you!");
    manager.shutdown().await;
}

/// The status of a page, and where it sends its reader.
fn get(url: &str) -> (u16, Option<String>) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then(|| value.to_owned())
    });
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), location)
}
