//! A tool runtime that a test plays.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use codemode_cells::{
    CellRequest, CodeModeSession, Delivery, SessionError, StartedCell, Step, ToolFuture,
    ToolRuntime,
};
use codemode_host_protocol::{
    CellId, ContentItem, Json, RuntimeResponse, ToolDefinition, ToolFailure, ToolInvocation,
    ToolKind, ToolName, WaitOutcome,
};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::raw::WATCHDOG;

/// It knows these tools: `echo` answers with its input, `whose` with the desk's name, `panic` panics, `ask` is
/// answered by the test.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    name: String,
    log: Mutex<Vec<String>>,
    asked: Mutex<HashMap<String, oneshot::Sender<Json>>>,
    /// Changes with each line of the log.
    written: watch::Sender<()>,
}

impl Desk {
    pub(crate) fn new(name: &str) -> Desk {
        Desk(Arc::new(Inner {
            name: name.to_owned(),
            log: Mutex::default(),
            asked: Mutex::default(),
            written: watch::Sender::new(()),
        }))
    }

    /// A step with all tools.
    pub(crate) fn step(&self) -> Arc<Step> {
        self.step_with(&["echo", "whose", "panic", "ask"])
    }

    pub(crate) fn step_with(&self, tools: &[&str]) -> Arc<Step> {
        let tools = tools.iter().map(|name| ToolDefinition {
            name: name.to_string(),
            tool_name: ToolName::plain(*name),
            description: String::new(),
            kind: ToolKind::Function,
            input_schema: None,
            output_schema: None,
        });
        Arc::new(Step::new(tools.collect(), Arc::new(self.clone())))
    }

    /// Runs a cell with all tools to its first response, shown by [`show`].
    pub(crate) async fn run(&self, session: &impl CodeModeSession, source: &str) -> String {
        let cell = start(session, self.step(), source).await;
        show(&within(cell.response).await.unwrap())
    }

    /// What happened, in order.
    pub(crate) fn log(&self) -> Vec<String> {
        self.0.log.lock().unwrap().clone()
    }

    fn write(&self, line: impl Into<String>) {
        self.0.log.lock().unwrap().push(line.into());
        self.0.written.send_replace(());
    }

    /// Waits until `line` stands in the log.
    pub(crate) async fn until(&self, line: &str) {
        let mut written = self.0.written.subscribe();
        let seen = async {
            while !self.0.log.lock().unwrap().iter().any(|l| l == line) {
                written.changed().await.unwrap();
            }
        };
        if timeout(WATCHDOG, seen).await.is_err() {
            panic!("no {line:?} in {:?}", self.log());
        }
    }

    /// Answers the `ask` call with that name, such as `1 tool-1`. `false` when nobody waits for it.
    pub(crate) fn answer(&self, call: &str, answer: &str) -> bool {
        let asked = self.0.asked.lock().unwrap().remove(call).unwrap();
        asked.send(Json::parse(answer).unwrap()).is_ok()
    }

    /// How many hold the desk, beside the test itself.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

impl ToolRuntime for Desk {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        let ToolInvocation { cell_id, runtime_tool_call_id, tool_name, input, .. } = call;
        let id = format!("{cell_id} {runtime_tool_call_id}");
        let input = input.unwrap_or_else(Json::null);
        let line = format!("call {id} {tool_name} {}", input.text());
        let future = self.future(id, &tool_name.name, input);
        self.write(line);
        future
    }

    fn notify(&self, call_id: &str, cell: &CellId, text: String) -> ToolFuture<()> {
        self.write(format!("notify {cell} {call_id} {text}"));
        Box::pin(async { Ok(()) })
    }

    fn cell_closed(&self, cell: &CellId) {
        self.write(format!("closed {cell}"));
    }
}

impl Desk {
    fn future(&self, id: String, tool: &str, input: Json) -> ToolFuture<Json> {
        match tool {
            "echo" => Box::pin(async { Ok(input) }),
            "whose" => {
                let name = Json::from_value(&self.0.name).unwrap();
                Box::pin(async { Ok(name) })
            }
            "panic" => panic!("on purpose"),
            "ask" => {
                let (send, receive) = oneshot::channel();
                self.0.asked.lock().unwrap().insert(id.clone(), send);
                let mut cancelled = Cancelled(self.clone(), Some(format!("cancel {id}")));
                Box::pin(async move {
                    let answer = receive.await;
                    cancelled.defuse();
                    answer.map_err(|_| ToolFailure::new("nobody answered"))
                })
            }
            other => unreachable!("no test has a tool {other}"),
        }
    }
}

/// Writes to the log that a call was cancelled, unless it was over.
struct Cancelled(Desk, Option<String>);

impl Cancelled {
    fn defuse(&mut self) {
        self.1 = None;
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(line) = self.1.take() {
            self.0.write(line);
        }
    }
}

pub(crate) async fn start(
    session: &impl CodeModeSession,
    step: Arc<Step>,
    source: &str,
) -> StartedCell {
    within(session.execute(step, request(source))).await.unwrap()
}

/// A request that yields after a minute, which no test waits for.
pub(crate) fn request(source: &str) -> CellRequest {
    CellRequest {
        tool_call_id: "call".to_owned(),
        yield_time: Some(MINUTE),
        ..CellRequest::new(source)
    }
}

pub(crate) async fn wait(session: &impl CodeModeSession, cell: &str) -> String {
    show_outcome(within(session.wait(&CellId::new(cell), MINUTE, None)).await)
}

pub(crate) async fn terminate(session: &impl CodeModeSession, cell: &str) -> String {
    show_outcome(within(session.terminate(&CellId::new(cell), None)).await)
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(WATCHDOG, future).await.expect("it hangs")
}

/// A response in one line: its kind, what was shown, and the first line of the error.
pub(crate) fn show(response: &RuntimeResponse) -> String {
    let (kind, error) = match response {
        RuntimeResponse::Result { error_text, .. } => ("result", error_text.as_deref()),
        RuntimeResponse::Yielded { .. } => ("yielded", None),
        RuntimeResponse::Terminated { .. } => ("terminated", None),
    };
    let items = response.content_items().iter().map(|item| match item {
        ContentItem::InputText { text } => text.as_str(),
        _ => "(media)",
    });
    let error = error.and_then(|error| error.lines().next());
    let error = error.map(|error| format!(" error: {error}")).unwrap_or_default();
    format!("{kind}{:?}{error}", items.collect::<Vec<_>>())
}

/// An outcome in one line; that of a missing cell is only said to be one.
pub(crate) fn show_outcome(outcome: Result<Delivery<WaitOutcome>, SessionError>) -> String {
    match outcome.map(Delivery::into_inner) {
        Ok(WaitOutcome::LiveCell(response)) => show(&response),
        Ok(WaitOutcome::MissingCell(_)) => "missing".to_owned(),
        Err(error) => format!("refused: {error}"),
    }
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
