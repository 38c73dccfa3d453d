use expect_test::{Expect, expect};

use super::run;

fn fails(source: &str, expected: Expect) {
    expected.assert_eq(&run(source));
}

#[test]
fn uncaught_errors_show_the_cells_own_frames() {
    fails(
        "function f() { [1].map(() => { throw new RangeError('boom') }) }\nf()",
        expect![[r#"
            ! RangeError: boom
             --> cell.js:1:38
            1 | function f() { [1].map(() => { throw new RangeError('boom') }) }
              |                                      ^
                at cell.js:1:38
                at f (cell.js:1:20)
                at cell.js:2:1
        "#]],
    );
    fails("throw 'just text'", expect![["! just text\n"]]);
    fails("throw undefined", expect![["! undefined\n"]]);
    fails("throw {a: 1}", expect![["! {\"a\":1}\n"]]);
    fails("throw Symbol('s')", expect![["! Symbol(s)\n"]]);
    fails(
        "throw new Proxy({}, {get() { throw 1 }})",
        expect![["! the cell threw a value that cannot be shown\n"]],
    );
    fails(
        "setTimeout(() => { throw new Error('later') }); await new Promise((r) => setTimeout(r, 50))",
        expect![[r#"
        ! Error: later
         --> cell.js:1:26
        1 | setTimeout(() => { throw new Error('later') }); await new Promise((r) => setTimeout(r, 50))
          |                          ^
            at cell.js:1:26
    "#]],
    );
}

#[test]
fn habits_from_elsewhere_get_a_hint() {
    fails(
        "return 1",
        expect![[r#"
        ! SyntaxError: Illegal return statement
        hint: a cell is a module, not a function: show a value with text(value), stop early with exit()
         --> cell.js:1:1
        1 | return 1
          | ^
    "#]],
    );
    fails(
        "const fs = require('fs')",
        expect![[r#"
        ! ReferenceError: require is not defined
        hint: a cell has no modules and no packages; what it can reach are the tools: await tools.name(input)
         --> cell.js:1:12
        1 | const fs = require('fs')
          |            ^
            at cell.js:1:12
    "#]],
    );
    fails(
        "import fs from 'node:fs'",
        expect![[r#"
            ! Unsupported import in exec: node:fs
            hint: a cell has no modules and no packages; what it can reach are the tools: await tools.name(input)
             --> cell.js:1:16
            1 | import fs from 'node:fs'
              |                ^
        "#]],
    );
    fails(
        "await import('fs')",
        expect![[r#"
            ! TypeError: unsupported import in exec: fs; a cell has no modules and no packages; what it can reach are the tools: await tools.name(input)
             --> cell.js:1:1
            1 | await import('fs')
              | ^
                at cell.js:1:1
        "#]],
    );
    fails(
        "await fetch('http://x')",
        expect![[r#"
        ! ReferenceError: fetch is not defined
        hint: a cell has no network of its own; what it can reach are the tools: await tools.name(input)
         --> cell.js:1:1
        1 | await fetch('http://x')
          | ^
            at cell.js:1:1
    "#]],
    );
    fails(
        "await tools.Echo({})",
        expect![[r#"
            ! TypeError: tools.Echo is not a function
            hint: there is no tool Echo; did you mean tools.echo?
             --> cell.js:1:13
            1 | await tools.Echo({})
              |             ^
                at cell.js:1:13
        "#]],
    );
    fails(
        "const f = tools.echoo; f({})",
        expect![[r#"
        ! TypeError: f is not a function
        hint: there is no tool echoo; did you mean tools.echo?
         --> cell.js:1:24
        1 | const f = tools.echoo; f({})
          |                        ^
            at cell.js:1:24
    "#]],
    );
    fails(
        "await echo({})",
        expect![[r#"
        ! ReferenceError: echo is not defined
        hint: it is a tool: await tools.echo(input)
         --> cell.js:1:1
        1 | await echo({})
          | ^
            at cell.js:1:1
    "#]],
    );
    fails(
        "Here is the code:\n```js\ntext(1)\n```",
        expect![[r#"
            ! SyntaxError: Unexpected identifier 'is'
            hint: this looks like Markdown; send the code alone, or in one fence with nothing around it
             --> cell.js:1:6
            1 | Here is the code:
              |      ^
        "#]],
    );
}

#[test]
fn a_fenced_cell_runs() {
    fails(
        "```ts\nconst x: number = 1;\ntext(x); throw new Error('line 3')\n```",
        expect![[r#"
        1
        ! Error: line 3
         --> cell.js:3:16
        3 | text(x); throw new Error('line 3')
          |                ^
            at cell.js:3:16
    "#]],
    );
}

#[test]
fn a_promise_that_nothing_can_settle_is_an_error() {
    fails(
        "text(1); await new Promise(() => {})",
        expect![[r#"
        1
        ! Error: the cell awaits a promise that can never settle: no tool call and no timer is open
         --> cell.js:1:10
        1 | text(1); await new Promise(() => {})
          |          ^
    "#]],
    );
}

#[test]
fn stack_hooks_of_the_cell_are_not_called() {
    fails(
        "Error.prepareStackTrace = (e, sites) => sites; const e = new Error('x'); text(typeof e.stack)",
        expect![["string\n"]],
    );
    // What V8 converts to text it converts by the cell's own methods, if there are any.
    fails(
        "let given = 0; const method = {configurable: true, value() { given++; return '' }};
         Object.defineProperty(Object.prototype, Symbol.toPrimitive, method);
         const stack = new Error('x').stack; delete Object.prototype[Symbol.toPrimitive]; text([given, typeof stack])",
        expect![["[0,\"string\"]\n"]],
    );
}

#[test]
fn errors_are_cut_at_a_length_that_nobody_reads() {
    for source in [
        "throw new Error('x'.repeat(3e6))",
        "throw 'x'.repeat(3e6)",
        "throw Object.assign(new Error('a'), {stack: '    at a:1:1\\n'.repeat(1e6)})",
        "throw Object.assign(new Error('a'), {name: 'x'.repeat(3e6)})",
        "throw new ReferenceError('x'.repeat(3e6) + ' is not defined')",
        "const f = {f: (n) => n ? f(n - 1) : new Error('a')}.f; Error.stackTraceLimit = 1e4;
         Object.defineProperty(f, 'name', {value: 'f'.repeat(4e3)}); throw f(900)",
    ] {
        let report = run(source);
        assert!((1_000..1_200_000).contains(&report.len()), "{}: {source}", report.len());
    }
}

#[test]
fn tool_arguments_must_be_json() {
    fails(
        "try { tools.echo(() => 1) } catch (e) { text(String(e)) }
           try { tools.echo({p: tools.echo(1)}) } catch (e) { text(String(e)) }
           const o = {}; o.o = o; try { tools.echo(o) } catch (e) { text(e.name) }
           let d = 1; for (let i = 0; i < 121; i++) d = [d]; try { tools.echo(d) } catch (e) { text(e.message) }
           text(JSON.stringify(await tools.echo(d[0])).length)",
        expect![[r#"
            TypeError: tools.echo takes a JSON value, not a function
            TypeError: the value holds a Promise; await it first
            TypeError
            DepthLimitExceeded: the value is nested 121 levels deep, and at most 120 levels can be passed on
            241
        "#]],
    );
}
