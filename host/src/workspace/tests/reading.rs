//! `read_file`, `list_directory`, `file_info`.

use std::fs;

use serde_json::{Value, json};

use super::Fixture;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";

/// Reads `bytes` with these arguments beside the path.
async fn read(bytes: &[u8], arguments: Value) -> Result<Value, String> {
    let fixture = Fixture::new(&[]);
    fs::write(fixture.root().join("f"), bytes).unwrap();
    let mut arguments = arguments;
    arguments["path"] = json!("f");
    fixture.call("read_file", arguments).await
}

#[tokio::test]
async fn text_comes_exactly_and_by_lines() {
    let cases = [
        // text, arguments, expected text, start, end, total
        ("a\nb\nc\n", json!({}), "a\nb\nc\n", 1, 3, 3),
        ("a\nb\nc", json!({}), "a\nb\nc", 1, 3, 3),
        ("a\r\nb\r\n", json!({}), "a\r\nb\r\n", 1, 2, 2),
        ("", json!({}), "", 1, 0, 0),
        ("\n", json!({}), "\n", 1, 1, 1),
        ("\n\n\n", json!({"start_line": 2, "end_line": 2}), "\n", 2, 2, 3),
        ("a\nb\nc\n", json!({"start_line": 2}), "b\nc\n", 2, 3, 3),
        ("a\nb\nc\n", json!({"end_line": 2}), "a\nb\n", 1, 2, 3),
        ("a\nb\nc\n", json!({"start_line": 3, "end_line": 99}), "c\n", 3, 3, 3),
        ("a\nb\nc", json!({"start_line": 3, "end_line": 3}), "c", 3, 3, 3),
        ("\u{feff}a\n", json!({}), "a\n", 1, 1, 1),
        ("ü\n€\n", json!({"start_line": 2}), "€\n", 2, 2, 2),
    ];
    for (bytes, arguments, text, start, end, total) in cases {
        let got = read(bytes.as_bytes(), arguments.clone()).await.unwrap();
        let expected = json!({
            "type": "text", "text": text, "start_line": start, "end_line": end,
            "total_lines": total, "truncated": false
        });
        assert_eq!(got, expected, "{bytes:?} {arguments}");
    }
}

#[tokio::test]
async fn a_long_file_is_cut_at_a_line_and_says_how_to_read_on() {
    let text: String = (1..=5000).map(|line| format!("line {line}\n")).collect();
    let fixture = Fixture::new(&[("long.txt", &text)]);
    let (mut whole, mut from, mut rounds) = (String::new(), 1, 0);
    loop {
        let part = fixture
            .ok("read_file", json!({"path": "long.txt", "start_line": from, "max_bytes": 10_000}))
            .await;
        whole += part["text"].as_str().unwrap();
        assert_eq!(part["total_lines"], 5000);
        rounds += 1;
        from = part["end_line"].as_u64().unwrap() + 1;
        if part["truncated"] == false {
            assert_eq!(part["note"], Value::Null);
            break;
        }
        let note = part["note"].as_str().unwrap();
        assert!(note.contains(&format!("start_line: {from}")), "{note}");
        assert!(part["text"].as_str().unwrap().ends_with('\n'));
    }
    assert_eq!(whole, text);
    assert_eq!(rounds, 5);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_cut_between_characters() {
    let got = read("€€€\nend\n".as_bytes(), json!({"max_bytes": 4})).await.unwrap();
    assert_eq!(got["text"], "€");
    assert_eq!((&got["end_line"], &got["total_lines"]), (&json!(1), &json!(2)));
    assert_eq!(got["truncated"], true);
    assert!(got["note"].as_str().unwrap().contains("line 1 alone"), "{got}");
}

#[tokio::test]
async fn what_is_no_utf8_is_told() {
    let latin = read(b"caf\xe9\n", json!({})).await.unwrap();
    assert_eq!(latin["text"], "caf\u{fffd}\n");
    assert!(latin["note"].as_str().unwrap().contains("not valid UTF-8"));

    let utf16 = read(b"\xff\xfeh\0i\0\n\0", json!({})).await.unwrap();
    assert_eq!((&utf16["text"], &utf16["total_lines"]), (&json!("hi\n"), &json!(1)));
    let odd = read(b"\xfe\xff\0h\0", json!({})).await.unwrap();
    assert_eq!(odd["text"], "h?");

    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(64, 0);
    let binary = read(&program, json!({})).await.unwrap_err();
    assert!(binary.contains("is a binary file (application/x-executable, 64 bytes)"), "{binary}");
    let unknown = read(b"abc\0def", json!({})).await.unwrap_err();
    assert!(unknown.contains("is a binary file (of no known kind, 7 bytes)"), "{unknown}");
}

#[tokio::test]
async fn images_come_as_content_blocks() {
    let got = read(PNG, json!({})).await.unwrap();
    assert_eq!(
        got,
        json!({"type": "image", "data": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAA=", "mimeType": "image/png"})
    );
    let mut large = PNG.to_vec();
    large.resize(11 * 1024 * 1024, 0);
    let message = read(&large, json!({})).await.unwrap_err();
    assert!(message.contains("is an image of 11534336 bytes"), "{message}");
}

#[tokio::test]
async fn wrong_lines_are_told() {
    let message = read(b"a\nb\n", json!({"start_line": 4})).await.unwrap_err();
    assert_eq!(message, "start_line is 4, but \"f\" has 2 lines");
    let message = read(b"a\nb\n", json!({"start_line": 2, "end_line": 1})).await.unwrap_err();
    assert_eq!(message, "end_line (1) is before start_line (2)");
}

#[tokio::test]
async fn a_path_that_is_not_there_offers_those_that_are() {
    let fixture = Fixture::new(&[
        ("src/main.rs", ""),
        ("src/lib.rs", ""),
        ("src/deep/unique_name.rs", ""),
        ("docs/", ""),
    ]);
    let cases = [
        (
            "src/mian.rs",
            r#"cannot read "src/mian.rs": there is no such file or folder. Near it: "src/main.rs""#,
        ),
        (
            "unique_name.rs",
            r#"cannot read "unique_name.rs": there is no such file or folder. Near it: "src/deep/unique_name.rs""#,
        ),
        (
            "scr/main.rs",
            r#"cannot read "scr/main.rs": there is no such file or folder. Near it: "src/main.rs", "src""#,
        ),
        (
            "docs/zzz",
            r#"cannot read "docs/zzz": there is no such file or folder. The folder "docs" is there; see list_directory for what is in it"#,
        ),
        (
            "zzz",
            r#"cannot read "zzz": there is no such file or folder. See list_directory({ path: "." }) for what there is"#,
        ),
        ("src", r#""src" is a folder; list_directory and glob say what is in it"#),
        (
            "src/main.rs/x",
            r#"cannot read "src/main.rs/x": a part of this path before the last is a file, not a folder"#,
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(fixture.fails("read_file", json!({ "path": path })).await, expected);
    }
}

#[tokio::test]
async fn paths_may_be_spelled_in_every_way_that_stays_inside() {
    let fixture = Fixture::new(&[("src/main.rs", "m")]);
    let absolute = fixture.root().join("src/main.rs");
    let spellings =
        ["src/main.rs", "./src//./main.rs", "src/../src/main.rs", absolute.to_str().unwrap()];
    for path in spellings {
        assert_eq!(fixture.ok("read_file", json!({ "path": path })).await["text"], "m", "{path}");
    }
}

#[tokio::test]
async fn a_folder_is_listed() {
    let fixture = Fixture::new(&[("src/b.txt", "12345"), ("src/.hidden", ""), ("src/a/", "")]);
    std::os::unix::fs::symlink("b.txt", fixture.root().join("src/link")).unwrap();
    let listing = fixture.ok("list_directory", json!({"path": "src/"})).await;
    assert_eq!(
        listing,
        json!({"truncated": false, "entries": [
            {"name": ".hidden", "path": "src/.hidden", "kind": "file", "size_bytes": 0},
            {"name": "a", "path": "src/a", "kind": "directory"},
            {"name": "b.txt", "path": "src/b.txt", "kind": "file", "size_bytes": 5},
            {"name": "link", "path": "src/link", "kind": "symlink"},
        ]})
    );
    let root = fixture.ok("list_directory", json!({})).await;
    assert_eq!(root["entries"][0]["path"], "src");
    let message = fixture.fails("list_directory", json!({"path": "src/b.txt"})).await;
    assert_eq!(message, "\"src/b.txt\" is not a folder");
}

#[tokio::test]
async fn info_tells_what_a_path_is() {
    let fixture = Fixture::new(&[("a.txt", "one\ntwo")]);
    let file = fs::File::options().write(true).open(fixture.root().join("a.txt")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_123))
        .unwrap();
    std::os::unix::fs::symlink("a.txt", fixture.root().join("link")).unwrap();
    fs::write(fixture.root().join("image"), PNG).unwrap();
    assert_eq!(
        fixture.ok("file_info", json!({"path": "a.txt"})).await,
        json!({"path": "a.txt", "kind": "file", "size_bytes": 7, "modified": "2023-11-14T22:13:20.123Z",
               "executable": false, "lines": 2})
    );
    let link = fixture.ok("file_info", json!({"path": "link"})).await;
    assert_eq!(
        (&link["kind"], &link["link_target"], &link["lines"]),
        (&json!("file"), &json!("a.txt"), &json!(2))
    );
    let image = fixture.ok("file_info", json!({"path": "image"})).await;
    assert_eq!((&image["mime_type"], &image["lines"]), (&json!("image/png"), &Value::Null));
    let root = fixture.ok("file_info", json!({"path": "."})).await;
    assert_eq!((&root["kind"], &root["path"]), (&json!("directory"), &json!(".")));
}
