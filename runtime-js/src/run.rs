//! The course of one cell, from its source to its end, turn by turn.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use codemode_host_protocol::{Budget, LimitExceeded};

use crate::{
    CellError, End, Event, EventSink, Limits, Outcome, Usage, WhenStuck,
    cell::{Lying, Stop},
    clock::Watch,
    globals,
    inbox::Input,
    limits::{HeapGuard, Share, Tenure},
    module,
    realm::Realm,
    source::Source,
    spec::millis,
    stack,
    state::{CellState, Over},
    worker::Job,
};

/// A cell that is over, and has yet to say so.
pub(crate) struct Ending {
    /// Absent where somebody else has told.
    pub(crate) sink: Option<Box<dyn EventSink>>,
    pub(crate) end: End,
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

/// A cell that has begun and not ended, in the isolate that it shares with others or has for itself.
///
/// It runs in turns. A turn lasts until the cell waits for something that is not there yet; between turns nothing of it is
/// on the stack.
pub(crate) struct Resident {
    state: Rc<CellState>,
    context: v8::Global<v8::Context>,
    /// What the cell's end is: absent until its source was compiled, and as long as it has not waited.
    awaited: Option<Awaited>,
    console: bool,
    begun: bool,
    share: Share,
    /// Whether it lies where it can be ended without this thread.
    lies: bool,
    source_bytes: usize,
    started: Instant,
    _watch: Watch,
}

struct Awaited {
    module: v8::Global<v8::Module>,
    promise: v8::Global<v8::Promise>,
}

/// How a turn came to its end.
pub(crate) enum Turn {
    /// The cell waits to be woken, or until its next timer is due.
    Waits,
    /// There is more to do, but others want to do something too.
    Pauses,
    /// The cell is over.
    Ends(Ended),
}

/// What a cell came to.
pub(crate) struct Ended(Result<(), Failure>);

impl Resident {
    pub(crate) fn new(job: Box<Job>, realm: Realm, heap: &Arc<HeapGuard>) -> Resident {
        let Job { spec, shared, sink, started, meter, watch } = *job;
        let Realm { context, helpers } = realm;
        let source_bytes = spec.source.len();
        let lies = sink.is_none();
        let state = Rc::new(CellState {
            shared,
            helpers,
            catalog: spec.tools,
            discovery: spec.discovery,
            limits: spec.limits,
            when_stuck: spec.when_stuck,
            heap: Arc::clone(heap),
            meter,
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
        Resident {
            state,
            context,
            awaited: None,
            console: spec.console,
            begun: false,
            share: Share::default(),
            lies,
            source_bytes,
            started,
            _watch: watch,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.state.shared.id
    }

    /// The processor time that it has used.
    pub(crate) fn cpu_time(&self) -> Duration {
        self.state.shared.cpu.used()
    }

    /// When the cell's next timer is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.state.timers.borrow().next_due()
    }

    /// Another cell moves in.
    pub(crate) fn make_room(&mut self, isolate: &mut v8::OwnedIsolate) {
        HeapGuard::share_of_first(isolate, &mut self.share);
        self.rest();
    }

    /// Runs the cell until it waits. `others_wait` says whether another cell wants to run in the same isolate.
    pub(crate) fn turn(
        &mut self,
        isolate: &mut v8::OwnedIsolate,
        tenure: Tenure,
        others_wait: impl Fn() -> bool,
    ) -> Turn {
        if !self.get_up(tenure) {
            // It was ended while it lay there.
            return Turn::Ends(Ended(Err(None)));
        }
        let heap = Arc::clone(&self.state.heap);
        let buffer_limit = self.state.limits.buffer_bytes;
        heap.enter(isolate, &self.state.meter, &self.share, buffer_limit, tenure);
        isolate.set_slot(Rc::clone(&self.state));
        let turn = self.run(isolate, others_wait);
        isolate.remove_slot::<Rc<CellState>>();
        if !matches!(turn, Turn::Ends(_)) {
            if let Some(sink) = &mut *self.state.sink.borrow_mut() {
                sink.pause();
            }
            self.share = heap.leave(isolate, tenure);
            if tenure == Tenure::Shared {
                self.rest();
            }
        }
        turn
    }

    /// `false` when it cannot.
    fn get_up(&mut self, tenure: Tenure) -> bool {
        if self.lies {
            self.lies = false;
            let Some(lying) = self.state.shared.get_up() else { return false };
            self.state.sink.replace(Some(lying.sink));
            self.state.writes.replace(lying.stored);
        }
        if tenure == Tenure::Shared || !self.begun {
            let used = self.state.shared.cpu.begin();
            if let Some(sink) = &mut *self.state.sink.borrow_mut() {
                sink.begin(used);
            }
        }
        true
    }

    /// Leaves the thread to others.
    fn rest(&mut self) {
        let used = self.state.shared.cpu.rest();
        let Some(mut sink) = self.state.sink.take() else { return };
        sink.rest(used);
        self.lies = true;
        self.state.shared.lie_down(Lying {
            sink,
            stored: self.state.writes.take(),
            usage: self.usage(used),
            limits: self.state.limits,
            started: self.started,
        });
        self.state.shared.end_if_stopped();
    }

    fn run(&mut self, isolate: &mut v8::OwnedIsolate, others_wait: impl Fn() -> bool) -> Turn {
        let state = Rc::clone(&self.state);
        v8::scope!(let scope, isolate);
        let context = v8::Local::new(scope, &self.context);
        let scope = &mut v8::ContextScope::new(scope, context);
        v8::tc_scope!(let scope, scope);
        let awaited = match &self.awaited {
            Some(awaited) => Ok((
                v8::Local::new(scope, &awaited.module),
                v8::Local::new(scope, &awaited.promise),
            )),
            None => self.evaluate(scope, context),
        };
        let result = match awaited {
            Ok((module, promise)) => match go_on(scope, &state, module, promise, others_wait) {
                Course::Ends(result) => result,
                course => {
                    if self.awaited.is_none() {
                        self.awaited = Some(Awaited {
                            module: v8::Global::new(scope, module),
                            promise: v8::Global::new(scope, promise),
                        });
                    }
                    let pauses = matches!(course, Course::Pauses);
                    return if pauses { Turn::Pauses } else { Turn::Waits };
                }
            },
            Err(failure) => Err(failure),
        };
        if !matches!(result, Ok(())) || state.is_over() {
            // What the cell left to be done later must not be done in the next cell.
            scope.terminate_execution();
            scope.perform_microtask_checkpoint();
        }
        Turn::Ends(Ended(result))
    }

    /// Starts the cell's module. Returns it, and the promise of its end.
    fn evaluate<'s>(
        &mut self,
        scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, 's, v8::HandleScope<'_>>>,
        context: v8::Local<'_, v8::Context>,
    ) -> Result<(v8::Local<'s, v8::Module>, v8::Local<'s, v8::Promise>), Failure> {
        self.begun = true;
        let state = &self.state;
        if self.console {
            let global = context.global(scope);
            let _ = globals::install_console(scope, global);
        }
        if state.discovery.is_some() {
            let global = context.global(scope);
            let _ = globals::install_discovery(scope, global);
        }
        if self.source_bytes > state.limits.source_bytes {
            let limit = state.limits.source_bytes;
            state.exceed(scope, Budget::SourceBytes, limit, self.source_bytes);
            return Err(None);
        }
        if state.is_over() {
            return Err(None);
        }
        let module = module::compile(scope, state)?;
        module.instantiate_module(scope, no_module).ok_or(None)?;
        let promise = module
            .evaluate(scope)
            .and_then(|value| value.try_cast::<v8::Promise>().ok())
            .ok_or(None)?;
        Ok((module, promise))
    }

    /// Ends the cell. Says how, unless somebody else has.
    pub(crate) fn end(
        self,
        isolate: &mut v8::OwnedIsolate,
        ended: Ended,
        tenure: Tenure,
    ) -> Ending {
        let state = &self.state;
        state.shared.inbox.close();
        state.meter.give_timers(state.timers.borrow().len());
        let refused = state.heap.buffer_refused();
        let share = state.heap.leave(isolate, tenure);
        let mut usage = self.usage(state.shared.cpu.rest());
        usage.wall = self.started.elapsed();
        usage.heap_bytes = share.heap_peak;
        usage.buffer_bytes = share.buffers_peak();
        let outcome = outcome(state, ended.0, &usage, refused);
        let end = End { outcome, stored: state.writes.take(), usage };
        // The realm's handles go before the end is told: whoever hears of it may count on the memory.
        let sink = Rc::into_inner(self.state).and_then(|state| state.sink.into_inner());
        Ending { sink, end }
    }

    /// What the cell has used, but for the wall time.
    fn usage(&self, cpu: Duration) -> Usage {
        let state = &self.state;
        Usage {
            wall: Duration::ZERO,
            cpu,
            heap_bytes: self.share.heap_peak,
            buffer_bytes: self.share.buffers_peak(),
            output_bytes: state.output_bytes.get(),
            output_items: state.output_items.get(),
            tool_calls: state.calls_made.get(),
            argument_bytes: state.argument_bytes.get(),
            result_bytes: state.result_bytes.get(),
            source_bytes: self.source_bytes,
        }
    }
}

/// Why a cell did not complete: `None` when it is over for a reason that its state knows.
type Failure = Option<Box<CellError>>;

enum Course {
    Waits,
    Pauses,
    Ends(Result<(), Failure>),
}

/// Does what there is to do for the cell, until it is over or has to wait.
fn go_on<'s>(
    scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, 's, v8::HandleScope<'_>>>,
    state: &Rc<CellState>,
    module: v8::Local<'s, v8::Module>,
    promise: v8::Local<'s, v8::Promise>,
    others_wait: impl Fn() -> bool,
) -> Course {
    let mut has_done_something = false;
    loop {
        scope.perform_microtask_checkpoint();
        if state.is_over() {
            return Course::Ends(Err(None));
        }
        match promise.state() {
            v8::PromiseState::Fulfilled => return Course::Ends(Ok(())),
            v8::PromiseState::Rejected => {
                let exception = promise.result(scope);
                return Course::Ends(Err(failure(scope, state, exception)));
            }
            v8::PromiseState::Pending => {}
        }
        let due = state.timers.borrow().next_due();
        let stuck = due.is_none() && state.calls.borrow().is_empty();
        if stuck && state.when_stuck == WhenStuck::Fail {
            return Course::Ends(Err(Some(Box::new(stalled(scope, state, module)))));
        }
        if has_done_something && others_wait() {
            return Course::Pauses;
        }
        has_done_something = true;
        match state.shared.inbox.next(due) {
            None => return Course::Waits,
            Some(Input::Stop) => return Course::Ends(Err(None)),
            Some(Input::ToolResult(id, result)) => {
                let call = state.calls.borrow_mut().remove(&id);
                if let Some(call) = call {
                    globals::settle(scope, state, call, result);
                }
            }
            Some(Input::TimerDue) => {
                if let Err(failure) = fire_timer(scope, state) {
                    return Course::Ends(Err(failure));
                }
            }
        }
    }
}

fn fire_timer(
    scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'_>>>,
    state: &CellState,
) -> Result<(), Failure> {
    let Some(callback) = state.timers.borrow_mut().take_next() else { return Ok(()) };
    state.meter.give_timers(1);
    if call(scope, &callback) || state.is_over() {
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

/// `false` when it throws. Holds nothing of what it gives back.
fn call(scope: &mut v8::PinScope<'_, '_>, callback: &v8::Global<v8::Function>) -> bool {
    v8::scope!(let scope, scope);
    let callback = v8::Local::new(scope, callback);
    let undefined = v8::undefined(scope);
    callback.call(scope, undefined.into(), &[]).is_some()
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

fn outcome(
    state: &CellState,
    result: Result<(), Failure>,
    usage: &Usage,
    refused: Option<LimitExceeded>,
) -> Outcome {
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
        (Err(Some(error)), _) => match refused_allocation(state, &error, refused) {
            Some(limit) => Outcome::LimitExceeded(limit),
            None => Outcome::Failed(error),
        },
        (Err(None), Some(why)) => outcome_of_stop(why, &state.limits, usage),
        (Err(None), None) => Outcome::Terminated,
    }
}

/// How a cell ends that was stopped from outside.
pub(crate) fn outcome_of_stop(why: Stop, limits: &Limits, usage: &Usage) -> Outcome {
    match why {
        Stop::Terminated => Outcome::Terminated,
        Stop::Time => out_of_time(Budget::Wall, limits.wall, usage.wall),
        Stop::Cpu => out_of_time(Budget::Cpu, limits.cpu, usage.cpu),
    }
}

fn out_of_time(budget: Budget, limit: Option<Duration>, used: Duration) -> Outcome {
    let limit = millis(limit.unwrap_or_default());
    Outcome::LimitExceeded(LimitExceeded::of_cell(budget, limit, millis(used)))
}

/// Whether V8 says with this error that there is no room: our allocator refused an array buffer, or a string grew past the
/// longest that V8 has, which is beyond any heap limit below that.
fn refused_allocation(
    state: &CellState,
    error: &CellError,
    refused: Option<LimitExceeded>,
) -> Option<LimitExceeded> {
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
        message if message.contains("llocation failed") => refused,
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
