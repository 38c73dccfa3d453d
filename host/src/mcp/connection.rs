//! A server that answers.

use std::{
    io,
    sync::Arc,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use codemode_host_protocol::{FailureKind, Json, ToolInvocation};
use parking_lot::Mutex;
use rmcp::{
    ErrorData, Peer, RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ClientRequest,
        ListToolsRequest, PaginatedRequestParams, ProgressToken, RequestId, ServerResult,
    },
    service::{PeerRequestOptions, ServiceError},
};
use serde_json::Value;
use tokio::{runtime::Handle, sync::watch};

use super::{
    ToolRules,
    failure::Failure,
    handler::{OpenCall, Shared},
    http,
    listing::{Listing, Page},
    result,
    server::LOGIN_FIRST,
};

/// A connection on which the server has introduced itself, and told its tools.
pub(super) struct Connection {
    server: String,
    peer: Peer<RoleClient>,
    shared: Arc<Shared>,
    listing: Mutex<Arc<Listing>>,
    /// Why the connection has ended, once it has.
    ended: watch::Sender<Option<String>>,
    /// What a call met that could not be sent, where the transport does not tell.
    gone: watch::Sender<Option<String>>,
    call_timeout: Duration,
}

impl Connection {
    /// Asks the server for its tools.
    pub(super) async fn open(
        server: &str,
        peer: Peer<RoleClient>,
        shared: Arc<Shared>,
        rules: &ToolRules,
        call_timeout: Duration,
    ) -> Result<Connection, String> {
        let listing = list(server, &peer, rules).await?;
        Ok(Connection {
            server: server.to_owned(),
            peer,
            shared,
            listing: Mutex::new(Arc::new(listing)),
            ended: watch::Sender::new(None),
            gone: watch::Sender::new(None),
            call_timeout,
        })
    }

    /// The tools as the server told them last.
    pub(super) fn listing(&self) -> Arc<Listing> {
        Arc::clone(&self.listing.lock())
    }

    /// Waits until the server says that its tools have changed.
    pub(super) async fn list_changed(&self) {
        self.shared.list_changed.notified().await;
    }

    /// Asks for the tools again. Where that fails, they stay what they were.
    pub(super) async fn list_again(&self, rules: &ToolRules) -> Result<(), String> {
        let listing = list(&self.server, &self.peer, rules).await?;
        *self.listing.lock() = Arc::new(listing);
        Ok(())
    }

    /// Tells the server that its client's roots have changed.
    pub(super) async fn roots_changed(&self) {
        // One that does not read, or has gone, need not know.
        let _ = tokio::time::timeout(A_WHILE, self.peer.notify_roots_list_changed()).await;
    }

    /// Waits until a call finds that nobody is there any more.
    pub(super) async fn is_gone(&self) {
        let mut gone = self.gone.subscribe();
        let _ = gone.wait_for(Option::is_some).await;
    }

    /// How a call found that.
    pub(super) fn why_gone(&self) -> Option<String> {
        self.gone.borrow().clone()
    }

    /// Says why the connection has ended, to those whose calls are open.
    pub(super) fn ended(&self, why: &str) {
        self.ended.send_replace(Some(why.to_owned()));
    }

    /// Calls a tool.
    ///
    /// Cancel safety: the server is told when the future is dropped.
    pub(super) async fn call(
        &self,
        tool: &str,
        structured: bool,
        invocation: &ToolInvocation,
    ) -> Result<Json, Failure> {
        let mut params = CallToolRequestParams::new(tool.to_owned());
        params.arguments = Some(arguments(tool, invocation.input.as_ref())?);
        let request = CallToolRequest::new(params);
        let sent =
            self.peer.send_request_with_option(request.into(), PeerRequestOptions::no_options());
        // A server that does not read keeps calls from being sent.
        let handle = match tokio::time::timeout(self.call_timeout, sent).await {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => return Err(self.explain(tool, error).await),
            Err(_) => return Err(self.too_slow(tool)),
        };
        let mut open =
            Open::new(self, handle.id.clone(), handle.progress_token.clone(), invocation);
        let answer = tokio::select! {
            answer = handle.await_response() => answer,
            () = self.is_too_slow(&open.token) => return Err(self.too_slow(tool)),
        };
        open.is_answered = true;
        match answer {
            Ok(answer) => result::read(&self.server, tool, structured, answer),
            Err(error) => Err(self.explain(tool, error).await),
        }
    }

    /// Ready when a call has not moved for as long as a call may take. The time in which a person answers a question
    /// of the server does not count.
    async fn is_too_slow(&self, token: &ProgressToken) {
        loop {
            let active_at = self.shared.calls.lock().get(token).map(|call| call.active_at);
            let Some(active_at) = active_at else { return };
            let idle = active_at.elapsed();
            if self.shared.questions.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(self.call_timeout).await;
                if let Some(call) = self.shared.calls.lock().get_mut(token) {
                    call.active_at = call.active_at.max(Instant::now() - self.call_timeout / 2);
                }
            } else if let Some(left) =
                self.call_timeout.checked_sub(idle).filter(|left| !left.is_zero())
            {
                tokio::time::sleep(left).await;
            } else {
                return;
            }
        }
    }

    fn too_slow(&self, tool: &str) -> Failure {
        let message = format!(
            "{tool} of the MCP server {} gave no answer within {} and was cancelled; `call_timeout` gives it longer",
            self.server,
            humantime::format_duration(self.call_timeout)
        );
        Failure::new(FailureKind::Timeout, message)
    }

    async fn explain(&self, tool: &str, error: ServiceError) -> Failure {
        let server = &self.server;
        match error {
            ServiceError::McpError(ErrorData { code, message, .. }) => Failure::new(
                FailureKind::Protocol,
                format!(
                    "the MCP server {server} refused {tool}: {} (JSON-RPC error {})",
                    result::shorten(&message),
                    code.0
                ),
            ),
            ServiceError::Cancelled { .. } => Failure::new(
                FailureKind::Cancelled,
                format!("the MCP server {server} cancelled {tool}"),
            ),
            error if error.is_authorization_required() => {
                let message =
                    format!("{tool} of the MCP server {server} was not called: {LOGIN_FIRST}");
                Failure::new(FailureKind::Denied, message)
            }
            ServiceError::TransportSend(error)
                if error.error.downcast_ref::<io::Error>().is_none() =>
            {
                let why = result::shorten(&http::chain(error.error.as_ref()));
                if http::is_gone(error.error.as_ref()) {
                    self.gone.send_replace(Some(format!("it cannot be reached: {why}")));
                }
                let message =
                    format!("{tool} failed on the way to its MCP server {server} or back: {why}");
                Failure::new(FailureKind::Transport, message)
            }
            ServiceError::TransportClosed | ServiceError::TransportSend(_) => {
                let mut ended = self.ended.subscribe();
                // Whoever looks after the server finds out why, and says it here.
                let why = tokio::time::timeout(A_WHILE, ended.wait_for(Option::is_some)).await;
                let why = match &why {
                    Ok(Ok(why)) => why.as_deref().unwrap_or_default().to_owned(),
                    _ => error.to_string(),
                };
                let message = format!("{tool} was lost with its MCP server {server}: {why}");
                Failure::new(FailureKind::Transport, message)
            }
            error => Failure::new(
                FailureKind::Protocol,
                format!("the MCP server {server} answered {tool} against the protocol: {error}"),
            ),
        }
    }
}

/// A call whose answer is awaited. The server is told when nobody waits any more.
struct Open<'a> {
    connection: &'a Connection,
    id: RequestId,
    token: ProgressToken,
    is_answered: bool,
}

impl<'a> Open<'a> {
    fn new(
        connection: &'a Connection,
        id: RequestId,
        token: ProgressToken,
        invocation: &ToolInvocation,
    ) -> Open<'a> {
        let call = OpenCall {
            cell: invocation.cell_id.clone(),
            call_id: invocation.runtime_tool_call_id.clone(),
            active_at: Instant::now(),
        };
        connection.shared.calls.lock().insert(token.clone(), call);
        Open { connection, id, token, is_answered: false }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.connection.shared.calls.lock().remove(&self.token);
        if self.is_answered {
            return;
        }
        // Without a runtime there is no connection any more either.
        let Ok(tokio) = Handle::try_current() else { return };
        let peer = self.connection.peer.clone();
        let reason = String::from("nobody waits for the result any more");
        let params = CancelledNotificationParam::new(Some(self.id.clone()), Some(reason));
        tokio.spawn(async move {
            let _ = tokio::time::timeout(A_WHILE, peer.notify_cancelled(params)).await;
        });
    }
}

/// Asks for all pages of the list of tools.
async fn list(server: &str, peer: &Peer<RoleClient>, rules: &ToolRules) -> Result<Listing, String> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let request = ListToolsRequest { params: Some(params), ..ListToolsRequest::default() };
        let answer = peer
            .send_request(ClientRequest::ListToolsRequest(request))
            .await
            .map_err(|error| format!("it does not tell its tools: {error}"))?;
        let page = match answer {
            ServerResult::ListToolsResult(result) => Page::from_result(result),
            ServerResult::CustomResult(value) => Page::from_value(value.0)?,
            other => Page::from_value(serde_json::to_value(&other).unwrap_or(Value::Null))?,
        };
        cursor = page.next_cursor.clone();
        pages.push(page);
        if cursor.is_none() {
            break;
        }
        if pages.len() >= MAX_PAGES {
            return Err(format!("its list of tools has more than {MAX_PAGES} pages"));
        }
    }
    Ok(Listing::new(server, pages, rules))
}

/// The arguments of a call: one object.
fn arguments(tool: &str, input: Option<&Json>) -> Result<serde_json::Map<String, Value>, Failure> {
    let Some(input) = input else { return Ok(serde_json::Map::new()) };
    match serde_json::from_str(input.text()) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(Value::Null) => Ok(serde_json::Map::new()),
        Ok(other) => {
            let given = match other {
                Value::Array(_) => "an array",
                Value::String(_) => "a string",
                Value::Number(_) => "a number",
                _ => "a boolean",
            };
            let message = format!("{tool} takes one object with its arguments, not {given}");
            Err(Failure::new(FailureKind::Protocol, message))
        }
        Err(error) => {
            let message = format!("the arguments of {tool} cannot be passed on: {error}");
            Err(Failure::new(FailureKind::Protocol, message))
        }
    }
}

/// How long a server that does not listen is waited for, and how long it takes at most to find out why one has gone.
const A_WHILE: Duration = Duration::from_secs(2);

const MAX_PAGES: usize = 100;
