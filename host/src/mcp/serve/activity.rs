//! What a cell does, for those who watch it from far away.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use codemode_cells::CellObserver;
use codemode_host_protocol::{CellId, ContentItem, Json, ToolFailure, ToolInvocation};
use parking_lot::Mutex;
use rmcp::model::ProgressNotificationParam;

use super::arguments::shortened;

/// What the cells of one client do, of those whose end was not told.
#[derive(Debug, Default)]
pub(super) struct Activities(Mutex<HashMap<CellId, Arc<Activity>>>);

impl Activities {
    pub(super) fn insert(&self, cell: CellId, activity: Arc<Activity>) {
        self.0.lock().insert(cell, activity);
    }

    /// Nothing, of a cell that is not there.
    pub(super) fn of(&self, cell: &CellId) -> Arc<Activity> {
        self.0.lock().get(cell).cloned().unwrap_or_default()
    }

    pub(super) fn remove(&self, cell: &CellId) {
        self.0.lock().remove(cell);
    }
}

/// Counts what a cell does.
#[derive(Debug, Default)]
pub(super) struct Activity(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// How often anything happened.
    events: u64,
    outputs: u64,
    calls: u64,
    open: BTreeMap<String, OpenCall>,
}

/// A call that is under way.
#[derive(Debug)]
struct OpenCall {
    tool: String,
    /// The event at which it was made, or came further last.
    at: u64,
    /// How far it is, as its server says.
    progress: Option<String>,
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
        if let Some(OpenCall { tool, progress, .. }) = open.values().max_by_key(|call| call.at) {
            line.push_str(&format!("; waiting for {tool}"));
            if let Some(progress) = progress {
                line.push_str(&format!(" ({progress})"));
            }
            if open.len() > 1 {
                line.push_str(&format!(" and {} more", open.len() - 1));
            }
        }
        (*events, line)
    }

    /// The server of an open call says how far it is.
    pub(super) fn progress(&self, call: &str, progress: &ProgressNotificationParam) {
        self.note(|counts| {
            let Some(call) = counts.open.get_mut(call) else { return };
            call.at = counts.events;
            let ProgressNotificationParam { progress: done, total, message, .. } = progress;
            let mut text = match total {
                Some(total) => format!("{done} of {total}"),
                None => done.to_string(),
            };
            if let Some(message) = message {
                text.push_str(&format!(": {}", shortened(message, MAX_MESSAGE_CHARS)));
            }
            call.progress = Some(text);
        });
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
            let open = OpenCall { tool, at: counts.events, progress: None };
            counts.open.insert(id, open);
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

/// Of what a server says beside its figures.
const MAX_MESSAGE_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use codemode_host_protocol::{ToolKind, ToolName};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_call_that_came_further_last_is_named() {
        let activity = Activity::default();
        let begin = |id: &str| {
            activity.call_started(&ToolInvocation {
                cell_id: CellId::from_number(1),
                runtime_tool_call_id: id.to_owned(),
                tool_name: ToolName { name: format!("t{id}"), namespace: Some("s".to_owned()) },
                tool_kind: ToolKind::Function,
                input: None,
            });
        };
        let further = |id: &str, more: serde_json::Value| {
            let mut params = json!({ "progressToken": 1 });
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            activity.progress(id, &serde_json::from_value(params).unwrap());
        };
        let check = |expected: &str| assert_eq!(activity.told().1, expected);
        check("0 tool calls, 0 outputs");
        begin("1");
        begin("2");
        check("2 tool calls, 0 outputs; waiting for s.t2 and 1 more");
        further("1", json!({ "progress": 1, "total": 3 }));
        check("2 tool calls, 0 outputs; waiting for s.t1 (1 of 3) and 1 more");
        further("1", json!({ "progress": 1.5, "message": "on the way" }));
        further("none", json!({ "progress": 1 }));
        check("2 tool calls, 0 outputs; waiting for s.t1 (1.5: on the way) and 1 more");
        activity.call_finished("1", Duration::ZERO, None);
        check("2 tool calls, 0 outputs; waiting for s.t2");
        let before = activity.told().0;
        further("2", json!({ "progress": 1, "message": "x".repeat(1_000) }));
        assert!(activity.told().0 > before && activity.told().1.len() < 300, "{activity:?}");
    }
}
