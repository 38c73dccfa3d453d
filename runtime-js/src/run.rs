//! The course of one cell, from its source to its end.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use codemode_host_protocol::{Budget, LimitExceeded};

use crate::{
    CellError, CellSpec, End, Event, EventSink, Outcome, Usage, WhenStuck,
    cell::{Shared, Stop},
    globals,
    inbox::Input,
    limits::HeapGuard,
    module,
    realm::Realm,
    source::Source,
    spec::millis,
    stack,
    state::{CellState, Over},
};

/// A cell that is over, and has yet to say so.
pub(crate) struct Ending {
    sink: Option<Box<dyn EventSink>>,
    end: End,
}

impl Ending {
    /// Tells the receiver. A receiver that panics has itself to blame; the thread lives.
    pub(crate) fn tell(self) {
        let Some(mut sink) = self.sink else { return };
        let end = self.end;
        let _ =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sink.event(Event::End(end))));
    }
}

/// Runs a cell in its realm, to its end.
pub(crate) fn run_cell(
    isolate: &mut v8::OwnedIsolate,
    realm: Realm,
    heap: &Arc<HeapGuard>,
    spec: CellSpec,
    shared: &Arc<Shared>,
    mut sink: Box<dyn EventSink>,
    started: Instant,
) -> Ending {
    sink.begin();
    let Realm { context, helpers } = realm;
    let source_bytes = spec.source.len();
    let state = Rc::new(CellState {
        shared: Arc::clone(shared),
        helpers,
        catalog: spec.tools,
        discovery: spec.discovery,
        limits: spec.limits,
        when_stuck: spec.when_stuck,
        heap: Arc::clone(heap),
        meter: heap.meter(),
        source: Source::new(spec.file, spec.source).into(),
        stored: spec.stored,
        writes: Default::default(),
        written_bytes: Default::default(),
        calls: Default::default(),
        touched_tools: Default::default(),
        timers: Default::default(),
        calls_made: Default::default(),
        argument_bytes: Default::default(),
        result_bytes: Default::default(),
        output_bytes: Default::default(),
        output_items: Default::default(),
        over: Default::default(),
        sink: sink.into(),
    });
    isolate.set_slot(Rc::clone(&state));
    let result = {
        v8::scope!(let scope, isolate);
        let context = v8::Local::new(scope, context);
        let scope = &mut v8::ContextScope::new(scope, context);
        v8::tc_scope!(let scope, scope);
        if spec.console {
            let global = context.global(scope);
            let _ = globals::install_console(scope, global);
        }
        if state.discovery.is_some() {
            let global = context.global(scope);
            let _ = globals::install_discovery(scope, global);
        }
        let result = if source_bytes > state.limits.source_bytes {
            state.exceed(scope, Budget::SourceBytes, state.limits.source_bytes, source_bytes);
            Err(None)
        } else {
            evaluate(scope, &state)
        };
        if !matches!(result, Ok(())) || state.is_over() {
            // What the cell left to be done later must not be done in the next cell.
            scope.terminate_execution();
            scope.perform_microtask_checkpoint();
        }
        result
    };
    isolate.remove_slot::<Rc<CellState>>();
    state.meter.give_timers(state.timers.borrow().len());
    let peak = heap.end();
    let usage = Usage {
        wall: started.elapsed(),
        cpu: shared.cpu.end(),
        heap_bytes: peak.heap_bytes,
        buffer_bytes: peak.buffer_bytes,
        output_bytes: state.output_bytes.get(),
        output_items: state.output_items.get(),
        tool_calls: state.calls_made.get(),
        argument_bytes: state.argument_bytes.get(),
        result_bytes: state.result_bytes.get(),
        source_bytes,
    };
    let end = End { outcome: outcome(&state, result, &usage), stored: state.writes.take(), usage };
    // The realm's handles go before the end is told: whoever hears of it may count on the memory.
    let sink = Rc::into_inner(state).map(|state| state.sink.into_inner());
    Ending { sink, end }
}

/// Why a cell did not complete: `None` when it is over for a reason that its state knows.
type Failure = Option<Box<CellError>>;

fn evaluate<'s>(
    scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'s>>>,
    state: &Rc<CellState>,
) -> Result<(), Failure> {
    if state.is_over() {
        return Err(None);
    }
    let module = module::compile(scope, state)?;
    module.instantiate_module(scope, no_module).ok_or(None)?;
    let promise = module
        .evaluate(scope)
        .and_then(|value| value.try_cast::<v8::Promise>().ok())
        .ok_or(None)?;
    loop {
        scope.perform_microtask_checkpoint();
        if state.is_over() {
            return Err(None);
        }
        match promise.state() {
            v8::PromiseState::Fulfilled => return Ok(()),
            v8::PromiseState::Rejected => {
                let exception = promise.result(scope);
                return Err(failure(scope, state, exception));
            }
            v8::PromiseState::Pending => {}
        }
        let due = state.timers.borrow().next_due();
        let stuck = due.is_none() && state.calls.borrow().is_empty();
        if stuck && state.when_stuck == WhenStuck::Fail {
            return Err(Some(Box::new(stalled(scope, state, module))));
        }
        match state.shared.inbox.next(due) {
            Input::Stop => return Err(None),
            Input::ToolResult(id, result) => {
                let call = state.calls.borrow_mut().remove(&id);
                if let Some(call) = call {
                    globals::settle(scope, state, call, result);
                }
            }
            Input::TimerDue => fire_timer(scope, state)?,
        }
    }
}

fn fire_timer(
    scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'_>>>,
    state: &CellState,
) -> Result<(), Failure> {
    let Some(callback) = state.timers.borrow_mut().take_next() else { return Ok(()) };
    state.meter.give_timers(1);
    let callback = v8::Local::new(scope, callback);
    let undefined = v8::undefined(scope);
    if callback.call(scope, undefined.into(), &[]).is_some() || state.is_over() {
        return Ok(());
    }
    match scope.exception() {
        Some(exception) => {
            scope.reset();
            Err(failure(scope, state, exception))
        }
        None => Err(None),
    }
}

/// Why a cell failed that did not catch `exception`. One with which it was told that it is at a limit goes by the limit's
/// code.
fn failure<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    exception: v8::Local<'s, v8::Value>,
) -> Failure {
    let limit = globals::refused_limit(scope, exception);
    let mut error = stack::describe(scope, state, exception)?;
    if let Some(limit) = limit {
        let code = limit.code();
        let message = error.message.strip_prefix(code).and_then(|rest| rest.strip_prefix(": "));
        if let Some(message) = message {
            error.message = message.to_owned();
        }
        if let (Some(name), Some(stack)) = (&error.name, &error.stack) {
            let rest = stack.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix(": "));
            error.stack = rest.map(str::to_owned).or_else(|| error.stack.clone());
        }
        error.name = Some(code.to_owned());
        error.limit = Some(limit);
    }
    Some(error)
}

/// Nothing outside can wake the cell any more, and nothing inside will.
fn stalled<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &CellState,
    module: v8::Local<'s, v8::Module>,
) -> CellError {
    let source = state.source.borrow();
    let position =
        module.get_stalled_top_level_await_message(scope).first().and_then(|(_, message)| {
            let line = u32::try_from(message.get_line_number(scope)?).ok()?;
            let column = u32::try_from(message.get_start_column()).ok()?;
            let (line, column) = source.original(line, column + 1);
            Some(source.position(line, column))
        });
    CellError {
        name: Some(String::from("Error")),
        message: String::from(
            "the cell awaits a promise that can never settle: no tool call and no timer is open",
        ),
        position,
        ..CellError::default()
    }
}

fn outcome(state: &CellState, result: Result<(), Failure>, usage: &Usage) -> Outcome {
    if let Some(limit) = state.heap.exceeded() {
        return Outcome::LimitExceeded(limit);
    }
    if let Some(over) = state.over.take() {
        return match over {
            Over::Exit => Outcome::Completed,
            Over::Limit(limit) => Outcome::LimitExceeded(limit),
            Over::Abandoned => Outcome::Terminated,
        };
    }
    match (result, state.stopped()) {
        (Ok(()), _) => Outcome::Completed,
        (Err(Some(error)), _) => match refused_allocation(state, &error) {
            Some(limit) => Outcome::LimitExceeded(limit),
            None => Outcome::Failed(error),
        },
        (Err(None), Some(Stop::Time)) => out_of_time(Budget::Wall, state.limits.wall, usage.wall),
        (Err(None), Some(Stop::Cpu)) => out_of_time(Budget::Cpu, state.limits.cpu, usage.cpu),
        (Err(None), _) => Outcome::Terminated,
    }
}

fn out_of_time(budget: Budget, limit: Option<Duration>, used: Duration) -> Outcome {
    let limit = millis(limit.unwrap_or_default());
    Outcome::LimitExceeded(LimitExceeded::of_cell(budget, limit, millis(used)))
}

/// Whether V8 says with this error that there is no room: our allocator refused an array buffer, or a string grew past the
/// longest that V8 has, which is beyond any heap limit below that.
fn refused_allocation(state: &CellState, error: &CellError) -> Option<LimitExceeded> {
    if error.name.as_deref() != Some("RangeError") {
        return None;
    }
    match error.message.as_str() {
        "Invalid string length" => {
            let limit = state.heap.limit_bytes();
            let used = v8::String::MAX_LENGTH as u64;
            (limit <= v8::String::MAX_LENGTH)
                .then(|| LimitExceeded::of_cell(Budget::Heap, limit as u64, used))
        }
        message if message.contains("llocation failed") => state.heap.buffer_refused(),
        _ => None,
    }
}

/// Static imports were refused before; nothing is ever asked for.
fn no_module<'s>(
    _context: v8::Local<'s, v8::Context>,
    _specifier: v8::Local<'s, v8::String>,
    _attributes: v8::Local<'s, v8::FixedArray>,
    _referrer: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Module>> {
    None
}
