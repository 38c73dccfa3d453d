//! `store` and `load`: JSON values that outlive the cell.

use codemode_host_protocol::{Budget, LimitExceeded};

use super::{render, throw, throw_limit, to_json};
use crate::state::CellState;

/// `store(key, value)`: keeps a copy of the value under the key.
pub(super) fn store<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Some(key) = key(scope, &state, &args, "store") else { return };
    let Ok(json) = to_json(scope, &state, args.get(1), Budget::StoredBytes) else { return };
    let Some(json) = json else {
        let given = render(scope, &state, args.get(1)).unwrap_or_default();
        return throw(
            scope,
            &format!(
                "Unable to store {key:?}: {given} is no JSON value; store objects, arrays, strings, numbers, booleans or null"
            ),
        );
    };
    if state.is_over() {
        return;
    }
    if let Err((limit, message)) = state.write(key, json) {
        throw_limit(scope, limit, &message);
    }
}

/// `load(key)`: a fresh copy of what was stored last under the key, or `undefined`.
pub(super) fn load<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Some(key) = key(scope, &state, &args, "load") else { return };
    let written = state.writes.borrow().get(&key).cloned();
    let Some(json) = written.or_else(|| state.stored.load(&key)) else { return };
    let Some(text) = v8::String::new(scope, json.text()) else {
        return throw(scope, &format!("the value stored under {key:?} is too large to load"));
    };
    if let Some(value) = v8::json::parse(scope, text) {
        rv.set(value);
    }
}

fn key(
    scope: &mut v8::PinScope<'_, '_>,
    state: &CellState,
    args: &v8::FunctionCallbackArguments<'_>,
    function: &str,
) -> Option<String> {
    let max_bytes = state.limits.stored_bytes;
    let key = args.get(0);
    if key.is_symbol() {
        throw(scope, &format!("{function} key must be a string"));
        return None;
    }
    let key = key.to_string(scope)?;
    if key.length() > max_bytes {
        let message = format!("{function} key must be a string of at most {max_bytes} bytes");
        if function == "load" {
            throw(scope, &message);
            return None;
        }
        let (limit, bytes) = (max_bytes as u64, key.length() as u64);
        let limit = LimitExceeded::of_cell(Budget::StoredBytes, limit, bytes);
        throw_limit(scope, limit, &format!("{}: {message}", limit.code()));
        return None;
    }
    Some(key.to_rust_string_lossy(scope))
}
