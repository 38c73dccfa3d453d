//! `store` and `load` across the cells of a session.

use codemode_host_protocol::Budget;

use crate::support::Lab;

#[tokio::test]
async fn what_a_cell_stored_counts_once_it_ended_by_itself() {
    let lab = Lab::new();
    lab.run("store('a', {n: 1})").await;
    lab.run("store('b', 2); throw new Error('boom')").await;
    lab.run("store('c', 3); exit()").await;
    assert_eq!(lab.run(LOAD_ALL).await, r#"result["{\"n\":1} 2 3"]"#);
}

#[tokio::test]
async fn what_a_terminated_cell_stored_is_dropped() {
    let lab = Lab::new();
    lab.run("store('a', 1)").await;
    drop(lab.start("store('a', 'dropped'); store('b', 'dropped'); await tools.ask({})"));
    lab.desk.until("call 2 tool-1 ask {}").await;
    lab.terminate("2").await;
    assert_eq!(lab.run(LOAD_ALL).await, r#"result["1 undefined undefined"]"#);
}

#[tokio::test]
async fn a_cell_sees_the_values_of_its_start_and_its_own() {
    let lab = Lab::new();
    lab.run("store('a', 'old')").await;
    let cell = lab.start(&format!("store('b', 'mine'); await tools.ask({{}}); {LOAD_ALL}"));
    lab.desk.until("call 2 tool-1 ask {}").await;
    lab.run("store('a', 'new'); store('b', 'theirs'); store('c', 'new')").await;
    lab.desk.answer("2 tool-1", "null");
    assert_eq!(
        crate::support::show(&cell.response.await.unwrap()),
        r#"result["\"old\" \"mine\" undefined"]"#
    );
    // Of two that wrote `b`, the second ended last.
    assert_eq!(lab.run(LOAD_ALL).await, r#"result["\"new\" \"mine\" \"new\""]"#);
}

#[tokio::test]
async fn values_are_committed_before_the_result_is_told() {
    let lab = Lab::new();
    for n in 0..50 {
        assert_eq!(lab.run(&format!("store('n', {n})")).await, "result[]");
        assert_eq!(lab.run("text(load('n'))").await, format!("result[\"{n}\"]"));
    }
}

#[tokio::test]
async fn a_cell_that_stores_more_than_there_may_be_is_told_at_once() {
    let lab = Lab::with(|options| options.limits.session.set(Budget::StoredBytes, Some(1000)));
    let source =
        "store('a', 1); try { store('b', 'x'.repeat(1000)) } catch (e) { text(e.message) }";
    let shown = lab.run(source).await;
    assert!(shown.starts_with(r#"result["StoredValuesLimitExceeded: "#), "{shown}");
    assert_eq!(lab.run(LOAD_ALL).await, r#"result["1 undefined undefined"]"#);
}

#[tokio::test]
async fn a_cell_whose_values_find_no_room_is_told_and_stores_nothing() {
    let lab = Lab::with(|options| options.limits.session.set(Budget::StoredBytes, Some(1000)));
    lab.run("store('a', 'x'.repeat(600))").await;
    let shown = lab.run("text('kept'); store('a', 2); store('b', 'x'.repeat(600))").await;
    assert_eq!(shown, r#"result["kept"]"#);
    let shown = lab.run("text('kept'); store('c', 'x'.repeat(600))").await;
    assert!(shown.starts_with(r#"result["kept"] error: StoredValuesLimitExceeded: "#), "{shown}");
    let stored = lab.session.stored_values();
    assert_eq!(stored.keys().collect::<Vec<_>>(), ["a", "b"]);
}

const LOAD_ALL: &str = "text(['a', 'b', 'c'].map(k => String(JSON.stringify(load(k)))).join(' '))";
