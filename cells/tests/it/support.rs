//! A session to try things on.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use codemode_cells::{
    CellRequest, CodeModeSession, InProcessCodeModeSession, SessionOptions, StartedCell, Step,
};
use codemode_host_protocol::CellId;
use codemode_runtime_js::Engine;
use tokio::runtime::Handle;

pub(crate) use crate::desk::{Desk, MINUTE, show, show_outcome, step, tools};

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);

/// A session and the desk that all its cells' calls come to.
pub(crate) struct Lab {
    pub(crate) session: Arc<InProcessCodeModeSession>,
    pub(crate) step: Arc<Step>,
    pub(crate) desk: Desk,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        Lab::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut SessionOptions)) -> Lab {
        let mut options = SessionOptions::default();
        change(&mut options);
        let session = InProcessCodeModeSession::new(ENGINE.tenant(), Handle::current(), options);
        let desk = Desk::new("desk");
        Lab { session: Arc::new(session), step: step(&desk, &TOOLS), desk }
    }

    /// Starts a cell that yields after a minute, which no test waits for.
    pub(crate) fn start(&self, source: &str) -> StartedCell {
        self.start_for(source, MINUTE)
    }

    pub(crate) fn start_for(&self, source: &str, yield_time: Duration) -> StartedCell {
        now(self.session.execute(Arc::clone(&self.step), request(source, yield_time))).unwrap()
    }

    /// Runs a cell to its first response, shown by [`show`].
    pub(crate) async fn run(&self, source: &str) -> String {
        show(&self.start(source).response.await.unwrap())
    }

    /// Waits until no cell has an isolate any more.
    pub(crate) async fn until_idle(&self) {
        self.until_running(0).await;
    }

    /// Waits until so many cells have an isolate, or fewer.
    pub(crate) async fn until_running(&self, cells: usize) {
        while self.session.running_cells() > cells {
            tokio::task::yield_now().await;
        }
    }

    /// Waits for a cell, and shows the outcome.
    pub(crate) async fn wait(&self, cell: &str) -> String {
        show_outcome(self.session.wait(&CellId::new(cell), MINUTE, None).await)
    }

    /// Ends a cell, and shows the outcome.
    pub(crate) async fn terminate(&self, cell: &str) -> String {
        show_outcome(self.session.terminate(&CellId::new(cell), None).await)
    }
}

pub(crate) fn request(source: &str, yield_time: Duration) -> CellRequest {
    CellRequest {
        tool_call_id: "call".to_owned(),
        yield_time: Some(yield_time),
        ..CellRequest::new(source)
    }
}

/// The value of a future that has it already.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("not ready yet"),
    }
}

/// Replaces spans of time, which no two runs have in common.
pub(crate) fn timeless(text: &str) -> String {
    let words = text.split(' ').collect::<Vec<_>>();
    let mut out: Vec<&str> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let unit = ["ms", "s", "min"].contains(&next);
        out.push(if unit && word.parse::<f64>().is_ok() { "N" } else { word });
    }
    out.join(" ")
}

const TOOLS: [&str; 8] =
    ["echo", "slow_echo", "begin", "whose", "fail", "panic", "panic_later", "ask"];
