//! What a cell asks of its step's runtime: tool calls and notifications.

use std::{
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use codemode_host_protocol::{Budget, Json, LimitExceeded, ToolFailure, ToolInvocation};
use codemode_runtime_js::{CallId, ToolCall};
use futures_util::{
    StreamExt as _,
    future::{AbortHandle, Abortable},
    stream::FuturesUnordered,
};
use tokio::{sync::Notify, task::unconstrained};

use crate::{
    CellLimit, ToolFuture,
    cell::{Cell, OpenTask, OpenTasks, Phase, TaskKind},
    limit::SessionLimits,
    sync::{Mutex, Runtime},
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
    tasks: FuturesUnordered<Launched>,
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
        open.tasks.push(task);
        self.run(&mut open);
        if open.tasks.is_empty() || open.driven {
            return;
        }
        open.driven = true;
        drop(open);
        // With a budget, a burst of answers would be cut, and what was left over go behind newer ones.
        tokio.spawn(unconstrained(Arc::clone(self).drive()));
    }

    /// Runs what is woken until all is over.
    async fn drive(self: Arc<Driver>) {
        let mut driving = Driving { driver: self, done: false };
        loop {
            driving.driver.woken.0.notified().await;
            let mut open = driving.driver.open.lock();
            driving.driver.run(&mut open);
            if open.tasks.is_empty() {
                driving.done = true;
                // From here on another may drive.
                open.driven = false;
                return;
            }
        }
    }

    /// Runs all that was woken.
    fn run(&self, open: &mut Open) {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut cx = Context::from_waker(&waker);
        while let Poll::Ready(Some(())) = open.tasks.poll_next_unpin(&mut cx) {}
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

/// Something that the driver runs can go on.
#[derive(Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Woken>) {
        self.0.notify_one();
    }
}

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
