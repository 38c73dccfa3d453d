//! A cell belongs to the step that started it.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, mpsc},
    task::Poll,
    thread,
    time::Duration,
};

use codemode_cells::{CodeModeSession, Step, ToolFuture, ToolRuntime};
use codemode_host_protocol::{CellId, Json, ToolInvocation};
use tokio::sync::oneshot;

use crate::support::{Desk, Lab, MINUTE, now, request, show, step, tools};

#[tokio::test]
async fn a_yielded_cell_keeps_its_step() {
    let lab = Lab::new();
    let (a, b, c) = (Desk::new("a"), Desk::new("b"), Desk::new("c"));
    let source = "
        const see = () => text(Object.keys(tools).join() + ' ' + ALL_TOOLS.map(t => t.name).join());
        see(); yield_control(); await tools.ask('go on'); see(); text(await tools.whose());
        notify('done'); await tools.ask('once more'); text(await tools.whose());
    ";
    let old = step(&a, &["ask", "whose"]);
    let cell = now(lab.session.execute(old, request(source, MINUTE))).unwrap();
    assert_eq!(show(&cell.response.await.unwrap()), r#"yielded["ask,whose ask,whose"]"#);
    a.until(r#"call 1 tool-1 ask "go on""#).await;

    let newer = [(&b, ["echo", "whose"]), (&c, ["fail", "whose"])];
    for (desk, tools) in newer {
        let source = "text(Object.keys(tools).join()); text(await tools.whose())";
        let cell = now(lab.session.execute(step(desk, &tools), request(source, MINUTE))).unwrap();
        cell.response.await.unwrap();
    }
    a.answer("1 tool-1", "null");
    a.until(r#"call 1 tool-3 ask "once more""#).await;
    let cell = now(lab
        .session
        .execute(step(&c, &["whose"]), request("text(await tools.whose())", MINUTE)));
    assert_eq!(show(&cell.unwrap().response.await.unwrap()), r#"result["c"]"#);
    a.answer("1 tool-3", "null");
    assert_eq!(lab.wait("1").await, r#"result["ask,whose ask,whose", "a", "a"]"#);

    let of_cell_1 = |desk: &Desk| desk.log().iter().filter(|line| line.contains(" 1")).count();
    assert_eq!((of_cell_1(&b), of_cell_1(&c)), (0, 0));
    assert!(a.log().contains(&"notify 1 call done".to_owned()));
}

#[tokio::test]
async fn a_step_is_kept_until_its_cells_close_and_no_longer() {
    let lab = Lab::new();
    let desk = Desk::new("a");
    let step = step(&desk, &["ask"]);
    let kept = Arc::downgrade(&step);
    let cell = now(lab.session.execute(step, request("await tools.ask({})", MINUTE))).unwrap();
    desk.until("call 1 tool-1 ask {}").await;
    assert!(kept.upgrade().is_some());
    desk.answer("1 tool-1", "null");
    let response = cell.response.await.unwrap();
    assert!(kept.upgrade().is_some());
    drop(response);
    // Whoever closes the cell has the step in hand while they do.
    let gone = async {
        while kept.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the step is let go");
}

#[tokio::test]
async fn calls_and_notifications_arrive_in_the_order_of_the_program() {
    let lab = Lab::new();
    lab.run("for (let i = 0; i < 50; i++) { tools.slow_echo(i); notify('n' + i); } await tools.echo('end')")
        .await;
    let log = lab.desk.log();
    for i in 0..50 {
        assert_eq!(log[2 * i], format!("call 1 tool-{} slow_echo {i}", i + 1));
        assert_eq!(log[2 * i + 1], format!("notify 1 call n{i}"));
    }
}

/// What a runtime does in an `async` block until it waits for something is in order too, on however many threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn futures_begin_in_the_order_of_the_program() {
    let lab = Lab::new();
    lab.run("for (let i = 0; i < 300; i++) tools.begin(i); await tools.echo('end')").await;
    let begun: Vec<String> =
        lab.desk.log().into_iter().filter(|line| line.starts_with("begun")).collect();
    let expected: Vec<String> = (0..300).map(|i| format!("begun {i}")).collect();
    assert_eq!(begun, expected);
}

/// Answers reach a cell in the order in which they were given, however many threads the runtime has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_arrive_in_the_order_in_which_they_were_given() {
    for _ in 0..20 {
        let lab = Lab::new();
        let cell = lab.start(
            "await Promise.all(Array.from({length: 201}, (_, i) => tools.ask(i).then(() => text(i))))",
        );
        // The last call says that all before it wait for their answers by now.
        lab.desk.until("call 1 tool-201 ask 200").await;
        // 77 and 200 have no common factor, so that this meets each call once.
        let order: Vec<usize> = (0..200).map(|i| i * 77 % 200).chain([200]).collect();
        for i in &order {
            assert!(lab.desk.answer(&format!("1 tool-{}", i + 1), "null"));
        }
        let expected: Vec<String> = order.iter().map(|i| format!("{:?}", i.to_string())).collect();
        let response = cell.response.await.unwrap();
        assert_eq!(show(&response), format!("result[{}]", expected.join(", ")));
    }
}

/// The same, where a call is answered while the cell is still making it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_that_come_at_once_are_not_overtaken() {
    for round in 0..20 {
        let lab = Lab::new();
        let (calls, made) = mpsc::channel();
        let answered = thread::spawn(move || answer_hastily(&made, round));
        let step = Arc::new(Step::new(tools(&["go"]), Arc::new(Hasty(calls))));
        let source = format!(
            "const all = []; const calls = Array.from({{length: {CALLS}}}, (_, i) => \
             tools.go(i).then(() => all.push(i))); await Promise.all(calls); text(all)"
        );
        let cell = now(lab.session.execute(step, request(&source, MINUTE))).unwrap();
        let response = cell.response.await.unwrap();
        let expected: Vec<String> =
            answered.join().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(show(&response), format!("result[\"[{}]\"]", expected.join(",")));
    }
}

/// A call goes on while its cell computes, though it was the call itself that woke it.
#[tokio::test]
async fn a_cell_that_computes_does_not_hold_up_its_calls() {
    for calls in [1, 2, 100] {
        let lab = Lab::new();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let step = Arc::new(Step::new(tools(&["go"]), Arc::new(SelfWaking(tell))));
        let source = format!("for (let i = 0; i < {calls}; i++) tools.go(i); while (true) {{}}");
        let cell = now(lab.session.execute(step, request(&source, MINUTE))).unwrap();
        for _ in 0..calls {
            told.recv().await.unwrap();
        }
        lab.session.terminate(&cell.cell_id, None).await.unwrap();
    }
}

/// Wakes itself a few times, and tells when it is over.
struct SelfWaking(tokio::sync::mpsc::UnboundedSender<()>);

impl ToolRuntime for SelfWaking {
    fn invoke(&self, _: ToolInvocation) -> ToolFuture<Json> {
        let tell = self.0.clone();
        let mut left = 3;
        Box::pin(poll_fn(move |cx| {
            if left > 0 {
                left -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let _ = tell.send(());
            Poll::Ready(Ok(Json::null()))
        }))
    }

    fn notify(&self, _: &str, _: &CellId, _: String) -> ToolFuture<()> {
        unreachable!("no cell notifies")
    }
}

/// Hands calls to another thread, with the care that [`ToolRuntime`] asks for.
struct Hasty(mpsc::Sender<Call>);

type Call = (usize, oneshot::Sender<()>);

impl ToolRuntime for Hasty {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        let calls = self.0.clone();
        let number = call.input.unwrap().text().parse().unwrap();
        Box::pin(async move {
            let (answer, mut answered) = oneshot::channel();
            let mut made = Some((number, answer));
            poll_fn(|cx| {
                let answered = Pin::new(&mut answered).poll(cx);
                let Some(call) = made.take() else { return answered };
                calls.send(call).unwrap();
                Poll::Pending
            })
            .await
            .unwrap();
            Ok(Json::null())
        })
    }

    fn notify(&self, _: &str, _: &CellId, _: String) -> ToolFuture<()> {
        unreachable!("no cell notifies")
    }
}

/// Answers each call either at once and then one that waited, or the other way round. Returns the order.
fn answer_hastily(made: &mpsc::Receiver<Call>, round: u32) -> Vec<usize> {
    let (mut waiting, mut order) = (Vec::new(), Vec::new());
    let mut chance = round.wrapping_mul(0x9e37_79b9) | 1;
    for (number, answer) in made.iter().take(CALLS) {
        chance ^= chance << 13;
        chance ^= chance >> 17;
        chance ^= chance << 5;
        let older = (chance.is_multiple_of(2) && !waiting.is_empty()).then(|| waiting.remove(0));
        let mut now = vec![(number, answer)];
        match chance / 2 % 3 {
            0 => {
                waiting.append(&mut now);
                now.extend(older);
            }
            1 => now.extend(older),
            _ => now.splice(0..0, older).for_each(drop),
        }
        for (number, answer) in now {
            order.push(number);
            answer.send(()).unwrap();
        }
    }
    for (number, answer) in waiting {
        order.push(number);
        answer.send(()).unwrap();
    }
    order
}

const CALLS: usize = 300;
