//! What a client is told beside its results, and what it can do.
#![allow(
    deprecated,
    reason = "sampling, roots and logging leave MCP in time; clients of today have them"
)]

use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::{
    ErrorData, Peer, RoleServer,
    model::{
        ClientCapabilities, InputRequest, LoggingLevel, LoggingMessageNotificationParam,
        ProtocolVersion,
    },
    service::{RequestContext, ServiceError},
};
use serde::Serialize;
use serde_json::Value;

/// The way to one client.
#[derive(Debug, Default)]
pub(super) struct Voice(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    peer: Option<Peer<RoleServer>>,
    abilities: ClientCapabilities,
    /// Whether its revision of the protocol has no requests of servers.
    modern: bool,
    /// What it wants of the log; nothing, if it has to ask for it and did not.
    level: Option<LoggingLevel>,
    /// Whether it said so with `logging/setLevel`.
    level_was_set: bool,
}

impl Voice {
    /// Learns from a request how its client is.
    pub(super) fn hear(&self, context: &RequestContext<RoleServer>) {
        let modern = is_modern(context);
        let mut state = self.0.lock();
        state.peer = Some(context.peer.clone());
        state.modern = modern;
        if let Some(abilities) = context.client_capabilities() {
            state.abilities = abilities;
        }
        if modern {
            state.level = context.meta.log_level();
        } else if !state.level_was_set {
            state.level = Some(LoggingLevel::Debug);
        }
    }

    pub(super) fn abilities(&self) -> ClientCapabilities {
        self.0.lock().abilities.clone()
    }

    pub(super) fn set_abilities(&self, abilities: ClientCapabilities) {
        self.0.lock().abilities = abilities;
    }

    pub(super) fn set_level(&self, level: LoggingLevel) {
        let mut state = self.0.lock();
        state.level = Some(level);
        state.level_was_set = true;
    }

    /// Whether a person can be asked there, and not only sent to a page.
    pub(super) fn elicits(&self) -> bool {
        let state = self.0.lock();
        let elicitation = state.abilities.elicitation.as_ref();
        elicitation
            .is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none())
    }

    /// Says something in the client's log, if it wants to hear it.
    pub(super) async fn log(&self, level: LoggingLevel, logger: String, data: Value) {
        let peer = {
            let state = self.0.lock();
            let wanted = state.level.is_some_and(|least| level as u8 >= least as u8);
            state.peer.clone().filter(|_| wanted)
        };
        let Some(peer) = peer else { return };
        let message = LoggingMessageNotificationParam::new(level, data).with_logger(logger);
        if let Err(error) = peer.notify_logging_message(message).await {
            tracing::debug!(%error, "the client did not hear of a log message");
        }
    }
}

/// Whether the request's revision of the protocol lets servers ask in results only.
pub(super) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// Asks the client, as a part of the request that the current task serves.
pub(super) async fn ask(peer: Peer<RoleServer>, request: InputRequest) -> Result<Value, ErrorData> {
    match request {
        InputRequest::Elicitation(request) => plain(peer.create_elicitation(request.params).await),
        InputRequest::CreateMessage(request) => plain(peer.create_message(request.params).await),
        InputRequest::ListRoots(_) => plain(peer.list_roots().await),
        _ => Err(ErrorData::internal_error("clients are not asked that", None)),
    }
}

fn plain(answer: Result<impl Serialize, ServiceError>) -> Result<Value, ErrorData> {
    let broken = |error: &dyn std::fmt::Display| {
        ErrorData::internal_error(format!("the client did not answer: {error}"), None)
    };
    match answer {
        Ok(answer) => serde_json::to_value(answer).map_err(|error| broken(&error)),
        Err(ServiceError::McpError(error)) => Err(error),
        Err(error) => Err(broken(&error)),
    }
}

/// Says in the log of a client what comes in, without making anybody wait for it.
#[derive(Debug)]
pub(super) struct Log(tokio::sync::mpsc::Sender<(LoggingLevel, String, Value)>);

impl Log {
    /// Must be called within a tokio runtime.
    pub(super) fn of(voice: Arc<Voice>) -> Log {
        let (send, mut receive) = tokio::sync::mpsc::channel(LOG_PLACES);
        tokio::spawn(async move {
            while let Some((level, logger, data)) = receive.recv().await {
                voice.log(level, logger, data).await;
            }
        });
        Log(send)
    }

    /// A client that does not listen misses what comes when all places are taken.
    pub(super) fn say(&self, level: LoggingLevel, logger: String, data: Value) {
        let _ = self.0.try_send((level, logger, data));
    }
}

/// Messages that wait to be sent.
const LOG_PLACES: usize = 256;
