//! `exec_command`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use codemode_cells::ToolRuntime;
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};

use super::{Fixture, invocation, until};
use crate::workspace::{OutputStream, Permissions, Workspace};

#[tokio::test]
async fn a_command_gives_its_output_and_its_end() {
    let fixture = Fixture::new(&[("sub/f.txt", "f")]);
    let run = async |arguments: Value| {
        let mut result = fixture.ok("exec_command", arguments).await;
        assert!(result.as_object_mut().unwrap().remove("duration_ms").unwrap().is_u64());
        result
    };
    assert_eq!(
        run(json!({"command": "echo out; echo err >&2; exit 3"})).await,
        json!({"exit_code": 3, "stdout": "out\n", "stderr": "err\n", "truncated": false, "timed_out": false})
    );
    assert_eq!(
        run(json!({"command": "kill -9 $$"})).await,
        json!({"exit_code": null, "signal": "SIGKILL", "stdout": "", "stderr": "", "truncated": false, "timed_out": false})
    );
    let cases = [
        (json!({"command": ["printf", "%s|", "a b", "$HOME", "*"]}), "a b|$HOME|*|"),
        (json!({"command": "ls", "cwd": "sub"}), "f.txt\n"),
        (json!({"command": "cat", "stdin": "given"}), "given"),
        (json!({"command": "cat"}), ""),
        (json!({"command": "true", "stdin": "x".repeat(1_000_000)}), ""),
        (json!({"command": "echo \"$A-$B\"", "env": {"A": "1", "B": "ü"}}), "1-ü\n"),
        (json!({"command": "printf '\\377\\376'"}), "\u{fffd}\u{fffd}"),
        (json!({"command": "echo early; echo late &"}), "early\nlate\n"),
    ];
    for (arguments, stdout) in cases {
        let result = run(arguments).await;
        assert_eq!(
            (&result["stdout"], &result["exit_code"]),
            (&json!(stdout), &json!(0)),
            "{result}"
        );
    }
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why() {
    let fixture = Fixture::new(&[("script.sh", "echo")]);
    let cases = [
        (
            json!({"command": ["no-such-program"]}),
            "cannot start \"no-such-program\": No such file or directory (os error 2). It is not installed, or not in PATH",
        ),
        (json!({"command": ["ls -l"]}), "give a line for the shell as a string"),
        (json!({"command": ["./script.sh"]}), "made executable"),
        (json!({"command": []}), "command is an empty array"),
        (json!({"command": "ls", "env": {"A=B": "x"}}), "env has \"A=B\""),
        (json!({"command": "a\0b"}), "nul byte"),
        (json!({"command": "ls", "cwd": "none"}), "there is no such file or folder"),
        (json!({"command": "ls", "cwd": "script.sh"}), "is not a folder"),
        (json!({"command": 1}), "exec_command: field `command`"),
        (
            json!({"command": ["sh", "-c", "exit", "x".repeat(3_000_000)]}),
            "Pass the data through stdin",
        ),
    ];
    for (arguments, expected) in cases {
        let message = fixture.fails("exec_command", arguments).await;
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn output_is_bounded_at_both_ends() {
    let fixture = Fixture::new(&[]);
    let result = fixture
        .ok("exec_command", json!({"command": "seq 1 200000; echo last", "max_output_bytes": 20}))
        .await;
    assert_eq!(
        result["stdout"],
        "1\n2\n3\n4\n5\n\n[… 1288880 bytes left out …]\n9999\nlast\n".replace("9999\n", "0000\n")
    );
    assert_eq!(result["truncated"], true);
    let result = fixture
        .ok("exec_command", json!({"command": "printf 'ääääää'", "max_output_bytes": 6}))
        .await;
    assert_eq!(result["stdout"], "ä\n[… 8 bytes left out …]\nä");
    let result = fixture
        .ok("exec_command", json!({"command": "printf 123456", "max_output_bytes": 6}))
        .await;
    assert_eq!((&result["stdout"], &result["truncated"]), (&json!("123456"), &json!(false)));
}

#[tokio::test]
async fn output_is_told_as_it_comes() {
    let fixture = Fixture::new(&[]);
    let gate = fixture.root().join("gate");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let workspace = Workspace::open(fixture.root(), Permissions { write: false, exec: true })
        .unwrap()
        .observe_output({
            let (heard, gate) = (Arc::clone(&heard), gate.clone());
            Arc::new(move |chunk| {
                assert_eq!((chunk.cell_id.as_str(), chunk.call_id), ("1", "tool-1"));
                let text = String::from_utf8_lossy(chunk.bytes).into_owned();
                heard.lock().unwrap().push((chunk.stream, text));
                // The command goes on only now: what was told was told before its end.
                fs::write(&gate, "").unwrap();
            })
        });
    let command = "echo first; until [ -e gate ]; do sleep 0.01; done; echo second >&2";
    workspace.invoke(invocation("exec_command", json!({ "command": command }))).await.unwrap();
    assert_eq!(
        *heard.lock().unwrap(),
        [
            (OutputStream::Stdout, "first\n".to_owned()),
            (OutputStream::Stderr, "second\n".to_owned())
        ]
    );
}

/// A command that starts children and grandchildren that keep its output open, writes their numbers to
/// files, and waits.
fn family(resists: bool) -> String {
    let trap = if resists { "trap '' TERM; " } else { "" };
    format!(
        "{trap}echo $$ > leader.pid; \
         sh -c '{trap}echo $$ > child.pid; sh -c \"{trap}echo \\$\\$ > grandchild.pid; while true; do sleep 1000; done\" & wait' & \
         sh -c '{trap}echo $$ > quiet.pid; while true; do sleep 1000; done' >/dev/null 2>&1 & \
         while true; do sleep 1000; done"
    )
}

const FAMILY: [&str; 4] = ["leader.pid", "child.pid", "grandchild.pid", "quiet.pid"];

async fn pid(file: PathBuf) -> Pid {
    let mut pid = None;
    until("a process says its number", || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        pid = text.trim().parse().ok().and_then(Pid::from_raw);
        pid.is_some()
    })
    .await;
    pid.unwrap()
}

async fn pids(root: &Path) -> Vec<Pid> {
    let mut pids = Vec::new();
    for name in FAMILY {
        pids.push(pid(root.join(name)).await);
    }
    pids
}

/// Waits until none of `pids` is there, not as a zombie either (those whose parent is gone are the system's
/// to reap; here a process ends when /proc has it as a zombie of another parent than us).
async fn gone(pids: &[Pid]) {
    until("the processes are gone", || !pids.iter().any(|pid| is_alive(*pid))).await;
}

fn is_alive(pid: Pid) -> bool {
    if test_kill_process(pid).is_err() {
        return false;
    }
    let stat =
        fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // After the name, which is in parentheses: state, then parent.
    let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
    let mut fields = rest.split(' ');
    let (state, parent) = (fields.next(), fields.next());
    let ours = parent.and_then(|parent| parent.parse::<u32>().ok()) == Some(std::process::id());
    state != Some("Z") || ours
}

#[tokio::test]
async fn a_dropped_call_ends_the_whole_group() {
    for resists in [false, true] {
        let fixture = Fixture::new(&[]);
        let call = tokio::spawn(fixture.start("exec_command", json!({"command": family(resists)})));
        let pids = pids(fixture.root()).await;
        assert!(pids.iter().all(|pid| is_alive(*pid)));
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        gone(&pids).await;
    }
}

#[test]
fn a_runtime_that_ends_takes_the_commands_with_it() {
    let fixture = Fixture::new(&[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.spawn(fixture.start("exec_command", json!({"command": family(true)})));
    let pids = runtime.block_on(pids(fixture.root()));
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(gone(&pids));
}

#[tokio::test]
async fn a_command_whose_time_is_up_is_ended_with_its_group() {
    // Time enough for a busy machine to start all of them; they run side by side.
    let run = async |command: String| {
        let fixture = Fixture::new(&[]);
        let arguments = json!({"command": command, "timeout_ms": 4000});
        let result = fixture.ok("exec_command", arguments).await;
        assert_eq!(result["timed_out"], true);
        (fixture, result)
    };
    let family_ends = async |resists: bool, signal: &str| {
        let (fixture, result) = run(format!("echo begun; {}", family(resists))).await;
        assert_eq!((&result["exit_code"], &result["signal"]), (&Value::Null, &json!(signal)));
        assert_eq!(result["stdout"], "begun\n");
        gone(&pids(fixture.root()).await).await;
    };
    let says_goodbye = async || {
        let command = "trap 'echo bye; exit 7' TERM; while true; do sleep 0.01; done";
        let (_, result) = run(command.to_owned()).await;
        assert_eq!((&result["exit_code"], &result["stdout"]), (&json!(7), &json!("bye\n")));
    };
    tokio::join!(family_ends(false, "SIGTERM"), family_ends(true, "SIGKILL"), says_goodbye());
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_ends_with_it() {
    let fixture = Fixture::new(&[]);
    let command =
        "sleep 1000 & echo $! > a.pid; sleep 1000 >/dev/null 2>&1 & echo $! > b.pid; echo done";
    let result = fixture.ok("exec_command", json!({ "command": command })).await;
    assert_eq!((&result["stdout"], &result["exit_code"]), (&json!("done\n"), &json!(0)));
    assert_eq!(result["note"], "processes that the command had left in the background were ended");
    let pids = [pid(fixture.root().join("a.pid")).await, pid(fixture.root().join("b.pid")).await];
    gone(&pids).await;
}

#[tokio::test]
async fn one_that_leaves_the_group_cannot_hold_up_the_call() {
    let fixture = Fixture::new(&[]);
    let command = "setsid sh -c 'echo $$ > escaped.pid; exec sleep 1000' & while [ ! -s escaped.pid ]; do sleep 0.01; done; echo done";
    let result = fixture.ok("exec_command", json!({ "command": command })).await;
    assert_eq!(result["stdout"], "done\n");
    let escaped = pid(fixture.root().join("escaped.pid")).await;
    rustix::process::kill_process(escaped, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn nothing_is_left_of_many_commands() {
    let fixture = Fixture::new(&[]);
    for round in 0..3 {
        let calls: Vec<_> = (0..70)
            .map(|n| {
                let command = if n % 2 == 0 { "exit 0" } else { "sleep 1000" };
                tokio::spawn(fixture.start("exec_command", json!({ "command": command })))
            })
            .collect();
        for (n, call) in calls.into_iter().enumerate() {
            if n % 2 == 1 {
                call.abort();
            }
            let ended = call.await;
            assert!(ended.is_err() || n % 2 == 0, "round {round}");
        }
    }
    // Those that were dropped take a moment.
    until("children and handles are back to where they were", || {
        let children = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .filter_map(Pid::from_raw)
            .filter(|pid| parent_of(*pid) == Some(std::process::id()))
            .filter(|pid| is_zombie(*pid) || in_folder(*pid, fixture.root()))
            .count();
        children == 0 && open(fixture.root()) == 0
    })
    .await;
}

/// How many handles of this process are pipes or folders of the workspace. Other tests run beside this one
/// and have pipes of their own, so only what names the folder is counted.
fn open(root: &Path) -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target.starts_with(root))
        .count()
        .saturating_sub(1)
}

fn parent_of(pid: Pid) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

fn in_folder(pid: Pid, root: &Path) -> bool {
    fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok_and(|cwd| cwd == root)
}
