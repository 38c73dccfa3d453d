//! `search_tools` and `describe_tool`.

use std::rc::Rc;

use super::{excerpt, throw};
use crate::{FoundTool, hints, spec::MAX_FOUND, state::CellState};

/// `search_tools(query, {limit})`: the tools that fit best, as `{name, signature, description}`, best first.
pub(super) fn search_tools<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Some(discovery) = state.discovery.clone() else { return };
    let Ok(query) = args.get(0).try_cast::<v8::String>() else {
        return throw(
            scope,
            "search_tools expects words to look for, as in search_tools('create issue')",
        );
    };
    let query = excerpt(scope, query, MAX_QUERY_CHARS);
    let Some(limit) = limit(scope, args.get(1)) else { return };
    let found = discovery.search(&query, limit);
    let mut list = Vec::new();
    for found in found.iter().take(limit) {
        let Some(tool) = tool(scope, &state, found) else { return };
        list.push(tool.into());
    }
    rv.set(v8::Array::new_with_elements(scope, &list).into());
}

/// `describe_tool(name)`: the tool's declaration in TypeScript.
pub(super) fn describe_tool<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Some(discovery) = state.discovery.clone() else { return };
    // A tool itself, or its name in one of the ways in which it can be written.
    let given = args.get(0);
    let name = match given.try_cast::<v8::Function>() {
        Ok(function) => function.get_name(scope).try_cast::<v8::String>().ok(),
        Err(_) => given.try_cast::<v8::String>().ok(),
    };
    let Some(name) = name else {
        return throw(
            scope,
            "describe_tool expects the name of a tool, as in describe_tool(ALL_TOOLS[0].name)",
        );
    };
    let name = excerpt(scope, name, MAX_NAME_CHARS);
    let Some(place) = state.catalog.named(&name) else {
        return throw(scope, &hints::no_such_tool(&name, &state.catalog));
    };
    let text = discovery.describe(place);
    if let Some(text) = v8::String::new(scope, &text) {
        rv.set(text.into());
    }
}

/// The number that was asked for, `{limit: 5}` or `5`, within what there is.
fn limit(scope: &mut v8::PinScope<'_, '_>, options: v8::Local<'_, v8::Value>) -> Option<usize> {
    let limit = match options.try_cast::<v8::Object>() {
        Ok(options) => {
            let key = v8::String::new(scope, "limit")?;
            options.get(scope, key.into())?
        }
        Err(_) => options,
    };
    if limit.is_undefined() {
        return Some(DEFAULT_LIMIT);
    }
    match limit.try_cast::<v8::Number>().map(|limit| limit.value()) {
        Ok(limit) if limit >= 1.0 => Some(limit.min(MAX_FOUND as f64) as usize),
        _ => {
            throw(
                scope,
                "search_tools expects a number above 0 as its limit, as in search_tools('issue', {limit: 5})",
            );
            None
        }
    }
}

fn tool<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &Rc<CellState>,
    found: &FoundTool,
) -> Option<v8::Local<'s, v8::Object>> {
    let entry = state.catalog.entry(found.place)?;
    let path = state.catalog.path(found.place)?;
    let signature = format!("{path}{}", shortened(&found.signature, MAX_SIGNATURE_BYTES));
    let description = shortened(&entry.description, MAX_DESCRIPTION_BYTES);
    let object = v8::Object::new(scope);
    for (key, value) in [
        ("name", entry.identifier.as_str()),
        ("signature", &signature),
        ("description", &description),
    ] {
        let key = v8::String::new(scope, key)?;
        let value = v8::String::new(scope, value)?;
        object.create_data_property(scope, key.into(), value.into())?;
    }
    Some(object)
}

fn shortened(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    format!("{}…", text[..text.floor_char_boundary(max_bytes)].trim_end())
}

const DEFAULT_LIMIT: usize = 10;

/// They are less than [`MAX_QUERY_BYTES`](crate::spec::MAX_QUERY_BYTES), whatever they are.
const MAX_QUERY_CHARS: usize = 1_000;

/// Longer than any name that is worth looking for.
const MAX_NAME_CHARS: usize = 1_000;

const MAX_SIGNATURE_BYTES: usize = 600;

const MAX_DESCRIPTION_BYTES: usize = 300;
