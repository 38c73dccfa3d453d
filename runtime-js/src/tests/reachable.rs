use std::sync::Arc;

use expect_test::expect_file;

use super::run;
use crate::{limits::HeapGuard, realm::Realm};

/// Whatever V8 adds to its globals, or we to ours, shows up here, and has to be looked at before it is accepted
/// (`UPDATE_EXPECT=1`).
#[test]
fn nothing_is_reachable_but_what_is_listed() {
    expect_file!["reachable.txt"].assert_eq(&run(include_str!("reachable.js")));
}

/// The list names nothing that gives a cell more than computing.
#[test]
fn the_list_has_no_way_out() {
    let list = include_str!("reachable.txt");
    for word in [
        "WebAssembly",
        "SharedArrayBuffer",
        "Atomics",
        "Deno",
        "process",
        "require",
        "console",
        "getThis",
        "getFunction",
        "kindOf",
        "fetch",
        "queueMicrotask",
        "structuredClone",
        "codemode",
    ] {
        let named = list.lines().filter(|line| !line.starts_with('#')).find(|line| {
            let name = line.split(": \"").next().unwrap_or(line);
            name.split(|c: char| !c.is_alphanumeric()).any(|part| part == word)
        });
        assert_eq!(named, None, "{word}");
    }
    // Code of ours that is written in JavaScript can be read by the cell, and called: it is these two functions.
    let ours: Vec<&str> = list
        .lines()
        .filter(|line| line.ends_with(", in JavaScript") && line.starts_with("globalThis."))
        .collect();
    assert_eq!(
        ours,
        [
            "globalThis.as_settled: function as_settled, in JavaScript",
            "globalThis.stream_settled: function stream_settled, in JavaScript",
        ]
    );
}

/// Seen from outside: the functions that the native code calls in a realm are none of those that a walk over it meets.
#[test]
fn the_helpers_of_the_native_code_are_not_reachable() {
    crate::engine::initialize_v8();
    let guard = Arc::new(HeapGuard::new(64 << 20));
    let mut isolate = guard.new_isolate();
    let Realm { context, helpers } = Realm::new(&mut isolate);
    v8::scope!(let scope, &mut isolate);
    let context = v8::Local::new(scope, context);
    let scope = &mut v8::ContextScope::new(scope, context);
    let source = v8::String::new(scope, WALK).unwrap();
    let met = v8::Script::compile(scope, source, None).unwrap().run(scope).unwrap();
    let met = met.try_cast::<v8::Set>().unwrap();
    assert!(met.size() > 500, "{}", met.size());
    let has = |value: v8::Local<'_, v8::Value>| met.has(scope, value).unwrap();
    let text = v8::String::new(scope, "text").unwrap();
    let text = context.global(scope).get(scope, text.into()).unwrap();
    assert!(has(text));
    for helper in [&helpers.render, &helpers.to_json, &helpers.nothing] {
        assert!(!has(v8::Local::new(scope, helper).into()));
    }
}

const WALK: &str = "(() => {
    const met = new Set(), queue = [globalThis];
    while (queue.length) {
        const value = queue.pop();
        if (!((typeof value === 'object' && value) || typeof value === 'function') || met.has(value)) continue;
        met.add(value);
        queue.push(Object.getPrototypeOf(value));
        for (const key of Reflect.ownKeys(value)) {
            const { value: held, get, set } = Object.getOwnPropertyDescriptor(value, key);
            queue.push(held, get, set);
        }
    }
    return met;
})()";
