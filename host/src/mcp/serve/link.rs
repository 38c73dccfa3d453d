//! From the tools of a client's cells to the client: what servers ask, and who says yes to a call.
#![allow(
    deprecated,
    reason = "sampling, roots and logging leave MCP in time; clients of today have them"
)]

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use codemode_cells::{ToolFuture, ToolRuntime};
use codemode_host_protocol::{CellId, Json, ToolInvocation};
use rmcp::{
    ErrorData,
    model::{
        ClientCapabilities, CreateMessageRequest, CreateMessageRequestParams, CreateMessageResult,
        ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
        InputRequest, ListRootsRequest, ListRootsResult, LoggingLevel,
        LoggingMessageNotificationParam, ProgressNotificationParam,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    super::{Approver, ApproverFuture, Ask, Decision, Upstream, UpstreamFuture},
    activity::Activities,
    client::Client,
    desk::{Desk, Pending},
    voice::{Log, Voice},
};

/// What the servers of a client have of it.
pub(super) struct Link {
    pub(super) desk: Arc<Desk>,
    pub(super) voice: Arc<Voice>,
    pub(super) activities: Arc<Activities>,
    pub(super) log: Log,
}

impl Link {
    fn ask<T: DeserializeOwned + 'static>(&self, request: InputRequest) -> UpstreamFuture<T> {
        let desk = Arc::clone(&self.desk);
        Box::pin(async move {
            let answer = desk.ask(request).await?;
            serde_json::from_value(answer).map_err(|error| {
                ErrorData::internal_error(format!("the client's answer is none: {error}"), None)
            })
        })
    }
}

impl Upstream for Link {
    fn capabilities(&self) -> ClientCapabilities {
        let ClientCapabilities { elicitation, sampling, roots, .. } = self.voice.abilities();
        let mut passed_on = ClientCapabilities::default();
        passed_on.elicitation = elicitation;
        passed_on.sampling = sampling;
        passed_on.roots = roots;
        passed_on
    }

    fn elicit(
        &self,
        server: &str,
        mut params: ElicitRequestParams,
    ) -> UpstreamFuture<ElicitResult> {
        // The client knows codemode only; the person should know who asks.
        match &mut params {
            ElicitRequestParams::FormElicitationParams { message, .. }
            | ElicitRequestParams::UrlElicitationParams { message, .. } => {
                *message = format!("{server}: {message}");
            }
            _ => {}
        }
        self.ask(InputRequest::Elicitation(ElicitRequest::new(params)))
    }

    fn create_message(
        &self,
        _server: &str,
        params: CreateMessageRequestParams,
    ) -> UpstreamFuture<CreateMessageResult> {
        self.ask(InputRequest::CreateMessage(CreateMessageRequest::new(params)))
    }

    fn list_roots(&self, _server: &str) -> UpstreamFuture<ListRootsResult> {
        self.ask(InputRequest::ListRoots(ListRootsRequest::default()))
    }

    fn log(&self, server: &str, params: LoggingMessageNotificationParam) {
        let LoggingMessageNotificationParam { level, logger, data, .. } = params;
        let logger = match logger {
            Some(logger) => format!("{server}/{logger}"),
            None => server.to_owned(),
        };
        self.log.say(level, logger, data);
    }

    /// Becomes a part of what a request hears that asked for progress.
    fn progress(
        &self,
        _server: &str,
        cell: &CellId,
        runtime_tool_call_id: &str,
        params: ProgressNotificationParam,
    ) {
        self.activities.of(cell).progress(runtime_tool_call_id, &params);
    }
}

/// Asks the client about calls that need a yes.
pub(super) struct ClientApprover {
    pub(super) client: Weak<Client>,
    pub(super) desk: Arc<Desk>,
    pub(super) voice: Arc<Voice>,
}

impl Approver for ClientApprover {
    fn ask(&self, ask: Ask) -> ApproverFuture {
        let desk = Arc::clone(&self.desk);
        if self.voice.elicits() {
            return Box::pin(elicit(desk, ask));
        }
        let client = self.client.clone();
        Box::pin(async move {
            let Ask { cell, server, tool, arguments, .. } = ask;
            let pending = Pending { server, tool, arguments: arguments.text().to_owned() };
            let answer_now = {
                let cell = cell.clone();
                move || drop(tokio::spawn(answer_soon(client, cell)))
            };
            match desk.decision(cell, pending, answer_now).await {
                Some(true) => Decision::Approved,
                Some(false) => Decision::denied("the user said no"),
                None => Decision::denied("nobody is there to be asked"),
            }
        })
    }
}

/// Has the cell answer, so that its client hears of the question: of all that come at the same time in one answer.
async fn answer_soon(client: Weak<Client>, cell: CellId) {
    tokio::time::sleep(TOGETHER).await;
    if let Some(client) = client.upgrade() {
        client.tell_of_decisions(&cell);
    }
}

/// Has the client ask its user.
async fn elicit(desk: Arc<Desk>, ask: Ask) -> Decision {
    let Ask { server, tool, arguments, .. } = ask;
    let request = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: format!(
            "A cell wants to call {tool} of {server} with {}. May it?",
            arguments.text()
        ),
        // Nothing to fill in: accepting is the yes.
        requested_schema: ElicitationSchema::new(Default::default()),
    };
    let answer = desk.ask(InputRequest::Elicitation(ElicitRequest::new(request))).await;
    let answer = answer.map(serde_json::from_value::<ElicitResult>);
    match answer {
        Ok(Ok(ElicitResult { action: ElicitationAction::Accept, .. })) => Decision::Approved,
        Ok(Ok(_)) => Decision::denied("the user said no"),
        Ok(Err(error)) => Decision::denied(format!("the client's answer is none: {error}")),
        Err(error) => Decision::denied(error.message),
    }
}

/// The tools of one step, whose cells' notifications become log messages.
pub(super) struct Speaking {
    pub(super) tools: Arc<dyn ToolRuntime>,
    pub(super) voice: Arc<Voice>,
}

impl ToolRuntime for Speaking {
    fn invoke(&self, call: ToolInvocation) -> ToolFuture<Json> {
        self.tools.invoke(call)
    }

    fn notify(&self, _call_id: &str, cell: &CellId, text: String) -> ToolFuture<()> {
        let voice = Arc::clone(&self.voice);
        let logger = format!("cell {cell}");
        Box::pin(async move {
            voice.log(LoggingLevel::Info, logger, Value::from(text)).await;
            Ok(())
        })
    }

    fn cell_closed(&self, cell: &CellId) {
        self.tools.cell_closed(cell);
    }
}

/// What passes between the calls of a `Promise.all`, and is no time for a person.
const TOGETHER: Duration = Duration::from_millis(30);
