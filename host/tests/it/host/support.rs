//! Sessions under test, whose cells call the desk.

use std::sync::Arc;

use codemode_cells::{CellRequest, CodeModeSession, StartedCell, Step};
use codemode_host_protocol::CellId;
use tokio::time::timeout;

use super::{
    desk::{Desk, MINUTE, show, show_outcome, step},
    raw::WATCHDOG,
};

impl Desk {
    /// A step with the tools that most tests use.
    pub(crate) fn step(&self) -> Arc<Step> {
        step(self, &["echo", "whose", "panic", "ask"])
    }

    /// Runs a cell with these tools to its first response, shown by [`show`].
    pub(crate) async fn run(&self, session: &impl CodeModeSession, source: &str) -> String {
        let cell = start(session, self.step(), source).await;
        show(&within(cell.response).await.unwrap())
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
