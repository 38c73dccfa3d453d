//! `glob` and `search`.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::Fixture;

fn project() -> Fixture {
    Fixture::new(&[
        (".gitignore", "target/\n*.log\n!keep.log\n/only_top\n"),
        (".git/config", "TODO in git"),
        (".github/ci.yml", "TODO: ci\n"),
        ("Cargo.toml", "[package]\n"),
        ("src/main.rs", "fn main() {\n    // TODO: one\n}\n"),
        ("src/lib.rs", "// nothing\n"),
        ("src/inner/mod.rs", "// todo lower\n// TODO: two\n"),
        ("src/inner/.gitignore", "secret.rs\n"),
        ("src/inner/secret.rs", "TODO secret\n"),
        ("src/inner/only_top", "x\n"),
        ("target/out.rs", "TODO built\n"),
        ("debug.log", "TODO log\n"),
        ("keep.log", "kept\n"),
        ("only_top", "TODO\n"),
        ("tests/a.test.ts", "it('TODO')\n"),
        ("tests/b.ts", "\n"),
    ])
}

#[tokio::test]
async fn globs_find_files() {
    let fixture = project();
    let cases: Vec<(Value, Vec<&str>)> = vec![
        (json!({"pattern": "**/*.rs"}), vec!["src/inner/mod.rs", "src/lib.rs", "src/main.rs"]),
        (json!({"pattern": "*.toml"}), vec!["Cargo.toml"]),
        (json!({"pattern": "./Cargo.toml"}), vec!["Cargo.toml"]),
        (json!({"pattern": "src/*.rs"}), vec!["src/lib.rs", "src/main.rs"]),
        (
            json!({"pattern": "src/**"}),
            vec![
                "src/inner/.gitignore",
                "src/inner/mod.rs",
                "src/inner/only_top",
                "src/lib.rs",
                "src/main.rs",
            ],
        ),
        (json!({"pattern": "*.rs", "path": "src"}), vec!["src/lib.rs", "src/main.rs"]),
        (json!({"pattern": "inner/*.rs", "path": "src"}), vec!["src/inner/mod.rs"]),
        (
            json!({"pattern": "**/*.{rs,ts}", "exclude": ["src/inner", "*.test.ts"]}),
            vec!["src/lib.rs", "src/main.rs", "tests/b.ts"],
        ),
        (json!({"pattern": "**/*.log"}), vec!["keep.log"]),
        (json!({"pattern": "**/only_top"}), vec!["src/inner/only_top"]),
        (json!({"pattern": "**/*.yml"}), vec![".github/ci.yml"]),
        (json!({"pattern": "*", "kind": "directory"}), vec![".github", "src", "tests"]),
        (
            json!({"pattern": "*/", "include_ignored": true}),
            vec![".git", ".github", "src", "target", "tests"],
        ),
        (json!({"pattern": "target/**", "include_ignored": true}), vec!["target/out.rs"]),
        (json!({"pattern": "**/[a-c]*.ts"}), vec!["tests/a.test.ts", "tests/b.ts"]),
        (
            json!({"pattern": "{src,tests}/*.{rs,ts}"}),
            vec!["src/lib.rs", "src/main.rs", "tests/a.test.ts", "tests/b.ts"],
        ),
        (
            json!({"pattern": format!("{}/src/*.rs", fixture.root().display())}),
            vec!["src/lib.rs", "src/main.rs"],
        ),
    ];
    for (arguments, expected) in cases {
        let found = fixture.ok("glob", arguments.clone()).await;
        assert_eq!(found["paths"], json!(expected), "{arguments}: {found}");
        assert_eq!(found["truncated"], false);
    }
}

#[tokio::test]
async fn a_glob_that_finds_nothing_says_why() {
    let fixture = project();
    let cases = [
        (
            json!({"pattern": "*.rs"}),
            r#""*.rs" means the folder itself; "**/*.rs" all folders below"#,
        ),
        (json!({"pattern": "src"}), r#""src" is a folder; "src/**" means the files in it"#),
        (json!({"pattern": "nope/*.rs"}), r#"there is no folder "nope""#),
        (
            json!({"pattern": "debug.log"}),
            "5 files or folders that .gitignore leaves out were not looked at; include_ignored: true does",
        ),
    ];
    for (arguments, note) in cases {
        let found = fixture.ok("glob", arguments.clone()).await;
        assert_eq!(found["paths"], json!([]), "{arguments}");
        let got = found["note"].as_str().unwrap();
        assert!(got == note || got.starts_with("4 files or folders"), "{arguments}: {got}");
    }
    let message = fixture.fails("glob", json!({"pattern": "[a"})).await;
    assert!(message.contains("is not a glob: unclosed character class"), "{message}");
    let message = fixture.fails("glob", json!({"pattern": "../*"})).await;
    assert!(message.contains("`..`"), "{message}");
    let message = fixture.fails("glob", json!({"pattern": "/etc/*"})).await;
    assert!(message.contains("outside of the workspace"), "{message}");
}

#[tokio::test]
async fn a_glob_gives_no_more_than_asked_for() {
    let files: Vec<(String, &str)> = (0..30).map(|n| (format!("d{}/f{n:02}", n % 3), "")).collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let fixture = Fixture::new(&files);
    let found = fixture.ok("glob", json!({"pattern": "**", "max_results": 7})).await;
    assert_eq!(found["paths"].as_array().unwrap().len(), 7);
    assert_eq!(found["truncated"], true);
    let found = fixture.ok("glob", json!({"pattern": "**", "max_results": 30})).await;
    assert_eq!(
        (found["paths"].as_array().unwrap().len(), &found["truncated"]),
        (30, &json!(false))
    );
}

/// The matches as `path:line:text`.
fn lines(found: &Value) -> Vec<String> {
    let matches = found["matches"].as_array().unwrap();
    matches
        .iter()
        .map(|one| {
            format!(
                "{}:{}:{}",
                one["path"].as_str().unwrap(),
                one["line"],
                one["text"].as_str().unwrap()
            )
        })
        .collect()
}

#[tokio::test]
async fn search_finds_lines() {
    let fixture = project();
    let cases: Vec<(Value, Vec<&str>)> = vec![
        (
            json!({"pattern": "TODO: \\w+"}),
            vec![
                ".github/ci.yml:1:TODO: ci",
                "src/inner/mod.rs:2:// TODO: two",
                "src/main.rs:2:    // TODO: one",
            ],
        ),
        (
            json!({"pattern": "TODO", "include": "*.rs"}),
            vec!["src/inner/mod.rs:2:// TODO: two", "src/main.rs:2:    // TODO: one"],
        ),
        (
            json!({"pattern": "todo", "ignore_case": true, "path": "src/inner"}),
            vec!["src/inner/mod.rs:1:// todo lower", "src/inner/mod.rs:2:// TODO: two"],
        ),
        (
            json!({"pattern": "TODO", "include": ["src/*.rs", "*.ts"]}),
            vec!["src/main.rs:2:    // TODO: one", "tests/a.test.ts:1:it('TODO')"],
        ),
        (json!({"pattern": "main()", "literal": true}), vec!["src/main.rs:1:fn main() {"]),
        (json!({"pattern": "TODO", "path": "src/main.rs"}), vec!["src/main.rs:2:    // TODO: one"]),
        (json!({"pattern": "TODO", "path": "target"}), vec!["target/out.rs:1:TODO built"]),
        (json!({"pattern": "^}$"}), vec!["src/main.rs:3:}"]),
        (
            json!({"pattern": "\\{\\n.*one", "multiline": true}),
            vec!["src/main.rs:1:fn main() {\n    // TODO: one"],
        ),
        (
            json!({"pattern": "TODO", "exclude": ["src", "*.yml"]}),
            vec!["tests/a.test.ts:1:it('TODO')"],
        ),
    ];
    for (arguments, expected) in cases {
        let found = fixture.ok("search", arguments.clone()).await;
        assert_eq!(lines(&found), expected, "{arguments}");
        assert_eq!(found["truncated"], false);
    }
    let all = fixture.ok("search", json!({"pattern": "TODO", "include_ignored": true})).await;
    assert_eq!(all["matches"].as_array().unwrap().len(), 9);
}

#[tokio::test]
async fn matches_come_with_the_lines_around_them() {
    let fixture = Fixture::new(&[("f", "1\n2\nx3\n4\nx5\n6\n7\n8\nx9")]);
    let found = fixture.ok("search", json!({"pattern": "x", "context": 2})).await;
    assert_eq!(
        found["matches"],
        json!([
            {"path": "f", "line": 3, "text": "x3", "before": ["1", "2"], "after": ["4", "x5"]},
            {"path": "f", "line": 5, "text": "x5", "before": ["x3", "4"], "after": ["6", "7"]},
            {"path": "f", "line": 9, "text": "x9", "before": ["7", "8"], "after": []},
        ])
    );
    let cut = fixture.ok("search", json!({"pattern": "x", "context": 2, "max_results": 1})).await;
    assert_eq!(
        cut["matches"],
        json!([{"path": "f", "line": 3, "text": "x3", "before": ["1", "2"], "after": ["4", "x5"]}])
    );
    assert_eq!(cut["truncated"], true);
    let several =
        fixture.ok("search", json!({"pattern": "x3\n4", "context": 1, "multiline": true})).await;
    assert_eq!(
        several["matches"],
        json!([{"path": "f", "line": 3, "text": "x3\n4", "before": ["2"], "after": ["x5"]}])
    );
}

#[tokio::test]
async fn search_says_what_it_left_out() {
    let fixture = Fixture::new(&[("text", "needle\n"), ("binary", "needle\n\0needle\n")]);
    let found = fixture.ok("search", json!({"pattern": "needle"})).await;
    assert_eq!(lines(&found), ["text:1:needle"]);
    assert_eq!(found["files_searched"], 2);
    let limited =
        fixture.ok("search", json!({"pattern": ".", "path": "text", "max_results": 1})).await;
    assert_eq!(limited["truncated"], false);
    let none = fixture.ok("search", json!({"pattern": "needle", "include": "*.zig"})).await;
    assert_eq!(none["note"], "no file was searched; check path, include and exclude");
    for (pattern, hint) in [
        ("(?=x)", "Filter the matches in the cell"),
        ("(", "Set literal: true"),
        ("a\\nb", "Set multiline: true"),
        ("", "the pattern is empty"),
        ("(a{1000}){1000}", "Set literal: true"),
    ] {
        let message = fixture.fails("search", json!({ "pattern": pattern })).await;
        assert!(message.contains(hint), "{pattern}: {message}");
    }
}

#[tokio::test]
async fn long_lines_are_cut_around_the_match() {
    let line = format!("{}needle{}", "ä".repeat(5000), "ö".repeat(5000));
    let fixture = Fixture::new(&[("min.js", &line)]);
    let found = fixture.ok("search", json!({"pattern": "needle"})).await;
    let text = found["matches"][0]["text"].as_str().unwrap();
    assert!(text.contains("needle") && text.len() < 1100 && !text.contains('\u{fffd}'), "{text}");
    assert!(text.starts_with('…') && text.ends_with('…'));
}

#[tokio::test]
async fn links_are_named_but_not_followed() {
    let fixture = Fixture::new(&[("a/f.txt", "needle\n")]);
    symlink("f.txt", fixture.root().join("a/link.txt")).unwrap();
    symlink("..", fixture.root().join("a/up")).unwrap();
    symlink("../a", fixture.root().join("a/round")).unwrap();
    let found = fixture.ok("glob", json!({"pattern": "**"})).await;
    assert_eq!(found["paths"], json!(["a/f.txt", "a/link.txt"]));
    let found = fixture.ok("search", json!({"pattern": "needle"})).await;
    assert_eq!(lines(&found), ["a/f.txt:1:needle"]);
}

#[tokio::test]
async fn a_folder_nested_without_end_is_walked_to_a_depth() {
    let fixture = Fixture::new(&[]);
    let mut dir =
        cap_std::fs::Dir::open_ambient_dir(fixture.root(), cap_std::ambient_authority()).unwrap();
    for _ in 0..300 {
        dir.create_dir("d").unwrap();
        dir = dir.open_dir("d").unwrap();
    }
    dir.write("f", "x").unwrap();
    let found = fixture.ok("glob", json!({"pattern": "**"})).await;
    assert_eq!(found["paths"], json!([]));
    assert_eq!(found["note"], "1 folder nested deeper than 128 were left out");
}

#[tokio::test]
async fn patterns_that_would_take_for_ever_are_refused_or_fast() {
    let nested = "{a,".repeat(500) + "b" + &"}".repeat(500);
    let fixture = Fixture::new(&[
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
        ),
        (".gitignore", &"[!a]?*[!b]?*{c,d}?*\n".repeat(1000)),
    ]);
    for pattern in [
        "?".repeat(4096),
        "[!a]".repeat(1000),
        "?".repeat(5000),
        nested,
        "*a".repeat(2000),
        "{".repeat(4000),
    ] {
        // Whatever comes of it, it is an answer, and no panic.
        if let Err(message) = fixture.call("glob", json!({ "pattern": pattern })).await {
            assert!(message.contains("glob"), "{message}");
            assert!(!message.contains("defect"), "{message}");
        }
    }
    let found = fixture.ok("search", json!({"pattern": "(a+)+$"})).await;
    assert_eq!(found["matches"], json!([]));
}

#[tokio::test]
async fn a_search_gives_no_more_than_a_cell_can_hold() {
    let text = format!("{}\n", "x".repeat(900)).repeat(2000);
    let fixture = Fixture::new(&[("f", &text)]);
    let found =
        fixture.ok("search", json!({"pattern": "x", "context": 50, "max_results": 100_000})).await;
    assert_eq!(found["truncated"], true);
    assert!(found.to_string().len() < 20 << 20);
    assert!(found["matches"].as_array().unwrap().len() > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn matches_come_in_order_however_many_threads_search() {
    // The first file is by far the longest to search, so that the others are done before it.
    let long = "no\n".repeat(200_000) + "needle\n";
    let small: Vec<(String, &str)> =
        (0..400).map(|n| (format!("b{:02}/{n:03}", n % 20), "needle\nneedle\n")).collect();
    let mut files = vec![("a", long.as_str())];
    files.extend(small.iter().map(|(path, text)| (path.as_str(), *text)));
    let fixture = Fixture::new(&files);
    let all = fixture.ok("search", json!({"pattern": "needle"})).await;
    let mut expected: Vec<String> = small
        .iter()
        .flat_map(|(path, _)| [format!("{path}:1:needle"), format!("{path}:2:needle")])
        .collect();
    expected.sort();
    expected.insert(0, "a:200001:needle".to_owned());
    assert_eq!(lines(&all), expected);
    assert_eq!((&all["files_searched"], &all["truncated"]), (&json!(401), &json!(false)));
    for max_results in [1, 2, 100, 801, 802] {
        let some =
            fixture.ok("search", json!({"pattern": "needle", "max_results": max_results})).await;
        assert_eq!(lines(&some), expected[..max_results.min(801)]);
        assert_eq!(some["truncated"], max_results < 801);
    }
}

#[tokio::test]
async fn names_that_are_no_utf8_are_told() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = Fixture::new(&[]);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(fixture.root().join(name), "needle").unwrap();
    let found = fixture.ok("glob", json!({"pattern": "*.txt"})).await;
    assert_eq!(found["paths"], json!(["caf\u{fffd}.txt"]));
    let note =
        "names that are not valid UTF-8 (1) are shown with U+FFFD and cannot be used as paths";
    assert_eq!(found["note"], note);
    let found = fixture.ok("search", json!({"pattern": "needle"})).await;
    assert_eq!((found["matches"].as_array().unwrap().len(), &found["note"]), (1, &json!(note)));
}
