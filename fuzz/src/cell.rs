use std::{
    sync::{Arc, LazyLock, mpsc},
    time::Duration,
};

use codemode_host_protocol::{ContentItem, Json, ToolDefinition, ToolKind, ToolName};
use codemode_runtime_js::{CellSpec, End, Engine, Event, Tenant, ToolCatalog};

/// What a cell did.
pub(crate) struct Run {
    pub(crate) shown: Vec<String>,
    /// What it passed to its tool.
    pub(crate) passed: Vec<Json>,
    pub(crate) end: End,
}

/// Runs a cell whose tool, `echo`, answers with its input.
pub(crate) fn run(source: &str) -> Run {
    let mut spec = CellSpec::new(source);
    spec.tools = Arc::new(ToolCatalog::new(&[ToolDefinition {
        name: "echo".to_owned(),
        tool_name: ToolName::plain("echo"),
        description: String::new(),
        kind: ToolKind::Function,
        input_schema: None,
        output_schema: None,
    }]));
    spec.limits.heap_bytes = 64 << 20;
    spec.limits.buffer_bytes = 16 << 20;
    spec.limits.wall = Some(Duration::from_secs(2));
    spec.limits.output_bytes = 1 << 20;
    let (send, events) = mpsc::channel();
    let cell =
        TENANT.start(spec, move |event| drop(send.send(event))).expect("a thread can be had");
    let (mut shown, mut passed) = (Vec::new(), Vec::new());
    // A cell over its time ends within a moment; one that never says how it ended is a finding.
    while let Ok(event) = events.recv_timeout(PATIENCE) {
        match event {
            Event::Output(ContentItem::InputText { text }) => shown.push(text),
            Event::Output(_) | Event::Yield | Event::Notify(_) => {}
            Event::ToolCall(call) => {
                let input = call.input.unwrap_or_else(Json::null);
                passed.push(input.clone());
                cell.deliver(call.id, Ok(input));
            }
            Event::End(end) => return Run { shown, passed, end },
        }
    }
    panic!("the cell does not end");
}

static TENANT: LazyLock<Tenant> = LazyLock::new(|| Engine::new().tenant());

const PATIENCE: Duration = Duration::from_secs(60);
