//! Responses: when they come, and what is in them.

use std::time::Duration;

use codemode_cells::{CellRequest, CodeModeSession, Until};
use codemode_host_protocol::{CellId, RuntimeResponse, WaitOutcome};
use codemode_runtime_js::WhenStuck;

use crate::support::{Lab, MINUTE, now, show, show_outcome};

#[tokio::test]
async fn a_cell_answers_with_what_it_showed() {
    let lab = Lab::new();
    assert_eq!(lab.run("text('a'); text(1 + 1)").await, r#"result["a", "2"]"#);
    assert_eq!(lab.run("").await, "result[]");
    assert_eq!(
        lab.run("text('kept'); throw new Error('boom')").await,
        r#"result["kept"] error: Error: boom"#
    );
    assert_eq!(lab.run("text('kept'); exit(); text('not reached')").await, r#"result["kept"]"#);
}

#[tokio::test]
async fn tools_answer_fail_and_panic() {
    let lab = Lab::new();
    let source = "
        const settled = await Promise.allSettled([
            tools.echo({a: 1}), tools.slow_echo([2]), tools.fail({}), tools.panic({}), tools.panic_later({}),
        ]);
        for (const s of settled) text(s.status == 'fulfilled' ? s.value : String(s.reason));
    ";
    let shown = lab.run(source).await;
    assert!(shown.starts_with(r#"result["{\"a\":1}", "[2]", "#), "{shown}");
    assert!(shown.contains("denied"), "{shown}");
    assert_eq!(shown.matches("it panicked").count(), 2, "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_never_stands_still_yields_on_time() {
    let lab = Lab::new();
    let before = tokio::time::Instant::now();
    let cell = lab.start_for("for (;;);", Duration::from_millis(300));
    assert_eq!(show(&cell.response.await.unwrap()), "yielded[]");
    let took = before.elapsed().as_millis();
    assert!((200..=301).contains(&took), "{took}");
    assert_eq!(lab.terminate("1").await, "terminated[]");
}

#[tokio::test(start_paused = true)]
async fn a_cell_yields_after_ten_seconds_if_not_told() {
    let lab = Lab::new();
    let before = tokio::time::Instant::now();
    let request = CellRequest::new("await new Promise(r => setTimeout(r, 1e9))");
    let cell = now(lab.session.execute(lab.step.clone(), request)).unwrap();
    assert_eq!(show(&cell.response.await.unwrap()), "yielded[]");
    assert_eq!(before.elapsed().as_secs_f64().round(), 10.0);
}

#[tokio::test(start_paused = true)]
async fn no_cell_yields_later_than_its_session_allows() {
    let lab = Lab::with(|options| options.limits.max_yield_time = Some(Duration::from_millis(100)));
    let before = tokio::time::Instant::now();
    let cell = lab.start("await new Promise(r => setTimeout(r, 1e9))");
    assert_eq!(show(&cell.response.await.unwrap()), "yielded[]");
    assert_eq!(lab.wait("1").await, "yielded[]");
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_cell_that_waits_for_nothing_lives_until_it_is_ended() {
    let lab = Lab::new();
    let cell = lab.start("text('a'); yield_control(); await new Promise(() => {})");
    assert_eq!(show(&cell.response.await.unwrap()), r#"yielded["a"]"#);
    let wait = lab.session.wait(&CellId::new("1"), Duration::from_millis(1), None);
    assert_eq!(show_outcome(wait.await), "yielded[]");
    assert_eq!(lab.terminate("1").await, "terminated[]");

    let lab = Lab::with(|options| options.when_stuck = WhenStuck::Fail);
    let shown = lab.run("text('a'); await new Promise(() => {})").await;
    assert!(shown.starts_with(r#"result["a"] error: "#), "{shown}");
}

#[tokio::test]
async fn a_yield_time_of_zero_answers_at_once_and_loses_nothing() {
    let lab = Lab::new();
    let cell = lab.start_for("text('a'); await tools.ask({}); text('b')", Duration::ZERO);
    lab.desk.until("call 1 tool-1 ask {}").await;
    assert_eq!(show(&now(cell.response).unwrap()), "yielded[]");
    let wait = lab.session.wait(&CellId::new("1"), Duration::ZERO, None);
    assert_eq!(show_outcome(now(wait)), r#"yielded["a"]"#);
    lab.desk.answer("1 tool-1", "null");
    assert_eq!(lab.wait("1").await, r#"result["b"]"#);
}

#[tokio::test]
async fn a_yield_hands_out_what_was_shown_until_then() {
    let lab = Lab::new();
    let source =
        "text('a'); yield_control(); text('b'); yield_control(); text('c'); await tools.ask(1);
                  text('d'); yield_control(); text('e');";
    let cell = lab.start(source);
    lab.desk.until("call 1 tool-1 ask 1").await;
    // The cell is long past its yield; the answer is what there was then.
    assert_eq!(show(&cell.response.await.unwrap()), r#"yielded["a"]"#);
    // Nobody waited when it said the second one, so it says nothing now.
    let wait = lab.session.wait(&CellId::new("1"), MINUTE, None);
    lab.desk.answer("1 tool-1", "null");
    assert_eq!(show_outcome(wait.await), r#"yielded["b", "c", "d"]"#);
    assert_eq!(lab.wait("1").await, r#"result["e"]"#);
}

#[tokio::test]
async fn a_wait_can_be_made_to_answer_now() {
    let lab = Lab::new();
    let cell = lab.start("text('a'); await tools.ask({})");
    lab.desk.until("call 1 tool-1 ask {}").await;
    lab.session.yield_now(&CellId::new("1"));
    assert_eq!(show(&now(cell.response).unwrap()), r#"yielded["a"]"#);
    let wait = lab.session.wait(&CellId::new("1"), MINUTE, None);
    lab.session.yield_now(&CellId::new("1"));
    lab.session.yield_now(&CellId::new("7"));
    assert_eq!(show_outcome(now(wait)), "yielded[]");
}

#[tokio::test]
async fn the_second_observer_is_told_that_it_is_not_the_first() {
    let lab = Lab::new();
    let cell = lab.start("text('a'); await tools.ask({}); text('b')");
    let refused = "refused: exec cell 1 already has an active observer";
    assert_eq!(lab.wait("1").await, refused);
    lab.session.yield_now(&CellId::new("1"));
    // It yielded, but the first observer has not looked yet.
    assert_eq!(lab.wait("1").await, refused);
    cell.response.await.unwrap();
    lab.desk.until("call 1 tool-1 ask {}").await;
    let wait = lab.session.wait(&CellId::new("1"), MINUTE, None);
    assert_eq!(lab.wait("1").await, refused);
    drop(wait);
    lab.desk.answer("1 tool-1", "null");
    assert!(lab.wait("1").await.starts_with("result["));
}

#[tokio::test]
async fn dropping_a_wait_loses_nothing() {
    let lab = Lab::new();
    let cell = lab.start("text('a'); yield_control(); text('b'); await tools.ask({}); text('c')");
    lab.desk.until("call 1 tool-1 ask {}").await;
    // Answered, but not looked at.
    drop(cell);
    let wait = lab.session.wait(&CellId::new("1"), MINUTE, None);
    lab.desk.answer("1 tool-1", "null");
    // The engine is done with the cell, so the result is there; nobody takes it.
    lab.until_idle().await;
    drop(wait);
    assert_eq!(lab.wait("1").await, r#"result["a", "b", "c"]"#);
    assert!(lab.wait("1").await.starts_with("missing"));
}

#[tokio::test]
async fn results_tell_how_long_they_waited() {
    let lab = Lab::new();
    let cell = lab.start_for("text('a')", Duration::ZERO);
    cell.response.await.unwrap();
    lab.until_idle().await;
    let outcome = now(lab.session.wait(&CellId::new("1"), MINUTE, None)).unwrap().into_inner();
    let WaitOutcome::LiveCell(RuntimeResponse::Result { result_buffered_for_ns, .. }) = outcome
    else {
        panic!("{outcome:?}")
    };
    assert!(result_buffered_for_ns > 0);
}

#[tokio::test]
async fn a_wait_for_output_is_answered_by_the_first() {
    let lab = Lab::new();
    let source = "
        text('a');
        yield_control();
        text('b');
        await tools.ask();
        text('c');
        await tools.ask();
    ";
    let cell = lab.start(source);
    assert_eq!(show(&cell.response.await.unwrap()), r#"yielded["a"]"#);
    let id = CellId::new("1");
    let wait = || lab.session.wait_until(&id, Until::Output, MINUTE, None);
    lab.desk.until("call 1 tool-1 ask null").await;
    assert_eq!(show_outcome(wait().await), r#"yielded["b"]"#, "shown before the wait");
    let during = wait();
    assert!(lab.desk.answer("1 tool-1", "1"));
    assert_eq!(show_outcome(during.await), r#"yielded["c"]"#, "shown during the wait");
    lab.desk.until("call 1 tool-2 ask null").await;
    let last = wait();
    assert!(lab.desk.answer("1 tool-2", "1"));
    assert_eq!(show_outcome(last.await), "result[]");
}

#[tokio::test]
async fn a_wait_for_completion_hears_no_yield() {
    let lab = Lab::new();
    let cell =
        lab.start("yield_control(); await tools.ask(); text('a'); yield_control(); text('b')");
    assert_eq!(show(&cell.response.await.unwrap()), "yielded[]");
    lab.desk.until("call 1 tool-1 ask null").await;
    let id = CellId::new("1");
    let wait = lab.session.wait_until(&id, Until::Completion, MINUTE, None);
    assert!(lab.desk.answer("1 tool-1", "1"));
    assert_eq!(show_outcome(wait.await), r#"result["a", "b"]"#);
}

#[tokio::test]
async fn a_wait_for_completion_can_be_cut_short() {
    let lab = Lab::new();
    let cell = lab.start("yield_control(); await tools.ask()");
    assert_eq!(show(&cell.response.await.unwrap()), "yielded[]");
    let id = CellId::new("1");
    let wait = lab.session.wait_until(&id, Until::Completion, MINUTE, None);
    lab.session.yield_now(&id);
    assert_eq!(show_outcome(wait.await), "yielded[]");
}
