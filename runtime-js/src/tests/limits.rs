use std::time::Duration;

use super::{CellSpec, Limits, Trial, print, spec};

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
        "const b = []; while (true) b.push(new Uint8Array(1 << 20).fill(1))",
        "new Uint8Array(1 << 30)",
        "new ArrayBuffer(8e9)",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, 'v' + i)",
    ] {
        let report = within(limits, source);
        let expected =
            format!("! HeapLimitExceeded: the cell used more than its {HEAP} bytes of heap\n");
        assert_eq!(report, expected, "{source}");
    }
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
    let over = "! OutputLimitExceeded: the cell showed more than its 100 bytes or 3 items\n";
    assert_eq!(
        within(limits, "text('x'.repeat(100)); try { text('y') } finally { text('z') }"),
        format!("{}\n{over}", "x".repeat(100))
    );
    assert_eq!(within(limits, "while (true) text('a')"), format!("a\na\na\n{over}"));
}

#[test]
fn long_strings_are_refused_before_they_are_copied() {
    let over = "! OutputLimitExceeded: the cell showed more than its 100 bytes or 3 items\n";
    let limits =
        Limits { output_bytes: 100, output_items: 3, stored_bytes: 100, ..spec("").limits };
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
        assert_eq!(within(limits, source), over, "{source}");
    }
    for (source, expected) in [
        ("tools['x'.repeat(1e6)]", ""),
        ("load('x'.repeat(5e8))", "load key must be a string of at most 100 bytes"),
        ("store('x'.repeat(5e8), 1)", "store key must be a string of at most 100 bytes"),
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
