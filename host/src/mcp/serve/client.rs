//! One client: its session, and what it does with it.

use std::{
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use codemode_cells::{
    CellRequest, CodeModeSession as _, DEFAULT_YIELD_TIME, Delivery, ExecuteOptions,
    InProcessCodeModeSession, OutputPolicy, SessionError, Step, Until,
};
use codemode_host_protocol::{CellId, RuntimeResponse, SessionBudgets, WaitOutcome};
use codemode_runtime_js::WhenStuck;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rmcp::{
    RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, InputRequiredResult,
        ProgressNotificationParam,
    },
    service::RequestContext,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::{
    activity::{Activities, Activity},
    answer::{Answer, refusal},
    arguments::{ExecArguments, WaitArguments},
    desk::{Desk, Question},
    link::{ClientApprover, Speaking},
    toolbox::Tools,
    turn::Begun,
    voice::{self, Voice, is_modern},
};
use crate::Host;

/// A client, with one session. Dropping it ends its cells.
pub(super) struct Client {
    host: Host,
    pub(super) tools: Arc<Tools>,
    pub(super) voice: Arc<Voice>,
    desk: Arc<Desk>,
    patience: Patience,
    /// What stands before a cell's name, where the client names its sessions.
    name: Option<String>,
    /// Here from the first cell on: many clients only look around.
    session: OnceLock<InProcessCodeModeSession>,
    activities: Arc<Activities>,
}

/// How long clients are made to wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a `wait` that says what for, and not how long.
    pub(super) wait_time: Duration,
    /// At most.
    pub(super) most: Duration,
}

/// Who a client is to those who open its session.
pub(super) struct Introduction {
    pub(super) tools: Arc<Tools>,
    pub(super) voice: Arc<Voice>,
    pub(super) desk: Arc<Desk>,
    pub(super) activities: Arc<Activities>,
    pub(super) name: Option<String>,
}

impl Client {
    pub(super) fn new(host: Host, patience: Patience, introduction: Introduction) -> Client {
        let Introduction { tools, voice, desk, activities, name } = introduction;
        Client { host, tools, voice, desk, patience, name, session: OnceLock::new(), activities }
    }

    /// Runs a cell until it has something to answer with. `begun` is dropped when the cell has a place among the others.
    pub(super) async fn exec(
        self: &Arc<Client>,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        begun: Option<Begun>,
    ) -> CallToolResponse {
        let arguments = match ExecArguments::parse(request.arguments) {
            Ok(arguments) => arguments,
            Err(message) => return refusal(message).into(),
        };
        let patience = arguments.yield_time.unwrap_or(DEFAULT_YIELD_TIME);
        if let Some(state) = request.request_state {
            // The cell runs already; this is the same call again, with what it was asked for.
            drop(begun);
            self.desk.answers(request.input_responses.unwrap_or_default());
            let cell = self.own_name(CellId::new(state));
            let max_output_tokens = arguments.max_output_tokens;
            return self.wait_for(cell, Until::Yield, patience, max_output_tokens, context).await;
        }
        let activity = Arc::new(Activity::default());
        let cell = CellRequest {
            tool_call_id: context.id.to_string(),
            source: arguments.code,
            yield_time: Some(self.own_clock(patience)),
            max_output_tokens: None,
        };
        let options = ExecuteOptions {
            observer: Some(Arc::clone(&activity) as _),
            ..ExecuteOptions::default()
        };
        let started = match self.session().start(self.step(), cell, options) {
            Ok(started) => started,
            Err(error) => return refusal(error.to_string()).into(),
        };
        let cell = started.cell_id;
        drop(begun);
        self.activities.insert(cell.clone(), activity);
        let response = async { Ok(started.response.await?.into_inner()) };
        let attended = self.attend(&cell, patience, context, response).await;
        self.answer(&cell, attended, arguments.max_output_tokens)
    }

    /// Goes on waiting for a cell, ends it, or decides for it.
    pub(super) async fn wait(
        self: &Arc<Client>,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResponse {
        let arguments = match WaitArguments::parse(request.arguments) {
            Ok(arguments) => arguments,
            Err(message) => return refusal(message).into(),
        };
        let WaitArguments { cell, until, yield_time, max_output_tokens, terminate, approved } =
            arguments;
        let cell = self.own_name(cell);
        self.desk.answers(request.input_responses.unwrap_or_default());
        if terminate {
            let Some(session) = self.session.get() else { return no_cells().into() };
            let ended = session.terminate(&cell, None).await;
            let ended = ended.map(|outcome| Attended::Response(response(outcome)));
            return self.answer(&cell, ended, max_output_tokens);
        }
        if let Some(approved) = approved
            && self.desk.decide(&cell, approved) == 0
        {
            let name = self.shown_name(&cell);
            return refusal(format!(
                "no tool call of cell {name} waits for a decision; wait without one"
            ))
            .into();
        }
        let patience = yield_time.unwrap_or(match until {
            Until::Yield => DEFAULT_YIELD_TIME,
            Until::Output | Until::Completion => self.patience.wait_time,
        });
        self.wait_for(cell, until, patience, max_output_tokens, context).await
    }

    /// Has a cell answer, if calls of it wait for a yes that the client was not told of.
    pub(super) fn tell_of_decisions(&self, cell: &CellId) {
        if let Some(session) = self.session.get() {
            self.desk.if_untold(cell, || session.yield_now(cell));
        }
    }

    /// Whether nothing of the client's session is worth keeping.
    pub(super) fn is_idle(&self) -> bool {
        self.session.get().is_none_or(|session| {
            session.live_cells().is_empty() && session.stored_values().is_empty()
        })
    }

    /// Ends the cells, and waits until they have ended.
    pub(super) async fn close(&self) {
        if let Some(session) = self.session.get() {
            // A session in this process has nothing to go wrong.
            let _ = session.shutdown().await;
        }
    }

    async fn wait_for(
        self: &Arc<Client>,
        cell: CellId,
        until: Until,
        patience: Duration,
        max_output_tokens: Option<u64>,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResponse {
        let Some(session) = self.session.get() else { return no_cells().into() };
        let waiting = session.wait_until(&cell, until, self.own_clock(patience), None);
        if self.desk.awaits_decision(&cell) {
            // There is something to say already.
            session.yield_now(&cell);
        }
        let waiting = async { Ok(response(waiting.await?)) };
        let attended = self.attend(&cell, patience, context, waiting).await;
        self.answer(&cell, attended, max_output_tokens)
    }

    /// Does what there is to do for a client while it waits for a cell.
    ///
    /// A person who is being asked has all the time that the question has: the cell does not yield meanwhile.
    async fn attend(
        &self,
        cell: &CellId,
        patience: Duration,
        context: &RequestContext<RoleServer>,
        response: impl Future<Output = Result<RuntimeResponse, SessionError>>,
    ) -> Result<Attended, SessionError> {
        let patience = patience.min(self.patience.most);
        let session = self.session();
        let activity = self.activities.of(cell);
        let began = Instant::now();
        let mut response = pin!(response);
        let mut time = pin!(sleep(patience));
        let mut time_is_over = false;
        let mut asked = self.desk.subscribe();
        asked.mark_changed();
        let mut talks = FuturesUnordered::new();
        let token = context.meta.get_progress_token();
        let mut reports = FuturesUnordered::new();
        let mut pulse = interval_at(began + PULSE, PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut told, mut told_at) = (0, began);
        loop {
            tokio::select! {
                biased;
                () = context.ct.cancelled() => {
                    drop(session.terminate(cell, None));
                    return Ok(Attended::Cancelled);
                }
                response = &mut response => return Ok(Attended::Response(response?)),
                Some(()) = talks.next(), if !talks.is_empty() => {
                    time.as_mut().reset(Instant::now() + patience);
                    time_is_over = false;
                }
                () = &mut time, if !time_is_over && talks.is_empty() => {
                    time_is_over = true;
                    session.yield_now(cell);
                }
                Ok(()) = asked.changed() => {
                    let questions: Vec<_> = std::iter::from_fn(|| self.desk.take()).collect();
                    if questions.is_empty() {
                        continue;
                    }
                    if is_modern(context) {
                        return Ok(Attended::Asks(questions));
                    }
                    for question in questions {
                        let talk = Talk { desk: &self.desk, question: Some(question) };
                        talks.push(talk.with(context.peer.clone()));
                    }
                }
                _ = pulse.tick(), if token.is_some() && reports.is_empty() => {
                    let (events, line) = activity.told();
                    let now = Instant::now();
                    let Some(token) = token.clone() else { continue };
                    if events == told && now - told_at < HEARTBEAT {
                        continue;
                    }
                    (told, told_at) = (events, now);
                    let progress = (now - began).as_secs_f64();
                    let report = ProgressNotificationParam::new(token, progress).with_message(line);
                    reports.push(context.peer.notify_progress(report));
                }
                Some(_) = reports.next(), if !reports.is_empty() => {}
            }
        }
    }

    fn answer(
        &self,
        cell: &CellId,
        attended: Result<Attended, SessionError>,
        max_output_tokens: Option<u64>,
    ) -> CallToolResponse {
        let response = match attended {
            Ok(Attended::Response(response)) => response,
            // Nobody gets this.
            Ok(Attended::Cancelled) => {
                return refusal(format!("cancelled; cell {cell} was terminated")).into();
            }
            Ok(Attended::Asks(questions)) => return self.hand_out(cell, questions),
            Err(error) => return refusal(error.to_string()).into(),
        };
        let mut pending = Vec::new();
        if response.is_terminal() {
            self.activities.remove(cell);
        } else {
            pending = self.desk.tell_pending(cell);
        }
        let answer = Answer {
            response,
            max_output_tokens,
            cell: self.shown_name(cell),
            pending,
            note: self.note(),
        };
        answer.into_result().into()
    }

    /// Hands questions to the client as a result; it makes the same call again with the answers.
    fn hand_out(&self, cell: &CellId, questions: Vec<Question>) -> CallToolResponse {
        let requests = questions
            .iter()
            .map(|question| (question.key.clone(), question.request.clone()))
            .collect();
        questions.into_iter().for_each(|question| self.desk.hand_out(question));
        InputRequiredResult::new(Some(requests), Some(self.shown_name(cell))).into()
    }

    /// What a client that names its sessions has to know of this one.
    fn note(&self) -> Option<String> {
        let name = self.name.as_ref()?;
        let stored = self.session.get().is_some_and(|session| !session.stored_values().is_empty());
        stored.then(|| {
            format!("To load() what was stored, pass \"session\": \"{name}\" to the next exec.")
        })
    }

    fn session(&self) -> &InProcessCodeModeSession {
        self.session.get_or_init(|| {
            let mut options = self.host.session_options(SessionBudgets::default());
            // Cut here, together with the error.
            options.output = OutputPolicy::Whole;
            options.when_stuck = WhenStuck::Fail;
            options.discovery = true;
            self.host.new_session(options)
        })
    }

    /// A step of the tools as they are now.
    fn step(self: &Arc<Client>) -> Arc<Step> {
        let approver = ClientApprover {
            client: Arc::downgrade(self),
            desk: Arc::clone(&self.desk),
            voice: Arc::clone(&self.voice),
        };
        let Step { tools, runtime, .. } = self.tools.step(Arc::new(approver));
        let speaking = Speaking { tools: runtime, voice: Arc::clone(&self.voice) };
        Arc::new(Step::new(tools, Arc::new(speaking)))
    }

    /// The session's own clock: never, where ours decides, and at once, where there is nothing to wait for.
    fn own_clock(&self, patience: Duration) -> Duration {
        if patience.is_zero() { Duration::ZERO } else { NEVER }
    }

    /// The session's name for a cell that the client names.
    fn own_name(&self, cell: CellId) -> CellId {
        match self.name.as_ref().and_then(|name| cell.as_str().strip_prefix(name.as_str())) {
            Some(own) => CellId::new(own.trim_start_matches('.')),
            None => cell,
        }
    }

    /// The client's name for a cell.
    fn shown_name(&self, cell: &CellId) -> String {
        match &self.name {
            Some(name) => format!("{name}.{cell}"),
            None => cell.to_string(),
        }
    }
}

/// How waiting for a cell came to an end.
enum Attended {
    Response(RuntimeResponse),
    /// The client has to answer something first.
    Asks(Vec<Question>),
    /// The client did not want the answer any more, or has gone.
    Cancelled,
}

/// A question that the client is being asked. Dropped without an answer, it goes back to the desk.
struct Talk<'a> {
    desk: &'a Desk,
    question: Option<Question>,
}

impl Talk<'_> {
    async fn with(mut self, peer: rmcp::Peer<RoleServer>) {
        let Some(question) = &mut self.question else { return };
        let asking = voice::ask(peer, question.request.clone());
        tokio::select! {
            answer = asking => {
                if let Some(question) = self.question.take() {
                    question.answer(answer);
                }
            }
            () = question.withdrawn() => self.question = None,
        }
    }
}

impl Drop for Talk<'_> {
    fn drop(&mut self) {
        if let Some(question) = self.question.take() {
            self.desk.put_back(question);
        }
    }
}

fn response(outcome: Delivery<WaitOutcome>) -> RuntimeResponse {
    match outcome.into_inner() {
        WaitOutcome::LiveCell(response) | WaitOutcome::MissingCell(response) => response,
    }
}

fn no_cells() -> CallToolResult {
    refusal("there are no cells yet; exec starts one, and tells its cell_id if it goes on")
}

/// For clocks that must not fire.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// How often a client hears of what has happened.
const PULSE: Duration = Duration::from_millis(500);

/// How often it hears at least, so that it does not give up.
const HEARTBEAT: Duration = Duration::from_secs(10);
