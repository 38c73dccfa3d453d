//! `codemode run` and `codemode tools`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use expect_test::{Expect, expect};

/// Runs `codemode` in `folder` with `stdin`, to its end.
fn codemode(folder: &Path, arguments: &[&str], stdin: &str) -> Output {
    let mut child = spawn(folder, arguments);
    // A process that has no use for its input may have closed it.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn spawn(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_codemode"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a cell in an empty folder; compares exit code, stdout and stderr.
fn check(arguments: &[&str], cell: &str, expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&["run"], arguments].concat();
    let output = codemode(folder.path(), &arguments, cell);
    expected.assert_eq(&print(&output));
}

fn print(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        text.push_str("2> ");
        text.push_str(line);
        text.push('\n');
    }
    text + &format!("= {}\n", output.status.code().unwrap_or(-1))
}

#[test]
fn text_goes_to_stdout() {
    check(
        &[],
        "text('one'); text('two\\n'); text({a: 1})",
        expect![[r#"
        one
        two
        {"a":1}
        = 0
    "#]],
    );
}

#[test]
fn a_failed_cell_shows_where() {
    check(
        &[],
        "text('before');\nconst n: number = null!;\nn.toFixed();",
        expect![[r#"
        before
        2> error: TypeError: Cannot read properties of null (reading 'toFixed')
        2>  --> stdin:3:3
        2> 3 | n.toFixed();
        2>   |   ^
        2>     at stdin:3:3
        = 1
    "#]],
    );
    check(
        &[],
        "const = 1",
        expect![[r#"
        2> error: SyntaxError: Unexpected token '='
        2>  --> stdin:1:7
        2> 1 | const = 1
        2>   |       ^
        = 1
    "#]],
    );
}

#[test]
fn limits_have_their_codes() {
    check(
        &["--timeout", "50ms"],
        "while (true);",
        expect![[r#"
        2> error: TimeLimitExceeded: the cell ran for longer than its 50ms
        2> hint: a longer --timeout would let it go on
        = 124
    "#]],
    );
    check(
        &["--heap-limit", "32MiB"],
        "const a = []; while (true) a.push([a.length])",
        expect![[r#"
        2> error: HeapLimitExceeded: the cell used more than its 33554432 bytes of heap
        2> hint: a larger --heap-limit would give it more
        = 1
    "#]],
    );
}

#[test]
fn budgets_are_set_by_name() {
    check(
        &["--budget", "outputItems=1", "--budget", "timers=3"],
        "text(1); text(2)",
        expect![[r#"
            1
            2> error: OutputLimitExceeded: the cell showed more than its 1 items
            2> hint: --budget outputItems=… would give it more
            = 1
        "#]],
    );
    check(
        &["--budget", "cpu=50ms"],
        "while (true);",
        expect![[r#"
            2> error: CpuLimitExceeded: the cell computed for longer than its 50ms
            2> hint: --budget cpu=… would give it more
            = 124
        "#]],
    );
    check(
        &["--budget", "host.connections=1"],
        "1",
        expect![[r#"
            2> error: host.connections is a budget of hosts, and this runs one cell
            = 2
        "#]],
    );
    check(
        &["--budget", "gold=1"],
        "1",
        expect![[r#"
            2> error: invalid value 'gold=1' for '--budget <NAME=LIMIT>': a cell has no budget `gold`; it has heap, arrayBuffers, cpu, wall, outputBytes, outputItems, storedBytes, storedValues, toolCalls, openToolCalls, argumentBytes, resultBytes, timers, sourceBytes, depth
            2> 
            2> For more information, try '--help'.
            = 2
        "#]],
    );
}

#[test]
fn a_slow_tool_is_cancelled() {
    check(
        &["-q", "--allow-exec", "--tool-timeout", "50ms"],
        "await tools.exec_command({command: 'sleep 100'}).catch((e) => text(String(e)))",
        expect![[r#"
            ToolError: exec_command took longer than 50ms and was cancelled; a longer --tool-timeout would let it
            = 0
        "#]],
    );
}

#[test]
fn bad_usage_says_what_to_do() {
    check(
        &["--timeout", "soon"],
        "",
        expect![[r#"
        2> error: invalid value 'soon' for '--timeout <TIME>': expected number at 0; write it like 500ms, 30s or 2m
        2> 
        2> For more information, try '--help'.
        = 2
    "#]],
    );
    check(
        &["missing.ts"],
        "",
        expect![[r#"
        2> error: missing.ts cannot be read: No such file or directory (os error 2)
        = 2
    "#]],
    );
    check(
        &["--workspace", "missing"],
        "",
        expect![[r#"
        2> error: cannot open the workspace missing: No such file or directory (os error 2)
        2> hint: name an existing folder with --workspace DIR
        = 2
    "#]],
    );
}

#[test]
fn tools_are_those_of_the_permissions() {
    check(
        &[],
        "text(Object.keys(tools).join(' '))",
        expect![[r#"
        read_file list_directory glob search file_info
        = 0
    "#]],
    );
    check(
        &["--write", "--allow-exec"],
        "text(Object.keys(tools).join(' '))",
        expect![[r#"
        read_file list_directory glob search file_info write_file edit_file move_file delete_file create_directory exec_command
        = 0
    "#]],
    );
}

#[test]
fn calls_are_shown_on_stderr_unless_quiet() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello\n").unwrap();
    let cell = "text((await tools.read_file({path: 'a.txt'})).text); notify('note'); await tools.read_file({path: 'b'}).catch(() => {})";
    let output = codemode(folder.path(), &["run"], cell);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    let [read, note, failed] = lines.as_slice() else { panic!("{stderr}") };
    assert!(read.contains("✓") && read.ends_with(r#"ms  read_file path="a.txt""#), "{read}");
    assert_eq!(*note, "notify note");
    assert!(
        failed.contains("✗") && failed.contains(r#"read_file path="b": cannot read "b""#),
        "{failed}"
    );
    let output = codemode(folder.path(), &["run", "--quiet"], cell);
    assert_eq!(print(&output), "hello\n= 0\n");
}

#[test]
fn commands_are_heard_while_they_run() {
    let folder = tempfile::tempdir().unwrap();
    let cell = "await tools.exec_command({command: 'printf one; sleep 0.1; echo two; echo \\\\303\\\\251 >&2; printf end'})";
    let output = codemode(folder.path(), &["run", "--json", "--allow-exec"], cell);
    let mut heard = [String::new(), String::new()];
    for line in output.stdout.lines() {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        if line["event"] == "tool_output" {
            assert_eq!(line["id"], "tool-1");
            heard[usize::from(line["stream"] == "stderr")] += line["text"].as_str().unwrap();
        }
    }
    assert_eq!(heard[0], "onetwo\nend");
    let output = codemode(folder.path(), &["run", "--allow-exec"], cell);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("  | onetwo\n") && stderr.contains("  | end\n"), "{stderr}");
}

#[test]
fn json_is_one_event_a_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello\n").unwrap();
    let cell = "text(1); await tools.read_file({path: 'a.txt'}); notify('n'); yield_control(); throw new Error('boom')";
    let output = codemode(folder.path(), &["run", "--json"], cell);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty());
    let lines: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["output", "tool_call", "tool_result", "notify", "yield", "end"]);
    assert_eq!(lines[1]["input"]["path"], "a.txt");
    assert_eq!(lines[2]["result"]["text"], "hello\n");
    let error = &lines[5]["error"];
    assert_eq!((&error["name"], &error["message"]), (&"Error".into(), &"boom".into()));
    assert_eq!(error["position"]["line"], 1);
    assert_eq!(lines[5]["usage"]["tool_calls"], 1);
}

#[test]
fn media_are_saved_and_their_paths_printed() {
    let folder = tempfile::tempdir().unwrap();
    let cell = "image('data:image/png;base64,iVBORw0KGgo='); audio({type: 'audio', data: 'AAAA', mimeType: 'audio/wav'})";
    let output = codemode(folder.path(), &["run", "--media-dir", "out"], cell);
    assert_eq!(print(&output), "out/image-1.png\nout/audio-2.wav\n= 0\n");
    assert_eq!(std::fs::read(folder.path().join("out/image-1.png")).unwrap(), b"\x89PNG\r\n\x1a\n");
    assert_eq!(std::fs::read(folder.path().join("out/audio-2.wav")).unwrap(), [0, 0, 0]);
}

#[test]
fn an_image_that_was_read_can_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    std::fs::write(folder.path().join("a.png"), png).unwrap();
    let output = codemode(
        folder.path(),
        &["run", "-q", "--media-dir", "out"],
        "image(await tools.read_file({path: 'a.png'}))",
    );
    assert_eq!(print(&output), "out/image-1.png\n= 0\n");
    assert_eq!(std::fs::read(folder.path().join("out/image-1.png")).unwrap(), png);
}

#[test]
fn an_interrupted_cell_ends_with_its_calls() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut child = spawn(folder.path(), &["run", "-q", "--allow-exec"]);
        // The command tells its process id, and would live for long.
        let cell =
            "tools.exec_command({command: 'echo $$ > pid.new && mv pid.new pid; exec sleep 1000'});
             for (;;) { try { text((await tools.read_file({path: 'pid'})).text); break } catch {} }
             while (true);";
        child.stdin.take().unwrap().write_all(cell.as_bytes()).unwrap();
        let mut command = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut command).unwrap();
        kill(signal, &child.id().to_string());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        // It has its signal; when the kernel takes it off is the kernel's.
        let patience = Instant::now() + Duration::from_secs(30);
        while is_running(command.trim()) {
            assert!(Instant::now() < patience, "the command outlived its call");
            std::thread::yield_now();
        }
        std::fs::remove_file(folder.path().join("pid")).unwrap();
    }
}

#[test]
fn a_reader_that_leaves_ends_the_cell() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = spawn(folder.path(), &["run"]);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"for (;;) { text('y'); await new Promise((r) => setTimeout(r)) }")
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 2];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"y\n");
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(print(&output), "= 141\n");
}

#[test]
fn a_console_when_asked_for() {
    check(
        &["--console"],
        "console.log('a', {b: 1})",
        expect![[r#"
        a {"b":1}
        = 0
    "#]],
    );
}

#[test]
fn the_workspace_has_no_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("secret"), "hunter2").unwrap();
    std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
    let cell = "for (const path of ['../secret', 'link', '/etc/passwd', 'a/../../secret', '/proc/self/root/etc/passwd']) {
           for (const tool of ['read_file', 'file_info']) {
             try { text(path + ' ' + tool + ': ' + JSON.stringify(await tools[tool]({path}))) } catch {}
           }
         }
         try { await tools.write_file({path: '../new', content: 'x'}); text('written') } catch {}";
    let output = codemode(&inside, &["run", "-q", "--write"], cell);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        !stdout.contains("hunter2") && !stdout.contains("root:") && !stdout.contains("written"),
        "{stdout}"
    );
    assert!(!folder.path().join("new").exists());
}

#[test]
fn the_declarations_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let output = codemode(folder.path(), &["tools"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("declare const tools: {"), "{text}");
    assert!(text.contains("read_file(") && !text.contains("write_file("));
    let output = codemode(folder.path(), &["tools", "--globals"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("declare function search_tools(") && text.contains("  read_file("));
    let output = codemode(folder.path(), &["tools", "--write", "--json"], "");
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(list.as_array().unwrap().iter().any(|tool| tool["name"] == "write_file"));
}

#[test]
fn the_examples_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = codemode(root, &["run", "-q", "examples/repo-report.ts"], "");
    let report = print(&output);
    assert!(report.starts_with("# ") && report.ends_with("= 0\n"), "{report}");
    for part in ["## Languages", "| Rust ", "## Largest files"] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
}

/// What makes a terminal do something is spelled there, and goes elsewhere as it is.
#[test]
fn a_terminal_is_shown_text_and_does_nothing() {
    // Title, clipboard, screen, colour, one byte that begins a sequence, and back to the start of the line.
    let cell = r"const all = '\x1b]0;t\x07\x1b]52;c;YQ==\x07\x1b[2J\x1b[31m\u009b2J\x7fa\rb';";
    let raw = "\x1b]0;t\x07\x1b]52;c;YQ==\x07\x1b[2J\x1b[31m\u{9b}2J\x7fa\rb";
    let spelled = r"\x1b]0;t\x07\x1b]52;c;YQ==\x07\x1b[2J\x1b[31m\u{9b}2J\x7fa\x0db";

    let source = format!("{cell} text(all + '\\n\\t' + 'c')");
    let seen = on_a_terminal(Command::stdout, &["run"], &source);
    assert_eq!(seen, format!("{spelled}\r\n\tc\r\n"));
    let folder = tempfile::tempdir().unwrap();
    let output = codemode(folder.path(), &["run"], &source);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{raw}\n\tc\n"));

    let seen = on_a_terminal(Command::stdout, &["run", "--json"], &source);
    assert!(!seen.contains(['\x1b', '\u{9b}', '\x7f']), "{seen:?}");
    let line: serde_json::Value = serde_json::from_str(seen.lines().next().unwrap()).unwrap();
    assert_eq!(line["item"]["text"], format!("{raw}\n\tc"));

    let source = format!(
        "{cell} notify(all); await tools.read_file({{ path: all, [all]: 1 }}).catch(() => {{}}); throw new Error(all)"
    );
    let seen = on_a_terminal(Command::stderr, &["run"], &source);
    // Of what the cell says nothing acts; our own colours and the line of the open call do.
    for acts in ["\x1b]", "\x07", "\x1b[31m\u{9b}", "\u{9b}", "\x7f", "a\rb"] {
        assert!(!seen.contains(acts), "{acts:?} is in {seen:?}");
    }
    assert!(seen.contains(&format!("notify\x1b[0m {spelled}")), "{seen:?}");
    assert!(seen.contains(&format!("Error: {spelled}")), "{seen:?}");
}

/// Runs a cell with one of its streams on a terminal: what that is sent. It makes `\r\n` of each `\n`.
fn on_a_terminal(
    stream: fn(&mut Command, Stdio) -> &mut Command,
    arguments: &[&str],
    cell: &str,
) -> String {
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let ours = openpt(flags).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_codemode"));
    command.args(arguments).current_dir(folder.path()).env("TERM", "xterm-256color");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = stream(&mut command, Stdio::from(theirs)).spawn().unwrap();
    // It keeps the other end open.
    drop(command);
    child.stdin.take().unwrap().write_all(cell.as_bytes()).unwrap();
    let mut seen = Vec::new();
    let mut ours = std::fs::File::from(ours);
    let mut bytes = [0; 4096];
    // At the end there is an error, as nobody has the other end any more.
    while let Ok(n @ 1..) = ours.read(&mut bytes) {
        seen.extend_from_slice(&bytes[..n]);
    }
    child.wait().unwrap();
    String::from_utf8(seen).unwrap()
}

fn kill(signal: &str, process: &str) {
    let status = Command::new("kill").args(["-s", signal, process]).status().unwrap();
    assert!(status.success());
}

/// Whether the process runs still; one that is dead and not yet collected does not.
fn is_running(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .is_some_and(|state| state != "Z")
}
