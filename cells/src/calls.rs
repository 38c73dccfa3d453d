//! What a cell asks of its step's runtime: tool calls and notifications.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use codemode_host_protocol::{Budget, Json, LimitExceeded, ToolFailure, ToolInvocation};
use codemode_runtime_js::{CallId, ToolCall};
use futures_util::future::{AbortHandle, Abortable, Either, select};
use tokio::{sync::Notify, task::unconstrained};

use crate::{
    CellLimit, ToolFuture,
    cell::{Cell, OpenTask, OpenTasks, Phase, TaskKind},
    limit::SessionLimits,
    sync::{Mutex, MutexGuard, Runtime, sleep},
};

impl Cell {
    /// Starts a tool call. On the cell's thread.
    pub(crate) fn call_tool(self: &Arc<Cell>, call: ToolCall) {
        let ToolCall { id, tool, kind, input } = call;
        let bytes = input.as_ref().map_or(0, |input| input.text().len());
        if !self.session.spend(Budget::ToolCalls, 1)
            || !self.session.spend(Budget::ArgumentBytes, bytes)
        {
            return;
        }
        let limits = *self.session.limits();
        let admitted = self.with(|state, _| {
            let lifeline = Cell::lifeline(state)?;
            Some(match self.call_refusal(&state.open, bytes, &limits) {
                Some(failure) => Err(failure),
                None => Ok((state.open.admit(TaskKind::Call, bytes), lifeline)),
            })
        });
        let (key, lifeline) = match admitted {
            None => return,
            Some(Ok(admitted)) => admitted,
            Some(Err(failure)) => {
                self.engine.wait().deliver(id, Err(failure));
                return;
            }
        };
        let invocation = ToolInvocation {
            cell_id: self.id.clone(),
            runtime_tool_call_id: id.to_string(),
            tool_name: tool,
            tool_kind: kind,
            input,
        };
        if let Some(observer) = &self.observer {
            observer.call_started(&invocation);
        }
        let ticket = Ticket::new(self, key, Some(id));
        let start = move || lifeline.step.runtime.invoke(invocation);
        self.launch(start, ticket, Ticket::call_is_over);
    }

    /// Why one more call with an input of `bytes` cannot be made now; if it can, its place in the session is taken.
    fn call_refusal(
        &self,
        open: &OpenTasks,
        bytes: usize,
        limits: &SessionLimits,
    ) -> Option<ToolFailure> {
        open.refusal(bytes, limits).or_else(|| {
            let taken = self.session.ledger.take(Budget::OpenToolCalls, 1);
            taken.err().map(ToolFailure::refused)
        })
    }

    /// Sends a notification; waits for room when too many are on their way. On the cell's thread.
    pub(crate) fn notify(self: &Arc<Cell>, text: String) {
        if let Some(observer) = &self.observer {
            observer.notified(&text);
        }
        let limits = self.session.limits();
        let mut state = self.state.lock();
        let (key, lifeline) = loop {
            let Some(lifeline) = Cell::lifeline(&state) else { return };
            let open = &mut state.open;
            if open.has_room_for(&text, limits) {
                break (open.admit(TaskKind::Notification, text.len()), lifeline);
            }
            let open = open.notifications;
            let waited = limits.notification_grace;
            if self.room.wait_for(&mut state, waited).timed_out() {
                drop(state);
                return self.exceed(CellLimit::Notifications { open, waited });
            }
        };
        drop(state);
        let ticket = Ticket::new(self, key, None);
        let start = move || lifeline.step.runtime.notify(&self.tool_call_id, &self.id, text);
        self.launch(start, ticket, Ticket::notification_is_over);
    }

    /// Whether a notification would be sent at once.
    pub(crate) fn has_room_for(&self, text: &str) -> bool {
        self.state.lock().open.has_room_for(text, self.session.limits())
    }

    /// Runs `start` and the first part of its future here and now, so that the order of the cell's program
    /// is kept, and what is over at once costs no task. What is left goes to the cell's driver.
    fn launch<T: 'static>(
        &self,
        start: impl FnOnce() -> ToolFuture<T>,
        mut ticket: Ticket,
        over: fn(&mut Ticket, Result<T, ToolFailure>),
    ) {
        let _entered = self.session.tokio.enter();
        let future = match catch_unwind(AssertUnwindSafe(start)) {
            Ok(future) => future,
            Err(_) => return over(&mut ticket, Err(panicked())),
        };
        let key = ticket.key;
        let (abort, registration) = AbortHandle::new_pair();
        let task = Abortable::new(Task { future, ticket, over }, registration);
        let task = Box::pin(async {
            // Aborted or over: what there is to do, its ticket does.
            let _ = task.await;
        });
        self.driver.launch(task, &self.session.tokio);
        let late = self.with(|state, _| {
            let running = matches!(state.phase, Phase::Running);
            let open = state.open.tasks.get_mut(&key)?;
            if !running {
                return Some(abort);
            }
            open.abort = Some(abort);
            None
        });
        if let Some(abort) = late {
            abort.abort();
        }
    }
}

/// Runs what a cell has open, and goes on with each in the order in which they were woken: so answers reach the cell in
/// the order in which they arrived. Tasks of their own would be taken up as the runtime's threads come by.
#[derive(Default)]
pub(crate) struct Driver {
    open: Mutex<Open>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Open {
    tasks: HashMap<u64, (Launched, Waker)>,
    last: u64,
    /// Whether a task of the runtime runs what is woken.
    driven: bool,
}

type Launched = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Driver {
    /// Takes a task, and runs it here and now until it waits for something.
    ///
    /// What is run never comes back here: only the cell's own thread launches.
    fn launch(self: &Arc<Driver>, task: Launched, tokio: &Runtime) {
        let mut open = self.open.lock();
        open.last += 1;
        let place = Arc::new(Place {
            number: open.last,
            is_woken: AtomicBool::new(true),
            all: Arc::clone(&self.woken),
        });
        self.woken.places.lock().push_back(Arc::clone(&place));
        let number = place.number;
        open.tasks.insert(number, (task, place.into()));
        self.woken.launch_begins(open.driven);
        self.run(&mut open);
        let driven = open.driven || open.tasks.is_empty();
        self.woken.launch_ends(driven);
        if driven {
            return;
        }
        open.driven = true;
        drop(open);
        // With a budget, a burst of answers would be cut, and what was left over go behind newer ones.
        tokio.spawn(unconstrained(Arc::clone(self).drive()));
    }

    /// The cell's thread launches no more for now.
    pub(crate) fn pause(&self) {
        self.woken.pause();
    }

    /// Runs what is woken until all is over.
    async fn drive(self: Arc<Driver>) {
        let mut driving = Driving { driver: self, done: false };
        let mut more = true;
        loop {
            // The thread that launches runs what is woken itself, and tells of what is left.
            if let Some(mut open) = driving.driver.open_if_idle() {
                driving.driver.run(&mut open);
                // As long as the cell's thread launches, there will be more in a moment.
                if open.tasks.is_empty() && !(more && driving.driver.woken.is_silent()) {
                    driving.done = true;
                    // From here on another may drive.
                    open.driven = false;
                    return;
                }
            }
            more = driving.driver.woken.more().await;
        }
    }

    /// What is open, unless the cell's thread launches something now: the runtime's thread must not wait until it is its turn
    /// between a hundred calls.
    fn open_if_idle(&self) -> Option<MutexGuard<'_, Open>> {
        self.open.try_lock().or_else(|| {
            self.woken.told.store(NOT_ALL, Ordering::Release);
            // If it is still at it, it will pause after this.
            self.open.try_lock()
        })
    }

    /// Runs what was woken until now.
    fn run(&self, open: &mut Open) {
        let places = self.woken.places.lock().len();
        for _ in 0..places {
            let Some(place) = self.woken.places.lock().pop_front() else { return };
            // Not a store, which what the task looks for could be read before: who wakes it then would find it woken.
            place.is_woken.swap(false, Ordering::AcqRel);
            // It may have been woken again before it was over.
            let Some((task, waker)) = open.tasks.get_mut(&place.number) else { continue };
            if task.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                open.tasks.remove(&place.number);
            }
        }
    }
}

/// The runtime drives the driver. When it stops before all is over, it is shutting down, and what is open never will be: it
/// is dropped.
struct Driving {
    driver: Arc<Driver>,
    done: bool,
}

impl Drop for Driving {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let tasks = mem::take(&mut self.driver.open.lock().tasks);
        drop(tasks);
    }
}

/// A task's place among those that a driver runs.
struct Place {
    number: u64,
    /// Whether it is among those that can go on.
    is_woken: AtomicBool,
    all: Arc<Woken>,
}

impl Wake for Place {
    fn wake(self: Arc<Place>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Place>) {
        if self.is_woken.swap(true, Ordering::AcqRel) {
            return;
        }
        self.all.places.lock().push_back(Arc::clone(self));
        self.all.tell();
    }
}

/// What can go on.
///
/// A task that wakes itself as it is launched is told to the runtime once, and then again when the cell's thread pauses: in between
/// that thread runs it, whenever it launches something. Told each time, a runtime with nothing else to do would be put to
/// sleep and woken forty times for a hundred calls, which takes longer than the calls.
#[derive(Default)]
struct Woken {
    places: Mutex<VecDeque<Arc<Place>>>,
    changed: Notify,
    told: AtomicU8,
    /// The thread that launches, while it does: by the address of something that each thread has of its own.
    launches: AtomicUsize,
}

impl Woken {
    fn launch_begins(&self, is_driven: bool) {
        if !is_driven {
            // There is nobody to tell.
            self.told.store(SOMETHING, Ordering::Release);
        }
        self.launches.store(this_thread(), Ordering::Release);
    }

    fn launch_ends(&self, is_driven: bool) {
        self.launches.store(0, Ordering::Release);
        if !is_driven {
            // Who begins to drive looks at everything first.
            self.told.store(SOMETHING, Ordering::Release);
        }
    }

    fn pause(&self) {
        if self.told.swap(NOTHING, Ordering::AcqRel) == NOT_ALL {
            self.changed.notify_one();
        }
    }

    /// Something more can go on.
    fn tell(&self) {
        if self.launches.load(Ordering::Acquire) == this_thread() {
            let told = self.told.load(Ordering::Acquire);
            if told != NOTHING {
                self.told.store(NOT_ALL, Ordering::Release);
                return;
            }
            self.told.store(SOMETHING, Ordering::Release);
        }
        self.changed.notify_one();
    }

    /// Whether the cell's thread might not have told all.
    fn is_silent(&self) -> bool {
        self.told.load(Ordering::Acquire) != NOTHING
    }

    /// Ready when more can go on: `true`. While the cell's thread might not have told all, also after a time.
    async fn more(&self) -> bool {
        if !self.is_silent() {
            self.changed.notified().await;
            return true;
        }
        let changed = pin!(self.changed.notified());
        let time = pin!(sleep(LONGEST_SILENCE));
        matches!(select(changed, time).await, Either::Left(_))
    }
}

fn this_thread() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// What the runtime was told of the tasks that woke themselves since the cell's thread last paused.
const NOTHING: u8 = 0;
const SOMETHING: u8 = 1;
const NOT_ALL: u8 = 2;

/// A cell that computes after a call does not keep the call waiting for longer.
const LONGEST_SILENCE: Duration = Duration::from_millis(1);

impl OpenTasks {
    /// Whether one more notification may be on its way. One always may, however long it is.
    fn has_room_for(&self, text: &str, limits: &SessionLimits) -> bool {
        let fits = self.bytes.saturating_add(text.len()) <= limits.open_bytes;
        self.notifications == 0 || (fits && self.notifications < limits.open_notifications)
    }

    fn admit(&mut self, kind: TaskKind, bytes: usize) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.tasks.insert(key, OpenTask { kind, bytes, abort: None });
        self.bytes += bytes;
        match kind {
            TaskKind::Call => self.calls += 1,
            TaskKind::Notification => self.notifications += 1,
        }
        key
    }

    /// Why one more call with an input of `bytes` cannot be made now.
    fn refusal(&self, bytes: usize, limits: &SessionLimits) -> Option<ToolFailure> {
        if self.calls >= limits.open_calls {
            let (limit, calls) = (limits.open_calls as u64, self.calls as u64 + 1);
            let limit = LimitExceeded::of_cell(Budget::OpenToolCalls, limit, calls);
            return Some(ToolFailure::refused(limit));
        }
        if self.bytes.saturating_add(bytes) > limits.open_bytes {
            return Some(ToolFailure::new(format!(
                "the inputs of this cell's open tool calls would take more than {} bytes: await some \
                 of them first, or pass less",
                limits.open_bytes,
            )));
        }
        None
    }
}

/// A tool call or notification on its way. Its parts are dropped in this order, so that a call is over
/// only after its future is gone.
struct Task<T> {
    future: ToolFuture<T>,
    ticket: Ticket,
    over: fn(&mut Ticket, Result<T, ToolFailure>),
}

impl<T> Future for Task<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let result = match catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(_) => Err(panicked()),
        };
        let over = self.over;
        over(&mut self.ticket, result);
        Poll::Ready(())
    }
}

/// The place of a call or notification among those that its cell has open.
struct Ticket {
    cell: Arc<Cell>,
    key: u64,
    call: Option<CallId>,
    started: Instant,
    is_over: bool,
}

impl Ticket {
    fn new(cell: &Arc<Cell>, key: u64, call: Option<CallId>) -> Ticket {
        Ticket { cell: Arc::clone(cell), key, call, started: Instant::now(), is_over: false }
    }

    fn call_is_over(&mut self, result: Result<Json, ToolFailure>) {
        self.tell_observer(Some(&result));
        if let Ok(result) = &result {
            self.cell.session.spend(Budget::ResultBytes, result.text().len());
        }
        self.leave();
        if let Some(id) = self.call {
            // A cell that ended meanwhile does not want it; nobody else does.
            self.cell.engine.wait().deliver(id, result);
        }
    }

    fn notification_is_over(&mut self, result: Result<(), ToolFailure>) {
        if let Err(failure) = result {
            tracing::warn!(cell = self.cell.number, %failure, "a notification was not delivered");
        }
        self.leave();
    }

    fn leave(&mut self) {
        self.is_over = true;
        self.cell.task_gone(self.key);
    }

    fn tell_observer(&self, result: Option<&Result<Json, ToolFailure>>) {
        if let (Some(observer), Some(id)) = (&self.cell.observer, self.call) {
            observer.call_finished(&id.to_string(), self.started.elapsed(), result);
        }
    }
}

impl Drop for Ticket {
    /// Cancelled: its cell ended, or the tokio runtime that it ran on.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.tell_observer(None);
        self.leave();
        if let Some(id) = self.call {
            let failure = ToolFailure::new("the call was cancelled: its host is shutting down");
            self.cell.engine.wait().deliver(id, Err(failure));
        }
    }
}

fn panicked() -> ToolFailure {
    ToolFailure::new("the tool's runtime failed (it panicked); its host's log has the details")
}
