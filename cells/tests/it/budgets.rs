//! What all cells of a session may use together, and what becomes of them when it is spent.

use codemode_cells::{CodeModeSession as _, HostLedger, SessionError};
use codemode_host_protocol::{Budget, Budgets, CellId, Scope, SessionUsage};

use crate::support::{Lab, MINUTE, now, request, show};

fn lab(budget: Budget, limit: u64) -> Lab {
    Lab::with(|options| options.limits.set(Scope::Session, budget, Some(limit)))
}

/// What two cells use together ends a third one that did nothing, and lets no other start.
#[tokio::test]
async fn a_spent_session_ends_its_cells_and_starts_no_more() {
    for (budget, limit, uses_some, uses_the_rest) in [
        (Budget::OutputBytes, 10, "text('12345')", "text('12345'); text('6')"),
        (Budget::OutputItems, 3, "text(1); text(2)", "text(3); text(4)"),
        (
            Budget::ToolCalls,
            4,
            "await tools.echo(1)",
            "await tools.echo(1); await tools.echo(2); await tools.echo(3)",
        ),
        (
            Budget::ArgumentBytes,
            10,
            "await tools.echo('1234')",
            "await tools.echo(1234); await tools.echo(12)",
        ),
        (
            Budget::ResultBytes,
            10,
            "await tools.echo('1234')",
            "await tools.echo(1234); await tools.echo(12)",
        ),
        (Budget::Cpu, 60, "text(1)", "while (true);"),
        (Budget::Heap, 24 << 20, "text(1)", "const a = []; while (true) a.push({s: [1]})"),
        (Budget::ArrayBuffers, 1 << 20, "new Uint8Array(1 << 20)", "new Uint8Array((1 << 20) + 1)"),
        (Budget::Timers, 1, "setTimeout(() => {}, 1)", "for (;;) setTimeout(() => {}, 1e9)"),
    ] {
        let lab = lab(budget, limit);
        let idle = lab.start("await tools.ask({})");
        lab.desk.until("call 1 tool-1 ask {}").await;
        let some = lab.run(uses_some).await;
        assert!(some.starts_with("result") && !some.contains("error"), "{budget}: {some}");
        let rest = lab.run(uses_the_rest).await;
        let code = format!(
            "error: sessionBudgetExceeded: the {budget} budget of this session is {}, and its cells ",
            budget.amount(limit)
        );
        assert!(rest.contains(&code), "{budget}: {rest}");
        let ended = show(&idle.response.await.unwrap());
        assert!(ended.contains(&code), "{budget}: {ended}");
        lab.desk.until("cancel 1 tool-1").await;
        lab.until_idle().await;
        let usage = lab.session.usage().await.unwrap();
        let refused = now(lab.session.execute(lab.step.clone(), request("text(1)", MINUTE)));
        if budget.comes_back() {
            // Memory is there again, and so the session goes on.
            assert_eq!(usage.exceeded, None, "{budget}");
            assert_eq!(usage.used.of(budget), Some(0), "{budget}");
            assert_eq!(show(&refused.unwrap().response.await.unwrap()), r#"result["1"]"#);
            continue;
        }
        let SessionError::OverBudget(over) = refused.unwrap_err() else { panic!("{budget}") };
        assert_eq!(usage.exceeded, Some(over), "{budget}");
        assert_eq!((over.scope, over.budget, over.limit), (Scope::Session, budget, limit));
        assert!(over.used >= limit, "{over:?}");
        assert_eq!(usage.left(budget), Some(0), "{usage:?}");
    }
}

#[tokio::test]
async fn cells_side_by_side_share_processor_time() {
    let lab = lab(Budget::Cpu, 200);
    let cells: Vec<_> = (0..4).map(|_| lab.start("while (true);")).collect();
    for cell in cells {
        let shown = show(&cell.response.await.unwrap());
        assert!(shown.contains("sessionBudgetExceeded: the cpu budget"), "{shown}");
    }
    let usage = lab.session.usage().await.unwrap();
    assert_eq!(usage.left(Budget::Cpu), Some(0), "also while their threads come to an end");
    lab.until_idle().await;
    let usage = lab.session.usage().await.unwrap();
    let used = usage.used.of(Budget::Cpu).unwrap();
    // Each alone may have used all of it, if nobody looked at them together.
    assert!((200..800).contains(&used), "{used}");
}

#[tokio::test]
async fn the_time_of_a_session_ends_what_waits() {
    let lab = lab(Budget::Wall, 100);
    let waits = lab.start("await tools.ask({})");
    let shown = show(&waits.response.await.unwrap());
    assert!(
        shown.contains("sessionBudgetExceeded: the wall budget of this session is 100ms"),
        "{shown}"
    );
    let refused = now(lab.session.execute(lab.step.clone(), request("1", MINUTE))).unwrap_err();
    assert!(refused.to_string().starts_with("sessionBudgetExceeded: the wall budget"), "{refused}");
}

#[tokio::test]
async fn a_source_too_many_ends_the_session() {
    let lab = lab(Budget::SourceBytes, 20);
    assert_eq!(lab.run("text(1)   ").await, r#"result["1"]"#);
    assert_eq!(lab.run("text(2)   ").await, r#"result["2"]"#);
    let refused = now(lab.session.execute(lab.step.clone(), request(" ", MINUTE))).unwrap_err();
    assert!(refused.to_string().starts_with("sessionBudgetExceeded: the sourceBytes"), "{refused}");
}

/// What is refused leaves a session as it is.
#[tokio::test]
async fn calls_beyond_those_that_a_session_may_have_open_fail() {
    let lab = lab(Budget::OpenToolCalls, 2);
    let other = lab.start("await tools.ask({}); text('done')");
    lab.desk.until("call 1 tool-1 ask {}").await;
    let refused = lab
        .run("const a = tools.ask(1); try { await tools.ask(2) } catch (e) { text(e.code) } exit()")
        .await;
    assert_eq!(refused, r#"result["OpenToolCallLimitExceeded"]"#);
    let uncaught = lab.run("await Promise.all([tools.ask(1), tools.ask(2)])").await;
    assert!(
        uncaught
            .contains("error: OpenToolCallLimitExceeded: the openToolCalls budget of this session"),
        "{uncaught}"
    );
    lab.desk.answer("1 tool-1", "null");
    assert_eq!(show(&other.response.await.unwrap()), r#"result["done"]"#);
    assert_eq!(lab.session.usage_now().used.of(Budget::OpenToolCalls), Some(0));
    assert_eq!(lab.run("await tools.echo(1); text(2)").await, r#"result["2"]"#);
}

#[tokio::test]
async fn a_session_says_what_it_uses() {
    let lab = Lab::with(|options| {
        options.limits.set(Scope::Session, Budget::OutputBytes, Some(100));
        options.limits.set(Scope::Cell, Budget::Timers, Some(7));
    });
    let live = lab.start(
        "text('12345'); store('k', 'v'); setTimeout(() => {}, 1e9); const b = new Uint8Array(1000);
         await tools.ask(123); text(b.length)",
    );
    lab.desk.until("call 1 tool-1 ask 123").await;
    lab.run("store('kk', 12); await tools.echo('x')").await;
    lab.until_running(1).await;
    let SessionUsage { used, limits, cell_limits, exceeded } = lab.session.usage().await.unwrap();
    let of = |budgets: &[Budget]| budgets.iter().map(|b| used.of(*b).unwrap()).collect::<Vec<_>>();
    let counted = [
        Budget::OutputBytes,
        Budget::OutputItems,
        Budget::StoredBytes,
        Budget::StoredValues,
        Budget::ToolCalls,
        Budget::OpenToolCalls,
        Budget::ArgumentBytes,
        Budget::ResultBytes,
        Budget::Timers,
        Budget::LiveCells,
        Budget::UnreadBytes,
        Budget::ArrayBuffers,
    ];
    assert_eq!(of(&counted), [5, 1, 4, 1, 2, 1, 6, 3, 1, 1, 5, 1000]);
    assert!(used.of(Budget::Cpu).is_some() && used.of(Budget::Wall).is_some());
    assert_eq!(used.of(Budget::Depth), None, "of a cell only");
    assert_eq!(limits.of(Budget::OutputBytes), Some(100));
    assert_eq!(cell_limits.of(Budget::Timers), Some(7));
    assert_eq!(exceeded, None);
    assert_eq!(lab.session.usage_now().left(Budget::OutputBytes), Some(95));
    lab.desk.answer("1 tool-1", "null");
    live.response.await.unwrap();
    lab.session.shutdown().await.unwrap();
    assert_eq!(lab.session.usage().await.unwrap_err(), SessionError::ShutDown);
}

#[tokio::test]
async fn sessions_of_a_host_share_its_room() {
    let host = HostLedger::new(
        Budgets::default().with(Budget::UnreadBytes, 1000).with(Budget::LiveCells, 2),
    );
    let with_host = || {
        let host = host.clone();
        Lab::with(|options| options.host = Some(host))
    };
    let (one, two) = (with_host(), with_host());
    let first = one.start("text('x'.repeat(600)); await tools.ask({})");
    one.desk.until("call 1 tool-1 ask {}").await;
    let shown = two.run("text('y'.repeat(300)); text('z'.repeat(600))").await;
    assert!(
        shown.contains("error: UnreadOutputLimitExceeded: the unreadBytes budget of this host"),
        "{shown}"
    );
    two.until_idle().await;
    let second = two.start("await tools.ask({})");
    two.desk.until("call 2 tool-1 ask {}").await;
    let refused = now(two.session.execute(two.step.clone(), request("1", MINUTE))).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("LiveCellLimitExceeded: the liveCells budget of this host is 2 cells"),
        "{refused}"
    );
    // A session that goes leaves its room to others.
    drop((first, one));
    two.desk.answer("2 tool-1", "null");
    second.response.await.unwrap();
    while host.used(Budget::LiveCells) > 0 || host.used(Budget::UnreadBytes) > 0 {
        tokio::task::yield_now().await;
    }
    assert!(two.run("text('z'.repeat(1000))").await.starts_with(r#"result["zz"#));
}

/// A cell that has come to its end keeps it.
#[tokio::test]
async fn what_has_ended_stays_as_it_ended() {
    let lab = lab(Budget::ToolCalls, 1);
    let done = lab.start("store('k', 1); text('done')");
    lab.until_idle().await;
    assert!(
        lab.run("await tools.echo(1); await tools.echo(2)").await.contains("sessionBudgetExceeded")
    );
    assert_eq!(show(&done.response.await.unwrap()), r#"result["done"]"#);
    assert!(lab.session.stored_values().contains_key("k"));
    let again = lab.session.wait(&CellId::new("1"), MINUTE, None).await.unwrap();
    assert!(again.response().is_terminal());
}
