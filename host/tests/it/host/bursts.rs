//! More at once than there is room for.

use serde_json::{Value, json};

use super::raw::{Raw, frame, texts};

#[tokio::test]
async fn ten_thousand_calls_at_once_are_answered_or_refused_one_by_one() {
    let mut raw = Raw::open().await;
    let source = "
        const all = Array.from({ length: 10000 }, (_, i) => tools.ask(i));
        yield_control();
        const settled = await Promise.allSettled(all);
        const done = settled.filter(one => one.status === 'fulfilled');
        const reasons = new Set(settled.filter(one => one.reason).map(one => one.reason.message));
        text(done.length); text(done.every((one, i) => one.value === i)); text([...reasons].join());
    ";
    let id = raw.execute(source, &["ask"]).await;
    // Nothing is answered before all were made, so that it is known how many there can be.
    assert!(raw.initial(id).await["Yielded"].is_object());
    let mut calls = Vec::new();
    while calls.len() < 4096 {
        let call = raw.hear_type("delegate/request").await;
        calls.push((call["id"].clone(), call["request"]["invocation"]["input"].clone()));
    }
    for (index, (id, input)) in calls.into_iter().enumerate() {
        assert_eq!((&id, &input), (&json!(index + 1), &json!(index)));
        raw.answer_delegate(&id, json!({"type": "tool/result", "result": input})).await;
    }
    let id = raw.wait("1", 60_000).await;
    let response = raw.answer(id).await["value"]["outcome"]["LiveCell"].take();
    let expected = ["4096", "true", "code-mode host has too many pending delegate calls"];
    assert_eq!(texts(&response), expected, "{response}");
    assert_eq!(texts(&raw.run("text('alive')").await), ["alive"]);
}

#[tokio::test]
async fn ten_thousand_notifications_at_once_all_arrive_in_order() {
    let mut raw = Raw::open().await;
    let source = "for (let i = 0; i < 10000; i++) notify(String(i)); text('done')";
    let id = raw.execute(source, &[]).await;
    for expected in 0..10_000 {
        let told = raw.hear_type("delegate/request").await;
        assert_eq!(told["request"]["text"], expected.to_string());
        raw.answer_delegate(&told["id"], json!({"type": "notification/delivered"})).await;
    }
    assert_eq!(texts(&raw.initial(id).await), ["done"]);
}

#[tokio::test]
async fn calls_and_notifications_keep_the_order_of_the_program() {
    let mut raw = Raw::open().await;
    let source = "
        for (let i = 0; i < 100; i++) { tools.ask('c' + i); notify('n' + i); }
        await tools.ask('last');
    ";
    let id = raw.execute(source, &["ask"]).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "last") {
        let message = raw.hear_type("delegate/request").await;
        let request = &message["request"];
        let (said, answer) = match &request["text"] {
            Value::String(text) => (text.clone(), json!({"type": "notification/delivered"})),
            _ => {
                let input = &request["invocation"]["input"];
                let answer = json!({"type": "tool/result", "result": null});
                (input.as_str().unwrap().to_owned(), answer)
            }
        };
        seen.push(said);
        raw.answer_delegate(&message["id"], answer).await;
    }
    let expected = (0..100).flat_map(|i| [format!("c{i}"), format!("n{i}")]);
    assert_eq!(seen, expected.chain(["last".to_owned()]).collect::<Vec<_>>());
    assert_eq!(texts(&raw.initial(id).await), [""; 0]);
}

#[tokio::test]
async fn many_operations_run_beside_each_other() {
    let mut raw = Raw::open().await;
    let mut cells = Vec::new();
    for _ in 0..40 {
        cells.push(raw.execute("text(await tools.ask())", &["ask"]).await);
    }
    let mut calls = Vec::new();
    for _ in &cells {
        calls.push(raw.hear_type("delegate/request").await);
    }
    for call in calls.iter().rev() {
        let cell = &call["request"]["invocation"]["cell_id"];
        let answer = json!({"type": "tool/result", "result": format!("for {cell}")});
        raw.answer_delegate(&call["id"], answer).await;
    }
    for id in cells {
        let response = raw.initial(id).await;
        let expected = format!("for {}", response["Result"]["cell_id"]);
        assert_eq!(texts(&response), [expected]);
    }
}

#[tokio::test]
async fn a_slow_reader_is_bounded_and_gets_all_of_it_once_it_reads() {
    let mut raw = Raw::open().await;
    // 48 MiB of notifications, of which nothing is read until the cells can go no further.
    let source = "const text = 'x'.repeat(1 << 20); for (let i = 0; i < 12; i++) notify(text)";
    for _ in 0..4 {
        raw.execute(source, &[]).await;
    }
    let spins = raw.execute_for("for (;;);", &[], 1).await;
    let (mut told, mut ended, mut yielded) = (0, 0, false);
    while told < 48 || ended < 4 || !yielded {
        let body = raw.read_body().await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        if text.starts_with(r#"{"type":"delegate/request""#) {
            told += 1;
            let delivered = json!({"type": "notification/delivered"});
            let result = json!({"status": "ok", "value": delivered});
            let answer = json!({"type": "delegate/response", "id": told, "result": result});
            raw.write(&frame(answer.to_string().as_bytes())).await;
        } else if text.starts_with(r#"{"type":"execute/initialResponse""#) {
            yielded |= text.contains(&format!("\"id\":{spins},"));
            ended += usize::from(text.contains(r#"{"Result""#));
        }
    }
}
