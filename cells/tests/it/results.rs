//! What one is told about a cell that cannot be waited for any more.

use std::time::Duration;

use codemode_cells::{CodeModeSession, Counting, OutputPolicy};
use codemode_host_protocol::{CellId, ContentItem, RuntimeResponse, WaitOutcome};
use expect_test::{Expect, expect};

use crate::support::{Lab, MINUTE, timeless};

#[tokio::test]
async fn a_repeated_wait_is_told_what_became_of_the_cell() {
    let lab = Lab::new();
    lab.run("text('a'); text('b')").await;
    lab.run("text('c'); throw new Error('boom')").await;
    lab.run("").await;
    check(&lab, "1", expect![[r#"
        exec cell 1 not found: it completed N ms ago, and its result was read N ms ago; what that showed is repeated here; no cell of this session is live
        items: a, b"#]]).await;
    let live = [lab.start("await tools.ask({})"), lab.start("await tools.ask({})")];
    check(&lab, "3", expect![[r#"
        exec cell 3 not found: it completed N ms ago, and its result was read N ms ago; it showed nothing; live cells: 4, 5
        items: "#]]).await;
    let failed = missing(&lab, "2").await.0;
    assert!(failed.contains("it failed "), "{failed}");
    assert!(failed.contains("\nIt had ended with: Error: boom"), "{failed}");
    lab.desk.until("call 5 tool-1 ask {}").await;
    lab.terminate("4").await;
    drop(live);
    check(&lab, "4", expect![[r#"
        exec cell 4 not found: it was terminated N ms ago, and its result was read N ms ago; it showed nothing; live cells: 5
        items: "#]]).await;
}

#[tokio::test]
async fn a_cell_that_never_was_is_told_apart() {
    let lab = Lab::new();
    check(&lab, "1", expect![[r#"
        exec cell 1 not found: this session has not started any cell; no cell of this session is live
        items: "#]]).await;
    lab.run("").await;
    for id in ["2", "0", "01", "-1", "x", ""] {
        let (text, _) = missing(&lab, id).await;
        let expected =
            format!("exec cell {id} not found: this session never had it, its cells are 1 to 1; ");
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[tokio::test]
async fn results_are_kept_within_bounds() {
    let lab = Lab::with(|options| options.limits.kept_results = 2);
    for n in 1..=3 {
        lab.run(&format!("text({n})")).await;
    }
    let (text, items) = missing(&lab, "1").await;
    assert!(text.contains("what that showed is not kept any more"), "{text}");
    assert_eq!(items, "");
    assert_eq!(missing(&lab, "3").await.1, "3");
}

#[tokio::test]
async fn results_that_nobody_asks_for_are_dropped_when_there_are_too_many() {
    let lab = Lab::with(|options| options.limits.unread_results = 2);
    for n in 1..=4 {
        drop(lab.start(&format!("text({n})")));
        lab.until_idle().await;
    }
    assert_eq!(lab.wait("4").await, r#"result["4"]"#);
    assert_eq!(lab.wait("3").await, r#"result["3"]"#);
    let (text, _) = missing(&lab, "1").await;
    assert!(
        text.contains("nobody asked for its result, and it was dropped to make room"),
        "{text}"
    );
    assert_eq!(lab.desk.log(), ["closed 1", "closed 4", "closed 3"]);
}

#[tokio::test]
async fn output_is_cut_where_the_session_says_so() {
    let source = "text('x'.repeat(100)); throw new Error('boom')";
    let cut = |policy| async move {
        let lab = Lab::with(|options| options.output = policy);
        let mut request = crate::support::request(source, MINUTE);
        request.max_output_tokens = Some(10);
        let cell = lab.session.execute(lab.step.clone(), request).await.unwrap();
        let response = cell.response.await.unwrap().into_inner();
        let long = lab.start_for("text('x'.repeat(100)); await tools.ask({})", Duration::ZERO);
        lab.desk.until("call 2 tool-1 ask {}").await;
        drop(long);
        let wait = lab.session.wait(&CellId::new("2"), Duration::ZERO, Some(5)).await.unwrap();
        let end = lab.session.terminate(&CellId::new("2"), Some(5)).await.unwrap();
        [items(&response), items(wait.response()), items(end.response())].join("\n--\n")
    };
    let whole = cut(OutputPolicy::Whole).await;
    assert_eq!(whole, format!("{0}\n--\n{0}\n--\n", "x".repeat(100)));
    let tokens = cut(OutputPolicy::Cut(Counting::O200k)).await;
    assert!(tokens.starts_with("Warning: truncated output (original token count: 13)"), "{tokens}");
    expect![[r#"
        Warning: truncated output (original token count: 66)
        Total output lines: 7

        xxxxxxxxxxxxxxxxxxxx…56 tokens truncated…t exec_main.mjs:1:30
        --
        Warning: truncated output (original token count: 25)
        Total output lines: 1

        xxxxxxxxxx…20 tokens truncated…xxxxxxxxxx
        --
    "#]]
    .assert_eq(&cut(OutputPolicy::V1Server).await);
}

#[tokio::test]
async fn an_obituary_is_cut_too() {
    let lab = Lab::with(|options| options.output = OutputPolicy::V1Server);
    let (text, items) = missing(&lab, "7").await;
    assert_eq!(items, format!("Script error:\n{text}"));
}

async fn check(lab: &Lab, cell: &str, expected: Expect) {
    let (text, items) = missing(lab, cell).await;
    expected.assert_eq(&format!("{}\nitems: {items}", timeless(&text)));
}

/// The text about a missing cell, and the items that come with it.
async fn missing(lab: &Lab, cell: &str) -> (String, String) {
    let outcome = lab.session.wait(&CellId::new(cell), MINUTE, None).await.unwrap().into_inner();
    let WaitOutcome::MissingCell(RuntimeResponse::Result { error_text, .. }) = &outcome else {
        panic!("{outcome:?}")
    };
    (error_text.clone().unwrap(), items(outcome.response()))
}

fn items(response: &RuntimeResponse) -> String {
    let texts = response.content_items().iter().map(|item| match item {
        ContentItem::InputText { text } => text.as_str(),
        other => panic!("{other:?}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}
