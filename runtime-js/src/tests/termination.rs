use std::sync::Arc;

use codemode_host_protocol::Json;

use super::{ENGINE, Event, Outcome, Trial, print, run, spec};
use crate::{CallId, CellSpec, WhenStuck};

#[test]
fn a_cell_is_terminated_wherever_it_is() {
    for source in [
        "text('go'); while (true);",
        "text('go'); for (;;) { try { while (true); } catch {} finally { while (true); } }",
        "text('go'); /^(a+)+$/.test('a'.repeat(50) + 'b')",
        "text('go'); const f = () => Promise.resolve().then(f); f(); await new Promise(() => {})",
        "text('go'); (async () => { while (true) await null })(); await new Promise(() => {})",
        "text('go'); await tools.never()",
        "text('go'); await new Promise((r) => setTimeout(r, 1e9))",
        "text('go'); text({get a() { while (true); }})",
        "text('go'); text({toJSON() { while (true); }})",
        "text('go'); await {then() { while (true); }}",
        "text('go'); const f = () => { try { f() } catch { f() } }; f()",
        "text('go'); [..'x'.repeat(1e3)].sort(() => { while (true); })"
            .replace("[..", "[...")
            .as_str(),
    ] {
        let trial = Trial::start(spec(source));
        assert!(matches!(trial.next(), Event::Output(_)), "{source}");
        let cell = trial.cell.clone();
        std::thread::spawn(move || cell.terminate());
        assert_eq!(print(trial.finish()), "! terminated\n", "{source}");
    }
}

#[test]
fn a_stuck_cell_waits_to_be_terminated_where_it_may() {
    let stuck = spec("text('go'); await new Promise(() => {})");
    let trial = Trial::start(CellSpec { when_stuck: WhenStuck::Wait, ..stuck });
    assert!(matches!(trial.next(), Event::Output(_)));
    trial.cell.terminate();
    assert_eq!(print(trial.finish()), "! terminated\n");
}

#[test]
fn terminating_before_the_start_and_after_the_end_is_harmless() {
    let tenant = ENGINE.tenant();
    for _ in 0..100 {
        let (send, events) = std::sync::mpsc::channel();
        let cell = tenant.start(spec("text(1)"), move |event| drop(send.send(event))).unwrap();
        cell.terminate();
        let ends = events.iter().filter(|event| matches!(event, Event::End(_))).count();
        assert_eq!(ends, 1);
        cell.terminate();
        assert!(!cell.deliver(CallId(1), Ok(Json::null())));
    }
    let (send, events) = std::sync::mpsc::channel();
    let _cell = tenant.start(spec("text(1)"), move |event| drop(send.send(event))).unwrap();
    assert_eq!(events.iter().count(), 2);
}

#[test]
fn dropping_the_handle_terminates() {
    let Trial { cell, events } = Trial::start(spec("await tools.never()"));
    assert!(matches!(events.recv().unwrap(), Event::ToolCall(_)));
    drop(cell);
    let Event::End(end) = events.recv().unwrap() else { panic!() };
    assert_eq!(end.outcome, Outcome::Terminated);
}

#[test]
fn a_result_is_taken_once() {
    let trial = Trial::start(spec("text(await tools.never())"));
    let Event::ToolCall(call) = trial.next() else { panic!() };
    assert!(!trial.cell.deliver(CallId(99), Ok(Json::null())));
    assert!(trial.cell.deliver(call.id, Ok(Json::parse("\"first\"").unwrap())));
    assert!(!trial.cell.deliver(call.id, Ok(Json::parse("\"second\"").unwrap())));
    assert_eq!(print(trial.finish()), "first\n");
}

#[test]
fn nothing_of_a_cell_is_left_to_the_next_of_its_tenant() {
    let tenant = ENGINE.tenant();
    let poison = "globalThis.leak = 1; Object.prototype.leak = 1; Array.prototype.map = null; tools.echo = 1;
         Promise.prototype.then = null; setTimeout(() => text('timer'), 1);
         for (let i = 0; i < 5; i++) Promise.resolve().then(() => text('microtask'));
         (async () => { await null; text('resumed') })();
         exit()";
    let look = "text([globalThis.leak, ({}).leak, typeof [].map, typeof tools.echo, typeof Promise.prototype.then].join())";
    for source in [poison, look, poison, look, look] {
        let (send, events) = std::sync::mpsc::channel();
        let _cell = tenant.start(spec(source), move |event| drop(send.send(event))).unwrap();
        let shown: Vec<String> = events
            .iter()
            .filter_map(|event| match event {
                Event::Output(codemode_host_protocol::ContentItem::InputText { text }) => {
                    Some(text)
                }
                _ => None,
            })
            .collect();
        let expected: &[&str] =
            if source == look { &[",,function,function,function"] } else { &[] };
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_receiver_that_panics_ends_its_cell_alone() {
    let (send, events) = std::sync::mpsc::channel();
    let sink = move |event: Event| match event {
        Event::Output(_) => panic!("on purpose"),
        event => drop(send.send(event)),
    };
    let _cell = ENGINE.tenant().start(spec("text(1); while (true);"), sink).unwrap();
    let Event::End(end) = events.recv().unwrap() else { panic!() };
    assert_eq!(end.outcome, Outcome::Terminated);
    assert_eq!(run("text(2)"), "2\n");
}

#[test]
fn many_cells_at_once() {
    let tenant = Arc::new(ENGINE.tenant());
    let cells: Vec<_> = (0..200)
        .map(|n| {
            let (send, events) = std::sync::mpsc::channel();
            let spec = spec(&format!("text(await tools.never({n}))"));
            (tenant.start(spec, move |event| drop(send.send(event))).unwrap(), events)
        })
        .collect();
    for (cell, events) in &cells {
        let Event::ToolCall(call) = events.recv().unwrap() else { panic!() };
        assert!(cell.deliver(call.id, Ok(call.input.unwrap())));
    }
    for (n, (_cell, events)) in cells.iter().enumerate() {
        let Event::Output(item) = events.recv().unwrap() else { panic!() };
        assert_eq!(item, codemode_host_protocol::ContentItem::text(n.to_string()));
        let Event::End(end) = events.recv().unwrap() else { panic!() };
        assert_eq!(end.outcome, Outcome::Completed);
    }
}
