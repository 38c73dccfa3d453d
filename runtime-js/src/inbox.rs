//! The one queue through which the world reaches a cell.

use std::{
    collections::{HashSet, VecDeque},
    time::Instant,
};

use codemode_host_protocol::{Json, ToolFailure};
use parking_lot::Mutex;

use crate::CallId;

/// All that reaches a cell from outside, in the order in which the cell sees it.
///
/// Whoever records what [`Inbox::next`] returned has recorded the run.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<State>);

#[derive(Default)]
struct State {
    queue: VecDeque<Input>,
    open: HashSet<CallId>,
    closed: bool,
    /// Whether the cell found nothing, and waits to be woken.
    waited_for: bool,
}

/// One thing that reaches a cell.
pub(crate) enum Input {
    /// The answer to an open tool call.
    ToolResult(CallId, Result<Json, ToolFailure>),
    /// A timer of the cell's is due.
    TimerDue,
    /// The cell is to end; why, its handle knows.
    Stop,
}

/// What became of something that was put into an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// Nobody takes it.
    Refused,
    /// The cell will find it when it looks next.
    Waits,
    /// The cell has to be woken.
    Wakes,
}

impl Inbox {
    /// Opens a call, so that an answer to it is accepted once.
    pub(crate) fn open(&self, call: CallId) {
        self.0.lock().open.insert(call);
    }

    /// Takes the answer to an open call.
    pub(crate) fn deliver(&self, call: CallId, result: Result<Json, ToolFailure>) -> Put {
        let mut state = self.0.lock();
        if !state.open.remove(&call) {
            return Put::Refused;
        }
        state.put(Input::ToolResult(call, result))
    }

    pub(crate) fn stop(&self) -> Put {
        let mut state = self.0.lock();
        if state.closed { Put::Refused } else { state.put(Input::Stop) }
    }

    /// The next input, if there is one; `due` is when a timer of the cell's is. Inputs that came before it go first. A cell
    /// that finds nothing is woken when something comes.
    pub(crate) fn next(&self, due: Option<Instant>) -> Option<Input> {
        let mut state = self.0.lock();
        state.waited_for = false;
        if let Some(input) = state.queue.pop_front() {
            return Some(input);
        }
        if due.is_some_and(|due| due <= Instant::now()) {
            return Some(Input::TimerDue);
        }
        state.waited_for = true;
        None
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.open.clear();
        state.queue.clear();
    }
}

impl State {
    fn put(&mut self, input: Input) -> Put {
        self.queue.push_back(input);
        if std::mem::take(&mut self.waited_for) { Put::Wakes } else { Put::Waits }
    }
}
