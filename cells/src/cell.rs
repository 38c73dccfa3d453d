//! One cell, from its start until it is reported closed.
//!
//! A cell is a state behind a lock, driven from three sides: its engine's thread (through [`CellSink`]), those
//! who wait for it or end it (through [`Claim`]), and the tool calls it has open. No task and no thread belong
//! to it, so a cell that waits costs its isolate and little else.
//!
//! Locks are taken in this order: a cell's state, then the session's store. Whatever calls into other code
//! (wakers, aborts, observers, tool runtimes) happens after the lock is released: see [`After`].

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use codemode_host_protocol::{Budget, CellId, ContentItem, Json, LimitExceeded};
use codemode_runtime_js::{End, Event, EventSink, Outcome, Usage};
use futures_util::future::AbortHandle;

use crate::{
    CellLimit, CellObserver, Ending, Until, audio,
    calls::Driver,
    history::Record,
    ledger::Ledger,
    lifeline::Lifeline,
    shared::Shared,
    sync::{Condvar, EngineCell, Mutex, OnceLock},
};

pub(crate) struct Cell {
    pub(crate) number: u64,
    pub(crate) id: CellId,
    pub(crate) tool_call_id: String,
    pub(crate) session: Arc<Shared>,
    pub(crate) observer: Option<Arc<dyn CellObserver>>,
    /// Set as soon as the engine has started the cell, which may be after its first events.
    pub(crate) engine: OnceLock<EngineCell>,
    pub(crate) state: Mutex<State>,
    /// Signalled when a call or notification is over, or the cell ends.
    pub(crate) room: Condvar,
    /// What runs its calls and notifications.
    pub(crate) driver: Arc<Driver>,
}

pub(crate) struct State {
    pub(crate) phase: Phase,
    /// What was shown and not handed out yet.
    items: Vec<ContentItem>,
    items_bytes: usize,
    /// Who waits for the next response.
    waiting: Option<Slot>,
    /// Who ends the cell, and waits for the outcome.
    terminating: Option<Slot>,
    next_token: u64,
    pub(crate) open: OpenTasks,
    /// Whether nobody will ask for the result any more.
    abandoned: bool,
    /// Here until the result was handed out.
    lifeline: Option<Arc<Lifeline>>,
}

/// Where a cell is in its life. It only moves down.
pub(crate) enum Phase {
    /// Its code runs, or waits for something.
    Running,
    /// It is decided how it ends; tool calls are being cancelled, or notifications delivered.
    Ending { ending: Ending, stored: BTreeMap<String, Json>, usage: Option<Usage> },
    /// It ended.
    Ended { ending: Ending, ended_at: Instant, result: ResultState },
}

/// What became of the result of a cell that ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultState {
    /// Somebody is about to take it.
    Claimed,
    /// It waits to be asked for.
    Unread,
    /// It was handed out, or dropped.
    Gone,
}

/// One who waits for a response.
struct Slot {
    token: u64,
    waker: Option<Waker>,
    until: Until,
    /// How many items to answer with, once what it waits for has happened.
    mark: Option<usize>,
}

/// The tool calls and notifications of a cell that are on their way.
#[derive(Default)]
pub(crate) struct OpenTasks {
    pub(crate) tasks: HashMap<u64, OpenTask>,
    pub(crate) next_key: u64,
    pub(crate) calls: usize,
    pub(crate) notifications: usize,
    pub(crate) bytes: usize,
}

pub(crate) struct OpenTask {
    pub(crate) kind: TaskKind,
    pub(crate) bytes: usize,
    /// Absent until the task was spawned.
    pub(crate) abort: Option<AbortHandle>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskKind {
    Call,
    Notification,
}

/// What is to be done after a cell's lock was released.
#[derive(Default)]
pub(crate) struct After {
    terminate_engine: bool,
    aborts: Vec<AbortHandle>,
    wakers: Vec<Waker>,
    /// Not to be woken, only to be dropped: with a waker may go a task, and with that anything.
    stale: Option<Waker>,
    ended: Option<(Ending, Option<Usage>)>,
    retired: Option<Record>,
    start_grace: bool,
    /// Dropped last: this may report the cell closed.
    lifeline: Option<Arc<Lifeline>>,
}

impl Cell {
    pub(crate) fn new(
        number: u64,
        tool_call_id: String,
        session: Arc<Shared>,
        observer: Option<Arc<dyn CellObserver>>,
        lifeline: Arc<Lifeline>,
    ) -> Cell {
        Cell {
            number,
            id: CellId::from_number(number),
            tool_call_id,
            session,
            observer,
            engine: OnceLock::new(),
            driver: Arc::default(),
            state: Mutex::new(State {
                phase: Phase::Running,
                items: Vec::new(),
                items_bytes: 0,
                waiting: None,
                terminating: None,
                next_token: 0,
                open: OpenTasks::default(),
                abandoned: false,
                lifeline: Some(lifeline),
            }),
            room: Condvar::new(),
        }
    }

    /// Remembers the engine's handle, and ends the cell in it if it was ended meanwhile.
    pub(crate) fn started(&self, engine: EngineCell) {
        let engine = self.engine.get_or_init(|| engine);
        if !matches!(self.state.lock().phase, Phase::Running) {
            engine.terminate();
        }
    }

    /// Undoes a start that failed: the cell never was.
    pub(crate) fn never_started(&self) {
        let lifeline = self.with(|state, _| state.lifeline.take());
        if let Some(lifeline) = lifeline {
            lifeline.forget();
        }
    }

    /// Becomes the one that the next response goes to.
    pub(crate) fn claim_next(self: &Arc<Cell>, until: Until) -> Result<Claim, Unclaimable> {
        self.with(|state, _| {
            match state.phase {
                Phase::Running => {}
                Phase::Ending { ending: Ending::Terminated, .. } => {
                    return Err(Unclaimable::Missing);
                }
                Phase::Ending { .. } => {}
                Phase::Ended { result: ResultState::Gone, .. } => return Err(Unclaimable::Missing),
                // On its way to who ended the cell.
                Phase::Ended {
                    ending: Ending::Terminated, result: ResultState::Claimed, ..
                } => {
                    return Err(Unclaimable::Missing);
                }
                Phase::Ended { .. } => {}
            }
            if state.waiting.is_some() {
                return Err(Unclaimable::Taken);
            }
            let token = state.claim(&self.session, Role::Next);
            let shown = Some(state.items.len()).filter(|&shown| shown > 0);
            let runs = matches!(state.phase, Phase::Running);
            if let Some(slot) = &mut state.waiting {
                slot.until = until;
                slot.mark = shown.filter(|_| runs && until == Until::Output);
            }
            Ok(Claim { cell: Arc::clone(self), role: Role::Next, token })
        })
    }

    /// Becomes the first observer of a cell that has not started yet.
    pub(crate) fn claim_first(self: &Arc<Cell>, yields_at_once: bool) -> Claim {
        let token = self.with(|state, _| {
            let token = state.claim(&self.session, Role::Next);
            if let Some(slot) = &mut state.waiting {
                slot.mark = yields_at_once.then_some(0);
            }
            token
        });
        Claim { cell: Arc::clone(self), role: Role::Next, token }
    }

    /// Ends the cell if it has not ended, and becomes one that the outcome goes to.
    pub(crate) fn terminate(self: &Arc<Cell>) -> Result<Claim, Unclaimable> {
        self.with(|state, after| {
            match &state.phase {
                Phase::Ended { result: ResultState::Gone, .. } => return Err(Unclaimable::Missing),
                Phase::Ending { ending: Ending::Terminated, .. } => return Err(Unclaimable::Taken),
                _ if state.terminating.is_some() => return Err(Unclaimable::Taken),
                _ => {}
            }
            let token = state.claim(&self.session, Role::End);
            self.end_early(state, after, Ending::Terminated);
            Ok(Claim { cell: Arc::clone(self), role: Role::End, token })
        })
    }

    /// Ends the cell because its session ends. A result that nobody is waiting for is dropped.
    pub(crate) fn shut_down(&self) {
        self.with(|state, after| {
            state.abandoned = true;
            self.end_early(state, after, Ending::Terminated);
            self.settle(state, after);
        });
    }

    /// Drops the result, if the cell has ended and nobody asked for it. Says whether it did.
    pub(crate) fn drop_unread(&self) -> bool {
        self.with(|state, after| {
            let unread = matches!(state.phase, Phase::Ended { result: ResultState::Unread, .. });
            if unread {
                state.abandoned = true;
                self.settle(state, after);
            }
            unread
        })
    }

    /// The cell says that it yields: answers who waits for that.
    fn yields(&self) {
        self.with(|state, after| {
            let waits = state.waiting.as_ref();
            if waits.is_some_and(|slot| slot.until != Until::Completion) {
                state.mark_yield(after);
            }
        });
    }

    /// Makes who waits for the next response be answered with what there is now.
    pub(crate) fn yield_now(&self) {
        self.with(|state, after| state.mark_yield(after));
    }

    /// Ends a cell that crossed a limit, or whose session did. One that came to its end by itself is left alone.
    pub(crate) fn exceed(&self, limit: CellLimit) {
        self.with(|state, after| {
            if matches!(state.phase, Phase::Running) {
                self.end_early(state, after, Ending::LimitExceeded(limit));
            }
        });
    }

    /// The processor time that the cell has used, if it runs.
    pub(crate) fn running_cpu(&self) -> Duration {
        let runs = matches!(self.state.lock().phase, Phase::Running);
        let engine = self.engine.get().filter(|_| runs);
        engine.map_or(Duration::ZERO, EngineCell::cpu_time)
    }

    /// Gives up on notifications that keep a cell from ending.
    pub(crate) fn grace_is_over(&self) {
        self.with(|state, after| {
            if matches!(state.phase, Phase::Ending { .. }) {
                after.aborts.extend(state.open.aborts(None));
            }
        });
    }

    /// Removes a call or notification that is over, in whatever way.
    pub(crate) fn task_gone(&self, key: u64) {
        self.with(|state, after| {
            if state.open.remove(key) == Some(TaskKind::Call) {
                self.session.ledger.give(Budget::OpenToolCalls, 1);
            }
            self.room.notify_one();
            self.conclude_if_idle(state, after);
        });
    }

    /// How the cell ended, for one who came too late to be told by a response.
    pub(crate) fn ended(&self) -> Option<Record> {
        match &self.state.lock().phase {
            Phase::Ended { ending, ended_at, .. } => Some(Record {
                number: self.number,
                ending: ending.clone(),
                ended_at: *ended_at,
                read_at: Some(*ended_at),
                items: None,
            }),
            Phase::Running | Phase::Ending { .. } => None,
        }
    }

    /// A hold on the cell's step, while the cell runs.
    pub(crate) fn lifeline(state: &State) -> Option<Arc<Lifeline>> {
        match state.phase {
            Phase::Running => state.lifeline.clone(),
            Phase::Ending { .. } | Phase::Ended { .. } => None,
        }
    }

    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut State, &mut After) -> R) -> R {
        let mut after = After::default();
        let result = change(&mut self.state.lock(), &mut after);
        after.run(self);
        result
    }

    /// Ends the cell before its code came to an end, or before its notifications were delivered.
    fn end_early(&self, state: &mut State, after: &mut After, ending: Ending) {
        match &mut state.phase {
            Phase::Running => {
                after.terminate_engine = true;
                self.begin_to_end(state, after, ending, BTreeMap::new(), None);
            }
            // Nothing but notifications stands between the cell and its end: who ends it now does not
            // want to wait for them.
            Phase::Ending { ending: current, .. }
                if state.open.notifications > 0 && current.is_natural() =>
            {
                *current = ending;
                after.aborts.extend(state.open.aborts(None));
            }
            Phase::Ending { .. } | Phase::Ended { .. } => {}
        }
    }

    fn begin_to_end(
        &self,
        state: &mut State,
        after: &mut After,
        ending: Ending,
        stored: BTreeMap<String, Json>,
        usage: Option<Usage>,
    ) {
        let natural = ending.is_natural();
        after.aborts.extend(state.open.aborts(natural.then_some(TaskKind::Call)));
        after.start_grace = natural && state.open.notifications > 0;
        state.phase = Phase::Ending { ending, stored, usage };
        self.room.notify_all();
        self.conclude_if_idle(state, after);
    }

    /// Ends the cell for good, once nothing of it is on its way any more.
    fn conclude_if_idle(&self, state: &mut State, after: &mut After) {
        if !state.open.tasks.is_empty() || !matches!(state.phase, Phase::Ending { .. }) {
            return;
        }
        let Phase::Ending { mut ending, stored, usage } =
            mem::replace(&mut state.phase, Phase::Running)
        else {
            return;
        };
        if ending.is_natural()
            && let Err(limit) = self.session.store.lock().commit(stored)
        {
            ending = Ending::LimitExceeded(limit);
        }
        after.ended = Some((ending.clone(), usage));
        // Whoever takes the result on another thread shall not have it closed before the end is told.
        after.keep(state.lifeline.clone());
        state.phase =
            Phase::Ended { ending, ended_at: Instant::now(), result: ResultState::Claimed };
        for slot in [&mut state.waiting, &mut state.terminating].into_iter().flatten() {
            after.wakers.extend(slot.waker.take());
        }
        self.settle(state, after);
    }

    /// Brings an ended cell's result into the state that those who want it, or do not, leave it in.
    fn settle(&self, state: &mut State, after: &mut After) {
        let nobody = state.waiting.is_none() && state.terminating.is_none();
        let Phase::Ended { ending, ended_at, result } = &mut state.phase else { return };
        if *result == ResultState::Gone {
            if nobody {
                after.keep(state.lifeline.take());
                state.take_items(0, &self.session.ledger);
            }
            return;
        }
        let wanted = match (nobody, state.abandoned) {
            (false, _) => ResultState::Claimed,
            (true, false) => ResultState::Unread,
            (true, true) => ResultState::Gone,
        };
        let unread = &self.session.unread_results;
        match (*result, wanted) {
            (ResultState::Unread, ResultState::Unread) => {}
            (ResultState::Unread, _) => drop(unread.fetch_sub(1, Ordering::Relaxed)),
            (_, ResultState::Unread) => drop(unread.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
        *result = wanted;
        if wanted == ResultState::Gone {
            after.retired = Some(Record {
                number: self.number,
                ending: ending.clone(),
                ended_at: *ended_at,
                read_at: None,
                items: None,
            });
            after.keep(state.lifeline.take());
            state.take_items(0, &self.session.ledger);
        }
    }
}

impl State {
    fn slot(&mut self, role: Role) -> &mut Option<Slot> {
        match role {
            Role::Next => &mut self.waiting,
            Role::End => &mut self.terminating,
        }
    }

    fn claim(&mut self, session: &Shared, role: Role) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        *self.slot(role) = Some(Slot { token, waker: None, until: Until::Yield, mark: None });
        if let Phase::Ended { result: result @ ResultState::Unread, .. } = &mut self.phase {
            *result = ResultState::Claimed;
            session.unread_results.fetch_sub(1, Ordering::Relaxed);
        }
        token
    }

    fn mark_yield(&mut self, after: &mut After) {
        if let Some(slot) = &mut self.waiting
            && slot.mark.is_none()
        {
            slot.mark = Some(self.items.len());
            after.wakers.extend(slot.waker.take());
        }
    }

    /// Takes the items from the `from`th on.
    fn take_items(&mut self, from: usize, ledger: &Ledger) -> Vec<ContentItem> {
        let taken = self.items.split_off(from);
        self.uncount(&taken, ledger);
        taken
    }

    fn uncount(&mut self, taken: &[ContentItem], ledger: &Ledger) {
        let bytes: usize = taken.iter().map(ContentItem::len_bytes).sum();
        self.items_bytes -= bytes;
        ledger.give(Budget::UnreadBytes, bytes as u64);
    }
}

impl OpenTasks {
    /// The handles of all tasks, or those of one kind.
    fn aborts(&self, kind: Option<TaskKind>) -> Vec<AbortHandle> {
        self.tasks
            .values()
            .filter(|task| kind.is_none_or(|kind| task.kind == kind))
            .filter_map(|task| task.abort.clone())
            .collect()
    }

    fn remove(&mut self, key: u64) -> Option<TaskKind> {
        let task = self.tasks.remove(&key)?;
        self.bytes -= task.bytes;
        match task.kind {
            TaskKind::Call => self.calls -= 1,
            TaskKind::Notification => self.notifications -= 1,
        }
        Some(task.kind)
    }
}

impl After {
    /// Keeps a lifeline until all else is done. The same one a second time, or none any more, changes nothing: dropping the last
    /// here would report the cell closed under its lock.
    fn keep(&mut self, lifeline: Option<Arc<Lifeline>>) {
        if lifeline.is_some() {
            self.lifeline = lifeline;
        }
    }

    fn run(self, cell: &Cell) {
        // Before the start is over the handle is missing: who sets it looks at the phase then.
        if self.terminate_engine
            && let Some(engine) = cell.engine.get()
        {
            engine.terminate();
        }
        for abort in self.aborts {
            abort.abort();
        }
        if self.start_grace {
            cell.session.start_notification_grace(cell.number);
        }
        if let Some((ending, usage)) = self.ended {
            tracing::debug!(cell = cell.number, ending = ending.verb(), "cell ended");
            if let Some(observer) = &cell.observer {
                observer.ended(&ending, usage.as_ref());
            }
        }
        if let Some(record) = self.retired {
            cell.session.retire(record);
        }
        for waker in self.wakers {
            waker.wake();
        }
        drop(self.lifeline);
    }
}

/// Why nobody can claim a cell's response.
#[derive(Debug)]
pub(crate) enum Unclaimable {
    /// Somebody else did.
    Taken,
    /// There is none to come.
    Missing,
}

/// What a claim is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The next response, whatever it is.
    Next,
    /// The last one.
    End,
}

/// The right to a cell's next or last response. Dropped without taking it, nothing is lost.
pub(crate) struct Claim {
    cell: Arc<Cell>,
    role: Role,
    token: u64,
}

/// What a claim was answered with.
pub(crate) struct Answer {
    pub(crate) items: Vec<ContentItem>,
    /// How and when the cell ended; `None` for a yield.
    pub(crate) end: Option<(Ending, Instant)>,
    pub(crate) lifeline: Option<Arc<Lifeline>>,
}

impl Claim {
    pub(crate) fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Answer> {
        let waker = cx.waker().clone();
        self.cell.with(|state, after| match self.answer(state, after, false) {
            Some(answer) => Poll::Ready(answer),
            None => {
                if let Some(slot) = state.slot(self.role) {
                    after.stale = slot.waker.replace(waker);
                }
                Poll::Pending
            }
        })
    }

    /// Answers with what there is.
    pub(crate) fn answer_now(&self) -> Option<Answer> {
        self.cell.with(|state, after| self.answer(state, after, true))
    }

    fn answer(&self, state: &mut State, after: &mut After, now: bool) -> Option<Answer> {
        let ledger = &self.cell.session.ledger;
        let slot = state.slot(self.role).as_ref().filter(|slot| slot.token == self.token)?;
        if let Some(mark) = slot.mark {
            let rest = state.items.split_off(mark);
            let items = mem::replace(&mut state.items, rest);
            state.uncount(&items, ledger);
            return Some(self.answered(state, after, items, None));
        }
        match &state.phase {
            Phase::Ended { ending, ended_at, .. } => {
                let end = (ending.clone(), *ended_at);
                // The other one may be about to yield; the items up to there are for it.
                let other = match self.role {
                    Role::Next => &state.terminating,
                    Role::End => &state.waiting,
                };
                let other_mark = other.as_ref().and_then(|other| other.mark);
                let items = match (other, other_mark) {
                    (Some(_), None) => state.items.clone(),
                    (_, mark) => state.take_items(mark.unwrap_or(0), ledger),
                };
                Some(self.answered(state, after, items, Some(end)))
            }
            _ if now => {
                let items = state.take_items(0, ledger);
                Some(self.answered(state, after, items, None))
            }
            _ => None,
        }
    }

    fn answered(
        &self,
        state: &mut State,
        after: &mut After,
        items: Vec<ContentItem>,
        end: Option<(Ending, Instant)>,
    ) -> Answer {
        after.stale = state.slot(self.role).take().and_then(|slot| slot.waker);
        let lifeline = state.lifeline.clone();
        if let Phase::Ended { ending, ended_at, result } = &mut state.phase
            && end.is_some()
            && *result != ResultState::Gone
        {
            *result = ResultState::Gone;
            after.retired = Some(Record {
                number: self.cell.number,
                ending: ending.clone(),
                ended_at: *ended_at,
                read_at: Some(Instant::now()),
                items: self.cell.session.worth_keeping(&items).then(|| items.clone()),
            });
        }
        self.cell.settle(state, after);
        Answer { items, end, lifeline }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.cell.with(|state, after| {
            let slot = state.slot(self.role);
            if slot.as_ref().is_some_and(|slot| slot.token == self.token) {
                after.stale = slot.take().and_then(|slot| slot.waker);
                self.cell.settle(state, after);
            }
        });
    }
}

/// Takes a cell's events from its engine.
pub(crate) struct CellSink {
    pub(crate) cell: Arc<Cell>,
    /// Counts the cell among the live ones until its engine lets go of it.
    pub(crate) _seat: Seat,
}

impl EventSink for CellSink {
    fn event(&mut self, event: Event) {
        let cell = &self.cell;
        match event {
            Event::Output(item) => cell.shown(audio::if_long_enough(item)),
            Event::Yield => {
                if let Some(observer) = &cell.observer {
                    observer.yielded();
                }
                cell.yields();
            }
            Event::ToolCall(call) => cell.call_tool(call),
            Event::Notify(text) => cell.notify(text),
            Event::End(End { outcome, stored, usage }) => cell.engine_ended(outcome, stored, usage),
        }
    }

    fn pause(&mut self) {
        self.cell.driver.pause();
    }

    fn may_block(&self, event: &Event) -> bool {
        matches!(event, Event::Notify(text) if !self.cell.has_room_for(text))
    }
}

impl Cell {
    fn shown(&self, item: ContentItem) {
        if let Some(observer) = &self.observer {
            observer.output(&item);
        }
        let bytes = item.len_bytes();
        if !self.session.spend(Budget::OutputBytes, bytes)
            || !self.session.spend(Budget::OutputItems, 1)
        {
            return;
        }
        if let Err(limit) = self.session.make_room_for(bytes) {
            return self.exceed(CellLimit::Budget(limit));
        }
        self.with(|state, after| {
            if matches!(state.phase, Phase::Running) {
                state.items.push(item);
                state.items_bytes += bytes;
                let waits = state.waiting.as_ref();
                if waits.is_some_and(|slot| slot.until == Until::Output) {
                    state.mark_yield(after);
                }
            } else {
                self.session.ledger.give(Budget::UnreadBytes, bytes as u64);
            }
        });
    }

    fn engine_ended(&self, outcome: Outcome, stored: BTreeMap<String, Json>, usage: Usage) {
        let ledger = &self.session.ledger;
        let mut session_over = ledger.spend_cpu(usage.cpu).err();
        let ending = match outcome {
            Outcome::Completed => Ending::Completed,
            Outcome::Failed(error) => Ending::Failed(error),
            Outcome::Terminated => Ending::Terminated,
            Outcome::LimitExceeded(limit) => {
                // It may have been given what its session had left.
                let limit = match limit.budget {
                    Budget::Cpu => session_over.unwrap_or(limit),
                    Budget::Wall => ledger.wall_within().err().unwrap_or(limit),
                    _ => limit,
                };
                session_over = session_over.or(Some(limit).filter(LimitExceeded::is_session_over));
                Ending::LimitExceeded(CellLimit::Budget(limit))
            }
            Outcome::Crashed(crash) => Ending::Crashed(crash),
        };
        self.with(|state, after| {
            if matches!(state.phase, Phase::Running) {
                self.begin_to_end(state, after, ending, stored, Some(usage));
            }
        });
        if let Some(limit) = session_over {
            self.session.exceed(limit);
        }
    }
}

/// One of the places for live cells that a session has.
pub(crate) struct Seat(Arc<Shared>);

impl Seat {
    /// # Errors
    /// When all are taken.
    pub(crate) fn take(session: &Arc<Shared>) -> Result<Seat, LimitExceeded> {
        session.ledger.take(Budget::LiveCells, 1)?;
        Ok(Seat(Arc::clone(session)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.ledger.give(Budget::LiveCells, 1);
    }
}
