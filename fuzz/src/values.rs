use codemode_host_protocol::Json;
use codemode_runtime_js::Outcome;
use serde_json::Value;

use crate::cell;

/// Any value is shown, passed on and stored, or refused with an error that a cell can catch; what a tool answers is
/// what the cell gets.
pub fn values(data: &[u8]) {
    let mut text = String::new();
    Draw { data: data.iter() }.expression(&mut text, 0);
    let source = format!(
        "const a = [], o = {{}}; const v = {text};
        const attempt = async f => {{ try {{ await f() }} catch (e) {{ if (!(e instanceof Error)) throw new Error('a bare ' + typeof e) }} }};
        await attempt(() => text(v)); await attempt(() => store('k', v)); await attempt(() => text(load('k')));
        let back; await attempt(async () => {{ back = [await tools.echo(v)] }});
        if (back) {{ await tools.echo(await tools.echo(back[0])) }}
        notify(v === '' ? 'empty' : 'end')"
    );
    let run = cell::run(&source);
    // A getter or a `toJSON` may throw what it likes, but all of these throw errors.
    assert!(matches!(run.end.outcome, Outcome::Completed), "{:?}\n{source}", run.end.outcome);
    let read = |json: &Json| json.read::<Value>().expect("what a cell passes is JSON");
    if let [first, second, third] = run.passed.as_slice() {
        assert!(are_alike(&read(first), &read(second)), "{first:?} {second:?}\n{source}");
        assert_eq!(second.text(), third.text(), "{source}");
    }
    run.end.stored.values().for_each(|value| drop(read(value)));
}

/// Equal but for the last digits of numbers: a big integer becomes a number on its way back.
fn are_alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| are_alike(a, b)))
        }
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= a.abs() * 1e-12,
            _ => false,
        },
        _ => a == b,
    }
}

/// Draws an expression from bytes.
struct Draw<'a> {
    data: std::slice::Iter<'a, u8>,
}

impl Draw<'_> {
    fn byte(&mut self) -> u8 {
        self.data.next().copied().unwrap_or(0)
    }

    fn expression(&mut self, text: &mut String, depth: usize) {
        let kind = self.byte();
        let plain = ATOMS.len() as u8;
        if depth > MAX_DEPTH || kind < plain || self.data.as_slice().is_empty() {
            return text.push_str(ATOMS[usize::from(kind % plain)]);
        }
        let (open, close, named) = FORMS[usize::from(kind) % FORMS.len()];
        text.push_str(open);
        for _ in 0..self.byte() % 4 {
            if named {
                let name = NAMES[usize::from(self.byte()) % NAMES.len()];
                text.push_str(&format!("{name}: "));
            }
            self.expression(text, depth + 1);
            text.push_str(", ");
        }
        text.push_str(close);
    }
}

const ATOMS: [&str; 40] = [
    "undefined",
    "null",
    "true",
    "0",
    "-0",
    "NaN",
    "-Infinity",
    "1e308",
    "5e-324",
    "2**53",
    "0.1",
    "10n",
    "-(2n ** 70n)",
    "''",
    "'x'",
    "'\\ud800'",
    "'\\0\\u2028\\u{1f600}'",
    "'__proto__'",
    "Symbol('s')",
    "Symbol.iterator",
    "(() => 1)",
    "(class A {})",
    "/x/g",
    "new Date(0)",
    "new Date(NaN)",
    "new Error('e', {cause: 1})",
    "Promise.resolve(1)",
    "Promise.reject(new Error('r')).catch(() => 1)",
    "new Uint8Array(3)",
    "new Float64Array([1, NaN])",
    "new BigInt64Array(2)",
    "new ArrayBuffer(4)",
    "new DataView(new ArrayBuffer(2))",
    "new WeakMap()",
    "globalThis.Math",
    "tools",
    "Object.create(null)",
    "(function () { return arguments })(1, 2)",
    "(a.push(a), a)",
    "(o.o = o)",
];

/// How an expression with others in it begins and ends, and whether they have names.
const FORMS: [(&str, &str, bool); 12] = [
    ("[", "]", false),
    ("({", "})", true),
    ("new Map([[", "]])", false),
    ("new Set([", "])", false),
    ("Object.assign([", "], {more: 1})", false),
    ("Object.freeze({", "})", true),
    ("new Proxy({", "}, {})", true),
    ("({get g() { return [", "] }})", false),
    ("({toJSON() { return [", "] }})", false),
    ("({get g() { throw new Error('g') }, x: [", "]})", false),
    ("Object(", "1)", false),
    ("new (class B { x = [", "] })()", false),
];

const NAMES: [&str; 7] = ["a", "constructor", "toString", "'0'", "'a b'", "['__proto__']", "then"];

const MAX_DEPTH: usize = 60;
