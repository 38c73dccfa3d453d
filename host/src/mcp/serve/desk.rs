//! Questions on their way to the client, and its answers.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use codemode_host_protocol::CellId;
use parking_lot::Mutex;
use rmcp::{
    ErrorData,
    model::{ErrorCode, InputRequest},
};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

/// What the tools of a client's cells want to know from it.
///
/// A client is asked while one of its requests is under way, and as a part of that: some transports have no other
/// way to it. What nobody has asked it yet lies here.
#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// Changes when there is something to ask.
    asked: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    waiting: VecDeque<Question>,
    /// Handed to the client as a result; it answers with its next request.
    handed_out: HashMap<String, Question>,
    decisions: Vec<Undecided>,
}

/// One question.
#[derive(Debug)]
pub(super) struct Question {
    /// Names it among those of this client.
    pub(super) key: String,
    pub(super) request: InputRequest,
    answer: oneshot::Sender<Result<Value, ErrorData>>,
}

/// A call that waits for a yes which the model passes on.
#[derive(Debug)]
struct Undecided {
    cell: CellId,
    pending: Pending,
    /// Whether a result told of it: nobody can have decided about another.
    told: bool,
    answer: oneshot::Sender<bool>,
}

/// A call that waits for a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) server: String,
    pub(super) tool: String,
    /// As JSON.
    pub(super) arguments: String,
}

impl Desk {
    /// Asks the client.
    ///
    /// Cancel safety: when it is dropped the question is taken back.
    pub(super) async fn ask(self: Arc<Desk>, request: InputRequest) -> Result<Value, ErrorData> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state.lock();
            state.forget_the_withdrawn();
            if state.waiting.len() + state.handed_out.len() >= MAX_QUESTIONS {
                return Err(unanswered("the client has too many questions to answer already"));
            }
            state.last += 1;
            let key = format!("question-{}", state.last);
            state.waiting.push_back(Question { key, request, answer });
        }
        self.asked.send_replace(());
        answered.await.unwrap_or_else(|_| Err(unanswered("the client is gone")))
    }

    /// Sees when there is something to ask.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.asked.subscribe()
    }

    /// The oldest question that nobody has put to the client.
    pub(super) fn take(&self) -> Option<Question> {
        let mut state = self.state.lock();
        state.forget_the_withdrawn();
        state.waiting.pop_front()
    }

    /// Puts back a question that was not answered, for the next request to ask.
    pub(super) fn put_back(&self, question: Question) {
        self.state.lock().waiting.push_front(question);
        self.asked.send_replace(());
    }

    /// Remembers a question that goes to the client in a result.
    pub(super) fn hand_out(&self, question: Question) {
        self.state.lock().handed_out.insert(question.key.clone(), question);
    }

    /// Takes the answers that came with a request. What it leaves open can be asked again.
    pub(super) fn answers(&self, answers: impl IntoIterator<Item = (String, Value)>) {
        let mut open = std::mem::take(&mut self.state.lock().handed_out);
        for (key, value) in answers {
            if let Some(question) = open.remove(&key) {
                question.answer(Ok(value));
            }
        }
        open.into_values().for_each(|question| self.put_back(question));
    }

    /// Waits until the client, through its model, says whether a call may be made; `None` when it is gone.
    pub(super) async fn decision(
        self: Arc<Desk>,
        cell: CellId,
        pending: Pending,
        ask_now: impl FnOnce(),
    ) -> Option<bool> {
        let (answer, answered) = oneshot::channel();
        self.state.lock().decisions.push(Undecided { cell, pending, told: false, answer });
        ask_now();
        answered.await.ok()
    }

    /// Whether calls of `cell` wait for a yes.
    pub(super) fn awaits_decision(&self, cell: &CellId) -> bool {
        let state = self.state.lock();
        state.decisions.iter().any(|open| open.cell == *cell && !open.answer.is_closed())
    }

    /// Runs `tell`, which must not come back here, if the client was not told of a call of `cell` that waits for a yes.
    ///
    /// The client hears of no call meanwhile, so it cannot have decided when `tell` has the cell answer.
    pub(super) fn if_untold(&self, cell: &CellId, tell: impl FnOnce()) {
        let mut state = self.state.lock();
        state.forget_the_withdrawn();
        if state.decisions.iter().any(|open| open.cell == *cell && !open.told) {
            tell();
        }
    }

    /// The calls of `cell` that wait for a yes, which the client is told now.
    pub(super) fn tell_pending(&self, cell: &CellId) -> Vec<Pending> {
        let mut state = self.state.lock();
        state.forget_the_withdrawn();
        let open = state.decisions.iter_mut().filter(|open| open.cell == *cell);
        open.map(|open| {
            open.told = true;
            open.pending.clone()
        })
        .collect()
    }

    /// Decides about the calls of `cell` that the client was told of. Returns how many there were.
    pub(super) fn decide(&self, cell: &CellId, approved: bool) -> usize {
        let mut state = self.state.lock();
        state.forget_the_withdrawn();
        let decided = state.decisions.extract_if(.., |open| open.cell == *cell && open.told);
        let mut count = 0;
        for open in decided {
            count += 1;
            // A call that has gone meanwhile needs no decision.
            let _ = open.answer.send(approved);
        }
        count
    }
}

impl Question {
    /// Gives the answer to whoever asked.
    pub(super) fn answer(self, answer: Result<Value, ErrorData>) {
        // Who asked may have lost interest.
        let _ = self.answer.send(answer);
    }

    /// Ready when whoever asked has lost interest.
    pub(super) async fn withdrawn(&mut self) {
        self.answer.closed().await;
    }
}

impl State {
    fn forget_the_withdrawn(&mut self) {
        self.waiting.retain(|question| !question.answer.is_closed());
        self.handed_out.retain(|_, question| !question.answer.is_closed());
        self.decisions.retain(|open| !open.answer.is_closed());
    }
}

fn unanswered(why: &'static str) -> ErrorData {
    ErrorData::new(ErrorCode::INTERNAL_ERROR, why, None)
}

/// Servers that ask without end would fill memory.
const MAX_QUESTIONS: usize = 256;
