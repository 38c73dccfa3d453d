//! Cells that call servers' tools, by the command line.

use std::{path::Path, process::Command};

use super::support::*;

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `codemode run` with a file of servers that `folder` gets.
fn run(folder: &Path, servers: &serde_json::Value, cell: &str, more: &[&str]) -> Ran {
    let (file, source) = (folder.join("mcp.json"), folder.join("cell.js"));
    std::fs::write(&file, serde_json::json!({"mcpServers": servers}).to_string()).unwrap();
    std::fs::write(&source, cell).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_codemode"))
        .args(["run", "--quiet", "--workspace"])
        .arg(folder)
        .arg("--mcp-config")
        .args([&file, &source])
        .args(more)
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn one_cell_calls_two_servers_and_the_workspace() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::write(root.join("a.txt"), "one\ntwo\n").unwrap();
    let servers = serde_json::json!({
        "files": entry(&npm_server(&peers, "server-filesystem", &[root.to_str().unwrap()])),
        "all-things": entry(&npm_server(&peers, "server-everything", &["stdio"])),
    });
    let cell = format!(
        r#"
        const path = {:?};
        const [{{ content: ours }}, theirs, sum, {{ content: [, image] }}] = await Promise.all([
            tools.mcp__files__read_text_file({{ path }}),
            tools.read_file({{ path: "a.txt" }}),
            tools.mcp__all_things__get_sum({{ a: 2, b: 3 }}),
            tools.mcp__all_things__get_tiny_image({{}}),
        ]);
        text(ours);
        text(typeof theirs);
        text(sum.content[0].text);
        text(image.type);
        try {{
            await tools.mcp__files__write_file({{ path, content: "" }});
        }} catch (error) {{
            text(`${{error.name}} of ${{error.tool}}: ${{error.message}}`);
        }}
        "#,
        root.join("a.txt")
    );
    let ran = run(folder.path(), &servers, &cell, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    expect_test::expect![[r#"
        one
        two
        object
        The sum of 2 and 3 is 5.
        image
        ToolError of mcp__files__write_file: the call of write_file was denied: nobody is at the terminal to be asked. Its user can start codemode with --approve 'files.write_file', or --approve all
    "#]].assert_eq(&ran.stdout);
    let cell = format!(
        "await tools.mcp__files__write_file({{ path: {:?}, content: \"new\" }}); text('done')",
        root.join("a.txt")
    );
    let ran = run(folder.path(), &servers, &cell, &["--approve", "files.write_*"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "done\n"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(root.join("a.txt")).unwrap(), "new");
}

#[test]
fn what_does_not_start_is_said_and_the_cell_runs() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = serde_json::json!({
        "bad": entry(&misbehaving(&peers, folder.path(), "exit")),
        "good": entry(&misbehaving(&peers, folder.path(), "")),
    });
    let ran =
        run(folder.path(), &servers, "text((await tools.mcp__good__noise()).content[0].text)", &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "heard\n"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the MCP server bad is not there: it exited with code 3"),
        "{}",
        ran.stderr
    );
}

#[test]
fn names_that_hide_others_are_told() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = serde_json::json!({
        "glob": entry(&misbehaving(&peers, folder.path(), "")),
        "twins": entry(&misbehaving(&peers, folder.path(), "twins")),
    });
    let cell = "
        text((await tools.glob({ pattern: '*.js' })).paths);
        text((await tools.mcp__glob__echo({})).content[0].text);
        text(Object.keys(tools.twins));
    ";
    let ran = run(folder.path(), &servers, cell, &[]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "[\"cell.js\"]\n{}\n[\"do_it\"]\n"),
        "{}",
        ran.stderr
    );
    expect_test::expect![[r#"
        note: the tool "do it" of twins is left out: another tool is `mcp__twins__do_it` already; `deny` one of them
        note: `tools.glob` is the tool glob, and not the MCP server glob, whose tools cells have as `tools.mcp__glob__…` alone; give the server another name
    "#]]
    .assert_eq(&ran.stderr);
    let listed = Command::new(env!("CARGO_BIN_EXE_codemode"))
        .args(["tools", "--workspace", ".", "--mcp-config", "mcp.json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(listed.stderr).unwrap(), ran.stderr);
}

#[test]
fn a_wrong_file_is_bad_usage() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &serde_json::json!({"x": {"command": 5}}), "", &[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("mcpServers.x.command: is the integer `5`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("docs/mcp.md"), "{}", ran.stderr);
}

#[test]
fn tools_are_listed() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codemode.toml");
    let good = misbehaving(&peers, folder.path(), "");
    let text = format!(
        "[servers.good]\ncommand = {:?}\nargs = {:?}\nallow = [\"e*\", \"zzz\"]\n",
        good.command, good.args
    );
    std::fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_codemode"))
        .args(["tools", "--json", "--workspace"])
        .arg(folder.path())
        .arg("--mcp-config")
        .arg(&file)
        .output()
        .unwrap();
    let tools: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap());
    let names: Vec<&str> = names.filter(|name| name.starts_with("mcp__")).collect();
    assert_eq!(names, ["mcp__good__echo", "mcp__good__endless_line", "mcp__good__environment"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("`allow` has \"zzz\", which is the name of none of its tools"),
        "{stderr}"
    );
}
