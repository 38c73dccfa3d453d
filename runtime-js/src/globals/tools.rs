//! `tools` and `ALL_TOOLS`.
//!
//! Nothing is made for a tool that the cell does not touch: `tools` answers for names that it looks up in the step's
//! catalog, and makes a tool's function when it is first asked for.

use std::rc::Rc;

use codemode_host_protocol::{Budget, Json, LimitExceeded, ToolFailure};

use super::{mark_refused, throw, throw_limit, to_json};
use crate::{
    CallId, Event, ToolCall,
    catalog::{Held, Holder},
    state::{CellState, PendingCall, TouchedTool},
};

pub(super) fn install(
    scope: &mut v8::PinScope<'_, '_>,
    global: v8::Local<'_, v8::Object>,
) -> Option<()> {
    let tools = object(scope, None)?;
    let key = v8::String::new(scope, "tools")?;
    global.create_data_property(scope, key.into(), tools.into())?;
    let key = v8::String::new(scope, "ALL_TOOLS")?;
    global.set_lazy_data_property(scope, key.into(), all_tools)?;
    Some(())
}

/// An object whose properties are tools: `tools`, or the namespace of this number.
fn object<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    namespace: Option<v8::Local<'s, v8::Value>>,
) -> Option<v8::Local<'s, v8::Object>> {
    let mut handlers = v8::NamedPropertyHandlerConfiguration::new()
        .getter(get)
        .setter(set)
        .query(query)
        .deleter(delete)
        .definer(define)
        .enumerator(enumerate)
        .flags(v8::PropertyHandlerFlags::ONLY_INTERCEPT_STRINGS);
    if let Some(namespace) = namespace {
        handlers = handlers.data(namespace);
    }
    let template = v8::ObjectTemplate::new(scope);
    template.set_named_property_handler(handlers);
    template.new_instance(scope)
}

/// Settles the promise of a call. `None` when an exception or termination got in the way.
pub(crate) fn settle(
    scope: &mut v8::PinScope<'_, '_>,
    state: &CellState,
    call: PendingCall,
    result: Result<Json, ToolFailure>,
) -> Option<()> {
    // What is made here would be held until the cell's turn ends, which tools that answer at once put off.
    v8::scope!(let scope, scope);
    let resolver = v8::Local::new(scope, &call.resolver);
    if let Ok(json) = &result {
        state.result_bytes.set(state.result_bytes.get() + json.text().len() as u64);
    }
    let failure = match result {
        Ok(json) if json.text().len() > state.limits.result_bytes => {
            let (limit, bytes) = (state.limits.result_bytes as u64, json.text().len() as u64);
            ToolFailure::refused(LimitExceeded::of_cell(Budget::ResultBytes, limit, bytes))
        }
        Ok(json) => match parse(scope, json.text()) {
            Some(value) => {
                resolver.resolve(scope, value)?;
                return Some(());
            }
            None => ToolFailure::new(format!(
                "the result of {} bytes is too large for a cell",
                json.text().len()
            )),
        },
        Err(failure) => failure,
    };
    let error = v8::Local::new(scope, &call.error);
    let message = v8::String::new(scope, &failure.message)?;
    let tool = v8::String::new(scope, &call.tool)?;
    let name = v8::String::new(scope, "ToolError")?;
    for (key, value) in [("message", message), ("name", name), ("cause", message)] {
        let key = v8::String::new(scope, key)?;
        error.define_own_property(
            scope,
            key.into(),
            value.into(),
            v8::PropertyAttribute::DONT_ENUM,
        )?;
    }
    let key = v8::String::new(scope, "tool")?;
    error.create_data_property(scope, key.into(), tool.into())?;
    if let Some(kind) = failure.kind {
        let key = v8::String::new(scope, "kind")?;
        let kind = v8::String::new(scope, kind.name())?;
        error.create_data_property(scope, key.into(), kind.into())?;
    }
    if let Some(limit) = &failure.limit {
        mark_refused(scope, error, limit)?;
    }
    resolver.reject(scope, error.into())?;
    Some(())
}

fn parse<'s>(scope: &mut v8::PinScope<'s, '_>, text: &str) -> Option<v8::Local<'s, v8::Value>> {
    let text = v8::String::new(scope, text)?;
    v8::json::parse(scope, text)
}

/// `tools.name(input)`: a promise of the result.
fn call<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Some(index) = args.data().uint32_value(scope) else { return };
    let Some(entry) = state.catalog.entry(index as usize) else { return };
    let argument = args.get(0);
    let input = if argument.is_undefined() {
        None
    } else {
        match to_json(scope, &state, argument, Budget::ArgumentBytes) {
            Ok(Some(json)) => Some(json),
            Ok(None) => {
                let given = argument.type_of(scope).to_rust_string_lossy(scope);
                return throw(
                    scope,
                    &format!("tools.{} takes a JSON value, not a {given}", entry.identifier),
                );
            }
            Err(_) => return,
        }
    };
    let (bytes, limit) =
        (input.as_ref().map_or(0, |input| input.text().len()), state.limits.argument_bytes);
    if bytes > limit {
        let limit = LimitExceeded::of_cell(Budget::ArgumentBytes, limit as u64, bytes as u64);
        return throw_limit(scope, limit, &limit.to_string());
    }
    let (made, limit) = (state.calls_made.get() + 1, state.limits.tool_calls);
    if made > limit as u64 && !state.is_over() {
        return state.exceed(scope, Budget::ToolCalls, limit, limit + 1);
    }
    let Some(resolver) = v8::PromiseResolver::new(scope) else { return };
    let Some(message) = v8::String::new(scope, "") else { return };
    let Ok(error) = v8::Exception::error(scope, message).try_cast::<v8::Object>() else { return };
    rv.set(resolver.get_promise(scope).into());
    if state.is_over() {
        return;
    }
    let id = CallId(made);
    state.calls_made.set(made);
    state.argument_bytes.set(state.argument_bytes.get() + bytes as u64);
    let pending = PendingCall {
        resolver: v8::Global::new(scope, resolver),
        error: v8::Global::new(scope, error),
        tool: entry.identifier.clone(),
    };
    state.calls.borrow_mut().insert(id, pending);
    state.shared.inbox.open(id);
    let event = ToolCall { id, tool: entry.tool.clone(), kind: entry.kind, input };
    state.tell(scope, Event::ToolCall(event));
}

/// Makes the function of a tool when it is first looked up.
fn get<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    key: v8::Local<'s, v8::Name>,
    args: v8::PropertyCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) -> v8::Intercepted {
    let holder = holder(&args);
    let Some((state, held)) = lookup(scope, holder, key) else { return v8::Intercepted::kNo };
    let Some(value) = value_of(scope, &state, holder, held) else { return v8::Intercepted::kNo };
    rv.set(value);
    touch(scope, &state, holder, held, value);
    v8::Intercepted::kYes
}

/// `tools.name = value`: the cell may put what it likes in a tool's place, and beside the tools.
fn set<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    key: v8::Local<'s, v8::Name>,
    value: v8::Local<'s, v8::Value>,
    args: v8::PropertyCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, ()>,
) -> v8::Intercepted {
    let holder = holder(&args);
    let Some((state, held)) = lookup(scope, holder, key) else {
        make_plain(scope, holder, args.holder());
        return v8::Intercepted::kNo;
    };
    touch(scope, &state, holder, held, value);
    v8::Intercepted::kYes
}

/// `Object.defineProperty(tools, name, descriptor)`.
fn define<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _key: v8::Local<'s, v8::Name>,
    _descriptor: &v8::PropertyDescriptor,
    args: v8::PropertyCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, ()>,
) -> v8::Intercepted {
    make_plain(scope, holder(&args), args.holder());
    v8::Intercepted::kNo
}

fn delete<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    key: v8::Local<'s, v8::Name>,
    args: v8::PropertyCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Boolean>,
) -> v8::Intercepted {
    let holder = holder(&args);
    let Some((state, held)) = lookup(scope, holder, key) else { return v8::Intercepted::kNo };
    state.touched_tools.borrow_mut().insert(holder, held, TouchedTool::Deleted);
    rv.set_bool(true);
    v8::Intercepted::kYes
}

fn query<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    key: v8::Local<'s, v8::Name>,
    args: v8::PropertyCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Integer>,
) -> v8::Intercepted {
    if lookup(scope, holder(&args), key).is_none() {
        return v8::Intercepted::kNo;
    }
    // Writable, enumerable, configurable.
    rv.set_int32(0);
    v8::Intercepted::kYes
}

fn enumerate(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::PropertyCallbackArguments<'_>,
    mut rv: v8::ReturnValue<'_, v8::Array>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let holder = holder(&args);
    let mut names: Vec<v8::Local<'_, v8::Value>> = Vec::new();
    for name in state.catalog.names(holder, state.has_namespaces()) {
        if present(&state, holder, name).is_none() {
            continue;
        }
        let Some(name) = v8::String::new(scope, name) else { return };
        names.push(name.into());
    }
    rv.set(v8::Array::new_with_elements(scope, &names));
}

/// The object whose property is asked for: a namespace has its number with it.
fn holder(args: &v8::PropertyCallbackArguments<'_>) -> Holder {
    match args.data().try_cast::<v8::Uint32>() {
        Ok(which) => Holder::Namespace(which.value()),
        Err(_) => Holder::Tools,
    }
}

/// The running cell, and what it has of that name, unless it has deleted it.
fn lookup(
    scope: &mut v8::PinScope<'_, '_>,
    holder: Holder,
    key: v8::Local<'_, v8::Name>,
) -> Option<(Rc<CellState>, Held)> {
    let state = CellState::of(scope)?;
    let key = key.try_cast::<v8::String>().ok()?;
    // A name of half a gigabyte costs next to nothing until it is copied.
    if key.length() > state.catalog.longest(holder, state.has_namespaces()) {
        return None;
    }
    let held = present(&state, holder, &key.to_rust_string_lossy(scope))?;
    Some((state, held))
}

fn present(state: &CellState, holder: Holder, identifier: &str) -> Option<Held> {
    let touched = state.touched_tools.borrow();
    if touched.is_plain(holder) {
        return None;
    }
    let held = state.catalog.held(holder, identifier, state.has_namespaces())?;
    let deleted = matches!(touched.find(holder, held), Some(TouchedTool::Deleted));
    (!deleted).then_some(held)
}

/// The tool's function or the namespace, or what the cell put in its place.
fn value_of<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    holder: Holder,
    held: Held,
) -> Option<v8::Local<'s, v8::Value>> {
    let touched = state.touched_tools.borrow().find(holder, held).cloned();
    if let Some(TouchedTool::Value(value)) = touched {
        return Some(v8::Local::new(scope, value));
    }
    let place = match held {
        Held::Tool(place) => place,
        Held::Namespace(which) => {
            let which = v8::Integer::new_from_unsigned(scope, which);
            return Some(object(scope, Some(which.into()))?.into());
        }
    };
    let data = v8::Integer::new_from_unsigned(scope, place);
    let function = v8::Function::builder(call)
        .data(data.into())
        .constructor_behavior(v8::ConstructorBehavior::Throw)
        .build(scope)?;
    // In a namespace too: so that it tells which tool it is.
    let name = v8::String::new(scope, &state.catalog.entry(place as usize)?.identifier)?;
    function.set_name(name);
    Some(function.into())
}

/// Makes all tools plain properties, before the first one that the cell adds or defines: V8 would name those of the cell
/// first, and knows of attributes what we would have to remember.
fn make_plain(
    scope: &mut v8::PinScope<'_, '_>,
    holder: Holder,
    tools: v8::Local<'_, v8::Object>,
) -> Option<()> {
    let state = CellState::of(scope)?;
    if state.touched_tools.borrow().is_plain(holder) {
        return Some(());
    }
    let mut properties = Vec::new();
    for name in state.catalog.names(holder, state.has_namespaces()) {
        let Some(held) = present(&state, holder, name) else { continue };
        let key = v8::String::new(scope, name)?;
        properties.push((key, value_of(scope, &state, holder, held)?));
    }
    // From here on nothing is intercepted.
    state.touched_tools.borrow_mut().make_plain(holder);
    for (key, value) in properties {
        tools.create_data_property(scope, key.into(), value)?;
    }
    Some(())
}

fn touch(
    scope: &mut v8::PinScope<'_, '_>,
    state: &CellState,
    holder: Holder,
    held: Held,
    value: v8::Local<'_, v8::Value>,
) {
    let value = TouchedTool::Value(v8::Global::new(scope, value));
    state.touched_tools.borrow_mut().insert(holder, held, value);
}

/// `ALL_TOOLS`: `{name, description}` of every tool, in the order in which the step advertised them.
fn all_tools(
    scope: &mut v8::PinScope<'_, '_>,
    _key: v8::Local<'_, v8::Name>,
    _args: v8::PropertyCallbackArguments<'_>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    if let Some(list) = list_tools(scope, &state) {
        rv.set(list.into());
    }
}

fn list_tools<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &Rc<CellState>,
) -> Option<v8::Local<'s, v8::Array>> {
    let name_key = v8::String::new(scope, "name")?;
    let description_key = v8::String::new(scope, "description")?;
    let mut entries = Vec::new();
    for entry in state.catalog.entries() {
        let object = v8::Object::new(scope);
        let name = v8::String::new(scope, &entry.identifier)?;
        let description = v8::String::new(scope, &entry.description)?;
        object.create_data_property(scope, name_key.into(), name.into())?;
        object.create_data_property(scope, description_key.into(), description.into())?;
        entries.push(object.into());
    }
    Some(v8::Array::new_with_elements(scope, &entries))
}
