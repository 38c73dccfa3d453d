//! A tool runtime that a test plays. The host's tests have it too.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use codemode_cells::{Delivery, SessionError, Step, ToolFuture, ToolRuntime};
use codemode_host_protocol::{
    CellId, ContentItem, Json, RuntimeResponse, ToolDefinition, ToolFailure, ToolInvocation,
    ToolKind, ToolName, WaitOutcome,
};
use tokio::sync::{oneshot, watch};

/// It knows these tools:
/// `echo` and `slow_echo` answer with their input, `whose` with the desk's name, `begin` says that it begins, `fail` fails, `panic` panics, `ask` is answered by the test.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    name: String,
    log: Mutex<Vec<String>>,
    /// Calls of `ask` that were not answered.
    asked: Mutex<HashMap<String, oneshot::Sender<Result<Json, ToolFailure>>>>,
    /// Notifications that were not taken, where the desk holds them.
    told: Mutex<HashMap<String, oneshot::Sender<()>>>,
    holds_notifications: AtomicBool,
    /// Changes with each line of the log.
    written: watch::Sender<()>,
}

impl Desk {
    pub(crate) fn new(name: &str) -> Desk {
        Desk(Arc::new(Inner {
            name: name.to_owned(),
            log: Mutex::default(),
            asked: Mutex::default(),
            told: Mutex::default(),
            holds_notifications: AtomicBool::new(false),
            written: watch::Sender::new(()),
        }))
    }

    /// From now on notifications wait for [`Desk::take_notification`].
    pub(crate) fn hold_notifications(&self) {
        self.0.holds_notifications.store(true, Ordering::SeqCst);
    }

    /// What happened, in order. Forgets it.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.0.log.lock().unwrap())
    }

    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.log.lock().unwrap().push(line.into());
        self.0.written.send_replace(());
    }

    /// Waits until `line` stands in the log.
    pub(crate) async fn until(&self, line: &str) {
        self.until_log(|log| log.iter().any(|l| l == line)).await;
    }

    pub(crate) async fn until_log(&self, is_so: impl Fn(&[String]) -> bool) {
        let mut written = self.0.written.subscribe();
        while !is_so(&self.0.log.lock().unwrap()) {
            written.changed().await.unwrap();
        }
    }

    /// Answers the `ask` call with that name, such as `1 tool-1`. `false` when nobody waits for it.
    pub(crate) fn answer(&self, call: &str, answer: &str) -> bool {
        let asked = self.0.asked.lock().unwrap().remove(call).unwrap();
        asked.send(Ok(Json::parse(answer).unwrap())).is_ok()
    }

    /// Answers the call, if there is one.
    pub(crate) fn try_answer(&self, call: &str, answer: &str) {
        if let Some(asked) = self.0.asked.lock().unwrap().remove(call) {
            let _ = asked.send(Ok(Json::parse(answer).unwrap()));
        }
    }

    /// Says that a notification was delivered. `false` when nobody waits for it.
    pub(crate) fn take_notification(&self, text: &str) -> bool {
        let told = self.0.told.lock().unwrap().remove(text).unwrap();
        told.send(()).is_ok()
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
        if tool_name.name == "ask" {
            return self.ask(id, line);
        }
        let future = self.future(&tool_name.name, input);
        self.write(line);
        future
    }

    fn notify(&self, call_id: &str, cell: &CellId, text: String) -> ToolFuture<()> {
        let line = format!("notify {cell} {call_id} {text}");
        if !self.0.holds_notifications.load(Ordering::SeqCst) {
            self.write(line);
            return Box::pin(async { Ok(()) });
        }
        let (send, receive) = oneshot::channel();
        let mut cancelled = Cancelled(self.clone(), Some(format!("cancel {cell} {text}")));
        self.0.told.lock().unwrap().insert(text, send);
        self.write(line);
        Box::pin(async move {
            let _ = receive.await;
            cancelled.defuse();
            Ok(())
        })
    }

    fn cell_closed(&self, cell: &CellId) {
        self.write(format!("closed {cell}"));
    }
}

impl Desk {
    /// Can be answered as soon as the line is in the log; listens by then, as [`ToolRuntime`] asks for.
    fn ask(&self, id: String, line: String) -> ToolFuture<Json> {
        let (send, mut receive) = oneshot::channel();
        let mut cancelled = Cancelled(self.clone(), Some(format!("cancel {id}")));
        let mut unasked = Some((id, send, line));
        Box::pin(async move {
            let answer = poll_fn(|cx| {
                let answer = Pin::new(&mut receive).poll(cx);
                let Some((id, send, line)) = unasked.take() else { return answer };
                cancelled.0.0.asked.lock().unwrap().insert(id, send);
                cancelled.0.write(line);
                Poll::Pending
            });
            let answer = answer.await;
            cancelled.defuse();
            answer.unwrap_or_else(|_| Err(ToolFailure::new("nobody answered")))
        })
    }

    fn future(&self, tool: &str, input: Json) -> ToolFuture<Json> {
        match tool {
            "echo" => Box::pin(async { Ok(input) }),
            "slow_echo" => Box::pin(async {
                tokio::task::yield_now().await;
                Ok(input)
            }),
            "begin" => {
                let desk = self.clone();
                Box::pin(async move {
                    desk.write(format!("begun {}", input.text()));
                    std::future::pending().await
                })
            }
            "whose" => {
                let name = Json::from_value(&self.0.name).unwrap();
                Box::pin(async { Ok(name) })
            }
            "fail" => Box::pin(async { Err(ToolFailure::new("denied")) }),
            "panic" => panic!("on purpose"),
            "panic_later" => Box::pin(async {
                tokio::task::yield_now().await;
                panic!("on purpose");
            }),
            other => unreachable!("no test has a tool {other}"),
        }
    }
}

/// Writes to the log that something was cancelled, unless it was over.
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

/// A step with these tools, whose calls come to `desk`.
pub(crate) fn step(desk: &Desk, tools: &[&str]) -> Arc<Step> {
    Arc::new(Step::new(self::tools(tools), Arc::new(desk.clone())))
}

pub(crate) fn tools(names: &[&str]) -> Vec<ToolDefinition> {
    names
        .iter()
        .map(|name| ToolDefinition {
            name: name.to_string(),
            tool_name: ToolName::plain(*name),
            description: String::new(),
            kind: ToolKind::Function,
            input_schema: None,
            output_schema: None,
        })
        .collect()
}

/// A response in one line: its kind, what was shown, and the first line of the error.
pub(crate) fn show(response: &RuntimeResponse) -> String {
    let (kind, items, error) = match response {
        RuntimeResponse::Result { content_items, error_text, .. } => {
            ("result", content_items, error_text.as_deref())
        }
        RuntimeResponse::Yielded { content_items, .. } => ("yielded", content_items, None),
        RuntimeResponse::Terminated { content_items, .. } => ("terminated", content_items, None),
    };
    let items: Vec<&str> = items
        .iter()
        .map(|item| match item {
            ContentItem::InputText { text } => text.as_str(),
            ContentItem::InputImage { .. } => "(image)",
            ContentItem::InputAudio { .. } => "(audio)",
        })
        .collect();
    let error = error.and_then(|error| error.lines().next());
    format!("{kind}{:?}{}", items, error.map(|e| format!(" error: {e}")).unwrap_or_default())
}

/// An outcome in one line; that of a missing cell begins with `missing`.
pub(crate) fn show_outcome(outcome: Result<Delivery<WaitOutcome>, SessionError>) -> String {
    match outcome.map(Delivery::into_inner) {
        Ok(WaitOutcome::LiveCell(response)) => show(&response),
        Ok(WaitOutcome::MissingCell(response)) => format!("missing {}", show(&response)),
        Err(error) => format!("refused: {error}"),
    }
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
