//! The one end of a cell: who is told, in which order, and what happens when ends meet.

use std::{
    sync::{Arc, Mutex, OnceLock, Weak},
    time::Duration,
};

use codemode_cells::{
    CodeModeSession, InProcessCodeModeSession, SessionError, Step, ToolFuture, ToolRuntime,
};
use codemode_host_protocol::{
    CellId, Json, ToolDefinition, ToolFailure, ToolInvocation, ToolKind, ToolName,
};
use expect_test::expect;

use crate::support::{Lab, MINUTE, now, request, show, show_outcome};

#[tokio::test]
async fn open_calls_are_cancelled_then_the_response_is_handed_over_then_the_cell_is_closed() {
    let lab = Lab::new();
    let cell = lab.start("tools.ask(1); tools.ask(2); text('a')");
    let response = cell.response.await.unwrap();
    lab.desk.write("answered");
    let shown = response.hand_over(|response| {
        lab.desk.write("handed over");
        show(&response)
    });
    assert_eq!(shown, r#"result["a"]"#);
    let mut log = lab.desk.log();
    log[2..4].sort();
    expect![[r#"
        [
            "call 1 tool-1 ask 1",
            "call 1 tool-2 ask 2",
            "cancel 1 tool-1",
            "cancel 1 tool-2",
            "answered",
            "handed over",
            "closed 1",
        ]
    "#]]
    .assert_debug_eq(&log);
}

#[tokio::test]
async fn who_waits_learns_that_somebody_else_ended_the_cell() {
    let lab = Lab::new();
    let cell = lab.start("text('a'); await tools.ask({})");
    lab.desk.until("call 1 tool-1 ask {}").await;
    let ended = lab.session.terminate(&CellId::new("1"), None).await.unwrap();
    let told = cell.response.await.unwrap();
    assert_eq!(show(&told), r#"terminated["a"]"#);
    drop(told);
    assert_eq!(lab.desk.log(), ["call 1 tool-1 ask {}", "cancel 1 tool-1"]);
    assert_eq!(show_outcome(Ok(ended)), r#"terminated["a"]"#);
    lab.desk.until("closed 1").await;
}

#[tokio::test]
async fn a_cell_is_closed_when_those_who_could_be_told_are_gone() {
    let lab = Lab::new();
    let cell = lab.start("await tools.ask({})");
    lab.desk.until("call 1 tool-1 ask {}").await;
    drop(lab.session.terminate(&CellId::new("1"), None));
    lab.desk.until("cancel 1 tool-1").await;
    lab.desk.log();
    drop(cell);
    // Nobody was told: the outcome is there for the next who asks.
    lab.desk.write("asked");
    assert_eq!(lab.wait("1").await, "terminated[]");
    lab.desk.until("closed 1").await;
    assert_eq!(lab.desk.log(), ["asked", "closed 1"]);
}

#[tokio::test]
async fn items_before_a_yield_go_to_the_observer_and_later_ones_to_who_terminates() {
    let lab = Lab::new();
    let cell = lab.start("text('a'); yield_control(); text('b'); await tools.ask({})");
    lab.desk.until("call 1 tool-1 ask {}").await;
    assert_eq!(lab.terminate("1").await, r#"terminated["b"]"#);
    assert_eq!(show(&now(cell.response).unwrap()), r#"yielded["a"]"#);
    lab.desk.until("closed 1").await;
    assert_eq!(lab.desk.log(), ["call 1 tool-1 ask {}", "cancel 1 tool-1", "closed 1"]);
}

#[tokio::test]
async fn a_cell_that_finished_answers_a_terminate_with_its_result() {
    let lab = Lab::new();
    drop(lab.start("text('a')"));
    lab.until_idle().await;
    assert_eq!(lab.terminate("1").await, r#"result["a"]"#);
    assert!(lab.terminate("1").await.starts_with("missing"));
    assert!(lab.wait("1").await.starts_with("missing"));
}

#[tokio::test]
async fn terminate_meets_terminate() {
    let lab = Lab::new();
    let cell = lab.start("text('a'); await tools.ask({})");
    lab.desk.until("call 1 tool-1 ask {}").await;
    let first = lab.session.terminate(&CellId::new("1"), None);
    assert_eq!(lab.terminate("1").await, "refused: exec cell 1 is already terminating");
    let wait = lab.wait("1").await;
    assert!(
        wait.starts_with("missing result[] error: exec cell 1 not found: it is being"),
        "{wait}"
    );
    assert_eq!(show_outcome(first.await), r#"terminated["a"]"#);
    assert!(lab.terminate("1").await.starts_with("missing"));
    assert_eq!(show(&cell.response.await.unwrap()), r#"terminated["a"]"#);
}

#[tokio::test]
async fn terminate_answers_while_the_cell_spins() {
    let lab = Lab::new();
    for number in 1..=3 {
        drop(lab.start("for (;;);"));
        assert_eq!(lab.terminate(&number.to_string()).await, "terminated[]");
    }
    lab.until_idle().await;
}

#[tokio::test]
async fn a_wait_after_a_terminate_has_nothing_to_wait_for() {
    let lab = Lab::new();
    let cell = lab.start("for (;;);");
    let end = lab.session.terminate(&CellId::new("1"), None);
    let wait = lab.wait("1").await;
    assert!(wait.starts_with("missing result[] error: exec cell 1 not found: it was"), "{wait}");
    assert_eq!(show_outcome(end.await), "terminated[]");
    assert_eq!(show(&cell.response.await.unwrap()), "terminated[]");
}

#[tokio::test]
async fn a_late_answer_is_nobodys() {
    let lab = Lab::new();
    let cell = lab.start("await tools.ask({})");
    lab.desk.until("call 1 tool-1 ask {}").await;
    assert_eq!(lab.terminate("1").await, "terminated[]");
    assert!(!lab.desk.answer("1 tool-1", "1"));
    drop(cell);
    assert_eq!(lab.run("text(await tools.echo(2))").await, r#"result["2"]"#);
}

/// Whatever comes first, a natural end or a terminate: one of them wins, for everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_natural_end_meets_a_terminate() {
    let lab = Arc::new(Lab::new());
    let (mut results, mut terminated) = (0, 0);
    for number in 1..=100_u32 {
        let cell = lab.start("text('a'); await tools.ask({})");
        lab.desk.until(&format!("call {number} tool-1 ask {{}}")).await;
        let answering = {
            let lab = Arc::clone(&lab);
            std::thread::spawn(move || lab.desk.answer(&format!("{number} tool-1"), "1"))
        };
        let end = lab.terminate(&number.to_string()).await;
        answering.join().unwrap();
        let told = show(&cell.response.await.unwrap());
        match end.as_str() {
            r#"result["a"]"# => results += 1,
            r#"terminated["a"]"# => terminated += 1,
            other => panic!("{other}"),
        }
        assert_eq!(told, end);
        let closed = format!("closed {number}");
        lab.desk.until(&closed).await;
        let log = lab.desk.log();
        assert_eq!(log.iter().filter(|line| **line == closed).count(), 1, "{log:?}");
        assert_eq!(log.last(), Some(&closed));
    }
    assert_eq!(results + terminated, 100);
    assert_eq!(lab.session.live_cells(), []);
}

#[tokio::test]
async fn a_tool_can_end_the_cell_that_called_it() {
    let lab = Lab::new();
    let step = Arc::new(Step::new(vec![function("end_me")], Arc::new(Ender(lab.session.clone()))));
    let cell = lab.session.execute(step, request("text('a'); await tools.end_me()", MINUTE));
    let cell = cell.await.unwrap();
    assert_eq!(show(&cell.response.await.unwrap()), r#"terminated["a"]"#);
}

/// A tool that ends its own cell, and waits until it did.
struct Ender(Arc<InProcessCodeModeSession>);

impl ToolRuntime for Ender {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        let ended = self.0.terminate(&call.cell_id, None);
        Box::pin(async move {
            let _ = ended.await;
            unreachable!("the call is cancelled before its cell's end is told");
        })
    }

    fn notify(&self, _: &str, _: &CellId, _: String) -> ToolFuture<()> {
        Box::pin(async { Err(ToolFailure::new("not here")) })
    }
}

fn function(name: &str) -> ToolDefinition {
    ToolDefinition {
        name: name.to_owned(),
        tool_name: ToolName::plain(name),
        description: String::new(),
        kind: ToolKind::Function,
        input_schema: None,
        output_schema: None,
    }
}

#[tokio::test]
async fn shutdown_ends_all_that_live() {
    let lab = Lab::new();
    let hanging = lab.start("text('a'); await tools.ask({})");
    let spinning = lab.start("for (;;);");
    drop(lab.start("text('unread')"));
    lab.desk.until("call 1 tool-1 ask {}").await;
    let hanging = tokio::spawn(async { show(&hanging.response.await.unwrap()) });
    let spinning = tokio::spawn(async { show(&spinning.response.await.unwrap()) });
    lab.session.shutdown().await.unwrap();
    assert_eq!(hanging.await.unwrap(), r#"terminated["a"]"#);
    assert_eq!(spinning.await.unwrap(), "terminated[]");
    let mut log = lab.desk.log();
    log.sort();
    assert_eq!(
        log,
        ["call 1 tool-1 ask {}", "cancel 1 tool-1", "closed 1", "closed 2", "closed 3"]
    );
    let refused = now(lab.session.execute(lab.step.clone(), request("", MINUTE))).unwrap_err();
    assert_eq!(refused, SessionError::ShutDown);
    assert!(lab.wait("1").await.starts_with("missing"));
    now(lab.session.shutdown()).unwrap();
    lab.until_idle().await;
}

#[tokio::test]
async fn shutdown_waits_until_responses_were_handed_over() {
    let lab = Lab::new();
    let cell = lab.start("await tools.ask({})");
    lab.desk.until("call 1 tool-1 ask {}").await;
    let mut shutdown = lab.session.shutdown();
    let response = cell.response.await.unwrap();
    assert!(futures_now(&mut shutdown).is_none());
    lab.desk.write("handing over");
    drop(response);
    shutdown.await.unwrap();
    assert_eq!(lab.desk.log()[2..], ["handing over", "closed 1"]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_response_that_nobody_takes() {
    let lab = Lab::new();
    let kept = lab.start("await new Promise(r => setTimeout(r, 1e9))");
    let before = tokio::time::Instant::now();
    lab.session.shutdown().await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 1);
    assert_eq!(lab.desk.log().last().unwrap(), "closed 1");
    assert_eq!(show(&kept.response.await.unwrap()), "terminated[]");
    assert_eq!(lab.desk.log(), [""; 0]);
}

#[tokio::test]
async fn a_dropped_session_ends_its_cells_and_lets_go_of_everything() {
    let lab = Lab::new();
    let Lab { session, step, desk } = lab;
    let source = "text('a'); notify('n'); await tools.ask({})";
    let cell = now(session.execute(step.clone(), request(source, MINUTE))).unwrap();
    desk.until("call 1 tool-1 ask {}").await;
    drop((session, step));
    assert_eq!(show(&cell.response.await.unwrap()), r#"terminated["a"]"#);
    desk.until("closed 1").await;
    while desk.holders() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Whoever hears that a cell was closed may ask the session for it: nothing is locked then.
#[tokio::test]
async fn the_report_of_a_closed_cell_comes_when_nothing_is_locked() {
    struct Asks(OnceLock<Weak<InProcessCodeModeSession>>, Mutex<Vec<&'static str>>);

    impl ToolRuntime for Asks {
        fn invoke(&self, _: ToolInvocation) -> ToolFuture<Json> {
            Box::pin(std::future::pending())
        }

        fn notify(&self, _: &str, _: &CellId, _: String) -> ToolFuture<()> {
            Box::pin(async { Ok(()) })
        }

        fn cell_closed(&self, cell: &CellId) {
            let session = self.0.get().and_then(Weak::upgrade).unwrap();
            let (told, asked) = std::sync::mpsc::channel();
            let cell = cell.clone();
            // On a thread of its own, so that a lock is found rather than waited for for ever.
            std::thread::spawn(move || {
                drop(session.wait(&cell, MINUTE, None));
                told.send(())
            });
            let answered = asked.recv_timeout(Duration::from_secs(20)).is_ok();
            self.1.lock().unwrap().push(if answered { "answered" } else { "locked" });
        }
    }

    let lab = Lab::new();
    let runtime = Arc::new(Asks(OnceLock::new(), Mutex::default()));
    runtime.0.set(Arc::downgrade(&lab.session)).unwrap();
    let step = Arc::new(Step::new(Vec::new(), Arc::clone(&runtime) as Arc<dyn ToolRuntime>));
    let source = "await new Promise(r => setTimeout(r, 1e9))";
    // Nobody waits, and no call is open: it ends within the shutdown.
    drop(now(lab.session.execute(step, request(source, MINUTE))).unwrap());
    lab.session.shutdown().await.unwrap();
    assert_eq!(*runtime.1.lock().unwrap(), ["answered"]);
}

/// A response that is on its way when the session is shut down arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_meets_everything() {
    for _ in 0..30 {
        let lab = Arc::new(Lab::new());
        let responses: Vec<_> = (0..4)
            .map(|n| {
                lab.start(["", "await tools.slow_echo(1)", "for (;;);", "await tools.ask()"][n])
            })
            .map(|cell| tokio::spawn(async { show(&cell.response.await.unwrap()) }))
            .collect();
        let terminating = lab.session.terminate(&CellId::new("3"), None);
        let terminating = tokio::spawn(async { show_outcome(terminating.await) });
        let waiting = lab.session.wait(&CellId::new("2"), Duration::ZERO, None);
        let waiting = tokio::spawn(async { show_outcome(waiting.await) });
        lab.session.shutdown().await.unwrap();
        for response in responses {
            let shown = response.await.unwrap();
            assert!(["result[]", "terminated[]"].contains(&shown.as_str()), "{shown}");
        }
        assert_eq!(terminating.await.unwrap(), "terminated[]");
        let waited = waiting.await.unwrap();
        assert!(waited.contains("active observer") || waited.starts_with("missing"), "{waited}");
        let log = lab.desk.log();
        let closed = log.iter().filter(|line| line.starts_with("closed")).count();
        assert_eq!(closed, 4, "{log:?}");
    }
}

fn futures_now<T>(
    future: &mut codemode_cells::SessionFuture<T>,
) -> Option<Result<T, SessionError>> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
