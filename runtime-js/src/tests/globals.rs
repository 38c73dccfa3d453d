use expect_test::expect;

use super::{Trial, print, run, spec};

#[test]
fn tools_are_called_with_json_and_give_json() {
    expect![[r#"
        {"v":1}
        null
        [1,"x",null]
        {"m":{"k":1}}
        true
        ["echo","fail","never"] true false function
        [{"name":"echo","description":"The tool echo."},{"name":"fail","description":"The tool fail."},{"name":"never","description":"The tool never."}]
    "#]]
    .assert_eq(&run(
        "text(await tools.echo({v: 1}));
         text(await tools.echo());
         text(await tools.echo([1, 'x', undefined]));
         text(await tools.echo({m: new Map([['k', 1]])}));
         text(tools.echo === tools.echo);
         text(JSON.stringify(Object.keys(tools)) + ' ' + ('echo' in tools) + ' ' + ('nope' in tools) + ' ' + typeof tools.echo);
         text(ALL_TOOLS);",
    ));
}

#[test]
fn a_tool_may_be_replaced_by_the_cell() {
    expect![[r#"
        mine {"value":"mine","writable":true,"enumerable":true,"configurable":true} echo,fail,never
        defined  true false echo,never,fail,other
        1 undefined 2
    "#]]
    .assert_eq(&run("tools.never; tools.echo = 'mine';
         text([tools.echo, JSON.stringify(Object.getOwnPropertyDescriptor(tools, 'echo')), Object.keys(tools)].join(' '));
         Object.defineProperty(tools, 'echo', {value: 'defined'});
         const deleted = delete tools.fail;
         text([tools.echo, tools.fail, deleted, 'fail' in tools, Object.keys({...tools, fail: 0, other: 0})].join(' '));
         tools.fail = 1; tools.own = 2;
         Object.defineProperty(tools, 'never', {get: () => undefined, configurable: true});
         text([tools.fail, tools.never, tools.own].join(' ').replace('  ', ' undefined '))"));
}

#[test]
fn a_failed_call_is_an_error() {
    expect![[r#"
        true ToolError denied fail denied
        ToolError: denied
            at inner (cell.js:2:39)
            at cell.js:4:37
        ! ToolError: denied
         --> cell.js:7:22
        7 |          await tools.fail({});
          |                      ^
            at cell.js:7:22
    "#]]
    .assert_eq(&run("async function inner() {
           const result = await tools.fail({});
         }
         try {                await inner(); } catch (e) {
           text([e instanceof Error, e.name, e.message, e.tool, e.cause].join(' ')); text(e.stack);
         }
         await tools.fail({});"));
}

#[test]
fn calls_run_at_once_and_settle_in_any_order() {
    expect![[r#"
        [{"status":"fulfilled","value":1},{"status":"rejected","reason":{"name":"ToolError","message":"denied","cause":"denied","tool":"fail"}}]
        2 fulfilled 3
        0 fulfilled 1
        1 rejected ToolError: denied
        done
        streamed 0
        streamed 1
    "#]]
    .assert_eq(&run(
        "text(await Promise.allSettled([tools.echo(1), tools.fail()]));
         for await (const r of as_settled([tools.echo(1), tools.fail(), 3])) {
           text([r.index, r.status, r.value ?? String(r.reason)].join(' '));
         }
         text('done');
         await stream_settled([1, tools.echo(2)], async (r) => text('streamed ' + r.index));",
    ));
}

#[test]
fn what_is_settled_already_comes_in_the_order_of_the_list() {
    expect![["0,1,2,3\n"]].assert_eq(&run(
        "const order = [];
         for await (const { index } of as_settled([Promise.resolve(1), 2, Promise.reject(3), 'd'])) order.push(index);
         text(order.join())",
    ));
}

#[test]
fn stored_values_are_copies() {
    let report = Trial::start(spec(
        "const o = {a: 1}; store('o', o); o.a = 2;
         text(load('o')); text(load('o') === load('o')); text(load('none'));
         store('m', new Map([['k', 1n]])); text(load('m'));
         try { store('u') } catch (e) { text(String(e)) }",
    ))
    .finish();
    assert_eq!(report.end.stored["o"].text(), r#"{"a":1}"#);
    expect![[r#"
        {"a":1}
        false
        undefined
        {"k":1}
        TypeError: Unable to store "u": undefined is no JSON value; store objects, arrays, strings, numbers, booleans or null
    "#]]
    .assert_eq(&print(report));
}

#[test]
fn timers_fire_in_order_and_do_not_keep_a_cell() {
    expect![["b\na\nc\n"]].assert_eq(&run("setTimeout(() => text('never'), 100000);
         const id = setTimeout(() => text('cleared'), 1);
         clearTimeout(id); clearTimeout('x'); clearTimeout();
         const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
         await Promise.all([sleep(20).then(() => text('a')), sleep(1).then(() => text('b'))]);
         text('c');"));
}

#[test]
fn exit_ends_the_cell_at_once() {
    expect![["before\n"]].assert_eq(&run("text('before');
         Promise.resolve().then(() => text('microtask'));
         try { exit() } catch { text('caught') } finally { text('finally') }
         text('after')"));
    expect![["in a timer\n"]].assert_eq(&run(
        "setTimeout(() => { text('in a timer'); exit(); }); await new Promise(() => {})",
    ));
}

#[test]
fn notify_and_yield_are_events() {
    expect![[r#"
        <notify hey>
        <yield>
        <notify {"a":1}>
        ! TypeError: notify expects non-empty text
         --> cell.js:1:49
        1 | notify('hey'); yield_control(); notify({a: 1}); notify(' ')
          |                                                 ^
            at cell.js:1:49
    "#]]
    .assert_eq(&run("notify('hey'); yield_control(); notify({a: 1}); notify(' ')"));
}

#[test]
fn media() {
    expect![[r#"
        {"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"high"}
        {"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"low"}
        {"type":"input_image","image_url":"data:x","detail":"original"}
        {"type":"input_audio","audio_url":"data:audio/wav;base64,AA=="}
        t
        {"type":"resource","resource":{"uri":"file:///x"}}
        {"type":"input_image","image_url":"data:y","detail":"high"}
        a hint
        TypeError: Tool call failed: remote image URLs are not supported in tool outputs. Pass a base64 data URI instead
        TypeError: image detail must be one of: auto, low, high, original
        TypeError: image only accepts MCP image blocks, got "text"
    "#]]
    .assert_eq(&run(
        "image({type: 'image', data: 'AA==', mimeType: 'image/png'});
         image('data:image/png;base64,AA==', 'LOW');
         image({image_url: 'data:x', detail: 'original'});
         audio({type: 'audio', data: 'AA==', mimeType: 'audio/wav'});
         content([{type: 'text', text: 't'}, {type: 'resource', resource: {uri: 'file:///x'}}]);
         generatedImage({image_url: 'data:y', output_hint: 'a hint'});
         for (const bad of [() => image('https://x/y.png'), () => image('data:x', 'tiny'), () => image({type: 'text'})]) {
           try { bad() } catch (e) { text(String(e)) }
         }",
    ));
}

#[test]
fn a_console_only_when_asked_for() {
    let asked =
        super::CellSpec { console: true, ..spec("console.log('a', {b: 1}); console.error(2)") };
    expect![["a {\"b\":1}\n2\n"]].assert_eq(&print(Trial::start(asked).finish()));
    assert!(run("console.log(1)").contains("hint: show a value with text(value)"));
}

#[test]
fn the_global_scope_holds_ecmascript_and_ours() {
    expect![[r#"
        Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol Date Promise RegExp Error AggregateError EvalError RangeError ReferenceError SyntaxError TypeError URIError globalThis JSON Math Intl ArrayBuffer Uint8Array Int8Array Uint16Array Int16Array Uint32Array Int32Array BigUint64Array BigInt64Array Uint8ClampedArray Float32Array Float64Array DataView Map BigInt Set Iterator WeakMap WeakSet Proxy Reflect FinalizationRegistry WeakRef decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape eval isFinite isNaN SuppressedError DisposableStack AsyncDisposableStack Float16Array tools ALL_TOOLS clearTimeout setTimeout text content image audio generatedImage store load notify yield_control exit as_settled stream_settled
        []
    "#]]
    .assert_eq(&run(
        "text(Object.getOwnPropertyNames(globalThis).join(' ')); text(Object.getOwnPropertySymbols(globalThis).map(String))",
    ));
}

#[test]
fn objects_of_intl_are_what_they_were() {
    expect![[r#"
        1.234,5 1,5 3 true true true
        Collator 0 segment 1 ["de"] true
        TypeError: Cannot convert a Symbol value to a string
        TypeError: Constructor Intl.Segmenter requires 'new'
        TypeError: Method Intl.Segmenter.prototype.segment called on incompatible receiver 1
        TypeError: Method %SegmentIsPrototype%[@@iterator] called on incompatible receiver #<Object>
    "#]]
    .assert_eq(&run(
        "class Mine extends Intl.Collator {}
         const words = new Intl.Segmenter('en', {granularity: 'word'}).segment('a b');
         const { segment } = Intl.Segmenter.prototype;
         text([new Intl.NumberFormat('de').format(1234.5), Intl.NumberFormat('de').format(1.5), [...words].length,
           new Mine() instanceof Intl.Collator, new Mine().constructor === Mine, new Intl.Locale('de').constructor === Intl.Locale].join(' '));
         text([Intl.Collator.name, Intl.Collator.length, segment.name, segment.length, JSON.stringify(Intl.Collator.supportedLocalesOf('de')),
           words.containing(0).input === 'a b'].join(' '));
         for (const wrong of [() => segment.call(new Intl.Segmenter(), Symbol()), () => Intl.Segmenter(), () => segment.call(1, 'x'),
           () => words[Symbol.iterator].call({})]) try { wrong() } catch (e) { text(String(e)) }",
    ));
}
