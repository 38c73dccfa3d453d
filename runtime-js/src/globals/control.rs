//! Timers, and what a cell says about its own course.

use codemode_host_protocol::Budget;

use super::{render, throw};
use crate::{
    Event,
    state::{CellState, Over},
};

/// `setTimeout(callback, ms)`: an id.
pub(super) fn set_timeout<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Ok(callback) = args.get(0).try_cast::<v8::Function>() else {
        return throw(scope, "setTimeout expects a function callback");
    };
    let Some(delay_ms) = args.get(1).number_value(scope) else { return };
    let delay_ms = if delay_ms.is_finite() { delay_ms } else { 0.0 };
    if state.is_over() {
        return;
    }
    let (set, limit) = (state.timers.borrow().len() + 1, state.limits.timers);
    if set > limit {
        return state.exceed(scope, Budget::Timers, limit, set);
    }
    if let Err(limit) = state.meter.take_timer() {
        return state.finish(scope, Over::Limit(limit));
    }
    let callback = v8::Global::new(scope, callback);
    let id = state.timers.borrow_mut().set(callback, delay_ms);
    rv.set_double(id as f64);
}

/// `clearTimeout(id)`.
pub(super) fn clear_timeout<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let id = args.get(0);
    if id.is_big_int() || id.is_symbol() {
        return throw(scope, "clearTimeout expects a numeric timeout id");
    }
    let Some(id) = id.number_value(scope) else { return };
    if (1.0..=MAX_SAFE_INTEGER).contains(&id) && id.fract() == 0.0 {
        let cleared = state.timers.borrow_mut().clear(id as u64);
        state.meter.give_timers(usize::from(cleared));
    }
}

/// `notify(value)`: tells the client now, apart from the output.
pub(super) fn notify<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    let Some(text) = render(scope, &state, args.get(0)) else { return };
    if text.trim().is_empty() {
        return throw(scope, "notify expects non-empty text");
    }
    state.tell(scope, Event::Notify(text));
}

/// `yield_control()`: lets the client have what there is; the cell goes on.
pub(super) fn yield_control<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    state.tell(scope, Event::Yield);
}

/// `exit()`: ends the cell here, as a success. Nothing of it runs after this, no `finally` either.
pub(super) fn exit<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(state) = CellState::of(scope) else { return };
    state.finish(scope, Over::Exit);
    // V8 looks for a termination when a function is entered, not when a native one returns.
    let nothing = v8::Local::new(scope, &state.helpers.nothing);
    let undefined = v8::undefined(scope);
    let _ = nothing.call(scope, undefined.into(), &[]);
}

/// Beyond this, neighbouring integers are one number to JavaScript.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
