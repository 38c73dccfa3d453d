//! What a cell or a session may not exceed, and who learns of it.

use codemode_cells::{CodeModeSession, SessionError};
use codemode_host_protocol::Budget;

use crate::support::{Lab, MINUTE, now, request};

#[tokio::test]
async fn a_call_too_many_fails_and_the_others_go_on() {
    let lab = Lab::with(|options| options.limits.open_calls = 3);
    let source = "
        const calls = Array.from({length: 4}, () => tools.ask({}));
        try { await calls[3] } catch (e) { text(String(e)); notify('refused') }
        text(await calls[0]); text(await tools.echo(5));
    ";
    let cell = lab.start(source);
    lab.desk.until("notify 1 call refused").await;
    lab.desk.answer("1 tool-1", "4");
    let shown = crate::support::show(&cell.response.await.unwrap());
    assert!(shown.contains("OpenToolCallLimitExceeded: the cell has 3 tool calls open"), "{shown}");
    assert!(shown.ends_with(r#""4", "5"]"#), "{shown}");
}

#[tokio::test]
async fn inputs_of_open_calls_count_with_their_bytes() {
    let lab = Lab::with(|options| options.limits.open_bytes = 100);
    let shown = lab
        .run("tools.ask('x'.repeat(90)); try { await tools.echo('y'.repeat(20)) } catch (e) { text(String(e)) }")
        .await;
    assert!(shown.contains("would take more than 100 bytes"), "{shown}");
}

#[tokio::test]
async fn a_session_has_room_for_so_many_cells() {
    let lab = Lab::with(|options| options.limits.session.set(Budget::LiveCells, Some(2)));
    let cells = [lab.start("await tools.ask(1)"), lab.start("await tools.ask(2)")];
    let refused = now(lab.session.execute(lab.step.clone(), request("", MINUTE))).unwrap_err();
    assert_eq!(refused, SessionError::TooManyCells { limit: 2, live: "1, 2".to_owned() });
    assert_eq!(
        refused.to_string(),
        "LiveCellLimitExceeded: the session has 2 live cells, and may not have more; wait for or terminate some: 1, 2"
    );
    drop(cells);
    lab.terminate("1").await;
    while lab.session.running_cells() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.run("text('room')").await, r#"result["room"]"#);
}

#[tokio::test]
async fn unread_output_is_bounded_across_cells() {
    let lab = Lab::with(|options| options.limits.session.set(Budget::UnreadBytes, Some(1000)));
    // Finished and unread: makes room for the next.
    drop(lab.start("text('x'.repeat(900))"));
    lab.until_idle().await;
    let live = lab.start("text('y'.repeat(900)); await tools.ask({})");
    lab.desk.until("call 2 tool-1 ask {}").await;
    assert!(lab.wait("1").await.contains("it was dropped to make room"));
    // Live and unread: stays.
    let shown = lab.run("text('a'); text('z'.repeat(900))").await;
    assert!(shown.starts_with(r#"result["a"] error: UnreadOutputLimitExceeded: "#), "{shown}");
    lab.desk.answer("2 tool-1", "null");
    live.response.await.unwrap();
    assert_eq!(lab.run("text('z'.repeat(900))").await.len(), 900 + r#"result[""]"#.len());
}

#[tokio::test]
async fn the_engines_limits_end_a_cell_and_its_session_goes_on() {
    let lab = Lab::with(|options| options.limits.cell.heap_bytes = 32 << 20);
    let shown = lab.run("text('a'); store('k', 1); const a = []; for (;;) a.push(new Array(1000).fill(a.length))").await;
    assert!(shown.starts_with(r#"result["a"] error: HeapLimitExceeded"#), "{shown}");
    assert_eq!(lab.run("text(load('k'))").await, r#"result["undefined"]"#);
}
