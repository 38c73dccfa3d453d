//! The client library, over each of its transports.

use std::sync::Arc;

use codemode_cells::{CodeModeSession, SessionError};
use codemode_host::{
    Host, HostOptions,
    client::{Client, ClientError, ClientSession, OpenOptions},
};
use codemode_host_protocol::{
    Budget, Budgets, CellExecutionLimits, CellId, LimitExceeded, OutputTruncation, RuntimeResponse,
    SessionBudgets, SessionId,
};
use tokio::process::Command;

use super::{
    desk::{Desk, MINUTE, show, show_outcome, step},
    raw::host_command,
    support::{request, start, terminate, wait, within},
    web_socket::Server,
};

/// Runs a test over a child process, over WebSocket, and within this process.
macro_rules! over_each_transport {
    ($($name:ident)*) => {
        mod over_stdio {$(
            #[tokio::test]
            async fn $name() { super::$name(super::Place::stdio().await).await }
        )*}
        mod over_web_socket {$(
            #[tokio::test]
            async fn $name() { super::$name(super::Place::web_socket().await).await }
        )*}
        mod in_process {$(
            #[tokio::test]
            async fn $name() { super::$name(super::Place::in_process().await).await }
        )*}
    };
}

over_each_transport! {
    a_yielded_cell_keeps_its_step
    calls_are_answered_cancelled_and_survive_a_panic
    what_is_dropped_is_given_up_and_nothing_of_it_is_lost
    a_first_response_that_nobody_took_goes_to_the_next_who_waits
    an_execute_that_is_dropped_leaves_no_cell
    a_cell_is_closed_after_its_last_response_was_taken
    a_session_that_ends_takes_its_cells_with_it
    sessions_run_beside_each_other
    requests_of_a_session_are_refused_in_the_same_words
    limits_and_truncation_are_asked_for
    budgets_are_asked_for_and_told
}

/// A client, and what its host lives in.
struct Place {
    client: Client,
    _server: Option<Server>,
}

impl Place {
    async fn stdio() -> Place {
        let client = within(Client::spawn(host_command(&[]))).await.unwrap();
        Place { client, _server: None }
    }

    async fn web_socket() -> Place {
        let server = Server::start(&["--token", "t0ken"]).await;
        let client = within(Client::connect(&server.url, Some("t0ken"))).await.unwrap();
        Place { client, _server: Some(server) }
    }

    async fn in_process() -> Place {
        let host = Host::new(HostOptions::default());
        let client = within(Client::in_process(&host)).await.unwrap();
        Place { client, _server: None }
    }

    async fn session(&self) -> ClientSession {
        within(self.client.open(OpenOptions::default())).await.unwrap()
    }
}

async fn a_yielded_cell_keeps_its_step(place: Place) {
    let session = place.session().await;
    let (a, b, c) = (Desk::new("a"), Desk::new("b"), Desk::new("c"));
    let source = "
        const see = () => text(Object.keys(tools).join() + ' ' + ALL_TOOLS.map(t => t.name).join());
        see(); yield_control(); await tools.ask('go on'); see(); text(await tools.whose());
        notify('done'); await tools.ask('once more'); text(await tools.whose());
    ";
    let cell = start(&session, step(&a, &["ask", "whose"]), source).await;
    let first = within(cell.response).await.unwrap();
    assert_eq!(show(&first), r#"yielded["ask,whose ask,whose"]"#);
    for (desk, tools) in [(&b, ["echo", "whose"]), (&c, ["panic", "whose"])] {
        let source = "text(Object.keys(tools).join()); text(await tools.whose())";
        let cell = start(&session, step(desk, &tools), source).await;
        within(cell.response).await.unwrap();
    }
    a.until(r#"call 1 tool-1 ask "go on""#).await;
    a.answer("1 tool-1", "null");
    a.until(r#"call 1 tool-3 ask "once more""#).await;
    assert_eq!(c.run(&session, "text(await tools.whose())").await, r#"result["c"]"#);
    a.answer("1 tool-3", "null");
    assert_eq!(wait(&session, "1").await, r#"result["ask,whose ask,whose", "a", "a"]"#);
    for desk in [&b, &c] {
        assert!(desk.log().iter().all(|line| !line.contains(" 1")), "{:?}", desk.log());
    }
    a.until("closed 1").await;
    let expected = [
        r#"call 1 tool-1 ask "go on""#,
        "call 1 tool-2 whose null",
        "notify 1 call done",
        r#"call 1 tool-3 ask "once more""#,
        "call 1 tool-4 whose null",
        "closed 1",
    ];
    assert_eq!(a.log(), expected);
}

async fn calls_are_answered_cancelled_and_survive_a_panic(place: Place) {
    let session = place.session().await;
    let desk = Desk::new("desk");
    let source = "
        for (let i = 0; i < 50; i++) { tools.echo(i); notify('n' + i); }
        try { await tools.panic() } catch (e) { text(e.message.includes('panicked')) }
        tools.ask('never');
        await tools.echo(1);
    ";
    assert_eq!(desk.run(&session, source).await, r#"result["true"]"#);
    desk.until("closed 1").await;
    let log = desk.log();
    for i in 0..50 {
        assert_eq!(log[2 * i], format!("call 1 tool-{} echo {i}", i + 1));
        assert_eq!(log[2 * i + 1], format!("notify 1 call n{i}"));
    }
    assert_eq!(log[log.len() - 2..], ["cancel 1 tool-52", "closed 1"]);
}

async fn what_is_dropped_is_given_up_and_nothing_of_it_is_lost(place: Place) {
    let session = place.session().await;
    let desk = Desk::new("desk");
    let source = "
        for (let i = 0; ; i++) { text('item ' + i); yield_control(); if (await tools.ask(i)) break; }
    ";
    let cell = start(&session, desk.step(), source).await;
    assert_eq!(show(&within(cell.response).await.unwrap()), r#"yielded["item 0"]"#);
    let id = CellId::new("1");
    let mut seen = 1;
    for round in 0..20 {
        desk.until(&format!("call 1 tool-{} ask {round}", round + 1)).await;
        let mut given_up = session.wait(&id, MINUTE, None);
        if round % 2 == 0 {
            // Sent, and not looked at once.
            drop(given_up);
            desk.answer(&format!("1 tool-{}", round + 1), "false");
        } else {
            // Looked at while the cell is about to answer.
            let second = session.wait(&id, MINUTE, None);
            let refused = within(second).await.unwrap_err();
            assert_eq!(refused, SessionError::Observed(id.clone()));
            desk.answer(&format!("1 tool-{}", round + 1), "false");
            let next = format!("call 1 tool-{} ask {}", round + 2, round + 1);
            tokio::select! {
                biased;
                outcome = &mut given_up => {
                    seen += outcome.unwrap().response().content_items().len();
                }
                () = desk.until(&next) => {}
            }
            drop(given_up);
        }
    }
    desk.until("call 1 tool-21 ask 20").await;
    desk.answer("1 tool-21", "true");
    loop {
        let outcome = within(session.wait(&id, MINUTE, None)).await.unwrap();
        for item in outcome.response().content_items() {
            let codemode_host_protocol::ContentItem::InputText { text } = item else { panic!() };
            assert_eq!(text, &format!("item {seen}"));
            seen += 1;
        }
        if outcome.response().is_terminal() {
            break;
        }
    }
    assert_eq!(seen, 21);
    assert!(wait(&session, "1").await.starts_with("missing "));
}

async fn a_first_response_that_nobody_took_goes_to_the_next_who_waits(place: Place) {
    let session = place.session().await;
    let desk = Desk::new("desk");
    let cell = start(&session, desk.step(), "text('a'); await tools.ask(); text('b')").await;
    desk.until("call 1 tool-1 ask null").await;
    drop(cell);
    let waiting = session.wait(&CellId::new("1"), MINUTE, None);
    desk.answer("1 tool-1", "null");
    assert_eq!(show_outcome(within(waiting).await), r#"result["a", "b"]"#);

    // One that has arrived, and whose cell is closed.
    let cell = start(&session, desk.step(), "text('c')").await;
    desk.run(&session, "text('after it')").await;
    drop(cell);
    assert_eq!(wait(&session, "2").await, r#"result["c"]"#);
    desk.until("closed 2").await;
    assert!(wait(&session, "2").await.starts_with("missing "));
}

async fn an_execute_that_is_dropped_leaves_no_cell(place: Place) {
    let session = place.session().await;
    let desk = Desk::new("desk");
    for _ in 0..10 {
        drop(session.execute(desk.step(), request("await tools.ask()")));
    }
    let looked_at = session.execute(desk.step(), request("await tools.ask()"));
    // Where the host is in this process, it may have started already.
    if let Ok(cell) = tokio::time::timeout(std::time::Duration::ZERO, looked_at).await {
        let cell = cell.unwrap();
        assert_eq!(terminate(&session, cell.cell_id.as_str()).await, "terminated[]");
        within(cell.response).await.unwrap();
    }
    assert_eq!(desk.run(&session, "text('alive')").await, r#"result["alive"]"#);
    let gone = async {
        while desk.holders() > 0 {
            tokio::task::yield_now().await;
        }
    };
    within(gone).await;
}

async fn a_cell_is_closed_after_its_last_response_was_taken(place: Place) {
    let session = place.session().await;
    let desk = Desk::new("desk");
    let cell = start(&session, desk.step(), "text('x')").await;
    let response = within(cell.response).await.unwrap();
    // By now the host has said that it is closed.
    desk.run(&session, "text('y')").await;
    desk.until("closed 2").await;
    assert!(!desk.log().contains(&"closed 1".to_owned()));
    response.hand_over(|_| assert!(!desk.log().contains(&"closed 1".to_owned())));
    assert!(desk.log().contains(&"closed 1".to_owned()));
    drop(session);
    assert_eq!(desk.holders(), 0);
}

async fn a_session_that_ends_takes_its_cells_with_it(place: Place) {
    let desk = Desk::new("desk");
    let session = place.session().await;
    let cell = start(&session, desk.step(), "text('x'); await tools.ask()").await;
    desk.until("call 1 tool-1 ask null").await;
    within(session.shutdown()).await.unwrap();
    assert_eq!(show(&within(cell.response).await.unwrap()), r#"terminated["x"]"#);
    assert!(desk.log().contains(&"cancel 1 tool-1".to_owned()));
    let refused = within(session.execute(desk.step(), request("text(1)"))).await.unwrap_err();
    assert_eq!(refused, SessionError::ShutDown);

    // One that is dropped only.
    let session = place.session().await;
    let other = Desk::new("other");
    let cell = start(&session, other.step(), "await tools.ask()").await;
    other.until("call 1 tool-1 ask null").await;
    drop(session);
    assert_eq!(show(&within(cell.response).await.unwrap()), "terminated[]");
    other.until("closed 1").await;
}

async fn sessions_run_beside_each_other(place: Place) {
    let sessions = [place.session().await, place.session().await, place.session().await];
    let mut cells = Vec::new();
    for session in &sessions {
        for _ in 0..5 {
            let desk = Desk::new("desk");
            cells.push((start(session, desk.step(), "text(await tools.ask())").await, desk));
        }
    }
    for (answer, (cell, desk)) in cells.into_iter().enumerate().rev() {
        let call = format!("{} tool-1", cell.cell_id);
        desk.until(&format!("call {call} ask null")).await;
        desk.answer(&call, &answer.to_string());
        let response = within(cell.response).await.unwrap();
        assert_eq!(show(&response), format!("result[\"{answer}\"]"));
    }
}

async fn requests_of_a_session_are_refused_in_the_same_words(place: Place) {
    let name = SessionId::new("twice").unwrap();
    let options = OpenOptions { session_id: Some(name), ..OpenOptions::default() };
    let session = within(place.client.open(options.clone())).await.unwrap();
    let refused = within(place.client.open(options.clone())).await.unwrap_err();
    assert_eq!(refused.to_string(), "code-mode session ID `twice` is already open");
    within(session.shutdown()).await.unwrap();
    let refused = within(place.client.open(options)).await.unwrap_err();
    assert_eq!(refused.to_string(), "code-mode session ID `twice` was reused");
    let session = place.session().await;
    assert!(wait(&session, "7").await.starts_with("missing "));
    assert!(terminate(&session, "7").await.starts_with("missing "));
    let desk = Desk::new("desk");
    let source = "text('x'.repeat(65 << 20))";
    let failed = desk.run(&session, source).await;
    assert!(failed.starts_with("result[] error: "), "{failed}");
}

async fn limits_and_truncation_are_asked_for(place: Place) {
    let options = OpenOptions {
        session_id: None,
        cell_execution_limits: Some(CellExecutionLimits {
            max_yield_time_ms: Some(1),
            max_heap_size_bytes: Some(16 << 20),
        }),
        output_truncation: Some(OutputTruncation::Server),
        budgets: None,
    };
    let session = within(place.client.open(options)).await.unwrap();
    let desk = Desk::new("desk");
    assert_eq!(desk.run(&session, "for (;;);").await, "yielded[]");
    assert_eq!(terminate(&session, "1").await, "terminated[]");
    let cell = start(&session, desk.step(), "text('a'.repeat(100)); await tools.ask()").await;
    desk.until("call 2 tool-1 ask null").await;
    drop(within(cell.response).await.unwrap());
    desk.answer("2 tool-1", "null");
    let filled = "const all = []; for (;;) all.push(new Array(1000).fill(1.5))";
    let cell = start(&session, desk.step(), filled).await;
    let mut last = within(cell.response).await.unwrap().into_inner();
    while !last.is_terminal() {
        let next = within(session.wait(&cell.cell_id, MINUTE, Some(10_000))).await.unwrap();
        last = next.response().clone();
    }
    let outcome = show(&last);
    assert!(outcome.starts_with("result[\"Script error:"), "{outcome}");
}

async fn budgets_are_asked_for_and_told(place: Place) {
    let asked = SessionBudgets {
        cell: Some(Budgets::default().with(Budget::ToolCalls, 1).with(Budget::Heap, u64::MAX)),
        session: Some(Budgets::default().with(Budget::OutputItems, 2)),
    };
    let options = OpenOptions { budgets: Some(asked), ..OpenOptions::default() };
    let session = within(place.client.open(options)).await.unwrap();
    let desk = Desk::new("desk");
    let cell = start(&session, desk.step(), "for (;;) await tools.echo(1)").await;
    let response = within(cell.response).await.unwrap().into_inner();
    let RuntimeResponse::Result { limit_exceeded, error_text, .. } = response else { panic!() };
    let exceeded = limit_exceeded.unwrap();
    assert_eq!(exceeded, LimitExceeded::of_cell(Budget::ToolCalls, 1, 2));
    assert_eq!(error_text, Some(exceeded.to_string()));

    let usage = within(session.usage()).await.unwrap();
    assert_eq!(usage.used.of(Budget::ToolCalls), Some(1));
    assert_eq!(usage.left(Budget::OutputItems), Some(2));
    assert_eq!(usage.cell_limits.of(Budget::Heap), Some(256 << 20), "no more than is granted");

    let shown = desk.run(&session, "for (const i of [1, 2, 3]) text(i)").await;
    assert!(shown.starts_with(r#"result["1", "2"] error: sessionBudgetExceeded"#), "{shown}");
    let usage = within(session.usage()).await.unwrap();
    assert_eq!(usage.exceeded, Some(LimitExceeded::of_session(Budget::OutputItems, 2, 3)));
    let refused = within(session.execute(desk.step(), request("1"))).await.unwrap_err();
    assert_eq!(refused.to_string(), usage.exceeded.unwrap().to_string());
    within(session.shutdown()).await.unwrap();
    assert_eq!(within(session.usage()).await.unwrap_err(), SessionError::ShutDown);
}

#[tokio::test]
async fn a_host_that_is_killed_fails_all_who_wait_and_all_who_ask() {
    // A shell that says its number and becomes the host: only the client holds the child itself.
    let folder = tempfile::tempdir().unwrap();
    let number = folder.path().join("pid");
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ > \"$0\"; exec \"$@\""]).arg(&number).arg(super::raw::binary());
    command.arg("host");
    let client = within(Client::spawn(command)).await.unwrap();
    let session = within(client.open(OpenOptions::default())).await.unwrap();
    let desk = Desk::new("desk");
    let cell = start(&session, desk.step(), "text('x'); await tools.ask()").await;
    desk.until("call 1 tool-1 ask null").await;
    let yielded = start(&session, desk.step(), "yield_control(); await tools.ask()").await;
    drop(within(yielded.response).await.unwrap());
    let waiting = session.wait(&CellId::new("2"), MINUTE, None);
    let number = std::fs::read_to_string(number).unwrap();
    let killed = std::process::Command::new("kill").args(["-9", number.trim()]).status().unwrap();
    assert!(killed.success());
    let expected = |error: SessionError| {
        let SessionError::Disconnected(reason) = &error else { panic!("{error}") };
        assert!(reason.contains("signal: 9"), "{reason}");
        assert!(error.to_string().starts_with("the code-mode host is gone: "), "{error}");
    };
    expected(within(cell.response).await.unwrap_err());
    expected(within(waiting).await.unwrap_err());
    desk.until("cancel 1 tool-1").await;
    desk.until("closed 1").await;
    desk.until("closed 2").await;
    expected(within(session.execute(desk.step(), request("text(1)"))).await.unwrap_err());
    expected(within(session.wait(&CellId::new("1"), MINUTE, None)).await.unwrap_err());
    expected(within(session.terminate(&CellId::new("1"), None)).await.unwrap_err());
    expected(within(session.shutdown()).await.unwrap_err());
    expected(within(client.open(OpenOptions::default())).await.unwrap_err());
    session.yield_now(&CellId::new("1"));
    assert_eq!(desk.holders(), 0);
}

#[tokio::test]
async fn a_server_that_is_killed_fails_all_who_wait() {
    let mut server = Server::start(&[]).await;
    let client = within(Client::connect(&server.url, None)).await.unwrap();
    let session = within(client.open(OpenOptions::default())).await.unwrap();
    let desk = Desk::new("desk");
    let cell = start(&session, desk.step(), "await tools.ask()").await;
    desk.until("call 1 tool-1 ask null").await;
    server.child.start_kill().unwrap();
    let error = within(cell.response).await.unwrap_err();
    assert!(matches!(error, SessionError::Disconnected(_)), "{error}");
    desk.until("closed 1").await;
}

#[tokio::test]
async fn what_is_no_host_is_told_apart() {
    let missing = within(Client::spawn(Command::new("/nonexistent/host"))).await.unwrap_err();
    assert!(matches!(missing, ClientError::Spawn(_)), "{missing}");
    let silent = within(Client::spawn(Command::new("true"))).await.unwrap_err();
    assert!(matches!(silent, ClientError::Lost(_)), "{silent}");
    let mut chatty = Command::new("sh");
    chatty.args(["-c", "printf '\\002\\000\\000\\000{}'; cat >/dev/null"]);
    let chatty = within(Client::spawn(chatty)).await.unwrap_err();
    assert!(chatty.to_string().contains("no message"), "{chatty}");
    let nobody = within(Client::connect("ws://127.0.0.1:1", None)).await.unwrap_err();
    assert!(nobody.to_string().starts_with("cannot connect to ws://127.0.0.1:1: "), "{nobody}");
}

#[tokio::test]
async fn a_client_that_is_dropped_ends_its_host() {
    let place = Place::stdio().await;
    let session = place.session().await;
    let desk = Desk::new("desk");
    let cell = start(&session, desk.step(), "await tools.ask()").await;
    desk.until("call 1 tool-1 ask null").await;
    drop((cell, session, place));
    desk.until("cancel 1 tool-1").await;
    desk.until("closed 1").await;
}

#[tokio::test]
async fn a_host_in_process_drains_its_connections() {
    let host = Host::new(HostOptions::default());
    let client = within(Client::in_process(&host)).await.unwrap();
    let session = within(client.open(OpenOptions::default())).await.unwrap();
    let desk = Desk::new("desk");
    let cell = start(&session, desk.step(), "text(await tools.ask())").await;
    desk.until("call 1 tool-1 ask null").await;
    host.drain();
    desk.answer("1 tool-1", "7");
    assert_eq!(show(&within(cell.response).await.unwrap()), r#"result["7"]"#);
    desk.until("closed 1").await;
    let gone = async {
        while !matches!(
            session.execute(desk.step(), request("text(1)")).await,
            Err(SessionError::Disconnected(_))
        ) {}
    };
    within(gone).await;
}

fn _is_a_session(session: Arc<ClientSession>) -> Arc<dyn CodeModeSession> {
    session
}
