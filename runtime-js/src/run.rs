//! The course of one cell, from its source to its end.

use std::{rc::Rc, sync::Arc, time::Instant};

use crate::{
    CellError, CellSpec, End, Event, EventSink, LimitExceeded, Outcome, Usage, WhenStuck,
    cell::{Shared, Stop},
    globals,
    inbox::Input,
    limits::HeapGuard,
    module,
    realm::Realm,
    source::Source,
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
    sink: Box<dyn EventSink>,
    started: Instant,
) -> Ending {
    let Realm { context, helpers } = realm;
    let wall_limit = spec.limits.wall;
    let state = Rc::new(CellState {
        shared: Arc::clone(shared),
        helpers,
        catalog: spec.tools,
        limits: spec.limits,
        when_stuck: spec.when_stuck,
        heap: Arc::clone(heap),
        source: Source::new(spec.file, spec.source).into(),
        stored: spec.stored,
        writes: Default::default(),
        written_bytes: Default::default(),
        calls: Default::default(),
        touched_tools: Default::default(),
        timers: Default::default(),
        calls_made: Default::default(),
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
        let result = evaluate(scope, &state);
        if !matches!(result, Ok(())) || state.is_over() {
            // What the cell left to be done later must not be done in the next cell.
            scope.terminate_execution();
            scope.perform_microtask_checkpoint();
        }
        result
    };
    isolate.remove_slot::<Rc<CellState>>();
    let end = End {
        outcome: outcome(&state, result, wall_limit),
        stored: state.writes.take(),
        usage: Usage {
            wall: started.elapsed(),
            output_bytes: state.output_bytes.get(),
            output_items: state.output_items.get(),
            tool_calls: state.calls_made.get(),
        },
    };
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
                return Err(stack::describe(scope, state, exception));
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
                    globals::settle(scope, call, result);
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
    let callback = v8::Local::new(scope, callback);
    let undefined = v8::undefined(scope);
    if callback.call(scope, undefined.into(), &[]).is_some() || state.is_over() {
        return Ok(());
    }
    match scope.exception() {
        Some(exception) => {
            scope.reset();
            Err(stack::describe(scope, state, exception))
        }
        None => Err(None),
    }
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

fn outcome(
    state: &CellState,
    result: Result<(), Failure>,
    wall_limit: Option<std::time::Duration>,
) -> Outcome {
    if state.heap.exceeded() {
        return heap_exceeded(state);
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
        (Err(Some(error)), _) if refused_allocation(state, &error) => heap_exceeded(state),
        (Err(Some(error)), _) => Outcome::Failed(error),
        (Err(None), Some(Stop::Time)) => {
            Outcome::LimitExceeded(LimitExceeded::Time { limit: wall_limit.unwrap_or_default() })
        }
        (Err(None), _) => Outcome::Terminated,
    }
}

fn heap_exceeded(state: &CellState) -> Outcome {
    Outcome::LimitExceeded(LimitExceeded::Heap { limit_bytes: state.heap.limit_bytes() })
}

/// Whether V8 says with this error that there is no room: our allocator refused an array buffer, or a string grew past the
/// longest that V8 has, which is beyond any heap limit below that.
fn refused_allocation(state: &CellState, error: &CellError) -> bool {
    if error.name.as_deref() != Some("RangeError") {
        return false;
    }
    match error.message.as_str() {
        "Invalid string length" => state.heap.limit_bytes() <= v8::String::MAX_LENGTH,
        message => state.heap.buffer_refused() && message.contains("llocation failed"),
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
