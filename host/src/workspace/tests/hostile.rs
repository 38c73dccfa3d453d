//! Ways out of the folder, and ways to make a call wait for ever. Each must be refused.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cap_std::{ambient_authority, fs::Dir};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use serde_json::{Value, json};

use super::{Fixture, until};
use crate::workspace::{
    MAX_READS,
    cancel::CancelOnDrop,
    folder::WorkspacePath,
    remove::remove_tree,
    walk::{Next, Options, walk},
};

/// A workspace with every kind of way out in it, beside a folder with a secret.
fn trap() -> Fixture {
    let fixture = Fixture::new(&[("inside.txt", "inside"), ("dir/f.txt", "f")]);
    let secret = fixture.outside().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key.txt"), "SECRET").unwrap();
    let root = fixture.root();
    let link = |target: &Path, name: &str| symlink(target, root.join(name)).unwrap();
    link(&secret, "absolute");
    link(Path::new("../secret"), "relative");
    link(Path::new("relative"), "chain1");
    link(Path::new("chain1"), "chain2");
    link(&secret.join("key.txt"), "file_absolute");
    link(Path::new("../secret/key.txt"), "file_relative");
    link(Path::new("dir/../../secret"), "winding");
    link(Path::new("/"), "slash");
    link(Path::new("/proc/self/root"), "proc_root");
    link(Path::new("/proc/self/cwd"), "proc_cwd");
    link(Path::new(".."), "up");
    link(Path::new("../secret/new.txt"), "dangling_out");
    fixture
}

/// Paths that lead to the secret folder or something in it.
fn ways_out(fixture: &Fixture) -> Vec<String> {
    let secret = fixture.outside().join("secret");
    let secret = secret.to_str().unwrap();
    let from_slash = secret.trim_start_matches('/');
    [
        "..".to_owned(),
        "../secret".to_owned(),
        "dir/../../secret".to_owned(),
        "./dir/.././../secret".to_owned(),
        secret.to_owned(),
        format!("{}/../secret", fixture.root().display()),
        format!("/{secret}"),
        "absolute".to_owned(),
        "relative".to_owned(),
        "chain1".to_owned(),
        "chain2".to_owned(),
        "winding".to_owned(),
        "up".to_owned(),
        "up/secret".to_owned(),
        "slash".to_owned(),
        format!("slash/{from_slash}"),
        "proc_root".to_owned(),
        format!("proc_root/{from_slash}"),
        "proc_cwd".to_owned(),
        "/proc/self/root".to_owned(),
        "/proc/self/cwd".to_owned(),
        "/dev/fd".to_owned(),
    ]
    .into()
}

#[tokio::test]
async fn nothing_outside_is_read() {
    let fixture = trap();
    for way in ways_out(&fixture) {
        let file = format!("{way}/key.txt");
        let calls = [
            ("read_file", json!({ "path": file })),
            ("file_info", json!({ "path": file })),
            ("list_directory", json!({ "path": way })),
            ("glob", json!({ "pattern": "**", "path": way })),
            ("search", json!({ "pattern": "SECRET", "path": way })),
            ("search", json!({ "pattern": "SECRET", "path": file })),
            ("exec_command", json!({ "command": "cat key.txt", "cwd": way })),
        ];
        for (tool, arguments) in calls {
            let message = fixture.fails(tool, arguments.clone()).await;
            assert!(message.contains("of the workspace"), "{tool}({arguments}): {message}");
        }
        let found = fixture.call("glob", json!({ "pattern": format!("{way}/*") })).await;
        let nothing = found.as_ref().map_or(true, |found| found["paths"] == json!([]));
        assert!(nothing, "{way}: {found:?}");
    }
    for file in ["file_absolute", "file_relative"] {
        let message = fixture.fails("read_file", json!({ "path": file })).await;
        assert!(message.contains("leads out of the workspace"), "{message}");
        let info = fixture.ok("file_info", json!({ "path": file })).await;
        assert_eq!((&info["kind"], &info["lines"]), (&json!("symlink"), &Value::Null));
    }
    let found = fixture.ok("glob", json!({ "pattern": "**", "include_ignored": true })).await;
    assert_eq!(found["paths"], json!(["dir/f.txt", "inside.txt"]));
    let found = fixture.ok("search", json!({ "pattern": "SECRET" })).await;
    assert_eq!((&found["matches"], &found["files_searched"]), (&json!([]), &json!(2)));
}

#[tokio::test]
async fn nothing_outside_is_changed() {
    let fixture = trap();
    let before = tree(fixture.outside());
    for way in ways_out(&fixture) {
        for name in ["key.txt", "new.txt"] {
            let path = format!("{way}/{name}");
            let edits = json!([{ "old_text": "SECRET", "new_text": "x" }]);
            let calls = [
                ("write_file", json!({ "path": path, "text": "x" })),
                ("edit_file", json!({ "path": path, "edits": edits })),
                ("move_file", json!({ "from": "inside.txt", "to": path })),
                ("move_file", json!({ "from": "inside.txt", "to": path, "overwrite": true })),
                ("move_file", json!({ "from": path, "to": "stolen" })),
                ("delete_file", json!({ "path": path })),
                ("delete_file", json!({ "path": path, "recursive": true })),
                ("create_directory", json!({ "path": format!("{path}/d") })),
            ];
            for (tool, arguments) in calls {
                fixture.fails(tool, arguments).await;
            }
        }
    }
    for link in ["file_absolute", "file_relative", "dangling_out"] {
        fixture.fails("write_file", json!({ "path": link, "text": "x" })).await;
    }
    assert_eq!(tree(fixture.outside()), before);
}

#[tokio::test]
async fn removing_a_way_out_removes_only_the_link() {
    let fixture = trap();
    for link in ["absolute", "relative", "chain2", "slash", "proc_root", "up", "file_absolute"] {
        fixture.ok("delete_file", json!({ "path": link, "recursive": true })).await;
    }
    fixture.ok("move_file", json!({ "from": "file_relative", "to": "dir/moved" })).await;
    // A folder that has ways out in it.
    symlink(fixture.outside().join("secret"), fixture.root().join("dir/out")).unwrap();
    fixture.ok("delete_file", json!({ "path": "dir", "recursive": true })).await;
    let key = fixture.outside().join("secret/key.txt");
    assert_eq!(fs::read_to_string(key).unwrap(), "SECRET");
    assert!(Path::new("/proc").exists());
}

/// All paths below `dir` with the text of files.
fn tree(dir: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let file_type = entry.file_type().unwrap();
            let text = if file_type.is_file() {
                fs::read_to_string(entry.path()).unwrap()
            } else {
                String::new()
            };
            all.push((entry.path().display().to_string(), text));
            if file_type.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_changes_its_target_meanwhile_leads_nowhere() {
    let fixture = trap();
    let (root, secret) = (fixture.root().to_owned(), fixture.outside().join("secret"));
    fs::create_dir(root.join("real")).unwrap();
    fs::write(root.join("real/key.txt"), "harmless").unwrap();
    fs::rename(root.join("real"), root.join("swapped")).unwrap();
    symlink(&secret, root.join("aside")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut swaps = 0u32;
            while !stop.load(Ordering::Relaxed) {
                // Now a folder, now a way out, and always there.
                let (a, b) = (root.join("swapped"), root.join("aside"));
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
                swaps += 1;
            }
            swaps
        }
    });
    let mut inside = 0;
    for n in 0..300 {
        let edits = json!([{ "old_text": "SECRET", "new_text": "x" }]);
        let calls = [
            ("read_file", json!({ "path": "swapped/key.txt" })),
            ("search", json!({ "pattern": "SECRET" })),
            ("list_directory", json!({ "path": "swapped" })),
            ("write_file", json!({ "path": format!("swapped/{n}.txt"), "text": "mine" })),
            ("edit_file", json!({ "path": "swapped/key.txt", "edits": edits })),
            ("delete_file", json!({ "path": format!("swapped/{n}.txt") })),
        ];
        for (tool, arguments) in calls {
            if let Ok(result) = fixture.call(tool, arguments).await {
                assert!(!result.to_string().contains("SECRET"), "{tool}: {result}");
                inside += 1;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swapper.join().unwrap() > 0);
    // Otherwise this has tried nothing.
    assert!(inside > 300, "{inside}");
    let secret = fixture.outside().join("secret");
    let names: Vec<_> =
        fs::read_dir(&secret).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["key.txt"]);
    assert_eq!(fs::read_to_string(secret.join("key.txt")).unwrap(), "SECRET");
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let fixture = Fixture::new(&[("a.txt", "needle")]);
    let fifo = fixture.root().join("pipe");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(fixture.root().join("socket")).unwrap();
    // The names of ignore files are read without being asked for.
    mknodat(CWD, fixture.root().join(".gitignore"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .unwrap();
    for name in ["pipe", "socket"] {
        let edits = json!([{ "old_text": "a", "new_text": "b" }]);
        for (tool, arguments) in [
            ("read_file", json!({ "path": name })),
            ("search", json!({ "pattern": "x", "path": name })),
            ("write_file", json!({ "path": name, "text": "x" })),
            ("edit_file", json!({ "path": name, "edits": edits })),
        ] {
            let message = fixture.fails(tool, arguments).await;
            assert!(message.contains("not a regular file"), "{tool} {name}: {message}");
        }
        let info = fixture.ok("file_info", json!({ "path": name })).await;
        assert_eq!(info["kind"], "other");
    }
    let found = fixture.ok("search", json!({ "pattern": "needle" })).await;
    assert_eq!(found["files_searched"], 1);
    let found = fixture.ok("glob", json!({ "pattern": "**", "kind": "any" })).await;
    assert_eq!(found["paths"], json!([".gitignore", "a.txt", "pipe", "socket"]));
    fixture.ok("delete_file", json!({ "path": "pipe" })).await;
    // Only root may make a device.
    let device = fixture.root().join("zero");
    let number = rustix::fs::makedev(1, 5);
    if mknodat(CWD, &device, FileType::CharacterDevice, Mode::from_raw_mode(0o600), number).is_ok()
    {
        let message = fixture.fails("read_file", json!({ "path": "zero" })).await;
        assert!(message.contains("is a device, not a regular file"), "{message}");
    }
}

#[tokio::test]
async fn odd_paths_get_an_answer() {
    let fixture = Fixture::new(&[("a.txt", "a")]);
    let long = "x/".repeat(5000);
    let cases = [
        ("", "the path is empty"),
        ("a\0b", "NUL character"),
        ("a.txt/", "a.txt"),
        ("a.txt/..", "a.txt"),
        ("x\ny", "there is no such file"),
        ("~/.ssh/id_rsa", "there is no such file"),
        (long.as_str(), "x/x/"),
        ("C:\\Windows", "there is no such file"),
    ];
    for (path, expected) in cases {
        let outcome = fixture.call("read_file", json!({ "path": path })).await;
        match outcome {
            Ok(result) => assert_eq!((path, &result["text"]), ("a.txt/", &json!("a"))),
            Err(message) => {
                assert!(message.contains(expected), "{path:?}: {message}");
                assert!(message.len() < 1000, "{} bytes", message.len());
            }
        }
    }
    symlink("loop2", fixture.root().join("loop1")).unwrap();
    symlink("loop1", fixture.root().join("loop2")).unwrap();
    let message = fixture.fails("read_file", json!({ "path": "loop1" })).await;
    assert_eq!(message, "cannot read \"loop1\": its symbolic links go round in a circle");
}

#[tokio::test]
async fn a_moved_workspace_stays_the_same_folder() {
    let fixture = Fixture::new(&[("a.txt", "a")]);
    let root = fixture.root().to_owned();
    fs::rename(&root, fixture.outside().join("elsewhere")).unwrap();
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.txt"), "another").unwrap();
    assert_eq!(fixture.ok("read_file", json!({ "path": "a.txt" })).await["text"], "a");
    fixture.ok("write_file", json!({ "path": "b.txt", "text": "b" })).await;
    assert!(fixture.outside().join("elsewhere/b.txt").exists());
    let pwd = fixture.ok("exec_command", json!({ "command": "ls; /bin/pwd -P" })).await;
    let expected = format!(
        "a.txt\nb.txt\n{}\n",
        fs::canonicalize(fixture.outside().join("elsewhere")).unwrap().display()
    );
    assert_eq!(pwd["stdout"], expected);
}

#[tokio::test]
async fn a_dropped_read_stops() {
    let fixture = Fixture::new(&[]);
    // A sparse file: no disk, but far more to read than anyone would wait for.
    let file = fs::File::create(fixture.root().join("huge")).unwrap();
    fs::write(fixture.root().join("huge"), "text\n".repeat(4000)).unwrap();
    file.set_len(1 << 42).unwrap();
    let call = tokio::spawn(fixture.start("read_file", json!({ "path": "huge" })));
    let shared = &fixture.workspace.shared;
    until("the read begins", || shared.reads.available_permits() < MAX_READS).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // The thread lets go of the workspace when it has stopped.
    until("the thread stops", || Arc::strong_count(shared) == 1).await;
}

#[test]
fn a_cancelled_walk_stops_at_the_next_entry() {
    let fixture = Fixture::new(&[("a", ""), ("b", ""), ("c/d", "")]);
    let guard = CancelOnDrop::new();
    let (cancel, mut guard) = (guard.cancel(), Some(guard));
    let mut seen = 0;
    let folder = &fixture.workspace.shared.folder;
    let walked = walk(folder, &WorkspacePath::root(), &Options::default(), &cancel, |_| {
        seen += 1;
        guard = None;
        Ok(Next::Go)
    });
    assert_eq!(walked.unwrap_err().message, "the call was cancelled");
    assert_eq!(seen, 1);
}

#[test]
fn folders_nested_without_end_are_removed_on_a_small_stack() {
    let fixture = Fixture::new(&[("kept.txt", "kept")]);
    // A cell gets there, and further, by moving one deep folder into another.
    let root = Dir::open_ambient_dir(fixture.root(), ambient_authority()).unwrap();
    let mut dir = root.try_clone().unwrap();
    for _ in 0..1000 {
        dir.create_dir("x").unwrap();
        dir = dir.open_dir("x").unwrap();
    }
    dir.write("f", "x").unwrap();
    symlink("../kept.txt", fixture.root().join("x/link")).unwrap();
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    let removed = thread.spawn(move || remove_tree(&root, "x".as_ref())).unwrap();
    removed.join().unwrap().unwrap();
    let left = fs::read_dir(fixture.root()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["kept.txt"]);
}
