//! `write_file`, `edit_file`, `move_file`, `delete_file`, `create_directory`.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use expect_test::expect;
use futures_util::future::join_all;
use serde_json::json;

use super::Fixture;

#[tokio::test]
async fn files_are_written() {
    let fixture = Fixture::new(&[("old.sh", "old")]);
    fs::set_permissions(fixture.root().join("old.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("old.sh", fixture.root().join("link")).unwrap();
    let written = fixture.ok("write_file", json!({"path": "new/deep/a.txt", "text": "hé\n"})).await;
    assert_eq!(written, json!({"path": "new/deep/a.txt", "created": true, "size_bytes": 4}));
    assert_eq!(fixture.text("new/deep/a.txt"), "hé\n");
    let written = fixture.ok("write_file", json!({"path": "link", "text": "new"})).await;
    assert_eq!(written, json!({"path": "old.sh", "created": false, "size_bytes": 3}));
    assert_eq!(fixture.text("old.sh"), "new");
    let metadata = fs::symlink_metadata(fixture.root().join("old.sh")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o750);
    assert!(fs::symlink_metadata(fixture.root().join("link")).unwrap().is_symlink());

    let message = fixture
        .fails("write_file", json!({"path": "old.sh", "text": "", "create_only": true}))
        .await;
    assert_eq!(message, "\"old.sh\" is there already, and create_only says not to replace it");
    let message = fixture.fails("write_file", json!({"path": "new", "text": ""})).await;
    assert_eq!(message, "\"new\" is a directory, not a regular file, and cannot be written");
    let message = fixture.fails("write_file", json!({"path": "x/", "text": ""})).await;
    assert!(message.contains("names a folder"), "{message}");
    let message = fixture.fails("write_file", json!({"path": "old.sh/x", "text": ""})).await;
    assert!(message.contains("is a file, not a folder"), "{message}");
    fs::set_permissions(fixture.root().join("old.sh"), fs::Permissions::from_mode(0o444)).unwrap();
    let message = fixture.fails("write_file", json!({"path": "old.sh", "text": ""})).await;
    assert_eq!(message, "\"old.sh\" is read-only (mode 444), so it was left as it is");
    assert_eq!(fixture.text("old.sh"), "new");
    no_leftovers(&fixture);
}

fn no_leftovers(fixture: &Fixture) {
    let names: Vec<String> = walk(fixture.root());
    assert!(!names.iter().any(|name| name.contains(".codemode-")), "{names:?}");
}

fn walk(dir: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().unwrap().is_dir() {
            names.extend(walk(&entry.path()));
        }
    }
    names
}

#[tokio::test]
async fn edits_are_made_all_or_none() {
    let fixture = Fixture::new(&[("a.rs", "one\ntwo\nthree\ntwo\n")]);
    let edited = fixture
        .ok(
            "edit_file",
            json!({"path": "a.rs", "edits": [
                {"old_text": "one", "new_text": "1\n1"},
                {"old_text": "two", "new_text": "2", "replace_all": true},
                {"old_text": "2\nthree", "new_text": ""},
            ]}),
        )
        .await;
    assert_eq!(
        edited,
        json!({"path": "a.rs", "replacements": 4, "lines": [1, 3, 3], "size_bytes": 7})
    );
    assert_eq!(fixture.text("a.rs"), "1\n1\n\n2\n");

    let message = fixture
        .fails(
            "edit_file",
            json!({"path": "a.rs", "edits": [
                {"old_text": "2", "new_text": "3"},
                {"old_text": "nope", "new_text": "3"},
            ]}),
        )
        .await;
    assert!(message.starts_with("edit 2 of 2: old_text is not in"), "{message}");
    assert_eq!(fixture.text("a.rs"), "1\n1\n\n2\n");
    no_leftovers(&fixture);
}

#[tokio::test]
async fn an_edit_keeps_the_bytes_it_does_not_touch() {
    let fixture = Fixture::new(&[]);
    let edit = async |bytes: &[u8], old: &str, new: &str| {
        fs::write(fixture.root().join("f"), bytes).unwrap();
        let edits = json!([{ "old_text": old, "new_text": new }]);
        fixture.ok("edit_file", json!({"path": "f", "edits": edits})).await;
        fs::read(fixture.root().join("f")).unwrap()
    };
    assert_eq!(edit(b"caf\xe9 old\n", "old", "new").await, b"caf\xe9 new\n");
    assert_eq!(edit(b"\xef\xbb\xbfold\n", "old", "new").await, b"\xef\xbb\xbfnew\n");
    assert_eq!(edit(b"a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\nz\n").await, b"x\r\ny\r\nz\r\nc\r\n");
}

#[tokio::test]
async fn an_edit_that_fails_shows_the_way() {
    let source = "fn main() {\n\tlet total = compute(first, second);\n\tprintln!(\"{total}\");\n}\n\nfn other() {\n    x();\n    x();\n}\n";
    let fixture = Fixture::new(&[("a.rs", source)]);
    let check = async |old: &str, new: &str, expected: expect_test::Expect| {
        let edits = json!([{ "old_text": old, "new_text": new }]);
        expected
            .assert_eq(&fixture.fails("edit_file", json!({"path": "a.rs", "edits": edits})).await);
    };
    check(
        "    let total = compute(first, second);\n",
        "",
        expect![[r#"
        old_text is not in "a.rs". What stands from line 2 on differs in white space only:
             2| ⇥let total = compute(first, second);
        Copy old_text from there"#]],
    )
    .await;
    check(
        "let total = compute(frist, second);\n    println!(\"{totals}\");",
        "",
        expect![[r#"
        old_text is not in "a.rs". What stands from line 2 on is the most like it:
             2| ⇥let total = compute(first, second);
             3| ⇥println!("{total}");
        Copy old_text from there"#]],
    )
    .await;
    check("x();", "y();", expect![[r#"old_text is 2 times in "a.rs" (lines 7, 8). Give more of the lines around the one that is meant, or set replace_all: true"#]]).await;
    check("class Foo extends Bar", "", expect![[r#"old_text is not in "a.rs". Nothing in the file is like it: read_file shows what is there now"#]]).await;
    check("", "y", expect![[r#"old_text is empty. Give the text beside which to insert, and repeat it in new_text; write_file writes "a.rs" whole"#]]).await;
    check("x", "x", expect!["old_text and new_text are the same"]).await;
    check(
        "\n\n\n\n",
        "x",
        expect![[r#"old_text is not in "a.rs". It is white space only; give the text around it"#]],
    )
    .await;
    assert_eq!(fixture.text("a.rs"), source);
    let message = fixture.fails("edit_file", json!({"path": "a.rs", "edits": []})).await;
    assert_eq!(message, "edits is empty; give at least one { old_text, new_text }");
}

#[tokio::test]
async fn changes_of_one_file_at_the_same_time_are_all_kept() {
    let text: String = (0..100).map(|n| format!("<{n}>\n")).collect();
    let fixture = Fixture::new(&[("f", &text)]);
    let edits = (0..100).map(|n| {
        let edits = json!([{ "old_text": format!("<{n}>"), "new_text": format!("[{n}]") }]);
        fixture.start("edit_file", json!({"path": "f", "edits": edits}))
    });
    for result in join_all(edits).await {
        result.unwrap();
    }
    assert_eq!(fixture.text("f"), text.replace('<', "[").replace('>', "]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_calls_at_once_are_answered() {
    let fixture = Fixture::new(&[("src/a.rs", "needle\n")]);
    let calls = (0..200).map(|n| {
        let call = match n % 4 {
            0 => fixture.start(
                "write_file",
                json!({"path": format!("out/{n}.txt"), "text": n.to_string()}),
            ),
            1 => fixture.start("read_file", json!({"path": "src/a.rs"})),
            2 => fixture.start("search", json!({"pattern": "needle", "include": "*.rs"})),
            _ => fixture.start("exec_command", json!({"command": ["echo", n.to_string()]})),
        };
        tokio::spawn(call)
    });
    for (n, call) in join_all(calls.collect::<Vec<_>>()).await.into_iter().enumerate() {
        let result = call.unwrap().unwrap();
        match n % 4 {
            0 => assert_eq!(fixture.text(&format!("out/{n}.txt")), n.to_string()),
            1 => assert_eq!(result["text"], "needle\n"),
            2 => assert_eq!(result["matches"].as_array().unwrap().len(), 1),
            _ => assert_eq!(result["stdout"], format!("{n}\n")),
        }
    }
    no_leftovers(&fixture);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_never_see_half_a_file() {
    let fixture = Fixture::new(&[("f", &"a".repeat(300_000))]);
    let writes = (0..40).map(|n| {
        let letter = if n % 2 == 0 { "b" } else { "a" };
        tokio::spawn(
            fixture.start("write_file", json!({"path": "f", "text": letter.repeat(300_000)})),
        )
    });
    let writes: Vec<_> = writes.collect();
    let reads: Vec<_> =
        (0..40).map(|_| tokio::spawn(fixture.start("read_file", json!({"path": "f"})))).collect();
    for read in join_all(reads).await {
        let text = read.unwrap().unwrap()["text"].as_str().unwrap().to_owned();
        assert_eq!(text.len(), 300_000);
        assert!(text.bytes().all(|byte| byte == text.as_bytes()[0]));
    }
    for write in join_all(writes).await {
        write.unwrap().unwrap();
    }
}

#[tokio::test]
async fn entries_are_moved() {
    let fixture = Fixture::new(&[("a.txt", "a"), ("b.txt", "b"), ("dir/c.txt", "c")]);
    fixture.ok("move_file", json!({"from": "a.txt", "to": "new/x.txt"})).await;
    assert_eq!(fixture.text("new/x.txt"), "a");
    fixture.ok("move_file", json!({"from": "dir", "to": "new/dir"})).await;
    assert_eq!(fixture.text("new/dir/c.txt"), "c");
    let cases = [
        (
            json!({"from": "b.txt", "to": "new/x.txt"}),
            "\"new/x.txt\" is there already; set overwrite: true to replace it, or choose another name",
        ),
        (
            json!({"from": "b.txt", "to": "new"}),
            "\"new\" is a folder that is there already. To move \"b.txt\" into it, name \"new/b.txt\"",
        ),
        (
            json!({"from": "new", "to": "new/inside"}),
            "\"new\" cannot be moved into itself, to \"new/inside\"",
        ),
        (
            json!({"from": ".", "to": "x"}),
            "\".\" does not end in the name of a file or folder, which this tool needs",
        ),
        (
            json!({"from": "new", "to": "b.txt", "overwrite": true}),
            "\"b.txt\" is a file, and \"new\" is a folder; delete the file first, or choose another name",
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(fixture.fails("move_file", arguments).await, expected);
    }
    let message = fixture.fails("move_file", json!({"from": "gone", "to": "x"})).await;
    assert!(message.starts_with("cannot move \"gone\": there is no such file"), "{message}");
    fixture.ok("move_file", json!({"from": "b.txt", "to": "new/x.txt", "overwrite": true})).await;
    assert_eq!(fixture.text("new/x.txt"), "b");
}

#[tokio::test]
async fn entries_are_deleted_and_folders_created() {
    let fixture =
        Fixture::new(&[("a.txt", "a"), ("dir/c.txt", "c"), ("kept.txt", "k"), ("empty/", "")]);
    symlink("kept.txt", fixture.root().join("link")).unwrap();
    symlink("../kept.txt", fixture.root().join("dir/link")).unwrap();
    fixture.ok("delete_file", json!({"path": "a.txt"})).await;
    fixture.ok("delete_file", json!({"path": "link"})).await;
    fixture.ok("delete_file", json!({"path": "empty"})).await;
    let message = fixture.fails("delete_file", json!({"path": "dir"})).await;
    assert_eq!(
        message,
        "\"dir\" is a folder with something in it; set recursive: true to delete all of it"
    );
    fixture.ok("delete_file", json!({"path": "dir", "recursive": true})).await;
    let message = fixture.fails("delete_file", json!({"path": ".", "recursive": true})).await;
    assert!(message.contains("does not end in the name"), "{message}");
    assert_eq!(walk(fixture.root()), ["kept.txt"]);

    let created = fixture.ok("create_directory", json!({"path": "x/y"})).await;
    assert_eq!(created, json!({"path": "x/y", "created": true}));
    let created = fixture.ok("create_directory", json!({"path": "x/y"})).await;
    assert_eq!(created, json!({"path": "x/y", "created": false}));
    let message = fixture.fails("create_directory", json!({"path": "kept.txt"})).await;
    assert!(message.contains("is not a folder"), "{message}");
}
