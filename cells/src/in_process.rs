//! A session in this process.

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Weak},
    task::Poll,
    time::{Duration, Instant},
};

use codemode_host_protocol::{
    Budget, CellId, ContentItem, Json, RuntimeResponse, Scope, SessionUsage, WaitOutcome,
};
use codemode_runtime_js::{CellSpec, Discovery, Tenant, WhenStuck};
use tokio::runtime::Handle;

use crate::{
    CellLimit, CellObserver, CellRequest, CodeModeSession, DEFAULT_MAX_OUTPUT_TOKENS,
    DEFAULT_YIELD_TIME, Delivery, Ending, HostLedger, SessionError, SessionFuture, SessionLimits,
    StartedCell, Step, Until,
    cell::{Cell, CellSink, Claim, Unclaimable},
    discovery::StepDiscovery,
    shared::Shared,
    sync::sleep,
    truncate::{Counting, truncate},
};

/// A [`CodeModeSession`] whose cells run in this process.
///
/// Dropping it terminates its cells, as [`CodeModeSession::shutdown`] does, without waiting for them.
pub struct InProcessCodeModeSession {
    shared: Arc<Shared>,
    // Not among what the cells share: the last of them would drop it on its own thread.
    tenant: Tenant,
}

impl InProcessCodeModeSession {
    /// A session whose isolates belong to `tenant`, and whose tool calls run on `tokio`.
    ///
    /// `tokio` must have its time driver enabled.
    pub fn new(tenant: Tenant, tokio: Handle, options: SessionOptions) -> InProcessCodeModeSession {
        // Of another type where interleavings are tried.
        #[allow(clippy::useless_conversion)]
        let tokio = tokio.into();
        InProcessCodeModeSession { shared: Arc::new(Shared::new(options, tokio)), tenant }
    }

    /// Starts a cell, like [`CodeModeSession::execute`], with what only a session in this process can do.
    ///
    /// # Errors
    /// See [`CodeModeSession::execute`].
    pub fn start(
        &self,
        step: Arc<Step>,
        request: CellRequest,
        options: ExecuteOptions,
    ) -> Result<StartedCell, SessionError> {
        let asked_at = Instant::now();
        let shared = &self.shared;
        let limits = shared.limits();
        self.refuse_if_over_budget(request.source.len())?;
        shared.bound_unread_results();
        let CellRequest { tool_call_id, source, yield_time, max_output_tokens } = request;
        let catalog = step.tools.catalog();
        let discovery = shared.options.discovery.then(|| {
            let discovery: Arc<dyn Discovery> = Arc::new(StepDiscovery(step.tools.clone()));
            discovery
        });
        let yield_time = self.clamp(yield_time.unwrap_or(DEFAULT_YIELD_TIME));
        let (claim, seat) =
            shared.admit(step, tool_call_id, options.observer, yield_time.is_zero())?;
        let cell = claim.cell();
        let mut cell_limits = options.limits.unwrap_or(limits.cell);
        for budget in [Budget::StoredBytes, Budget::StoredValues] {
            let most = [cell_limits.of(budget), limits.session.of(budget)];
            cell_limits.set(budget, most.into_iter().flatten().min());
        }
        let least = |one: Option<Duration>, budget| {
            [one, shared.ledger.time_left(budget)].into_iter().flatten().min()
        };
        cell_limits.cpu = least(cell_limits.cpu, Budget::Cpu);
        cell_limits.wall = least(cell_limits.wall, Budget::Wall);
        let spec = CellSpec {
            source,
            file: options.file.unwrap_or_else(|| shared.options.file.clone()),
            tools: catalog,
            discovery,
            stored: shared.store.lock().snapshot(),
            limits: cell_limits,
            tenant: limits.tenant(),
            console: shared.options.console,
            when_stuck: shared.options.when_stuck,
        };
        let sink = CellSink { cell: Arc::clone(cell), _seat: seat };
        match self.tenant.start(spec, sink) {
            // Of another type where interleavings are tried.
            #[allow(clippy::useless_conversion)]
            Ok(engine) => cell.started(engine.into()),
            Err(error) => {
                shared.registry.lock().cells.remove(&cell.number);
                cell.never_started();
                return Err(SessionError::Start(error.to_string()));
            }
        }
        // It may have come to that while the cell was being started.
        if let Some(limit) = shared.ledger.spent() {
            cell.exceed(CellLimit::Budget(limit));
        }
        shared.cpu_watch.begin(shared);
        let cell_id = cell.id.clone();
        let patience = Patience { asked_at, yield_time, max_output_tokens };
        Ok(StartedCell { cell_id, response: Box::pin(respond(claim, patience)) })
    }

    /// Waits as [`CodeModeSession::wait`] does, for what `until` says.
    /// [`CodeModeSession::yield_now`] answers it in any case.
    ///
    /// # Errors
    /// See [`CodeModeSession::wait`].
    ///
    /// Cancel safety: dropping the future loses no output; the next wait gets it.
    pub fn wait_until(
        &self,
        cell: &CellId,
        until: Until,
        yield_time: Duration,
        max_output_tokens: Option<u64>,
    ) -> SessionFuture<Delivery<WaitOutcome>> {
        let yield_time = self.clamp(yield_time);
        let patience = Patience { asked_at: Instant::now(), yield_time, max_output_tokens };
        self.outcome(cell, |cell| cell.claim_next(until), SessionError::Observed, patience)
    }

    /// The cells that can be waited for, oldest first.
    pub fn live_cells(&self) -> Vec<CellId> {
        self.shared.cells().iter().map(|cell| cell.id.clone()).collect()
    }

    /// How many cells have an isolate. A cell that was terminated counts until its isolate is gone.
    pub fn running_cells(&self) -> usize {
        self.shared.ledger.used(Budget::LiveCells) as usize
    }

    /// Bytes of output that the session holds because nobody has read them.
    pub fn unread_output_bytes(&self) -> usize {
        self.shared.ledger.used(Budget::UnreadBytes) as usize
    }

    /// What the session's cells have stored for each other.
    pub fn stored_values(&self) -> Arc<BTreeMap<String, Json>> {
        self.shared.store.lock().snapshot()
    }

    /// What the session has used of its budgets, and what it may use: as [`CodeModeSession::usage`], now.
    pub fn usage_now(&self) -> SessionUsage {
        let shared = &self.shared;
        let (stored_bytes, stored_values) = shared.store.lock().size();
        let used = |budget| match budget {
            Budget::Heap | Budget::ArrayBuffers | Budget::Timers => self.tenant.used(budget),
            Budget::StoredBytes => Some(stored_bytes),
            Budget::StoredValues => Some(stored_values),
            Budget::Cpu => {
                let running = u64::try_from(shared.running_cpu().as_millis()).unwrap_or(u64::MAX);
                let now = shared.ledger.used(budget).saturating_add(running);
                // What cells used that are about to end comes with their ends.
                let spent = shared.ledger.spent().filter(|spent| spent.budget == budget);
                Some(spent.map_or(now, |spent| now.max(spent.used)))
            }
            budget => Some(shared.ledger.used(budget)),
        };
        let of_session = Budget::ALL.into_iter().filter(|budget| budget.is_of(Scope::Session));
        SessionUsage {
            used: of_session.filter_map(|budget| Some((budget, used(budget)?))).collect(),
            limits: shared.limits().session,
            cell_limits: shared.limits().of_cells(),
            exceeded: shared.ledger.spent(),
        }
    }

    /// Refuses a cell of a session that has nothing left of a budget, or not as much as its source takes.
    fn refuse_if_over_budget(&self, source_bytes: usize) -> Result<(), SessionError> {
        let ledger = &self.shared.ledger;
        if let Some(limit) = ledger.spent() {
            return Err(SessionError::OverBudget(limit));
        }
        let within = ledger
            .wall_within()
            .and_then(|()| ledger.spend(Budget::SourceBytes, source_bytes as u64));
        within.map_err(|limit| {
            self.shared.exceed(limit);
            SessionError::OverBudget(limit)
        })
    }

    fn clamp(&self, yield_time: Duration) -> Duration {
        match self.shared.limits().max_yield_time {
            Some(most) => yield_time.min(most),
            None => yield_time,
        }
    }

    fn outcome(
        &self,
        id: &CellId,
        claim: impl FnOnce(&Arc<Cell>) -> Result<Claim, Unclaimable>,
        taken: fn(CellId) -> SessionError,
        patience: Patience,
    ) -> SessionFuture<Delivery<WaitOutcome>> {
        let cell = self.shared.find(id);
        let claimed = match &cell {
            Some(cell) => claim(cell),
            None => Err(Unclaimable::Missing),
        };
        match claimed {
            Ok(claim) => {
                let response = respond(claim, patience);
                Box::pin(async { Ok(response.await?.map(WaitOutcome::LiveCell)) })
            }
            Err(Unclaimable::Taken) => ready(Err(taken(id.clone()))),
            Err(Unclaimable::Missing) => {
                let missing = missing(&self.shared, id, cell.as_deref(), &patience);
                ready(Ok(Delivery::new(WaitOutcome::MissingCell(missing))))
            }
        }
    }
}

impl CodeModeSession for InProcessCodeModeSession {
    fn execute(&self, step: Arc<Step>, request: CellRequest) -> SessionFuture<StartedCell> {
        ready(self.start(step, request, ExecuteOptions::default()))
    }

    fn wait(
        &self,
        cell: &CellId,
        yield_time: Duration,
        max_output_tokens: Option<u64>,
    ) -> SessionFuture<Delivery<WaitOutcome>> {
        self.wait_until(cell, Until::Yield, yield_time, max_output_tokens)
    }

    fn terminate(
        &self,
        cell: &CellId,
        max_output_tokens: Option<u64>,
    ) -> SessionFuture<Delivery<WaitOutcome>> {
        let patience =
            Patience { asked_at: Instant::now(), yield_time: Duration::MAX, max_output_tokens };
        self.outcome(cell, Cell::terminate, SessionError::Terminating, patience)
    }

    fn yield_now(&self, cell: &CellId) {
        if let Some(cell) = self.shared.find(cell) {
            cell.yield_now();
        }
    }

    fn usage(&self) -> SessionFuture<SessionUsage> {
        let shut_down = self.shared.registry.lock().shut_down;
        ready(if shut_down { Err(SessionError::ShutDown) } else { Ok(self.usage_now()) })
    }

    fn shutdown(&self) -> SessionFuture<()> {
        self.shared.shut_down_cells();
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let all_closed = async {
                loop {
                    let mut closed = pin!(shared.closed.notified());
                    closed.as_mut().enable();
                    if shared.registry.lock().open.is_empty() {
                        return;
                    }
                    closed.await;
                }
            };
            if tokio::time::timeout(HAND_OVER_GRACE, all_closed).await.is_err() {
                // Somebody keeps a last response, or a future of one, and does not hand it on.
                let open: Vec<_> = shared.registry.lock().open.values().cloned().collect();
                for lifeline in open.iter().filter_map(Weak::upgrade) {
                    lifeline.close();
                }
            }
            Ok(())
        })
    }
}

impl Drop for InProcessCodeModeSession {
    fn drop(&mut self) {
        self.shared.shut_down_cells();
    }
}

impl fmt::Debug for InProcessCodeModeSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessCodeModeSession")
            .field("live_cells", &self.live_cells())
            .finish_non_exhaustive()
    }
}

/// How a session behaves.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// What its cells may use.
    pub limits: SessionLimits,
    /// What all sessions of the process may use together, if that is bounded.
    pub host: Option<Arc<HostLedger>>,
    /// Whether and how output is cut.
    pub output: OutputPolicy,
    /// The name of a cell's source in its errors.
    pub file: String,
    /// Whether cells have a `console`, whose lines become text output.
    pub console: bool,
    /// Whether cells find the tools of a namespace as `tools.namespace.name` too, and have `search_tools` and `describe_tool`.
    pub discovery: bool,
    /// What becomes of a cell that waits for what nothing can bring about.
    pub when_stuck: WhenStuck,
}

impl Default for SessionOptions {
    /// The default limits, whole output, no `console`, no discovery; the file name, and patience with stuck cells, of V1 hosts.
    fn default() -> SessionOptions {
        SessionOptions {
            limits: SessionLimits::default(),
            host: None,
            output: OutputPolicy::Whole,
            file: "exec_main.mjs".to_owned(),
            console: false,
            discovery: false,
            when_stuck: WhenStuck::Wait,
        }
    }
}

/// Whether and how a session cuts output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputPolicy {
    /// Output is handed out whole; cutting it is the client's.
    #[default]
    Whole,
    /// Each response is cut to its request's `max_output_tokens`.
    Cut(Counting),
    /// What V1 hosts do under `outputTruncation: "server"`: the error of a cell that failed becomes one more
    /// text, and then the response is cut, counting [`Counting::FourBytes`].
    V1Server,
}

/// What [`InProcessCodeModeSession::start`] can do beside what [`CodeModeSession::execute`] does.
#[derive(Clone, Default)]
pub struct ExecuteOptions {
    /// Who watches the cell live.
    pub observer: Option<Arc<dyn CellObserver>>,
    /// The name of the source in errors, if not the session's.
    pub file: Option<String>,
    /// The engine's limits, if not the session's.
    pub limits: Option<codemode_runtime_js::Limits>,
}

/// When a request was made, and what it asked for.
struct Patience {
    asked_at: Instant,
    yield_time: Duration,
    max_output_tokens: Option<u64>,
}

/// Waits for the next response of a cell.
///
/// The clock for the yield is this future's own: no thread or task runs for a cell that is not waited for. It
/// is set now, and ticks with the session's tokio runtime, whatever polls the future.
fn respond(
    claim: Claim,
    patience: Patience,
) -> impl Future<Output = Result<Delivery<RuntimeResponse>, SessionError>> {
    let session = &claim.cell().session;
    let clock = {
        let _entered = session.tokio.enter();
        sleep(patience.yield_time)
    };
    async move {
        let mut clock = pin!(clock);
        let answer = poll_fn(|cx| {
            if patience.yield_time.is_zero() {
                return Poll::Ready(claim.answer_now());
            }
            if let Poll::Ready(answer) = claim.poll(cx) {
                return Poll::Ready(Some(answer));
            }
            clock.as_mut().poll(cx).map(|()| claim.answer_now())
        });
        // Only a claim that was answered has no answer, and this is the one place that asks.
        let answer = answer.await.expect("a claim is answered once");
        let response = response(claim.cell(), &patience, &answer.end, answer.items);
        Ok(Delivery::before(response, answer.lifeline.map(|lifeline| lifeline as _)))
    }
}

fn response(
    cell: &Cell,
    patience: &Patience,
    end: &Option<(Ending, Instant)>,
    items: Vec<ContentItem>,
) -> RuntimeResponse {
    let cell_id = cell.id.clone();
    let error_text = end.as_ref().and_then(|(ending, _)| ending.error_text());
    let content_items = shape(&cell.session, items, error_text.as_deref(), patience);
    let code_mode_host_duration_ns = nanos(patience.asked_at.elapsed());
    match end {
        None => RuntimeResponse::Yielded { cell_id, content_items, code_mode_host_duration_ns },
        Some((Ending::Terminated, _)) => {
            RuntimeResponse::Terminated { cell_id, content_items, code_mode_host_duration_ns }
        }
        Some((_, ended_at)) => RuntimeResponse::Result {
            cell_id,
            content_items,
            error_text,
            limit_exceeded: end.as_ref().and_then(|(ending, _)| ending.limit_exceeded()),
            result_buffered_for_ns: nanos(patience.asked_at.saturating_duration_since(*ended_at)),
            code_mode_host_duration_ns,
        },
    }
}

fn missing(
    shared: &Shared,
    id: &CellId,
    cell: Option<&Cell>,
    patience: &Patience,
) -> RuntimeResponse {
    let (text, items) = shared.obituary(id, cell);
    RuntimeResponse::Result {
        cell_id: id.clone(),
        content_items: shape(shared, items, Some(&text), patience),
        error_text: Some(text),
        limit_exceeded: None,
        result_buffered_for_ns: 0,
        code_mode_host_duration_ns: nanos(patience.asked_at.elapsed()),
    }
}

/// Brings output into the shape that the session's policy asks for.
fn shape(
    shared: &Shared,
    mut items: Vec<ContentItem>,
    error: Option<&str>,
    patience: &Patience,
) -> Vec<ContentItem> {
    let max_tokens = patience.max_output_tokens.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS);
    let max_tokens = usize::try_from(max_tokens).unwrap_or(usize::MAX);
    match shared.options.output {
        OutputPolicy::Whole => items,
        OutputPolicy::Cut(counting) => truncate(items, max_tokens, counting),
        OutputPolicy::V1Server => {
            items.extend(error.map(|error| ContentItem::text(format!("Script error:\n{error}"))));
            truncate(items, max_tokens, Counting::FourBytes)
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn ready<T: Send + 'static>(result: Result<T, SessionError>) -> SessionFuture<T> {
    Box::pin(std::future::ready(result))
}

/// How long a shutdown waits for last responses to be handed over.
const HAND_OVER_GRACE: Duration = Duration::from_secs(1);
