//! The functions that a cell finds in its global scope beside ECMAScript's own.

use codemode_host_protocol::{Budget, Json, LimitExceeded};

use crate::{pages, state::CellState};

mod content;
mod control;
mod discovery;
mod store;
mod tools;

pub(crate) use tools::settle;

/// Puts the native globals into a new realm.
pub(crate) fn install(
    scope: &mut v8::PinScope<'_, '_>,
    global: v8::Local<'_, v8::Object>,
) -> Option<()> {
    tools::install(scope, global)?;
    define(scope, global, "clearTimeout", control::clear_timeout)?;
    define(scope, global, "setTimeout", control::set_timeout)?;
    define(scope, global, "text", content::text)?;
    define(scope, global, "content", content::content)?;
    define(scope, global, "image", content::image)?;
    define(scope, global, "audio", content::audio)?;
    define(scope, global, "generatedImage", content::generated_image)?;
    define(scope, global, "store", store::store)?;
    define(scope, global, "load", store::load)?;
    define(scope, global, "notify", control::notify)?;
    define(scope, global, "yield_control", control::yield_control)?;
    define(scope, global, "exit", control::exit)
}

/// Gives the cell a `console`.
pub(crate) fn install_console(
    scope: &mut v8::PinScope<'_, '_>,
    global: v8::Local<'_, v8::Object>,
) -> Option<()> {
    let console = v8::Object::new(scope);
    for method in ["log", "info", "warn", "error", "debug", "trace"] {
        define(scope, console, method, content::console)?;
    }
    let key = v8::String::new(scope, "console")?;
    global.define_own_property(
        scope,
        key.into(),
        console.into(),
        v8::PropertyAttribute::DONT_ENUM,
    )?;
    Some(())
}

/// Gives the cell `search_tools` and `describe_tool`.
pub(crate) fn install_discovery(
    scope: &mut v8::PinScope<'_, '_>,
    global: v8::Local<'_, v8::Object>,
) -> Option<()> {
    define(scope, global, "search_tools", discovery::search_tools)?;
    define(scope, global, "describe_tool", discovery::describe_tool)
}

/// `kindOf(value)` of the bootstrap script: which of V8's own kinds an object is of, whatever its prototype says.
pub(crate) fn kind_of(
    _scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let value = args.get(0);
    let kind = if value.is_map() {
        1
    } else if value.is_set() {
        2
    } else if value.is_native_error() {
        3
    } else if value.is_array_buffer() || value.is_data_view() {
        4
    } else if value.is_typed_array() {
        5
    } else if value.is_reg_exp() {
        6
    } else if value.is_promise() {
        7
    } else if value.is_date() {
        8
    } else {
        0
    };
    rv.set_int32(kind);
}

fn define(
    scope: &mut v8::PinScope<'_, '_>,
    object: v8::Local<'_, v8::Object>,
    name: &str,
    callback: impl v8::MapFnTo<v8::FunctionCallback>,
) -> Option<()> {
    let key = v8::String::new(scope, name)?;
    let function = v8::Function::builder(callback)
        .constructor_behavior(v8::ConstructorBehavior::Throw)
        .build(scope)?;
    function.set_name(key);
    object.create_data_property(scope, key.into(), function.into())?;
    Some(())
}

/// Throws a `TypeError`.
fn throw(scope: &mut v8::PinScope<'_, '_>, message: &str) {
    if let Some(message) = v8::String::new(scope, message) {
        let error = v8::Exception::type_error(scope, message);
        scope.throw_exception(error);
    }
}

/// Throws a `RangeError` that says that the cell is at a limit. If the cell lets it pass, it ends as one that is over the
/// limit: [`refused_limit`] knows it again.
fn throw_limit(scope: &mut v8::PinScope<'_, '_>, limit: LimitExceeded, message: &str) {
    let Some(message) = v8::String::new(scope, message) else { return };
    let error = v8::Exception::range_error(scope, message);
    if let Ok(object) = error.try_cast::<v8::Object>() {
        mark_refused(scope, object, &limit);
    }
    scope.throw_exception(error);
}

/// Notes on an error which limit it is about: its `code` for the cell, the whole for us.
fn mark_refused(
    scope: &mut v8::PinScope<'_, '_>,
    error: v8::Local<'_, v8::Object>,
    limit: &LimitExceeded,
) -> Option<()> {
    let (key, code) = (v8::String::new(scope, "code")?, v8::String::new(scope, limit.code())?);
    error.create_data_property(scope, key.into(), code.into())?;
    let whole = serde_json::to_string(limit).ok()?;
    let whole = v8::String::new(scope, &whole)?;
    let mark = refusal_mark(scope)?;
    error.set_private(scope, mark, whole.into())?;
    Some(())
}

/// The limit that an exception tells the cell of, if it is one of ours.
pub(crate) fn refused_limit(
    scope: &mut v8::PinScope<'_, '_>,
    exception: v8::Local<'_, v8::Value>,
) -> Option<LimitExceeded> {
    if !exception.is_native_error() {
        return None;
    }
    let mark = refusal_mark(scope)?;
    let whole = exception.try_cast::<v8::Object>().ok()?.get_private(scope, mark)?;
    let whole = whole.try_cast::<v8::String>().ok()?;
    serde_json::from_str(&whole.to_rust_string_lossy(scope)).ok()
}

/// No code of a cell can name it.
fn refusal_mark<'s>(scope: &v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Private>> {
    let name = v8::String::new(scope, "codemode.limit")?;
    Some(v8::Private::for_api(scope, Some(name)))
}

/// The value as a model should read it. `None` when that threw, or is more than the cell may show.
pub(crate) fn render<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    value: v8::Local<'s, v8::Value>,
) -> Option<String> {
    if value.is_string() {
        return string(scope, state, value).ok();
    }
    let render = v8::Local::new(scope, &state.helpers.render);
    let undefined = v8::undefined(scope);
    let text = render.call(scope, undefined.into(), &[value])?;
    string(scope, state, text).ok()
}

/// A string of the cell's, unless it alone is more than the cell may show: then the cell is over. A string of half a
/// gigabyte costs the cell next to nothing as long as nobody copies it.
fn string(
    scope: &mut v8::PinScope<'_, '_>,
    state: &CellState,
    value: v8::Local<'_, v8::Value>,
) -> Result<String, Thrown> {
    let Ok(text) = value.try_cast::<v8::String>() else { return Err(Thrown) };
    // A string has at least as many bytes as UTF-16 code units.
    if text.length() > state.limits.output_bytes {
        state.refuse_output(scope, text.length(), 1);
        return Err(Thrown);
    }
    Ok(copied(scope, text))
}

/// The text of a string. A long one of ASCII that was put together from pieces is not put together in V8's heap first, which would be a
/// second copy, in pages that are new.
fn copied(scope: &v8::PinScope<'_, '_>, text: v8::Local<'_, v8::String>) -> String {
    let length = text.length();
    if length >= LONG_LEN && text.is_onebyte() {
        let mut bytes = vec![0; length];
        pages::in_large_pages(&mut bytes);
        text.write_one_byte_v2(scope, 0, &mut bytes, v8::WriteFlags::empty());
        // Beyond ASCII they are no UTF-8, and V8 makes that faster than we do.
        if bytes.is_ascii()
            && let Ok(text) = String::from_utf8(bytes)
        {
            return text;
        }
    }
    text.to_rust_string_lossy(scope)
}

const LONG_LEN: usize = 1 << 20;

/// A string, or its first `max` UTF-16 code units and how many are missing.
pub(crate) fn excerpt(
    scope: &v8::PinScope<'_, '_>,
    text: v8::Local<'_, v8::String>,
    max: usize,
) -> String {
    if text.length() <= max {
        return text.to_rust_string_lossy(scope);
    }
    let mut start = vec![0; max];
    text.write_v2(scope, 0, &mut start, v8::WriteFlags::empty());
    format!("{}… ({} more characters)", String::from_utf16_lossy(&start), text.length() - max)
}

/// The value as JSON, which counts against `budget`. `Ok(None)` when JSON has nothing for it.
fn to_json<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    value: v8::Local<'s, v8::Value>,
    budget: Budget,
) -> Result<Option<Json>, Thrown> {
    let to_json = v8::Local::new(scope, &state.helpers.to_json);
    let undefined = v8::undefined(scope);
    let text = to_json.call(scope, undefined.into(), &[value]).ok_or(Thrown)?;
    if text.is_undefined() {
        return Ok(None);
    }
    let Ok(text) = text.try_cast::<v8::String>() else { return Err(Thrown) };
    // What is far too much is not copied, only to be refused.
    let (bytes, limit) = (text.length() as u64, state.limits.of(budget).unwrap_or(u64::MAX));
    if bytes > limit {
        let limit = LimitExceeded::of_cell(budget, limit, bytes);
        throw_limit(scope, limit, &limit.to_string());
        return Err(Thrown);
    }
    let text = replace_lone_surrogates(text.to_rust_string_lossy(scope));
    match Json::parse(text) {
        Ok(json) if json.depth() > state.limits.depth => {
            let (limit, depth) = (state.limits.depth as u64, json.depth() as u64);
            let limit = LimitExceeded::of_cell(Budget::Depth, limit, depth);
            throw_limit(scope, limit, &limit.to_string());
            Err(Thrown)
        }
        Ok(json) => Ok(Some(json)),
        Err(error) => {
            throw(scope, &format!("the value is no JSON: {error}"));
            Err(Thrown)
        }
    }
}

/// An exception is pending in the isolate, or the cell is over.
struct Thrown;

/// `JSON.stringify` escapes just those surrogates that have no partner; no UTF-8 string can hold one, and other
/// programs refuse them, so they become U+FFFD as everywhere else.
fn replace_lone_surrogates(json: String) -> String {
    if !json.contains("\\ud") {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        let escape_len = if rest[at + 1..].starts_with('u') { 6 } else { 2 };
        let (before, after) = rest.split_at(at);
        let (escape, after) = after.split_at(escape_len);
        out.push_str(before);
        out.push_str(if escape.starts_with("\\ud") { "\\ufffd" } else { escape });
        rest = after;
    }
    out.push_str(rest);
    out
}
