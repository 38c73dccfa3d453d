//! Our side of a connection: what a server asks and tells while it runs.
#![allow(
    deprecated,
    reason = "sampling, roots and logging leave MCP in time; servers of today have them"
)]

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use codemode_host_protocol::CellId;
use parking_lot::Mutex;
use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
        ElicitResult, ErrorCode, Implementation, ListRootsResult, LoggingMessageNotificationParam,
        ProgressNotificationParam, ProgressToken,
    },
    service::{NotificationContext, RequestContext},
};
use tokio::sync::Notify;

use super::{Upstream, UpstreamFuture};

/// Answers one server.
pub(super) struct Handler {
    pub(super) server: String,
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) shared: Arc<Shared>,
}

/// What the connection and its handler have in common.
#[derive(Default)]
pub(super) struct Shared {
    /// The server says that its tools have changed.
    pub(super) list_changed: Notify,
    /// The calls that wait for an answer.
    pub(super) calls: Mutex<HashMap<ProgressToken, OpenCall>>,
    /// How many questions of the server wait for an answer.
    pub(super) questions: AtomicUsize,
}

/// A call that waits for an answer.
pub(super) struct OpenCall {
    pub(super) cell: CellId,
    pub(super) call_id: String,
    /// When it was made, or last gave a sign of progress.
    pub(super) active_at: Instant,
}

impl Handler {
    /// Passes a question on, unless the server asks too many at once.
    async fn ask<T>(&self, question: impl FnOnce() -> UpstreamFuture<T>) -> Result<T, ErrorData> {
        let open = Question::new(&self.shared.questions);
        if open.before >= MAX_QUESTIONS {
            let message = format!("the client takes at most {MAX_QUESTIONS} requests at a time");
            return Err(ErrorData::new(ErrorCode::INVALID_REQUEST, message, None));
        }
        question().await
    }
}

impl ClientHandler for Handler {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.ask(|| self.upstream.create_message(&self.server, params)).await
    }

    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        self.ask(|| self.upstream.list_roots(&self.server)).await
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.ask(|| self.upstream.elicit(&self.server, request)).await
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let call = {
            let mut calls = self.shared.calls.lock();
            let Some(call) = calls.get_mut(&params.progress_token) else { return };
            call.active_at = Instant::now();
            (call.cell.clone(), call.call_id.clone())
        };
        self.upstream.progress(&self.server, &call.0, &call.1, params);
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.upstream.log(&self.server, params);
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.shared.list_changed.notify_one();
    }

    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("codemode", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(self.upstream.capabilities(), us)
    }
}

/// Counted while it waits for an answer.
struct Question<'a> {
    questions: &'a AtomicUsize,
    before: usize,
}

impl Question<'_> {
    fn new(questions: &AtomicUsize) -> Question<'_> {
        Question { questions, before: questions.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.questions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Questions of one server that may wait for an answer. A person answers one at a time.
const MAX_QUESTIONS: usize = 16;
