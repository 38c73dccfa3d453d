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
