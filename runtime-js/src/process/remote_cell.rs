//! A cell in a worker process as the engine sees it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use codemode_host_protocol::{Budget, Json, LimitExceeded, ToolFailure};
use parking_lot::Mutex;

use super::{
    pool::Pool,
    remote::{KEEPER_STACK_BYTES, Remote},
    wire::{Said, ToWorker},
};
use crate::{
    CallId, CellSpec, Discovery, End, Event, EventSink, Limits, Outcome, StoredValues, ToolCall,
    ToolCatalog, Usage,
    cell::Stop,
    cpu,
    spec::{MAX_FOUND, MAX_QUERY_BYTES, millis},
};

/// A cell in a worker process.
pub(crate) struct RemoteCell {
    id: u64,
    worker: Remote,
    catalog: Arc<ToolCatalog>,
    discovery: Option<Arc<dyn Discovery>>,
    stored: Arc<dyn StoredValues>,
    limits: Limits,
    started: Instant,
    /// Its worker ends with the thread that started it, which ends with the pool.
    _pool: Arc<Pool>,
    /// Locked after the worker's state, where both are.
    state: Mutex<CellState>,
}

struct CellState {
    /// Absent while somebody tells the receiver something, and once it was told the end.
    sink: Option<Box<dyn EventSink>>,
    mailbox: VecDeque<Event>,
    open: HashSet<CallId>,
    written: BTreeMap<String, Json>,
    written_bytes: usize,
    usage: Usage,
    /// Why it is to end, and when it is given up if it has not by then.
    stop: Option<(Stop, Instant)>,
    course: Course,
    ended: bool,
}

/// What is known of a cell's processor time.
#[derive(Clone, Copy)]
enum Course {
    /// No thread works for it. It has used so much.
    Rests(Duration),
    /// This thread works for it, and had used so much before. `elsewhere` is what the process had used for all else by then.
    Runs { thread: u32, before: Duration, elsewhere: Duration },
}

impl RemoteCell {
    pub(super) fn new(
        id: u64,
        worker: Remote,
        spec: &CellSpec,
        sink: Box<dyn EventSink>,
        pool: Arc<Pool>,
    ) -> RemoteCell {
        RemoteCell {
            id,
            worker,
            catalog: Arc::clone(&spec.tools),
            discovery: spec.discovery.clone(),
            stored: Arc::clone(&spec.stored),
            limits: spec.limits,
            started: Instant::now(),
            _pool: pool,
            state: Mutex::new(CellState {
                sink: Some(sink),
                mailbox: VecDeque::new(),
                open: HashSet::new(),
                written: BTreeMap::new(),
                written_bytes: 0,
                usage: Usage { source_bytes: spec.source.len(), ..Usage::default() },
                stop: None,
                course: Course::Rests(Duration::ZERO),
                ended: false,
            }),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    #[cfg(test)]
    pub(crate) fn process(&self) -> rustix::process::Pid {
        self.worker.0.pid
    }

    pub(crate) fn deliver(&self, call: CallId, result: Result<Json, ToolFailure>) -> bool {
        let mut state = self.state.lock();
        if state.ended || !state.open.remove(&call) {
            return false;
        }
        // Under the lock, so that the worker hears of answers in the order in which they were accepted.
        self.worker.send(ToWorker::Deliver { cell: self.id, call, result });
        true
    }

    pub(crate) fn terminate(&self) {
        self.stop(Stop::Terminated);
    }

    /// Ends the cell from outside. The first reason stands.
    pub(super) fn stop(&self, why: Stop) {
        let deadline = Instant::now() + TERMINATION_GRACE;
        let mut state = self.state.lock();
        if state.ended || state.stop.is_some() {
            return;
        }
        state.stop = Some((why, deadline));
        drop(state);
        self.worker.0.state.lock().deadlines.push(Reverse((deadline, self.id)));
        self.worker.send(ToWorker::Terminate { cell: self.id });
        self.worker.wake();
    }

    /// The processor time that it has used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let state = self.state.lock();
        if state.ended {
            return state.usage.cpu;
        }
        match state.course {
            Course::Rests(used) => used,
            Course::Runs { thread, before, elsewhere } => {
                let process = self.worker.0.pid;
                match cpu::of_thread(process, thread) {
                    Some(used) => used.saturating_sub(before),
                    // Of a process that has ended, the time of a single thread is not told any more.
                    None => cpu::of_process(process).saturating_sub(elsewhere),
                }
            }
        }
    }

    /// Its process ends, and with it what tells its processor time.
    pub(super) fn comes_to_rest(&self) {
        let used = self.cpu_time();
        self.state.lock().course = Course::Rests(used);
    }

    /// When it may have used up its time, if it has used none of its processor's.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let wall = self.limits.wall.and_then(|wall| self.started.checked_add(wall));
        // Of its processor time the worker sees to it. This is for one that cannot.
        let left = self.limits.cpu.map(|cpu| cpu.saturating_sub(self.cpu_time()));
        let cpu = left.and_then(|left| now.checked_add(left + TERMINATION_GRACE));
        [wall, cpu].into_iter().flatten().min()
    }

    /// Stops it if it has used up its time.
    pub(super) fn look(&self, now: Instant) {
        if self.limits.wall.is_some_and(|wall| self.started.elapsed() >= wall) {
            return self.stop(Stop::Time);
        }
        if self.limits.cpu.is_some_and(|cpu| self.cpu_time() >= cpu) {
            return self.stop(Stop::Cpu);
        }
        if let Some(at) = self.next_look(now) {
            self.worker.0.state.lock().deadlines.push(Reverse((at, self.id)));
        }
    }

    /// Why it was told to end, and when it is given up.
    pub(super) fn stopped(&self) -> Option<(Stop, Instant)> {
        self.state.lock().stop
    }

    /// How a cell ends that was stopped.
    pub(super) fn outcome_of(&self, stop: Stop) -> Outcome {
        let (budget, limit, used) = match stop {
            Stop::Terminated => return Outcome::Terminated,
            Stop::Time => (Budget::Wall, self.limits.wall, self.started.elapsed()),
            Stop::Cpu => (Budget::Cpu, self.limits.cpu, self.cpu_time()),
        };
        let limit = millis(limit.unwrap_or_default());
        Outcome::LimitExceeded(LimitExceeded::of_cell(budget, limit, millis(used)))
    }

    /// How a cell ends whose process held `bytes`.
    pub(super) fn out_of_memory(&self, bytes: u64) -> Outcome {
        let limit = self.limits.heap_bytes as u64;
        Outcome::LimitExceeded(LimitExceeded::of_cell(Budget::Heap, limit, bytes))
    }

    /// Takes what the worker says of the cell.
    ///
    /// # Errors
    /// What is wrong with it. Of a worker that no cell has taken over, nothing ever is.
    pub(super) fn heard(self: &Arc<RemoteCell>, said: Said) -> Result<(), &'static str> {
        let mut state = self.state.lock();
        let event = match said {
            Said::Begins { thread, cpu } => {
                let used = match state.course {
                    Course::Rests(used) => used,
                    Course::Runs { .. } => Duration::ZERO,
                };
                let elsewhere = cpu::of_process(self.worker.0.pid).saturating_sub(used);
                state.course = Course::Runs { thread, before: cpu, elsewhere };
                return Ok(());
            }
            Said::Rests { cpu } => {
                state.course = Course::Rests(cpu);
                return Ok(());
            }
            Said::Output(item) => {
                state.usage.output_bytes += item.len_bytes();
                state.usage.output_items += 1;
                let Limits { output_bytes, output_items, .. } = self.limits;
                if state.usage.output_bytes > output_bytes
                    || state.usage.output_items > output_items
                {
                    return Err("more output than the cell may show");
                }
                Event::Output(item)
            }
            Said::Yield => Event::Yield,
            Said::Notify(text) => Event::Notify(text),
            Said::ToolCall { call, entry, input } => {
                let entry =
                    self.catalog.entry(entry as usize).ok_or("a tool that is not the cell's")?;
                if call.0 != state.usage.tool_calls + 1 {
                    return Err("a tool call out of order");
                }
                state.usage.tool_calls = call.0;
                state.open.insert(call);
                Event::ToolCall(ToolCall {
                    id: call,
                    tool: entry.tool.clone(),
                    kind: entry.kind,
                    input,
                })
            }
            Said::Load { key } => {
                drop(state);
                let value = self.stored.load(&key);
                self.worker.send(ToWorker::Loaded { cell: self.id, value });
                return Ok(());
            }
            Said::Search { query, limit } => {
                drop(state);
                let Some(discovery) = &self.discovery else { return Err(NO_DISCOVERY) };
                if query.len() > MAX_QUERY_BYTES {
                    return Err("a longer query than there can be");
                }
                let mut found = discovery.search(&query, limit.min(MAX_FOUND));
                found.truncate(MAX_FOUND);
                let value = Json::from_value(&found).ok();
                self.worker.send(ToWorker::Loaded { cell: self.id, value });
                return Ok(());
            }
            Said::Describe { place } => {
                drop(state);
                let Some(discovery) = &self.discovery else { return Err(NO_DISCOVERY) };
                if self.catalog.entry(place).is_none() {
                    return Err("asked about a tool that it has not");
                }
                let value = Json::from_value(&discovery.describe(place)).ok();
                self.worker.send(ToWorker::Loaded { cell: self.id, value });
                return Ok(());
            }
            Said::Stored { key, value } => {
                state.written_bytes += key.len() + value.text().len();
                state.written.insert(key, value);
                let Limits { stored_bytes, stored_keys, .. } = self.limits;
                if state.written_bytes > stored_bytes || state.written.len() > stored_keys {
                    return Err("more stored values than the cell may store");
                }
                return Ok(());
            }
            Said::End { outcome, usage } => {
                let stop = state.stop.map(|(why, _)| why);
                // What can be counted here counts.
                let Usage { output_bytes, output_items, tool_calls, source_bytes, .. } =
                    state.usage;
                let wall = self.started.elapsed();
                let usage =
                    Usage { wall, output_bytes, output_items, tool_calls, source_bytes, ..usage };
                drop(state);
                let outcome = match (outcome, stop) {
                    (Outcome::Terminated, Some(why)) => self.outcome_of(why),
                    (outcome, _) => outcome,
                };
                self.worker.forget(self.id);
                self.end(outcome, Some(usage));
                return Ok(());
            }
        };
        if state.stop.is_some() {
            return Ok(());
        }
        drop(state);
        self.tell(event);
        Ok(())
    }

    /// Ends the cell, unless it has ended.
    pub(super) fn end(self: &Arc<RemoteCell>, outcome: Outcome, usage: Option<Usage>) {
        let cpu = self.cpu_time();
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        let own = Usage { wall: self.started.elapsed(), cpu, ..state.usage };
        let usage = usage.unwrap_or(own);
        state.usage = usage;
        let end = End { outcome, stored: std::mem::take(&mut state.written), usage };
        drop(state);
        self.tell(Event::End(end));
    }

    /// Tells the receiver, after what it has yet to be told.
    fn tell(self: &Arc<RemoteCell>, event: Event) {
        let mut state = self.state.lock();
        state.mailbox.push_back(event);
        if let Some(sink) = state.sink.take() {
            drop(state);
            self.empty_mailbox(sink, Where::Keeper);
        }
    }

    /// Tells the receiver all that there is. Where it might keep the worker's thread, another one waits for it.
    fn empty_mailbox(self: &Arc<RemoteCell>, mut sink: Box<dyn EventSink>, place: Where) {
        loop {
            let mut state = self.state.lock();
            let Some(event) = state.mailbox.pop_front() else {
                drop(state);
                sink.pause();
                state = self.state.lock();
                if !state.mailbox.is_empty() {
                    continue;
                }
                state.sink = Some(sink);
                return;
            };
            drop(state);
            if place == Where::Keeper && sink.may_block(&event) {
                self.state.lock().mailbox.push_front(event);
                let cell = Arc::clone(self);
                // Without another thread the sink is lost, as the cell's own thread would be.
                let _ = std::thread::Builder::new()
                    .name(String::from("codemode-waits"))
                    .stack_size(KEEPER_STACK_BYTES)
                    .spawn(move || cell.empty_mailbox(sink, Where::Aside));
                return;
            }
            let (last, taken) = match &event {
                Event::End(_) => (true, false),
                Event::Notify(_) => (false, true),
                _ => (false, false),
            };
            let told = catch_unwind(AssertUnwindSafe(|| sink.event(event)));
            if last {
                return;
            }
            if told.is_err() {
                self.terminate();
            }
            if taken {
                self.worker.send(ToWorker::Taken { cell: self.id });
            }
        }
    }
}

/// Where a receiver is told something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// On the thread that all cells of the worker need.
    Keeper,
    Aside,
}

/// A cell that was told to end, by its client or by its clock, and has not ended by then is in a built-in that V8
/// cannot interrupt. 50 ms are promised where it can be; the rest is for a busy machine.
const TERMINATION_GRACE: Duration = Duration::from_millis(150);

const NO_DISCOVERY: &str = "asked what it has no function for";
