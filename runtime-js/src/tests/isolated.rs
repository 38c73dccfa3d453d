//! Cells in worker processes.

use std::collections::BTreeMap;

use super::*;
use crate::{Tenant, TenantLimits};

/// Not a test: what the worker processes of these tests run.
#[test]
#[ignore = "runs as a worker process"]
fn serves_as_worker() {
    if std::env::args().any(|argument| argument == "--exact") {
        crate::process::run_worker();
    }
}

/// Makes this program run [`serves_as_worker`], on its main thread.
pub(super) const WORKER_ARGUMENTS: [&str; 5] = [
    "--exact",
    "tests::isolated::serves_as_worker",
    "--ignored",
    "--nocapture",
    "--test-threads=1",
];

#[test]
fn stored_values_are_fetched_when_they_are_loaded() {
    let stored = BTreeMap::from([
        (String::from("a"), Json::parse("[1, 2]").unwrap()),
        (String::from("b"), Json::parse(r#""x""#).unwrap()),
    ]);
    let source = "store('b', load('b') + 'y'); text([load('a').length, load('b'), typeof load('c')].join(' '));";
    let spec = CellSpec { stored: Arc::new(stored), ..spec(source) };
    let report = Trial::start_in(&ISOLATED, spec).finish();
    assert_eq!(report.shown, ["2 xy undefined"]);
    assert_eq!(
        report.end.stored,
        BTreeMap::from([(String::from("b"), Json::parse(r#""xy""#).unwrap())])
    );
}

#[test]
fn large_values_pass_through() {
    let source = "const s = 'x'.repeat(3 << 20); const back = await tools.echo({ s }); text(back.s === s); text(s);";
    let report = Trial::start_in(&ISOLATED, spec(source)).finish();
    assert_eq!(report.shown[0], "true");
    assert_eq!(report.shown[1].len(), 3 << 20);
}

#[test]
fn the_kind_of_a_failed_call_arrives() {
    let source = "
        const kind = input => tools.fail(input).catch(error => error.kind);
        text(await Promise.all(['timeout', 'denied', 'other'].map(kind)));
    ";
    let report = Trial::start_in(&ISOLATED, spec(source)).finish();
    assert_eq!(report.shown, [r#"["timeout","denied",null]"#]);
}

#[test]
fn a_cell_that_cannot_be_interrupted_is_ended_with_its_process() {
    let trial = Trial::start_in(&ISOLATED, spec("text('on'); new Array(3e8).fill(0);"));
    assert!(matches!(trial.next(), Event::Output(_)));
    trial.cell.terminate();
    assert_eq!(print(trial.finish()), "! terminated\n");
}

#[test]
fn a_time_limit_holds_where_a_cell_cannot_be_interrupted() {
    let mut spec = spec("'x'.repeat(3e8).replace(/x/g, 'yy')");
    spec.limits.wall = Some(Duration::from_millis(100));
    spec.limits.heap_bytes = 2 << 30;
    let report = print(Trial::start_in(&ISOLATED, spec).finish());
    assert_eq!(report, "! TimeLimitExceeded: the cell ran for longer than its 100ms\n");
}

#[test]
fn memory_beyond_the_heap_is_bounded() {
    let report =
        print(Trial::start_in(&ISOLATED, spec("'x'.repeat(3e8).replace(/x/g, 'yy')")).finish());
    assert_eq!(
        report,
        "! HeapLimitExceeded: the cell used more than its 268435456 bytes of heap\n"
    );
}

#[test]
fn a_process_that_is_killed_ends_its_cells_and_no_others() {
    let tenant = ISOLATED.tenant();
    let start = |source: &str| start_for(&tenant, source);
    let first = start("await tools.never({})");
    let Event::ToolCall(_) = first.next() else { panic!("it calls") };
    let other = Trial::start_in(&ISOLATED, spec("text(await tools.echo(1)); await tools.never()"));
    let Event::ToolCall(call) = other.next() else { panic!("it calls") };

    rustix::process::kill_process(first.cell.process().unwrap(), rustix::process::Signal::KILL)
        .unwrap();

    let report = print(first.finish());
    let expected = "! runtimeCrashed: the cell's process was ended by SIGKILL, as the system does when memory runs \
                    out. The session and what it stored are as they were; the next cell runs in a new process\n";
    assert_eq!(report, expected);
    other.cell.deliver(call.id, Ok(Json::parse("7").unwrap()));
    assert!(matches!(other.next(), Event::Output(item) if item == ContentItem::text("7")));
    assert_eq!(start("text('next')").finish().shown, ["next"]);
}

/// Its time is its session's too, and whoever could end its process by itself would have it for nothing.
#[test]
fn a_cell_whose_process_ends_has_used_its_time() {
    let long = "const end = Date.now() + 300; while (Date.now() < end);";
    let filling = format!("{long} 'x'.repeat(3e8).replace(/x/g, 'yy')");
    let killed =
        start_for(&ISOLATED.tenant(), &format!("{long} text('done'); await tools.never()"));
    assert!(matches!(killed.next(), Event::Output(_)));
    rustix::process::kill_process(killed.cell.process().unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    for trial in [killed, start_for(&ISOLATED.tenant(), &filling)] {
        let end = trial.finish().end;
        assert!(matches!(end.outcome, Outcome::Crashed(_) | Outcome::LimitExceeded(_)), "{end:?}");
        assert!(end.usage.cpu > Duration::from_millis(1), "{end:?}");
    }
}

/// An engine whose tenants have one process each.
fn one_process_each() -> Engine {
    let mut processes = ProcessOptions::this_program(WORKER_ARGUMENTS);
    processes.spread = 1;
    processes.memory_bytes = 512 << 20;
    let isolation = Isolation::Process(processes);
    Engine::with_options(EngineOptions { isolation, ..EngineOptions::default() })
}

fn start_for(tenant: &Tenant, source: &str) -> Trial {
    let (send, events) = mpsc::channel();
    let cell = tenant.start(spec(source), move |event| drop(send.send(event))).unwrap();
    Trial { cell, events }
}

#[test]
fn who_uses_too_much_memory_is_told_apart_from_who_waits() {
    let tenant = one_process_each().tenant();
    let waits = start_for(&tenant, "await tools.never()");
    assert!(matches!(waits.next(), Event::ToolCall(_)));
    let fills = start_for(&tenant, "'x'.repeat(3e8).replace(/x/g, 'yy')");
    let report = print(fills.finish());
    assert!(report.starts_with("! HeapLimitExceeded: "), "{report}");
    let report = print(waits.finish());
    assert!(
        report
            .starts_with("! runtimeCrashed: the cell's process used more than its 536870912 bytes"),
        "{report}"
    );
}

#[test]
fn a_cell_that_cannot_be_interrupted_lets_the_others_of_its_process_finish() {
    let tenant = one_process_each().tenant();
    let start = |source: &str| start_for(&tenant, source);
    let honest = start("text(await tools.echo(1))");
    let Event::ToolCall(call) = honest.next() else { panic!("it calls") };
    let stuck = start("text('on'); new Array(3e8).fill(0);");
    assert!(matches!(stuck.next(), Event::Output(_)));
    assert_eq!(stuck.cell.process(), honest.cell.process());
    stuck.cell.terminate();
    assert_eq!(print(stuck.finish()), "! terminated\n");

    honest.cell.deliver(call.id, Ok(Json::parse("7").unwrap()));
    assert_eq!(honest.finish().shown, ["7"]);
    let next = start("text(1)");
    assert_ne!(next.cell.process(), None);
    assert_eq!(next.finish().shown, ["1"]);
}

#[test]
fn a_program_that_is_no_worker_is_an_error_of_the_cell() {
    let mut processes = ProcessOptions::this_program(["--no-such-flag"]);
    let fails = |processes: &ProcessOptions, why: &str| {
        let isolation = Isolation::Process(processes.clone());
        let engine = Engine::with_options(EngineOptions { isolation, ..EngineOptions::default() });
        let started = engine.tenant().start(spec("text(1)"), drop);
        let error = started.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("no process could be started for the cell: {why}")),
            "{error}"
        );
    };
    fails(&processes, "the program for workers ended by itself with code 1");
    processes.program = "/no/such/program".into();
    fails(&processes, "No such file");
}

#[test]
fn a_tenant_that_does_nothing_keeps_no_process_where_others_are_ready() {
    use rustix::{event::PollFd, process::PidfdFlags};
    // Of the engine of all tests so many are taken that they are kept.
    let tenant = one_process_each().tenant();
    let (send, events) = mpsc::channel();
    let cell = tenant.start(spec("text(1)"), move |event| drop(send.send(event))).unwrap();
    let process = cell.process().unwrap();
    let process = rustix::process::pidfd_open(process, PidfdFlags::empty()).unwrap();
    Trial { cell, events }.finish();
    let patience = rustix::event::Timespec::try_from(PATIENCE).unwrap();
    let mut ended = [PollFd::new(&process, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut ended, Some(&patience)), Ok(1), "it lives on");
}

#[test]
fn no_cell_joins_one_that_does_not_end() {
    let tenant = one_process_each().tenant();
    // However long it takes to come to the next line.
    let endless = "text('on'); const s = 'x'.repeat(2e7); for (;;) s.replace(/x/g, 'yy')";
    let stuck = start_for(&tenant, endless);
    assert!(matches!(stuck.next(), Event::Output(_)));
    stuck.cell.terminate();
    let next = start_for(&tenant, "text(await tools.echo(1))");
    assert_ne!(next.cell.process(), stuck.cell.process());
    assert_eq!(next.finish().shown, ["1"]);
    stuck.finish();
}

#[test]
fn all_that_a_cell_says_arrives_however_much_comes_at_once() {
    let tenant = ISOLATED.tenant();
    for items in (250..=400).step_by(10) {
        let (send, events) = mpsc::channel();
        // What arrives while it is busy is read in one go.
        let slow_receiver = move |event| {
            std::thread::sleep(Duration::from_micros(100));
            drop(send.send(event));
        };
        let source = format!("for (let i = 0; i < {items}; i++) text(i)");
        let cell = tenant.start(spec(&source), slow_receiver).unwrap();
        assert_eq!(Trial { cell, events }.finish().shown.len(), items);
    }
}

#[test]
fn a_cell_outlives_its_engine() {
    let mut processes = ProcessOptions::this_program(WORKER_ARGUMENTS);
    processes.warm = 0;
    let isolation = Isolation::Process(processes);
    let engine = Engine::with_options(EngineOptions { isolation, ..EngineOptions::default() });
    let trial = Trial::start_in(&engine, spec("text(await tools.echo(1))"));
    drop(engine);
    assert_eq!(trial.finish().shown, ["1"]);
}

#[test]
fn many_cells_share_few_processes() {
    let tenant = ISOLATED.tenant();
    let trials: Vec<Trial> =
        (0..40).map(|n| start_for(&tenant, &format!("text(await tools.echo({n}))"))).collect();
    let processes: std::collections::HashSet<_> =
        trials.iter().filter_map(|trial| trial.cell.process()).collect();
    assert!(processes.len() <= 4, "{processes:?}");
    for (n, trial) in trials.into_iter().enumerate() {
        assert_eq!(trial.finish().shown, [n.to_string()]);
    }
}

/// The kernel's limits on threads and data leave room for all of them, none of which is idle.
#[test]
fn a_process_takes_as_many_cells_as_it_may() {
    let mut processes = ProcessOptions::this_program(WORKER_ARGUMENTS);
    (processes.spread, processes.cells_per_process) = (1, 100);
    let isolation = Isolation::Process(processes);
    let engine = Engine::with_options(EngineOptions { isolation, ..EngineOptions::default() });
    let tenant = engine.tenant();
    let mut processes = std::collections::HashSet::new();
    // Twice: those that have ended make room.
    for _ in 0..2 {
        let trials: Vec<Trial> = (0..100)
            .map(|n| {
                let (send, events) = mpsc::channel();
                let spec = spec(&format!(
                    "const a = new Uint8Array(1e6).fill(1); text(await tools.echo({n}))"
                ));
                let cell = tenant.start(spec, move |event| drop(send.send(event))).unwrap();
                Trial { cell, events }
            })
            .collect();
        processes.extend(trials.iter().filter_map(|trial| trial.cell.process()));
        for (n, trial) in trials.into_iter().enumerate() {
            assert_eq!(trial.finish().shown, [n.to_string()]);
        }
    }
    assert_eq!(processes.len(), 1);
}

#[test]
fn what_cells_of_a_tenant_use_together_ends_them_in_processes_too() {
    let share = TenantLimits { timers: 3, ..TenantLimits::default() };
    let tenant = ISOLATED.tenant();
    let start = |source: &str| {
        let (send, events) = mpsc::channel();
        let spec = CellSpec { tenant: share, ..spec(source) };
        let cell = tenant.start(spec, move |event| drop(send.send(event))).unwrap();
        Trial { cell, events }
    };
    let two = "for (let i = 0; i < 2; i++) setTimeout(() => {}, 1e9); await tools.never()";
    let first = start(two);
    assert!(matches!(first.next(), Event::ToolCall(_)));
    let over = start(two).finish().end.outcome.limit_exceeded();
    let expected = codemode_host_protocol::LimitExceeded::of_session(
        codemode_host_protocol::Budget::Timers,
        3,
        4,
    );
    assert_eq!(over, Some(expected));
}

/// Each cell in a process of its own: none of them knows of more than the part that it was lent.
#[test]
fn a_limit_of_a_tenant_holds_over_all_its_processes() {
    use codemode_host_protocol::{Budget, LimitExceeded};

    let mut processes = ProcessOptions::this_program(WORKER_ARGUMENTS);
    (processes.spread, processes.cells_per_process) = (1, 1);
    let isolation = Isolation::Process(processes);
    let engine = Engine::with_options(EngineOptions { isolation, ..EngineOptions::default() });
    let tenant = engine.tenant();
    let share = TenantLimits { timers: 3, buffer_bytes: 100 << 20, ..TenantLimits::default() };
    let start = |source: &str| {
        let (send, events) = mpsc::channel();
        let spec = CellSpec { tenant: share, ..spec(source) };
        let cell = tenant.start(spec, move |event| drop(send.send(event))).unwrap();
        Trial { cell, events }
    };
    let some = "const b = new ArrayBuffer(60 << 20); const t = () => setTimeout(() => {}, 1e9);
        t(); t(); await tools.never(); text(b.byteLength)";
    let first = start(some);
    assert!(matches!(first.next(), Event::ToolCall(_)));
    assert_eq!(tenant.used(Budget::Timers), Some(2));
    let buffers = tenant.used(Budget::ArrayBuffers).unwrap();
    assert!((60 << 20..62 << 20).contains(&buffers), "{buffers}");

    let second = start(
        "try { new ArrayBuffer(60 << 20) } catch {} text(await tools.echo(1)); setTimeout(() => {}, 1e9); setTimeout(() => {}, 1e9)",
    );
    assert_ne!(first.cell.process(), second.cell.process());
    let report = second.finish();
    // The buffer was refused, and what is refused can be done without.
    assert_eq!(report.shown, ["1"]);
    let over = LimitExceeded::of_session(Budget::Timers, 3, 4);
    assert_eq!(report.end.outcome.limit_exceeded(), Some(over));
    let third = start("new ArrayBuffer(60 << 20)").finish().end.outcome.limit_exceeded().unwrap();
    let LimitExceeded { scope, budget, limit, used } = third;
    let expected = (codemode_host_protocol::Scope::Session, Budget::ArrayBuffers, 100 << 20);
    assert_eq!((scope, budget, limit), expected);
    assert_eq!(used, buffers + (60 << 20));

    // What a process had comes back with it.
    rustix::process::kill_process(first.cell.process().unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    assert!(matches!(first.finish().end.outcome, Outcome::Crashed(_)));
    assert_eq!(tenant.used(Budget::Timers), Some(0));
    assert_eq!(tenant.used(Budget::ArrayBuffers), Some(0));
    assert_eq!(start("text(new ArrayBuffer(60 << 20).byteLength)").finish().shown, ["62914560"]);
}
