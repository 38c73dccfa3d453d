//! Cells that wait in one isolate: what one does is not felt by the others.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use codemode_host_protocol::{ContentItem, Json};

use super::{CellSpec, ENGINE, Event, Limits, Outcome, PATIENCE, Trial, print, spec};
use crate::{EngineOptions, Tenant, worker::MAX_CELLS_AT_A_TIME};

/// Starts so many cells of one tenant, each when those before it wait, that the last `count` share an isolate: with the first of
/// those that are returned before them.
fn waiting(
    tenant: &Tenant,
    limits: Limits,
    source: &str,
    count: usize,
) -> (Vec<Trial>, Vec<Trial>) {
    let start = || {
        let trial = start(tenant, limits, source);
        let event = trial.next();
        assert!(matches!(event, Event::ToolCall(_)), "{event:?}");
        settle(&trial);
        trial
    };
    let mut alone: Vec<Trial> =
        (0..EngineOptions::default().cells_alone).map(|_| start()).collect();
    let mut together: Vec<Trial> = (0..count).map(|_| start()).collect();
    together.insert(0, alone.remove(0));
    (alone, together)
}

fn start(tenant: &Tenant, limits: Limits, source: &str) -> Trial {
    let (send, events) = mpsc::channel();
    let spec = CellSpec { limits, ..spec(source) };
    Trial { cell: tenant.start(spec, move |event| drop(send.send(event))).unwrap(), events }
}

/// Until the cell's thread does nothing any more.
fn settle(trial: &Trial) {
    while !trial.cell.rests() {
        std::thread::yield_now();
    }
}

fn limits() -> Limits {
    spec("").limits
}

fn answer(trial: &Trial, call: u64, json: &str) {
    assert!(trial.cell.deliver(crate::CallId(call), Ok(Json::parse(json).unwrap())));
}

fn shown(trial: &Trial) -> String {
    match trial.next() {
        Event::Output(ContentItem::InputText { text }) => text,
        event => panic!("{event:?}"),
    }
}

/// Does what it is told: the answer to its call is code.
const PUPPET: &str =
    "let kept = []; for (;;) await eval(`(async () => {${await tools.never()}})()`)";

#[test]
fn waiting_cells_share_isolates_of_their_tenant_and_busy_ones_are_left_alone() {
    let tenant = ENGINE.tenant();
    let (alone, together) = waiting(&tenant, limits(), PUPPET, 2);
    for (index, one) in alone.iter().enumerate() {
        assert!(!one.cell.shares_an_isolate_with(&together[0].cell));
        assert!(alone[..index].iter().all(|other| !other.cell.shares_an_isolate_with(&one.cell)));
    }
    for other in &together[1..] {
        assert!(other.cell.shares_an_isolate_with(&together[0].cell));
    }
    answer(&together[1], 1, r#""text('busy'); while (true);""#);
    assert_eq!(shown(&together[1]), "busy");
    let another = start(&tenant, limits(), "text(1)");
    assert!(!another.cell.shares_an_isolate_with(&together[0].cell));
    assert_eq!(print(another.finish()), "1\n");
    let others = ENGINE.tenant();
    let (_alone, elsewhere) = waiting(&others, limits(), PUPPET, 1);
    assert!(!elsewhere[1].cell.shares_an_isolate_with(&together[0].cell));
}

#[test]
fn an_isolate_is_not_shared_without_end() {
    // A cell that a busy machine keeps from its end for 50 ms looks as one that computes, and nobody joins it.
    let fullest = (0..5).map(|_| {
        let tenant = ENGINE.tenant();
        let (_alone, together) = waiting(&tenant, limits(), PUPPET, MAX_CELLS_AT_A_TIME);
        let mates =
            together.iter().filter(|other| other.cell.shares_an_isolate_with(&together[0].cell));
        mates.count()
    });
    let mut fullest = fullest.inspect(|&mates| assert!(mates <= MAX_CELLS_AT_A_TIME, "{mates}"));
    assert!(fullest.any(|mates| mates == MAX_CELLS_AT_A_TIME));
}

#[test]
fn globals_stores_and_timers_are_a_cell_s_own() {
    let tenant = ENGINE.tenant();
    let (_alone, together) = waiting(&tenant, limits(), PUPPET, 3);
    for (n, trial) in together.iter().enumerate() {
        let code = format!(
            r#""globalThis.mine = {n}; Array.prototype.mine = {n}; store('mine', {n}); setTimeout(() => text('timer {n}'), 1); tools.mine = {n}""#
        );
        answer(trial, 1, &code);
        assert!(matches!(trial.next(), Event::ToolCall(_) | Event::Output(_)));
    }
    for (n, trial) in together.into_iter().enumerate() {
        // Its timer, or its next call, which of them came second.
        let _ = trial.next();
        answer(&trial, 2, r#""text([mine, [].mine, load('mine'), tools.mine]); exit()""#);
        assert_eq!(shown(&trial), format!("[{n},{n},{n},{n}]"));
        let Event::End(end) = trial.next() else { panic!() };
        assert_eq!(end.outcome, Outcome::Completed);
        assert_eq!(end.stored["mine"].text(), n.to_string());
    }
}

#[test]
fn a_cell_ends_on_demand_while_another_keeps_their_isolate_busy() {
    let tenant = ENGINE.tenant();
    let (_alone, mut together) = waiting(&tenant, limits(), PUPPET, 3);
    answer(&together[1], 1, r#""store('k', 1); text('stored')""#);
    assert_eq!(shown(&together[1]), "stored");
    assert!(matches!(together[1].next(), Event::ToolCall(_)));
    settle(&together[1]);
    answer(&together[0], 1, r#""text('busy'); while (true);""#);
    assert_eq!(shown(&together[0]), "busy");
    // One that waits, and one that has something to do and does not get to it.
    answer(&together[2], 1, r#""text('never')""#);
    for _ in 0..2 {
        let trial = together.remove(1);
        trial.cell.terminate();
        let Event::End(end) = trial.next() else { panic!() };
        assert_eq!(end.outcome, Outcome::Terminated);
        assert_eq!(end.usage.tool_calls, if end.stored.is_empty() { 1 } else { 2 });
        assert!(!trial.cell.deliver(crate::CallId(2), Ok(Json::null())));
    }
    assert!(together[0].events.try_recv().is_err(), "it is busy still");
    together[0].cell.terminate();
    let Event::End(end) = together[0].next() else { panic!() };
    assert_eq!(end.outcome, Outcome::Terminated);
    answer(&together[1], 1, r#""text('still here'); exit()""#);
    assert_eq!(print(together.pop().unwrap().finish()), "still here\n");
}

#[test]
fn wall_and_processor_time_are_a_cell_s_own() {
    let tenant = ENGINE.tenant();
    let (_alone, together) = waiting(&tenant, limits(), PUPPET, 2);
    answer(&together[1], 1, r#""const end = Date.now() + 100; while (Date.now() < end);""#);
    assert!(matches!(together[1].next(), Event::ToolCall(_)));
    let [idle, busy, _] = &together[..] else { panic!() };
    assert!(idle.cell.cpu_time() < busy.cell.cpu_time(), "{idle:?} {busy:?}");
    let short = Limits { cpu: Some(Duration::from_millis(200)), ..limits() };
    let third = start(&tenant, short, PUPPET);
    assert!(matches!(third.next(), Event::ToolCall(_)));
    answer(&third, 1, r#""while (true);""#);
    let report = print(third.finish());
    assert_eq!(report, "! CpuLimitExceeded: the cell computed for longer than its 200ms\n");
    answer(&together[0], 1, r#""text('fine'); exit()""#);
    assert_eq!(shown(&together[0]), "fine");
}

#[test]
fn nobody_is_kept_waiting_by_timers_that_are_always_due() {
    let tenant = ENGINE.tenant();
    let (_alone, together) = waiting(&tenant, limits(), PUPPET, 1);
    let endless = r#""text('spins'); const spin = () => setTimeout(spin, 0); spin(); await new Promise(() => {})""#;
    answer(&together[0], 1, endless);
    assert_eq!(shown(&together[0]), "spins");
    answer(&together[1], 1, r#""text('on'); exit()""#);
    assert_eq!(shown(&together[1]), "on");
}

#[test]
fn timers_fire_while_those_of_another_cell_are_always_due() {
    let tenant = ENGINE.tenant();
    let (_alone, together) = waiting(&tenant, limits(), PUPPET, 2);
    answer(&together[1], 1, r#""setTimeout(() => { text('fired'); exit(); }, 30)""#);
    assert!(matches!(together[1].next(), Event::ToolCall(_)));
    settle(&together[1]);
    // Two of them, so that one at least has always something to do.
    let endless = r#""text('spins'); const spin = () => setTimeout(spin, 0); spin(); await new Promise(() => {})""#;
    for spinning in [0, 2] {
        answer(&together[spinning], 1, endless);
        assert_eq!(shown(&together[spinning]), "spins");
    }
    assert_eq!(shown(&together[1]), "fired");
}

#[test]
fn a_heap_is_charged_to_whom_it_belongs() {
    let heap_bytes = 64 << 20;
    let limits = Limits { heap_bytes, ..limits() };
    let tenant = ENGINE.tenant();
    let (_alone, mut together) = waiting(&tenant, limits, PUPPET, 3);
    // Each within its own limit; together over that of one.
    for (n, trial) in together.iter().enumerate().take(3) {
        let code = r#""for (let i = 0; i < 40; i++) kept.push(new Array(1 << 17).fill(1.5)); text(kept.length)""#;
        answer(trial, 1, code);
        assert_eq!(shown(trial), "40", "{n}");
        assert!(matches!(trial.next(), Event::ToolCall(_)));
    }
    let greedy = together.pop().unwrap();
    answer(&greedy, 1, r#""for (;;) kept.push(new Array(1 << 17).fill(1.5))""#);
    let expected =
        format!("! HeapLimitExceeded: the cell used more than its {heap_bytes} bytes of heap\n");
    assert_eq!(print(greedy.finish()), expected);
    for (n, trial) in together.into_iter().enumerate() {
        if n == 1 {
            // It has room for so much, and no more.
            answer(&trial, 2, r#""for (;;) kept.push(new Array(1 << 17).fill(1.5))""#);
            assert_eq!(print(trial.finish()), expected);
            continue;
        }
        answer(&trial, 2, r#""text(kept.map((a) => a.length).reduce((a, b) => a + b)); exit()""#);
        assert_eq!(print(trial.finish()), format!("{}\n", 40 << 17), "{n}");
    }
}

#[test]
fn array_buffers_are_charged_to_whom_they_belong() {
    let limits = Limits { buffer_bytes: 8 << 20, ..limits() };
    let tenant = ENGINE.tenant();
    let (_alone, mut together) = waiting(&tenant, limits, PUPPET, 2);
    for trial in &together {
        answer(trial, 1, r#""kept.push(new Uint8Array(7 << 20).fill(1)); text('has')""#);
        assert_eq!(shown(trial), "has");
        assert!(matches!(trial.next(), Event::ToolCall(_)));
    }
    let greedy = together.pop().unwrap();
    answer(&greedy, 2, r#""kept.push(new Uint8Array(7 << 20))""#);
    let expected =
        "! ArrayBufferLimitExceeded: the cell used more than its 8388608 bytes of array buffers\n";
    assert_eq!(print(greedy.finish()), expected);
    for trial in together {
        answer(&trial, 2, r#""text(kept[0].at(-1)); exit()""#);
        assert_eq!(print(trial.finish()), "1\n");
    }
}

#[test]
fn cells_come_and_go_in_shared_isolates() {
    let tenant = ENGINE.tenant();
    let mut trials: Vec<Trial> = Vec::new();
    for round in 0..300 {
        trials.push(start(&tenant, limits(), PUPPET));
        if trials.len() < 60 {
            continue;
        }
        // One in the middle ends in one of four ways.
        let trial = trials.remove(round % 60);
        let Ok(Event::ToolCall(_)) = trial.events.recv_timeout(PATIENCE) else { panic!() };
        match round % 4 {
            0 => trial.cell.terminate(),
            1 => answer(&trial, 1, r#""exit()""#),
            2 => answer(&trial, 1, r#""throw 1""#),
            _ => drop(trial.cell),
        }
        let Ok(Event::End(_)) = trial.events.recv_timeout(PATIENCE) else { panic!("{round}") };
    }
    for trial in trials {
        let Event::ToolCall(_) = trial.next() else { panic!() };
        answer(&trial, 1, r#""text('last'); exit()""#);
        assert_eq!(print(trial.finish()), "last\n");
    }
}

#[test]
fn cells_that_are_ended_at_once_take_nobody_along() {
    let tenant = ENGINE.tenant();
    let (_alone, together) = waiting(&tenant, limits(), PUPPET, 2);
    for _ in 0..300 {
        let trial = start(&tenant, limits(), "while (true);");
        trial.cell.terminate();
        assert_eq!(print(trial.finish()), "! terminated\n");
    }
    for trial in together {
        answer(&trial, 1, r#""text('here'); exit()""#);
        assert_eq!(print(trial.finish()), "here\n");
    }
}

#[test]
fn buffers_that_are_collected_later_are_charged_to_nobody_else() {
    let limits = Limits { buffer_bytes: 8 << 20, ..limits() };
    let tenant = ENGINE.tenant();
    let (_alone, together) = waiting(&tenant, limits, PUPPET, 2);
    let [_, keeps, drops] = &together[..] else { panic!() };
    let mut round = 0;
    let mut ask = |trial: &Trial, calls: u64, code: &str| {
        round += 1;
        answer(trial, calls, code);
        let event = trial.next();
        assert!(matches!(event, Event::ToolCall(_)), "round {round}: {event:?}");
        settle(trial);
    };
    ask(drops, 1, r#""new Uint8Array(7 << 20)""#);
    // What the other one has dropped is collected here, and makes no room for more than one may have.
    ask(
        keeps,
        1,
        r#""for (let i = 0; i < 40; i++) new Array(1 << 17).fill(1.5); kept.push(new Uint8Array(7 << 20))""#,
    );
    for call in 2..5 {
        ask(drops, call, r#""new Uint8Array(7 << 20)""#);
    }
    answer(keeps, 2, r#""kept.push(new Uint8Array(7 << 20))""#);
    let Event::End(end) = keeps.next() else { panic!() };
    assert!(matches!(end.outcome, Outcome::LimitExceeded(_)), "{end:?}");
}

#[test]
fn a_tenant_that_does_nothing_keeps_one_isolate_or_none_where_others_are_ready() {
    let with_heap = |mib: usize| Limits { heap_bytes: mib << 20, ..limits() };
    let warm = EngineOptions::default().warm_heap_bytes >> 20;
    for (limits, kept) in [(with_heap(warm), 0), (with_heap(warm + 1), 1)] {
        let tenant = ENGINE.tenant();
        let (alone, _) = waiting(&tenant, limits, "await tools.echo({})", 0);
        for trial in &alone {
            answer(trial, 1, "null");
            while !matches!(trial.next(), Event::End(_)) {}
        }
        let deadline = Instant::now() + PATIENCE;
        while tenant.idle_isolates() > kept {
            assert!(Instant::now() < deadline, "{} isolates are kept", tenant.idle_isolates());
            std::thread::sleep(Duration::from_millis(10));
        }
        let last = start(&tenant, limits, "await tools.echo({})");
        assert!(matches!(last.next(), Event::ToolCall(_)));
        assert_eq!(tenant.idle_isolates(), 0, "the one that was kept has the cell");
    }
}
