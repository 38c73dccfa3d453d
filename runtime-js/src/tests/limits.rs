use std::{
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};

use codemode_host_protocol::{Budget, Json, LimitExceeded, Scope};

use super::{CellSpec, ENGINE, Event, Limits, Outcome, PATIENCE, Trial, print, spec};
use crate::{Cell, TenantLimits};

const HEAP: usize = 64 << 20;

fn within(limits: Limits, source: &str) -> String {
    print(Trial::start(CellSpec { limits, ..spec(source) }).finish())
}

#[test]
fn heap() {
    let limits = Limits { heap_bytes: HEAP, ..spec("").limits };
    for source in [
        "const a = []; while (true) a.push({a: 1})",
        "const a = []; while (true) a.push(new Array(1000).fill(1.5))",
        "let s = 'x'; while (true) { s += s + Math.random(); }",
        "let s = 'x'; while (s.length < 4e8) s = s + s; const parts = []; while (true) parts.push([...s.slice(0, 1e6)])",
        "Array(3e7).fill(1.1); while (true);",
        "Array.from({length: 2e7}, (_, i) => ({i})); while (true);",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, 'v' + i)",
        // One text of 132 MB at a time, which V8 lets pass as long as it is the only one.
        "const a = Array(12000).fill(Array(1000).fill('abcdefgh')); for (let i = 0; i < 3; i++) JSON.stringify(a)",
    ] {
        let report = within(limits, source);
        let expected =
            format!("! HeapLimitExceeded: the cell used more than its {HEAP} bytes of heap\n");
        assert_eq!(report, expected, "{source}");
    }
}

#[test]
fn array_buffers() {
    let limits = Limits { buffer_bytes: 10 << 20, heap_bytes: HEAP, ..spec("").limits };
    for source in [
        "const b = []; while (true) b.push(new Uint8Array(1 << 20).fill(1))",
        "new Uint8Array(1 << 30)",
        "new ArrayBuffer(8e9)",
        "const a = []; while (true) a.push(new Intl.DateTimeFormat('de', {dateStyle: 'full'}))",
        "const a = [], s = new Intl.Segmenter(), x = 'x'.repeat(1e6); while (true) a.push(s.segment(x))",
        "const a = [], s = new Intl.Segmenter().segment('x'.repeat(1e6)); while (true) a.push(s[Symbol.iterator]())",
    ] {
        let expected = "! ArrayBufferLimitExceeded: the cell used more than its 10485760 bytes of array buffers\n";
        assert_eq!(within(limits, source), expected, "{source}");
    }
    // Small arrays are in the heap until somebody asks for their buffer: no room for that is no end of the process.
    let source = "const b = [];
        for (const size of [1 << 20, 1 << 10, 1]) try { while (true) b.push(new ArrayBuffer(size)) } catch (e) { text(e.message) }
        text(new Uint8Array(8).buffer.byteLength)";
    let report = within(limits, source);
    let end = "\n! ArrayBufferLimitExceeded: the cell used more than its 10485760 bytes of array buffers\n";
    assert!(report.ends_with(end), "{report}");
    let source = "const b = []; for (let i = 0; i < 10; i++) b.push(new Uint8Array(1 << 20).fill(1)); text(b.length)";
    assert_eq!(within(limits, source), "10\n");
}

#[test]
fn no_buffer_goes_past_the_budget() {
    let source = "const resizable = (make) => { try { make(); return false } catch (e) { return e instanceof TypeError } };
        let reads = 0; const shifty = {get maxByteLength() { return reads++ ? 1e9 : undefined }};
        const Hidden = Object.getPrototypeOf(new Uint8Array(1).buffer).constructor;
        class Mine extends ArrayBuffer {}
        const fixed = new ArrayBuffer(8, shifty);
        text([
          resizable(() => new ArrayBuffer(8, {maxByteLength: 16})),
          resizable(() => new Hidden(8, {maxByteLength: 16})),
          resizable(() => new Mine(8, {maxByteLength: 16})),
          fixed.byteLength, fixed.resizable,
          ArrayBuffer.name,
        ].join())";
    assert_eq!(super::run(source), "true,true,true,8,false,ArrayBuffer\n");
}

#[test]
fn garbage_does_not_count() {
    let limits = Limits { heap_bytes: HEAP, ..spec("").limits };
    let source = "for (let i = 0; i < 1000; i++) { new Uint8Array(1 << 20); 'x'.repeat(1 << 20) + i } text('fine')";
    assert_eq!(within(limits, source), "fine\n");
    let source = "const s = new Intl.Segmenter(), x = 'x'.repeat(1e6); for (let i = 0; i < 60; i++) s.segment(x); text('fine')";
    assert_eq!(within(Limits { buffer_bytes: HEAP, ..limits }, source), "fine\n");
}

/// In one turn of the cell: it has its answers before it can wait for them.
#[test]
fn results_that_come_at_once_become_garbage() {
    let (started, (send, ended)) = (Arc::new(OnceLock::<Cell>::new()), mpsc::channel());
    let cell = Arc::clone(&started);
    let sink = move |event| match event {
        Event::ToolCall(call) => {
            cell.wait().deliver(call.id, Ok(call.input.unwrap_or_else(Json::null)));
        }
        Event::End(end) => drop(send.send(end.outcome)),
        _ => {}
    };
    let source =
        "const long = 'x'.repeat(1 << 20); for (let i = 0; i < 300; i++) await tools.echo(long);";
    let limits = Limits { heap_bytes: HEAP, ..spec("").limits };
    let cell = ENGINE.tenant().start(CellSpec { limits, ..spec(source) }, sink).unwrap();
    started.set(cell).unwrap();
    assert_eq!(ended.recv_timeout(PATIENCE).unwrap(), Outcome::Completed);
}

#[test]
fn wall_time() {
    let limits = Limits { wall: Some(Duration::from_millis(50)), ..Limits::default() };
    for source in
        ["while (true);", "await tools.never()", "await new Promise((r) => setTimeout(r, 1e9))"]
    {
        let expected = "! TimeLimitExceeded: the cell ran for longer than its 50ms\n";
        assert_eq!(within(limits, source), expected, "{source}");
    }
}

/// What a cell may not have, the scope of the next one takes all the same.
#[test]
fn a_cell_without_buffers_leaves_an_isolate_for_the_next() {
    let tenant = ENGINE.tenant();
    for _ in 0..3 {
        let (send, events) = mpsc::channel();
        let limits = Limits { buffer_bytes: 0, ..spec("").limits };
        let spec = CellSpec { limits, ..spec("text(1); new Uint8Array(100)") };
        let cell = tenant.start(spec, move |event| drop(send.send(event))).unwrap();
        let report = print(Trial { cell, events }.finish());
        assert!(report.starts_with("1\n! ArrayBufferLimitExceeded"), "{report}");
    }
}

/// An error is described after its cell has failed, by running what the cell put in it: each part may hang again.
#[test]
fn wall_time_of_errors_that_do_not_come_to_an_end() {
    let limits = Limits { wall: Some(Duration::from_millis(50)), ..Limits::default() };
    for source in [
        "throw Object.defineProperty(new Error('a'), 'message', {get() { while (true); }})",
        "throw Object.defineProperty(new Error('a'), 'name', {get() { while (true); }})",
        "throw Object.defineProperty(new Error('a'), 'stack', {get() { while (true); }})",
        "throw {toJSON() { while (true); }}",
        "setTimeout(() => { throw Object.defineProperty(new Error('a'), 'message', {get() { while (true); }}) });
         await new Promise(() => {})",
    ] {
        let expected = "! TimeLimitExceeded: the cell ran for longer than its 50ms\n";
        assert_eq!(within(limits, source), expected, "{source}");
    }
}

#[test]
fn output() {
    let limits = Limits { output_bytes: 100, output_items: 3, ..spec("").limits };
    assert_eq!(
        within(limits, "text('x'.repeat(100)); try { text('y') } finally { text('z') }"),
        format!(
            "{}\n! OutputLimitExceeded: the cell showed more than its 100 bytes\n",
            "x".repeat(100)
        )
    );
    assert_eq!(
        within(limits, "while (true) text('a')"),
        "a\na\na\n! OutputLimitExceeded: the cell showed more than its 3 items\n"
    );
    assert_eq!(within(limits, "text('a'); text('b'.repeat(98)); text('c')").lines().count(), 3);
}

#[test]
fn each_budget_is_kept_to_the_last() {
    let limited = |budget, limit| {
        let mut limits = spec("").limits;
        limits.set(budget, Some(limit));
        assert_eq!(limits.of(budget), Some(limit), "{budget}");
        limits
    };
    for (budget, limit, within_it, beyond, code) in [
        (Budget::OutputBytes, 2, "text('ab')", "text('abc')", "OutputLimitExceeded"),
        (Budget::OutputItems, 1, "text(1)", "text(1); text(2)", "OutputLimitExceeded"),
        (
            Budget::StoredBytes,
            4,
            "store('k', 123)",
            "store('k', 1234)",
            "StoredValuesLimitExceeded",
        ),
        (
            Budget::StoredValues,
            1,
            "store('k', 1); store('k', 2)",
            "store('k', 1); store('l', 2)",
            "StoredValuesLimitExceeded",
        ),
        (
            Budget::ToolCalls,
            2,
            "await tools.echo(1); await tools.echo(2)",
            "await tools.echo(1); await tools.echo(2); try { await tools.echo(3) } catch { text('no') }",
            "ToolCallLimitExceeded",
        ),
        (
            Budget::ArgumentBytes,
            5,
            "await tools.echo('abc')",
            "await tools.echo('abcd')",
            "ArgumentLimitExceeded",
        ),
        (
            Budget::ResultBytes,
            5,
            "await tools.echo('abc')",
            "await tools.echo('abcd')",
            "ResultLimitExceeded",
        ),
        (
            Budget::Timers,
            2,
            "const f = () => {}; for (let i = 0; i < 9; i++) { setTimeout(f); clearTimeout(setTimeout(f)); await new Promise(r => setTimeout(r)) }",
            "for (let i = 0; i < 3; i++) try { setTimeout(() => {}, 1e9) } catch { text('no') }",
            "TimerLimitExceeded",
        ),
        (Budget::SourceBytes, 7, "text(1)", "text(12)", "SourceLimitExceeded"),
        (
            Budget::Depth,
            3,
            "await tools.echo([[[]]]); store('k', [{a: []}])",
            "await tools.echo([[[[]]]])",
            "DepthLimitExceeded",
        ),
    ] {
        let limits = limited(budget, limit);
        let report = Trial::start(CellSpec { limits, ..spec(within_it) }).finish();
        assert_eq!(report.end.outcome, Outcome::Completed, "{budget}: {within_it}");
        let mut report = Trial::start(CellSpec { limits, ..spec(beyond) }).finish();
        let Some(over) = report.end.outcome.limit_exceeded() else {
            panic!("{budget}: {:?}", report.end.outcome)
        };
        assert_eq!((over.scope, over.budget, over.limit), (Scope::Cell, budget, limit));
        assert!(over.used > limit, "{over:?}");
        assert_eq!(over.code(), code);
        report.shown.retain(|shown| shown == "no");
        assert!(report.shown.is_empty(), "{budget} ends the cell, whatever it catches");
    }
}

#[test]
fn what_is_refused_can_be_caught_and_tried_again() {
    let limits = Limits { argument_bytes: 8, depth: 3, ..spec("").limits };
    let source = "
        for (const input of ['abcdefg', [[[[]]]]])
            try { await tools.echo(input) } catch (e) { text([e instanceof Error, e.code, e.name].join()) }
        text(await tools.echo('abc'))";
    let expected =
        "true,ArgumentLimitExceeded,RangeError\ntrue,DepthLimitExceeded,RangeError\nabc\n";
    assert_eq!(within(limits, source), expected);
    // Not by its words, but by what it is.
    let lookalike = "const e = new RangeError('ArgumentLimitExceeded: x'); e.code = 'ArgumentLimitExceeded'; throw e";
    assert!(within(limits, lookalike).starts_with("! RangeError: ArgumentLimitExceeded: x"));
}

#[test]
fn a_thousand_calls_at_once_work() {
    let source = "
        const all = Array.from({length: 1000}, (_, i) => tools.echo(i));
        text((await Promise.all(all)).reduce((sum, i) => sum + i))";
    assert_eq!(within(Limits::default(), source), "499500\n");
}

#[test]
fn processor_time() {
    let limits = Limits { cpu: Some(Duration::from_millis(50)), ..spec("").limits };
    let over = "! CpuLimitExceeded: the cell computed for longer than its 50ms\n";
    for source in [
        "while (true);",
        "const f = () => Promise.resolve().then(f); await f()",
        "for (;;) await tools.echo(1)",
    ] {
        assert_eq!(within(limits, source), over, "{source}");
    }
    // Waiting takes none, however often the clock looks.
    let waits =
        "for (let i = 0; i < 10; i++) await new Promise((r) => setTimeout(r, 20)); text('waited')";
    let trial = Trial::start(CellSpec { limits, ..spec(waits) }).finish();
    assert_eq!(trial.shown, ["waited"]);
    let usage = trial.end.usage;
    assert!(usage.cpu > Duration::ZERO && usage.cpu < usage.wall, "{usage:?}");
}

#[test]
fn cells_of_a_tenant_share_memory_and_timers() {
    let share = TenantLimits { heap_bytes: 96 << 20, buffer_bytes: 8 << 20, timers: 3 };
    for (budget, holds, crosses) in [
        (
            Budget::Heap,
            "const a = []; for (let i = 0; i < 6e5; i++) a.push({i, s: [i]}); await tools.never(a.length)",
            "const a = []; while (true) a.push({s: [1]})",
        ),
        (
            Budget::ArrayBuffers,
            "const b = new Uint8Array(5 << 20); await tools.never(b.length)",
            "new Uint8Array(4 << 20)",
        ),
        (
            Budget::Timers,
            "setTimeout(() => {}, 1e9); setTimeout(() => {}, 1e9); await tools.never(1)",
            "setTimeout(() => {}, 1e9); setTimeout(() => {}, 1e9)",
        ),
    ] {
        let tenant = ENGINE.tenant();
        let start = |source: &str| {
            let (send, events) = mpsc::channel();
            let spec = CellSpec { tenant: share, ..spec(source) };
            let cell = tenant.start(spec, move |event| drop(send.send(event))).unwrap();
            Trial { cell, events }
        };
        let holder = start(holds);
        assert!(matches!(holder.next(), Event::ToolCall(_)));
        let end = start(crosses).finish().end;
        let Outcome::LimitExceeded(over) = end.outcome else {
            panic!("{budget}: {:?}", end.outcome)
        };
        assert_eq!((over.scope, over.budget), (Scope::Session, budget));
        assert_eq!(over.code(), "sessionBudgetExceeded");
        holder.cell.terminate();
        assert_eq!(holder.finish().end.outcome, Outcome::Terminated);
        // What a cell had comes back with its end.
        let alone = holds.replace("tools.never", "tools.echo");
        for _ in 0..3 {
            assert_eq!(start(&alone).finish().end.outcome, Outcome::Completed, "{budget}");
        }
    }
}

#[test]
fn a_limit_is_plain_data() {
    let limit = LimitExceeded::of_session(Budget::Cpu, 5, 6);
    let json = serde_json::to_string(&limit).unwrap();
    assert_eq!(serde_json::from_str::<LimitExceeded>(&json).unwrap(), limit);
}

#[test]
fn long_strings_are_refused_before_they_are_copied() {
    let over = "! OutputLimitExceeded: the cell showed more than its ";
    let limits = Limits {
        output_bytes: 100,
        output_items: 3,
        stored_bytes: 100,
        argument_bytes: 100,
        ..spec("").limits
    };
    for source in [
        "text('x'.repeat(5e8))",
        "text({toJSON: () => 'x'.repeat(200)})",
        "notify('x'.repeat(5e8))",
        "image('data:'.padEnd(5e8))",
        "audio({type: 'audio', data: 'x'.repeat(5e8)})",
        "content({type: 'text', text: 'x'.repeat(5e8)})",
        "content(Array(1e3).fill({type: 'text', text: 'x'.repeat(50)}))",
        "const block = {type: 'text', text: ''}; content([block, block, block, block])",
        "generatedImage({image_url: 'data:x', output_hint: 'x'.repeat(5e8)})",
    ] {
        let report = within(limits, source);
        assert!(report.starts_with(over), "{source}: {report}");
    }
    for (source, expected) in [
        ("tools['x'.repeat(1e6)]", ""),
        ("load('x'.repeat(5e8))", "load key must be a string of at most 100 bytes"),
        ("store('x'.repeat(5e8), 1)", "store key must be a string of at most 100 bytes"),
        ("store('k', 'x'.repeat(5e7))", "! StoredValuesLimitExceeded: "),
        ("await tools.echo('x'.repeat(5e7))", "! ArgumentLimitExceeded: "),
        ("image({type: 'x'.repeat(5e8)})", "image only accepts MCP image blocks, got \"xxx"),
        ("await import('x'.repeat(5e8))", "unsupported import in exec: xxx"),
    ] {
        let report = within(limits, source);
        assert!(report.contains(expected) && report.len() < 2_000, "{source}: {report}");
    }
}

#[test]
fn stored_values() {
    let limits = Limits { stored_bytes: 100, stored_keys: 2, ..spec("").limits };
    let source = "
        store('a', 'x'.repeat(50)); store('a', 'y'.repeat(90)); store('b', 1);
        for (const [key, value] of [['b', 'z'.repeat(20)], ['c', 1]])
            try { store(key, value) } catch (e) { text(e.message) }
        text(load('b'))
    ";
    let refused = |key| {
        format!(
            "StoredValuesLimitExceeded: unable to store {key:?}: a cell may store 100 bytes under 2 keys\n"
        )
    };
    assert_eq!(within(limits, source), format!("{}{}1\n", refused("b"), refused("c")));
}
