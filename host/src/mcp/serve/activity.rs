//! What a cell does, for those who watch it from far away.

use std::{collections::BTreeMap, time::Duration};

use codemode_cells::CellObserver;
use codemode_host_protocol::{ContentItem, Json, ToolFailure, ToolInvocation};
use parking_lot::Mutex;

/// Counts what a cell does.
#[derive(Debug, Default)]
pub(super) struct Activity(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// How often anything happened.
    events: u64,
    outputs: u64,
    calls: u64,
    /// The tools of the calls that are open, by call.
    open: BTreeMap<String, String>,
}

impl Activity {
    /// How much has happened, and all of it in one line.
    pub(super) fn told(&self) -> (u64, String) {
        let counts = self.0.lock();
        let Counts { events, outputs, calls, open } = &*counts;
        let plural = |count: u64, word: &str| match count {
            1 => format!("1 {word}"),
            count => format!("{count} {word}s"),
        };
        let mut line = format!("{}, {}", plural(*calls, "tool call"), plural(*outputs, "output"));
        if let Some((_, tool)) = open.last_key_value() {
            line.push_str(&match open.len() {
                1 => format!("; waiting for {tool}"),
                open => format!("; waiting for {tool} and {} more", open - 1),
            });
        }
        (*events, line)
    }

    fn note(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.0.lock();
        counts.events += 1;
        change(&mut counts);
    }
}

impl CellObserver for Activity {
    fn output(&self, _item: &ContentItem) {
        self.note(|counts| counts.outputs += 1);
    }

    fn call_started(&self, call: &ToolInvocation) {
        let (id, tool) = (call.runtime_tool_call_id.clone(), call.tool_name.to_string());
        self.note(|counts| {
            counts.calls += 1;
            counts.open.insert(id, tool);
        });
    }

    fn call_finished(
        &self,
        runtime_tool_call_id: &str,
        _took: Duration,
        _result: Option<&Result<Json, ToolFailure>>,
    ) {
        self.note(|counts| drop(counts.open.remove(runtime_tool_call_id)));
    }
}
