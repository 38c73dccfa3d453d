//! The interleavings of a cell's life, tried by shuttle: a scripted engine, those who wait for the cell and end it, the yield
//! timer and the tool, each on a thread of its own, and the code of this crate between them.
//!
//! `cargo test -p codemode-cells --features shuttle --lib interleavings`. One that fails prints a schedule for
//! `shuttle::replay`.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex as Log},
    task::{Context, Poll, Waker},
    time::Duration,
};

use codemode_host_protocol::{
    Budget, CellId, ContentItem, Json, LimitExceeded, ToolDefinition, ToolFailure, ToolInvocation,
    ToolKind, ToolName,
};
use codemode_runtime_js::{CallId, End, Event, EventSink as _, Outcome, ToolCall, Usage};
use shuttle::thread;

use crate::{
    CellLimit, CellObserver, Ending, SessionOptions, Step, ToolFuture, ToolRuntime, Until,
    cell::{Answer, Cell, CellSink, Claim, Seat},
    shared::Shared,
    sync::{Condvar, Mutex, Runtime},
};

#[test]
fn completion_meets_yield_timer_and_a_second_waiter() {
    explore(|| {
        let trial = Trial::start(&[Act::Show, Act::Show]);
        let waiter = trial.waits(true);
        let other = trial.waits_too();
        trial.finish([waiter, other]);
    });
}

#[test]
fn termination_meets_completion_and_the_yield_timer() {
    explore(|| {
        let trial = Trial::start(&[Act::Show, Act::Yield, Act::Show]);
        let waiter = trial.waits(true);
        let end = trial.terminates();
        trial.finish([waiter, end]);
    });
}

#[test]
fn termination_meets_the_answer_of_a_tool() {
    explore(|| {
        let trial = Trial::start(&[Act::Call, Act::Show]);
        let waiter = trial.waits(true);
        let answer = trial.answers();
        let end = trial.terminates();
        trial.finish([waiter, answer, end]);
    });
}

#[test]
fn two_who_terminate_meet_an_open_call() {
    explore(|| {
        let trial = Trial::start(&[Act::Call]);
        let waiter = trial.waits(false);
        let ends = [trial.terminates(), trial.terminates()];
        let [one, two] = ends;
        trial.finish([waiter, one, two]);
    });
}

#[test]
fn termination_meets_notifications_that_are_on_their_way() {
    explore(|| {
        let trial = Trial::start(&[Act::Notify, Act::Notify]);
        let waiter = trial.waits(false);
        let taken = trial.answers();
        let end = trial.terminates();
        trial.finish([waiter, taken, end]);
    });
}

#[test]
fn a_shutdown_meets_all_of_it() {
    explore(|| {
        let trial = Trial::start(&[Act::Show, Act::Call, Act::Notify]);
        let waiter = trial.waits(true);
        let answer = trial.answers();
        let shared = Arc::clone(&trial.shared);
        let down = thread::spawn(move || shared.shut_down_cells());
        trial.finish([waiter, answer, down]);
    });
}

#[test]
fn a_session_over_its_budget_meets_completion_and_termination() {
    explore(|| {
        let trial = Trial::start(&[Act::Show, Act::Call]);
        let waiter = trial.waits(true);
        let end = trial.terminates();
        let (shared, answer) = (Arc::clone(&trial.shared), trial.answers());
        let over = thread::spawn(move || {
            shared.exceed(LimitExceeded::of_session(Budget::ToolCalls, 0, 1));
        });
        trial.finish([waiter, end, answer, over]);
    });
}

#[test]
fn nobody_waits() {
    explore(|| {
        let trial = Trial::start(&[Act::Show, Act::Call]);
        drop(trial.claim.lock().take());
        let answer = trial.answers();
        trial.finish([answer]);
    });
}

/// Tries a scenario in many orders: at random, and with few changes of thread at the worst places.
fn explore(scenario: fn()) {
    let times = std::env::var("INTERLEAVINGS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000);
    shuttle::check_random(scenario, times);
    shuttle::check_pct(scenario, times, 3);
}

/// A cell in a session, and what is seen of it.
struct Trial {
    shared: Arc<Shared>,
    cell: Arc<Cell>,
    /// Of the one that started it.
    claim: Mutex<Option<Claim>>,
    seen: Seen,
    calls: Arc<Calls>,
    engine: thread::JoinHandle<()>,
}

impl Trial {
    /// Starts a cell, as a session does.
    fn start(script: &[Act]) -> Trial {
        let shared = Arc::new(Shared::new(SessionOptions::default(), Runtime));
        let (seen, calls) = (Seen::default(), Arc::new(Calls::default()));
        let runtime = Desk { seen: seen.clone(), calls: Arc::clone(&calls) };
        let step = Arc::new(Step::new(Vec::<ToolDefinition>::new(), Arc::new(runtime)));
        let observer = Arc::new(seen.clone());
        let (claim, seat) =
            shared.admit(step, String::from("call"), Some(observer), false).unwrap();
        let cell = Arc::clone(claim.cell());
        let engine = EngineCell::default();
        let script = script.to_vec();
        let thread = thread::spawn({
            let (engine, cell) = (engine.clone(), Arc::clone(&cell));
            move || engine.run(&script, cell, seat)
        });
        cell.started(engine);
        let claim = Mutex::new(Some(claim));
        Trial { shared, cell, claim, seen, calls, engine: thread }
    }

    /// Waits as the one that started it, and on until the cell has ended; its first yield timer may fire at any time.
    fn waits(&self, has_timer: bool) -> thread::JoinHandle<()> {
        let (seen, claim) = (self.seen.clone(), self.claim.lock().take().unwrap());
        thread::spawn(move || {
            let cell = Arc::clone(claim.cell());
            let (mut next, mut timer) = (Some(claim), has_timer);
            while let Some(claim) = next.take() {
                let answer = respond(claim, std::mem::take(&mut timer));
                if !seen.answered(answer) {
                    next = cell.claim_next(Until::Yield).ok();
                }
            }
        })
    }

    /// Waits if nobody else does.
    fn waits_too(&self) -> thread::JoinHandle<()> {
        let (seen, cell) = (self.seen.clone(), Arc::clone(&self.cell));
        thread::spawn(move || {
            if let Ok(claim) = cell.claim_next(Until::Output) {
                seen.answered(respond(claim, true));
            }
        })
    }

    fn terminates(&self) -> thread::JoinHandle<()> {
        let (seen, cell) = (self.seen.clone(), Arc::clone(&self.cell));
        thread::spawn(move || {
            if let Ok(claim) = cell.terminate() {
                assert!(seen.answered(respond(claim, false)), "who ends a cell is told its end");
            }
        })
    }

    /// Answers all calls and takes all notifications, from now on.
    fn answers(&self) -> thread::JoinHandle<()> {
        let calls = Arc::clone(&self.calls);
        thread::spawn(move || calls.answer())
    }

    /// Waits for all, ends the session, and looks at what was seen.
    fn finish<const N: usize>(self, others: [thread::JoinHandle<()>; N]) {
        let Trial { shared, cell, claim, seen, calls, engine } = self;
        for other in others {
            other.join().unwrap();
        }
        // Of a cell that nobody ends, and whose calls nobody answers, there is no end.
        calls.answer();
        engine.join().unwrap();
        drop(claim);
        shared.shut_down_cells();
        let weak = Arc::downgrade(&cell);
        drop(cell);
        // What the runtime still has to do for it: drivers that go, graces that are over.
        while weak.strong_count() > 0 {
            thread::yield_now();
        }
        seen.check();
        let ledger = &shared.ledger;
        for budget in [Budget::LiveCells, Budget::OpenToolCalls, Budget::UnreadBytes] {
            assert_eq!(ledger.used(budget), 0, "{budget:?}");
        }
        assert_eq!(shared.unread_results.load(std::sync::atomic::Ordering::SeqCst), 0);
        let registry = shared.registry.lock();
        assert!(registry.cells.is_empty() && registry.open.is_empty());
    }
}

/// As a session responds: with the answer, or with what there is when the time to yield has come.
fn respond(claim: Claim, timer: bool) -> Answer {
    shuttle::future::block_on(async {
        let mut clock = Box::pin(crate::sync::sleep(Duration::ZERO));
        poll_fn(|cx| {
            if let Poll::Ready(answer) = claim.poll(cx) {
                return Poll::Ready(Some(answer));
            }
            if !timer {
                return Poll::Pending;
            }
            clock.as_mut().poll(cx).map(|()| claim.answer_now())
        })
        .await
        .unwrap()
    })
}

/// What a cell does.
#[derive(Clone, Copy)]
enum Act {
    Show,
    Yield,
    /// Calls a tool and waits for its answer.
    Call,
    Notify,
}

/// A cell's engine: plays a script, and stops where it is when it is told to.
#[derive(Clone, Default)]
pub(crate) struct EngineCell(Arc<Engine>);

#[derive(Default)]
struct Engine {
    state: Mutex<EngineState>,
    changed: Condvar,
}

#[derive(Default)]
struct EngineState {
    stopped: bool,
    ended: bool,
    open: Option<CallId>,
    answered: bool,
}

impl EngineCell {
    pub(crate) fn deliver(&self, call: CallId, _: Result<Json, ToolFailure>) -> bool {
        let mut state = self.0.state.lock();
        let wanted = state.open == Some(call) && !state.ended;
        if wanted {
            state.open = None;
            state.answered = true;
            self.0.changed.notify_all();
        }
        wanted
    }

    pub(crate) fn terminate(&self) {
        self.0.state.lock().stopped = true;
        self.0.changed.notify_all();
    }

    pub(crate) fn cpu_time(&self) -> Duration {
        Duration::ZERO
    }

    fn run(self, script: &[Act], cell: Arc<Cell>, seat: Seat) {
        let mut sink = CellSink { cell, _seat: seat };
        let mut outcome = Outcome::Completed;
        for (number, act) in (1..).zip(script) {
            if self.0.state.lock().stopped {
                outcome = Outcome::Terminated;
                break;
            }
            match act {
                Act::Show => sink.event(Event::Output(ContentItem::text("shown"))),
                Act::Yield => sink.event(Event::Yield),
                Act::Notify => sink.event(Event::Notify(format!("notice {number}"))),
                Act::Call => {
                    self.0.state.lock().open = Some(CallId(number));
                    sink.event(Event::ToolCall(ToolCall {
                        id: CallId(number),
                        tool: ToolName::plain("ask"),
                        kind: ToolKind::Function,
                        input: None,
                    }));
                    sink.pause();
                    let mut state = self.0.state.lock();
                    while !state.answered && !state.stopped {
                        self.0.changed.wait(&mut state);
                    }
                    state.answered = false;
                }
            }
        }
        self.0.state.lock().ended = true;
        let stored = BTreeMap::new();
        sink.event(Event::End(End { outcome, stored, usage: Usage::default() }));
    }
}

/// The calls and notifications that wait for somebody to answer them.
#[derive(Default)]
struct Calls(Mutex<CallsState>);

#[derive(Default)]
struct CallsState {
    /// Whether what comes is answered at once.
    open: bool,
    waiting: Vec<Waker>,
}

impl Calls {
    fn answer(&self) {
        let mut state = self.0.lock();
        state.open = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The tool runtime.
struct Desk {
    seen: Seen,
    calls: Arc<Calls>,
}

impl ToolRuntime for Desk {
    fn invoke(&self, _: ToolInvocation) -> ToolFuture<Json> {
        let waits = Waits(Arc::clone(&self.calls));
        Box::pin(async {
            waits.await;
            Ok(Json::null())
        })
    }

    fn notify(&self, _: &str, _: &CellId, _: String) -> ToolFuture<()> {
        let waits = Waits(Arc::clone(&self.calls));
        Box::pin(async {
            waits.await;
            Ok(())
        })
    }

    fn cell_closed(&self, _: &CellId) {
        self.seen.note(Sight::Closed);
    }
}

/// Until calls are answered.
struct Waits(Arc<Calls>);

impl Future for Waits {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.0.lock();
        if state.open {
            return Poll::Ready(());
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }
}

/// What was seen of a cell, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Log<Vec<Sight>>>);

#[derive(Clone, Debug, PartialEq)]
enum Sight {
    CallStarted,
    CallOver {
        cancelled: bool,
    },
    Ended(Ending),
    /// Somebody was told how it ended.
    Told(Ending),
    Closed,
}

impl Seen {
    fn note(&self, sight: Sight) {
        self.0.lock().unwrap().push(sight);
    }

    /// Takes an answer, and lets go of it once it was handed over. Whether it was the last.
    fn answered(&self, answer: Answer) -> bool {
        let Answer { end, lifeline, .. } = answer;
        let last = end.is_some();
        if let Some((ending, _)) = end {
            self.note(Sight::Told(ending));
        }
        // A switch of threads between the response and what comes after it.
        thread::yield_now();
        drop(lifeline);
        last
    }

    /// Holds what was seen against the rules.
    fn check(&self) {
        let sights = self.0.lock().unwrap();
        let at = |wanted: fn(&Sight) -> bool| -> Vec<usize> {
            (0..sights.len()).filter(|&at| wanted(&sights[at])).collect()
        };
        let ended = at(|sight| matches!(sight, Sight::Ended(_)));
        assert_eq!(ended.len(), 1, "it ends once: {sights:?}");
        let Sight::Ended(ending) = &sights[ended[0]] else { unreachable!() };
        let closed = at(|sight| matches!(sight, Sight::Closed));
        assert_eq!(closed, [sights.len() - 1], "it is closed once, and last: {sights:?}");
        let started = at(|sight| matches!(sight, Sight::CallStarted)).len();
        let over = at(|sight| matches!(sight, Sight::CallOver { .. }));
        assert_eq!(started, over.len(), "each call is over once: {sights:?}");
        assert!(over.iter().all(|&at| at < ended[0]), "calls are over before it ends: {sights:?}");
        for told in sights.iter() {
            let Sight::Told(told) = told else { continue };
            assert_eq!(told, ending, "all are told the same: {sights:?}");
        }
        let natural = matches!(ending, Ending::Completed);
        let cancelled = sights.contains(&Sight::CallOver { cancelled: true });
        assert!(!natural || !cancelled, "what completes waits for its calls: {sights:?}");
        assert!(
            matches!(
                ending,
                Ending::Completed
                    | Ending::Terminated
                    | Ending::LimitExceeded(CellLimit::Budget(_))
            ),
            "{ending:?}"
        );
    }
}

impl CellObserver for Seen {
    fn call_started(&self, _: &ToolInvocation) {
        self.note(Sight::CallStarted);
    }

    fn call_finished(&self, _: &str, _: Duration, result: Option<&Result<Json, ToolFailure>>) {
        self.note(Sight::CallOver { cancelled: result.is_none() });
    }

    fn ended(&self, ending: &Ending, _: Option<&Usage>) {
        self.note(Sight::Ended(ending.clone()));
    }
}
