//! A cell belongs to the step that started it.

use codemode_cells::CodeModeSession;

use crate::support::{Desk, Lab, MINUTE, now, request, show, step};

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
    let kept = std::sync::Arc::downgrade(&step);
    let cell = now(lab.session.execute(step, request("await tools.ask({})", MINUTE))).unwrap();
    desk.until("call 1 tool-1 ask {}").await;
    assert!(kept.upgrade().is_some());
    desk.answer("1 tool-1", "null");
    let response = cell.response.await.unwrap();
    assert!(kept.upgrade().is_some());
    drop(response);
    assert!(kept.upgrade().is_none());
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
