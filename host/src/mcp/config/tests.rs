#![allow(clippy::unwrap_used, reason = "tests")]

use expect_test::{Expect, expect};

use super::*;

fn environment(name: &str) -> Option<String> {
    match name {
        "HOME" => Some(String::from("/home/me")),
        "TOKEN" => Some(String::from("s3cret")),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new(file), text, &environment)
}

fn check(file: &str, text: &str, expected: Expect) {
    let actual = match parse(file, text) {
        Ok(config) => {
            format!("{:#?}", config.servers().map(|server| &server.transport).collect::<Vec<_>>())
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&actual);
}

fn refused(file: &str, text: &str, expected: Expect) {
    expected.assert_eq(&parse(file, text).unwrap_err().to_string());
}

#[test]
fn the_json_of_clients_is_read_as_it_is() {
    check(
        "mcp.json",
        r#"{
            "theme": "dark",
            "mcpServers": {
                "files": {
                    "type": "stdio", "command": "npx",
                    "args": ["-y", "@modelcontextprotocol/server-filesystem", "${HOME}/notes"],
                    "env": {"DEBUG": 1, "LEVEL": "${LEVEL:-warn}", "NOT": "${EMPTY:-full}"},
                    "alwaysAllow": ["read_file"]
                },
                "off": {"command": "${UNSET}", "disabled": true},
                "web": {
                    "type": "http", "url": "https://example.com/mcp",
                    "headers": {"Authorization": "Bearer ${env:TOKEN}"}
                },
                "old": {"type": "sse", "url": "https://example.com/sse"}
            }
        }"#,
        expect![[r#"
            [
                Stdio(
                    StdioConfig {
                        command: "npx",
                        args: [
                            "-y",
                            "@modelcontextprotocol/server-filesystem",
                            "/home/me/notes",
                        ],
                        env: [
                            "DEBUG",
                            "LEVEL",
                            "NOT",
                        ],
                        inherit_env: false,
                        cwd: None,
                    },
                ),
                Unsupported(
                    "its type is sse, the transport that MCP gave up in 2025: give the server's Streamable HTTP address, with \"type\": \"http\"",
                ),
                Http(
                    HttpConfig {
                        url: "https://example.com/mcp",
                        headers: [
                            "Authorization",
                        ],
                        bearer_token: None,
                        ..
                    },
                ),
            ]"#]],
    );
}

#[test]
fn variables_take_their_values() {
    let text = r#"{"mcpServers": {"a": {"command": "c", "env": {
        "A": "${LEVEL:-warn}", "B": "${EMPTY:-full}", "C": "${TOKEN}!", "D": "$5 $x", "E": 2, "F": "${EMPTY}"
    }}}}"#;
    let config = parse("mcp.json", text).unwrap();
    let Transport::Stdio(stdio) = &config.servers().next().unwrap().transport else {
        unreachable!()
    };
    let values: Vec<&str> = stdio.env.values().map(String::as_str).collect();
    assert_eq!(values, ["warn", "full", "s3cret!", "$5 $x", "2", ""]);
}

#[test]
fn our_own_format_says_more() {
    let config = parse(
        "conf/codemode.toml",
        r#"
            approval_timeout = "1m"
            [servers.files]
            command = "files"
            cwd = "data"
            allow = ["read_*", "write_{file,link}"]
            deny = ["read_secret"]
            approve = ["read_diary"]
            trust = ["write_link"]
            start_timeout = "5s"
            call_timeout = "500ms"
            [servers.web]
            url = "http://127.0.0.1:8080/mcp"
            bearer_token_env = "TOKEN"
        "#,
    )
    .unwrap();
    assert_eq!(config.approval_timeout(), Duration::from_secs(60));
    let [files, web] = config.servers().collect::<Vec<_>>()[..] else { unreachable!() };
    let (Transport::Stdio(stdio), Transport::Http(http)) = (&files.transport, &web.transport)
    else {
        unreachable!()
    };
    assert_eq!(stdio.cwd.as_deref(), Some(Path::new("conf/data")));
    assert_eq!(http.bearer_token.as_deref(), Some("s3cret"));
    assert_eq!(
        (files.start_timeout, files.call_timeout, web.call_timeout),
        (Duration::from_secs(5), Duration::from_millis(500), DEFAULT_CALL_TIMEOUT)
    );
    for (tool, destructive, expected) in [
        ("read_file", false, Treatment::Free),
        ("read_file", true, Treatment::NeedsApproval),
        ("read_secret", false, Treatment::Hidden),
        ("read_diary", false, Treatment::NeedsApproval),
        ("write_link", true, Treatment::Free),
        ("write_all", false, Treatment::Hidden),
    ] {
        assert_eq!(files.tools.treatment(tool, destructive), expected, "{tool}, {destructive}");
    }
    assert_eq!(
        files.tools.idle(&["read_file", "write_file"]),
        [("deny", "read_secret"), ("approve", "read_diary"), ("trust", "write_link")]
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    refused(
        "a.json",
        "{",
        expect![
            "a.json: is no JSON of MCP servers: EOF while parsing an object at line 1 column 1"
        ],
    );
    refused(
        "a.json",
        "{}",
        expect![[
            r#"a.json: has no `mcpServers`: expected {"mcpServers": {"name": {"command": …}}}, as MCP clients have it"#
        ]],
    );
    refused(
        "a.json",
        r#"{"mcpServers": {"x": {"command": 5}}}"#,
        expect![
            "a.json: mcpServers.x.command: is the integer `5`, and must be a string at line 1 column 34"
        ],
    );
    for (text, field, problem) in [
        (
            r#"{"mcpServers": [{"command": "a"}]}"#,
            "mcpServers",
            "is a list, and must be a table or object, such as {\"name\": …} at line 1 column 15",
        ),
        (
            r#"{"mcpServers": {"x": "a b"}}"#,
            "mcpServers.x",
            "is the string \"a b\", and must be an object with the server's `command` or `url` at line 1 column 26",
        ),
        (
            r#"{"mcpServers": {"x": {"command": "a", "args": "-y b"}}}"#,
            "mcpServers.x.args",
            "is the string \"-y b\", and must be a list, such as [\"a\", \"b\"] at line 1 column 52",
        ),
        (
            r#"{"mcpServers": {"x": {"url": "example.com/mcp"}}}"#,
            "mcpServers.x.url",
            "is \"example.com/mcp\", and must be an address such as https://example.com/mcp",
        ),
    ] {
        let fault = parse("a.json", text).unwrap_err().fault;
        assert_eq!(fault, Fault::field(field, problem), "{text}");
    }
    refused(
        "a.json",
        "[servers.x]\ncommand = \"a\"\n",
        expect!["a.json: is TOML, with the name of another file; name it .toml"],
    );
    for (text, problem) in [
        ("{\"mcpServers\": {}}", "is JSON, with the name of a TOML file; name it .json\n"),
        (
            "[servers]\nx = \"a\"\n",
            "is the string \"a\", and must be a table with the server's `command` or `url`",
        ),
        ("[[servers]]\nname = \"a\"\n", "is a list, and must be a table or object, such as"),
    ] {
        let error = parse("c.toml", text).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    refused(
        "a.json",
        r#"{"mcpServers": {"x": {}}}"#,
        expect![
            "a.json: mcpServers.x: has neither `command` nor `url`: name a program to start, or where the server is"
        ],
    );
    refused(
        "a.json",
        r#"{"mcpServers": {"x": {"command": "a", "env": {"K": "${NOPE}"}}}}"#,
        expect![
            "a.json: mcpServers.x.env.K: the environment variable NOPE is not set; set it, or give a default: ${NOPE:-default}"
        ],
    );
    refused(
        "a.json",
        r#"{"mcpServers": {"x": {"command": "a", "args": ["${a b}"]}}}"#,
        expect![
            "a.json: mcpServers.x.args[0]: `${a b}` names no environment variable; write ${NAME} or ${NAME:-default}"
        ],
    );
    refused(
        "a.json",
        r#"{"mcpServers": {"x": {"url": "ftp://x"}}}"#,
        expect![
            "a.json: mcpServers.x.url: is \"ftp://x\", and must be an address such as https://example.com/mcp"
        ],
    );
    refused(
        "a.json",
        r#"{"mcpServers": {"my-files": {"command": "a"}, "my files": {"command": "a"}}}"#,
        expect![[
            r#"a.json: the servers "my-files" and "my files" would both be `my_files` in a cell (mcp__my_files__…): rename one"#
        ]],
    );
    refused(
        "a.json",
        r#"{"mcpServers": {" ": {"command": "a"}}}"#,
        expect![[
            r#"a.json: " " is no name for a server: it must not be blank, have more than 64 characters, or control characters"#
        ]],
    );
    refused(
        "c.toml",
        "[servers.x]\ncomand = \"a\"\n",
        expect![[r#"
            c.toml: TOML parse error at line 2, column 1
              |
            2 | comand = "a"
              | ^^^^^^
            unknown field `comand`, expected one of `command`, `args`, `env`, `inherit_env`, `cwd`, `url`, `headers`, `bearer_token_env`, `oauth_client_id`, `oauth_scopes`, `disabled`, `allow`, `deny`, `approve`, `trust`, `approve_destructive`, `start_timeout`, `call_timeout`"#]],
    );
    refused(
        "c.toml",
        "[servers.x]\ncommand = \"a\"\nallow = [\"{\"]\n",
        expect![
            "c.toml: servers.x.allow: error parsing glob '{': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"
        ],
    );
    refused(
        "c.toml",
        "[servers.x]\ncommand = \"a\"\ncall_timeout = \"soon\"\n",
        expect![[
            r#"c.toml: servers.x.call_timeout: expected number at 0; write it like "500ms", "30s" or "2m""#
        ]],
    );
    refused(
        "c.toml",
        "[servers.x]\nurl = \"http://a\"\nbearer_token_env = \"NOPE\"\n",
        expect![
            "c.toml: servers.x.bearer_token_env: the environment variable NOPE is not set; put the token there"
        ],
    );
}

#[test]
fn files_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.json"), folder.path().join("two.toml"));
    std::fs::write(&one, r#"{"mcpServers": {"a": {"command": "x"}}}"#).unwrap();
    std::fs::write(&two, "[servers.b]\ncommand = \"y\"\n").unwrap();
    let config = Config::load([&one, &two]).unwrap();
    assert_eq!(config.servers().map(|server| server.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let error = Config::load([&one, &one]).unwrap_err();
    assert!(matches!(error.fault, Fault::NamedTwice { .. }), "{error}");
    let error = Config::load([folder.path().join("none")]).unwrap_err();
    assert!(matches!(error.fault, Fault::Unreadable(_)), "{error}");
}

#[test]
fn what_was_named_is_approved_beforehand() {
    for (name, expected) in [
        ("all", true),
        ("files.write_file", true),
        ("files.*", true),
        ("write_file", true),
        ("write_*", true),
        ("files.read_file", false),
        ("other.*", false),
        ("file", false),
    ] {
        let config = Config::default().with_approved(&[name.to_owned()]).unwrap();
        assert_eq!(config.approves("files", "write_file"), expected, "{name}");
    }
    let fault = Config::default().with_approved(&[String::from("{")]).unwrap_err();
    assert!(fault.to_string().starts_with("{: "), "{fault}");
}
