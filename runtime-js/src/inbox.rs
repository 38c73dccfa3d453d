//! The one queue through which the world reaches a cell.

use std::{
    collections::{HashSet, VecDeque},
    time::Instant,
};

use codemode_host_protocol::{Json, ToolFailure};
use parking_lot::{Condvar, Mutex};

use crate::CallId;

/// All that reaches a cell from outside, in the order in which the cell sees it.
///
/// Whoever records what [`Inbox::next`] returned has recorded the run.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Input>,
    open: HashSet<CallId>,
    closed: bool,
    /// Whether the cell waits for the next input.
    waited_for: bool,
}

/// One thing that reaches a cell.
pub(crate) enum Input {
    /// The answer to an open tool call.
    ToolResult(CallId, Result<Json, ToolFailure>),
    /// The deadline that `next` was given has passed.
    TimerDue,
    /// The cell is to end; why, its handle knows.
    Stop,
}

impl Inbox {
    /// Opens a call, so that an answer to it is accepted once.
    pub(crate) fn open(&self, call: CallId) {
        self.state.lock().open.insert(call);
    }

    /// Takes the answer to an open call. `false` if there is no such call.
    pub(crate) fn deliver(&self, call: CallId, result: Result<Json, ToolFailure>) -> bool {
        let mut state = self.state.lock();
        if !state.open.remove(&call) {
            return false;
        }
        state.queue.push_back(Input::ToolResult(call, result));
        self.changed.notify_one();
        true
    }

    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        if !state.closed {
            state.queue.push_back(Input::Stop);
            self.changed.notify_one();
        }
    }

    /// The next input; waits for one until `deadline`. Inputs that came before the deadline go first.
    pub(crate) fn next(&self, deadline: Option<Instant>) -> Input {
        let mut state = self.state.lock();
        loop {
            state.waited_for = state.queue.is_empty();
            if let Some(input) = state.queue.pop_front() {
                return input;
            }
            match deadline {
                None => self.changed.wait(&mut state),
                Some(at) => {
                    if self.changed.wait_until(&mut state, at).timed_out() && state.queue.is_empty()
                    {
                        state.waited_for = false;
                        return Input::TimerDue;
                    }
                }
            }
        }
    }

    /// Whether the cell does nothing but wait for the next input.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_waited_for(&self) -> bool {
        self.state.lock().waited_for
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.open.clear();
        state.queue.clear();
    }
}
