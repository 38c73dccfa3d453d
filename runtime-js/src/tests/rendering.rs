use expect_test::{Expect, expect};

use super::run;

/// What `text(value)` shows.
fn shows(value: &str, expected: Expect) {
    expected.assert_eq(&run(&format!("text({value})")));
}

#[test]
fn plain_values_read_as_json() {
    shows("'as it is'", expect![["as it is\n"]]);
    shows("", expect![["undefined\n"]]);
    shows("null", expect![["null\n"]]);
    shows("-0", expect![["0\n"]]);
    shows("NaN", expect![["NaN\n"]]);
    shows("1.5e300", expect![["1.5e+300\n"]]);
    shows(
        "{a: [1, undefined, 'x'], b: undefined}",
        expect![[r#"
        {"a":[1,null,"x"]}
    "#]],
    );
    shows("{toJSON() { return 7 }}", expect![["7\n"]]);
    shows(
        "{a: 1, b: {c: NaN}}",
        expect![[r#"
        {"a":1,"b":{"c":"NaN"}}
    "#]],
    );
}

#[test]
fn long_texts_are_shown_as_they_are() {
    // A string of pieces, in each of the ways in which V8 keeps its characters; "\u{c3}\u{a9}" is "é" if its bytes are taken for UTF-8.
    for piece in ["plain \n", "caf\u{e9} ", "\u{c3}\u{a9}", "\u{20ac} \u{1f600}"] {
        let long = piece.repeat(600_000);
        let shown = run(&format!("let s = {piece:?}.repeat(600_000); text(s); text('x' + s)"));
        assert!(shown == format!("{long}\nx{long}\n"), "{piece:?}: {} bytes", shown.len());
    }
}

#[test]
fn what_json_has_no_word_for_is_readable() {
    shows("10n", expect![["10\n"]]);
    shows(
        "{n: 123456789012345678901234567890n}",
        expect![[r#"
        {"n":123456789012345678901234567890}
    "#]],
    );
    shows(
        "new Map([['a', 1], ['b', new Set([1, 2])]])",
        expect![[r#"
        {"a":1,"b":[1,2]}
    "#]],
    );
    shows(
        "new Map([[1, 'x'], [{k: 1}, 'y']])",
        expect![[r#"
        [[1,"x"],[{"k":1},"y"]]
    "#]],
    );
    shows("new Date(0)", expect![["1970-01-01T00:00:00.000Z\n"]]);
    shows("new Date(NaN)", expect![["Invalid Date\n"]]);
    shows(
        "{at: new Date(0)}",
        expect![[r#"
        {"at":"1970-01-01T00:00:00.000Z"}
    "#]],
    );
    shows("new Uint8Array([1, 2, 255])", expect![["[1,2,255]\n"]]);
    shows("new BigInt64Array([1n])", expect![["[1]\n"]]);
    shows("new Uint8Array([1, 2]).buffer", expect![["[1,2]\n"]]);
    shows("/a+/gi", expect![["/a+/gi\n"]]);
    shows(
        "{re: /a/}",
        expect![[r#"
        {"re":"/a/"}
    "#]],
    );
    shows("Symbol('s')", expect![["Symbol(s)\n"]]);
    shows("function f() {}", expect![["[Function: f]\n"]]);
    shows(
        "[() => 1]",
        expect![[r#"
        ["[Function]"]
    "#]],
    );
    shows("tools.echo({})", expect![["[Promise: await it to see its value]\n"]]);
}

#[test]
fn errors_show_their_stack_and_cause() {
    shows(
        "new TypeError('boom')",
        expect![[r#"
        TypeError: boom
            at cell.js:1:6
    "#]],
    );
    shows(
        "new Error('outer', {cause: new RangeError('inner')})",
        expect![[r#"
            Error: outer
                at cell.js:1:6
            Caused by: RangeError: inner
                at cell.js:1:33
        "#]],
    );
    shows(
        "{e: Object.assign(new Error('x'), {code: 7})}",
        expect![[r#"
        {"e":{"name":"Error","message":"x","code":7}}
    "#]],
    );
}

#[test]
fn what_cannot_be_rendered_is_an_error() {
    expect![[r#"
        ! TypeError: Converting circular structure to JSON
            --> starting at object with constructor 'Object'
            |     property 'a' -> object with constructor 'Array'
            --- index 0 closes the circle
         --> cell.js:1:26
        1 | const o = {}; o.a = [o]; text(o)
          |                          ^
            at cell.js:1:26
    "#]]
    .assert_eq(&run("const o = {}; o.a = [o]; text(o)"));
    let cyclic_map = run("const m = new Map(); m.set('self', m); text(m)");
    assert!(
        cyclic_map.starts_with("! RangeError: Maximum call stack size exceeded"),
        "{cyclic_map}"
    );
    let endless = run("text({toJSON() { return [this] }})");
    assert!(endless.starts_with("! RangeError: Maximum call stack size exceeded"), "{endless}");
    let throwing = run("text({get a() { throw new Error('mine') }})");
    assert!(throwing.starts_with("! Error: mine"), "{throwing}");
}

#[test]
fn a_poisoned_realm_still_renders() {
    expect![[r#"
        {"a":[1,2]}
        {"m":1}
        [1]
    "#]]
    .assert_eq(&run(
        "Array.prototype[Symbol.iterator] = () => { throw 1 };
         Object.defineProperty(Array.prototype, '0', {set() { throw 2 }, configurable: true});
         Map.prototype.forEach = Set.prototype.forEach = () => { throw 3 };
         JSON.stringify = () => { throw 4 };
         Object.prototype.toString = Function.prototype.call = Function.prototype.apply = () => { throw 5 };
         text({a: [1, 2]});
         text(new Map().set('m', 1));
         text(new Set().add(1));",
    ));
}
