//! What a cell says while it runs, and how it ends.

use std::{collections::BTreeMap, fmt, time::Duration};

use codemode_host_protocol::{ContentItem, Json, LimitExceeded, ToolKind, ToolName};
use serde::{Deserialize, Serialize};

use crate::CellError;

/// Receives a cell's events.
///
/// Called on the thread that runs the cell, in the order in which things happen, [`Event::End`] last and exactly
/// once; that of a cell which is ended while it waits may come from another thread. While a call lasts the cell stands still,
/// and others that share its isolate: hand the event on and return.
pub trait EventSink: Send + 'static {
    /// The cell's code is about to run on the calling thread, for the first time or again. It has used so much processor
    /// time before.
    fn begin(&mut self, used: Duration) {
        let _ = used;
    }

    /// The calling thread turns to other cells. This one has used so much processor time. Not called for a cell that has a
    /// thread for itself.
    fn rest(&mut self, used: Duration) {
        let _ = used;
    }

    /// Takes one event.
    fn event(&mut self, event: Event);

    /// The cell waits for something from outside, or leaves its thread to others: for now, there is no more to be told. What can
    /// be done once for several events can be put off until then.
    fn pause(&mut self) {}

    /// Whether taking this event may have to wait for something else. Where cells share the thread that this is called
    /// on, another thread waits then.
    fn may_block(&self, event: &Event) -> bool {
        let _ = event;
        false
    }
}

impl<F: FnMut(Event) + Send + 'static> EventSink for F {
    fn event(&mut self, event: Event) {
        self(event);
    }
}

/// One thing that a cell did.
#[derive(Debug)]
pub enum Event {
    /// It showed something.
    Output(ContentItem),
    /// It said `yield_control()`.
    Yield,
    /// It called a tool, and waits for [`Cell::deliver`](crate::Cell::deliver) with the call's id.
    ToolCall(ToolCall),
    /// It said `notify(text)`.
    Notify(String),
    /// It ended. Calls still open are the receiver's to cancel.
    End(End),
}

/// One call of a tool.
#[derive(Debug)]
pub struct ToolCall {
    /// The call, counted from 1 within the cell.
    pub id: CallId,
    /// The tool.
    pub tool: ToolName,
    /// Its kind.
    pub kind: ToolKind,
    /// The input; `None` where the cell gave none.
    pub input: Option<Json>,
}

/// Names one tool call of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    /// `tool-1`, as the wire has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tool-{}", self.0)
    }
}

/// How a cell ended, and what it leaves behind.
#[derive(Debug)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// What it stored with `store(key, value)`, latest value of each key. Of an outcome other than
    /// [`Outcome::Completed`] it is what the cell had stored until then; whether that counts is the caller's.
    pub stored: BTreeMap<String, Json>,
    /// What it used.
    pub usage: Usage,
}

/// The one way in which a cell ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It ran to its end, or said `exit()`.
    Completed,
    /// It threw, or its source is no valid cell.
    Failed(Box<CellError>),
    /// [`Cell::terminate`](crate::Cell::terminate) ended it.
    Terminated,
    /// It crossed one of its limits, or one of its tenant's.
    LimitExceeded(LimitExceeded),
    /// What ran it is gone; never where cells run in this process.
    Crashed(RuntimeCrash),
}

impl Outcome {
    /// The limit that it ended at, if it did.
    pub fn limit_exceeded(&self) -> Option<LimitExceeded> {
        match self {
            Outcome::LimitExceeded(limit) => Some(*limit),
            Outcome::Failed(error) => error.limit,
            Outcome::Completed | Outcome::Terminated | Outcome::Crashed(_) => None,
        }
    }
}

/// The process that a cell ran in has gone, and the cell with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error(
    "runtimeCrashed: {why}. The session and what it stored are as they were; the next cell runs in a new process"
)]
pub struct RuntimeCrash {
    /// What became of the process, as a sentence without its full stop.
    pub why: String,
}

impl RuntimeCrash {
    /// A stable name for programs, which the text begins with.
    pub const CODE: &str = "runtimeCrashed";
}

/// What a cell used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time from the start to the end.
    pub wall: Duration,
    /// Processor time of the cell's own thread.
    pub cpu: Duration,
    /// The largest heap that the garbage collector saw, in bytes; 0 where it had nothing to do.
    pub heap_bytes: usize,
    /// The most that array buffers took at a time, in bytes.
    pub buffer_bytes: usize,
    /// Bytes shown.
    pub output_bytes: usize,
    /// Items shown.
    pub output_items: usize,
    /// Tools called.
    pub tool_calls: u64,
    /// Bytes of JSON in the arguments of those calls.
    pub argument_bytes: u64,
    /// Bytes of JSON in the results of those calls.
    pub result_bytes: u64,
    /// Bytes of source.
    pub source_bytes: usize,
}
