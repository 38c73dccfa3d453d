//! What clients ask, and what they are answered.
#![allow(
    deprecated,
    reason = "sampling, roots and logging leave MCP in time; clients of today have them"
)]

use std::sync::{Arc, OnceLock, Weak};

use rmcp::{
    ErrorData, Peer, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, InitializeRequestParams,
        InitializeResult, JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
        ServerConfig, SetLevelRequestParams, SubscriptionFilter,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use serde_json::Value;

use super::{
    activity::Activities,
    answer::refusal,
    client::{Client, Introduction, Patience},
    description,
    desk::Desk,
    link::Link,
    sessions::{Lease, Sessions},
    toolbox::{CommonTools, Toolbox, Tools},
    turn::turn,
    voice::{Log, Voice},
};
use crate::Host;

/// Answers one client; over HTTP, also one request of a client that has no connection.
pub(super) struct Handler {
    server: Arc<Server>,
    client: OnceLock<Arc<Client>>,
}

/// What all clients have in common.
pub(super) struct Server {
    pub(super) host: Host,
    pub(super) toolbox: Toolbox,
    pub(super) declaration_tokens: usize,
    pub(super) patience: Patience,
    /// Over HTTP.
    pub(super) stateless: Option<Stateless>,
    /// All that were made, to be closed in the end.
    pub(super) clients: parking_lot::Mutex<Vec<Weak<Client>>>,
}

/// What there is for clients without a connection.
pub(super) struct Stateless {
    pub(super) sessions: Sessions,
    pub(super) tools: Arc<CommonTools>,
}

impl Handler {
    pub(super) fn new(server: Arc<Server>) -> Handler {
        Handler { server, client: OnceLock::new() }
    }

    /// The client at the other end of this connection.
    fn client(&self) -> &Arc<Client> {
        self.meet(|_| {})
    }

    /// The same, which `introduce` introduces if it is not known yet.
    fn meet(&self, introduce: impl FnOnce(&Voice)) -> &Arc<Client> {
        self.client.get_or_init(|| {
            let (voice, desk) = (Arc::new(Voice::default()), Arc::new(Desk::default()));
            introduce(&voice);
            let log = Log::of(Arc::clone(&voice));
            let activities = Arc::new(Activities::default());
            let link = Link {
                desk: Arc::clone(&desk),
                voice: Arc::clone(&voice),
                activities: Arc::clone(&activities),
                log,
            };
            let tools = self.server.toolbox.open(Arc::new(link));
            let introduction = Introduction { tools, voice, desk, activities, name: None };
            let (host, patience) = (self.server.host.clone(), self.server.patience);
            let client = Arc::new(Client::new(host, patience, introduction));
            let mut clients = self.server.clients.lock();
            clients.retain(|client| client.strong_count() > 0);
            clients.push(Arc::downgrade(&client));
            client
        })
    }

    /// Where the request's client is to be found, if the request stands alone.
    fn stateless(&self, context: &RequestContext<RoleServer>) -> Option<&Stateless> {
        let stateless = self.server.stateless.as_ref()?;
        let parts = context.extensions.get::<http::request::Parts>()?;
        (!parts.headers.contains_key(SESSION_HEADER)).then_some(stateless)
    }

    fn tools(&self, context: &RequestContext<RoleServer>) -> Arc<Tools> {
        match self.stateless(context) {
            Some(stateless) => stateless.tools.tools(),
            None => Arc::clone(&self.meet(|voice| voice.hear(context)).tools),
        }
    }

    /// The client that a call is of, where it may be one of many.
    fn lease<'a>(
        sessions: &'a Sessions,
        request: &CallToolRequestParams,
    ) -> Result<Lease<'a>, String> {
        let text = |name: &str| {
            let arguments = request.arguments.as_ref();
            arguments.and_then(|arguments: &JsonObject| arguments.get(name)).and_then(Value::as_str)
        };
        let cell = request.request_state.as_deref().or_else(|| text("cell_id"));
        match (cell.and_then(|cell| cell.split_once('.')), text("session")) {
            (Some((session, _)), _) | (None, Some(session)) => sessions.find(session),
            (None, None) if request.name == description::WAIT => Err(String::from(
                "wait needs `cell_id`, as exec told it: it says which session the cell is of",
            )),
            (None, None) => sessions.begin(),
        }
    }
}

impl Server {
    /// Ends all cells and shuts all servers down, and waits for that.
    pub(super) async fn close(&self) {
        let clients: Vec<_> = self.clients.lock().drain(..).collect();
        for client in clients.iter().filter_map(Weak::upgrade) {
            client.close().await;
            client.tools.shutdown().await;
        }
        if let Some(stateless) = &self.stateless {
            stateless.tools.shutdown().await;
        }
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        let us = Implementation::new("codemode", env!("CARGO_PKG_VERSION")).with_title("codemode");
        ServerConfig::new(capabilities)
            .with_server_info(us)
            .with_instructions(description::INSTRUCTIONS)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let result = self.negotiate_initialize(&request)?;
        // Its servers begin to start now, and are told what it can do.
        self.meet(|voice| {
            voice.hear(&context);
            voice.set_abilities(request.capabilities);
        });
        Ok(result)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let client = self.client();
        tokio::spawn(tell_of_changes(Arc::downgrade(client), context.peer));
    }

    async fn on_roots_list_changed(&self, _context: NotificationContext<RoleServer>) {
        self.client().tools.roots_changed().await;
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.tools(&context);
        tools.settled().await;
        let stateless = self.stateless(&context).is_some();
        let (definitions, max_tokens) = (tools.definitions(), self.server.declaration_tokens);
        let tools = description::tools(&definitions, max_tokens, stateless);
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.clone();
        if name != description::EXEC && name != description::WAIT {
            let message = format!(
                "there is no tool {name:?}; there are exec and wait, and cells call all others"
            );
            return Err(ErrorData::invalid_params(message, None));
        }
        let lease;
        let client = match self.stateless(&context) {
            None => self.meet(|voice| voice.hear(&context)),
            Some(Stateless { sessions, .. }) => match Handler::lease(sessions, &request) {
                Ok(found) => {
                    lease = found;
                    lease.client()
                }
                Err(message) => return Ok(refusal(message).into()),
            },
        };
        client.voice.hear(&context);
        if name == description::WAIT {
            drop(turn(&context).await);
            return Ok(client.wait(request, &context).await);
        }
        client.tools.settled().await;
        let begun = turn(&context).await;
        Ok(client.exec(request, &context, begun).await)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.client().voice.set_level(request.level);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        _requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let tools = self.tools(subscription.request_context());
        let mut known = tools.definitions();
        loop {
            tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                () = tools.changed_from(&known) => {}
            }
            known = tools.definitions();
            if let Err(error) = subscription.sink().notify_tool_list_changed().await {
                tracing::debug!(%error, "a client did not hear of changed tools");
                return Ok(());
            }
        }
    }
}

/// Tells a client when its tools change, as long as it is there.
async fn tell_of_changes(client: Weak<Client>, peer: Peer<RoleServer>) {
    let Some(tools) = client.upgrade().map(|client| Arc::clone(&client.tools)) else { return };
    tools.settled().await;
    let mut known = tools.definitions();
    loop {
        tokio::select! {
            () = tools.changed_from(&known) => {}
            // Nobody else tells that the connection is over.
            () = gone(&client) => return,
        }
        known = tools.definitions();
        if peer.notify_tool_list_changed().await.is_err() {
            return;
        }
    }
}

async fn gone(client: &Weak<Client>) {
    while client.strong_count() > 0 {
        tokio::time::sleep(GONE_INTERVAL).await;
    }
}

/// What HTTP clients name their connection with.
const SESSION_HEADER: &str = "mcp-session-id";

const GONE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);
