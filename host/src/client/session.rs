//! A session that runs in a host.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use codemode_cells::{
    CellRequest, CodeModeSession, Delivery, SessionError, SessionFuture, StartedCell, Step,
};
use codemode_host_protocol::{
    CellId, ExecuteRequest, Known, Operation, OutputTokens, RequestId, SessionId, SessionUsage,
    ToolDefinition, WaitOutcome, WaitRequest,
};
use tokio::sync::{oneshot, watch};

use crate::client::shared::{Shared, Started, Waiting, into_response, received};

/// A session that runs in a host. Made by [`Client::open`](crate::client::Client::open).
///
/// Dropping it ends the session, without waiting for it.
#[derive(Debug)]
pub struct ClientSession {
    shared: Arc<Shared>,
    id: SessionId,
    shut_down: AtomicBool,
}

impl ClientSession {
    pub(super) fn new(shared: Arc<Shared>, id: SessionId) -> ClientSession {
        ClientSession { shared, id, shut_down: AtomicBool::new(false) }
    }

    /// Its name in the connection.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// The tools that the host has itself, as they are now. Cells that are started after the answer have them beside
    /// the tools of their step, and the host executes them: where both have a tool of one name, it is the step's.
    ///
    /// # Errors
    /// When the session was shut down, or the host cannot be reached, or has no such thing.
    ///
    /// Cancel safety: the host may have told them all the same.
    pub fn host_tools(&self) -> SessionFuture<Vec<ToolDefinition>> {
        if self.shut_down.load(Ordering::Acquire) {
            return Box::pin(std::future::ready(Err(SessionError::ShutDown)));
        }
        let (reply, answer) = oneshot::channel();
        let request = Operation::Tools { session_id: self.id.clone() };
        match self.shared.request(request, |_, _| Waiting::Tools(reply)) {
            Ok(_) => Box::pin(received(answer)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn cell(&self, cell: &CellId) -> (SessionId, CellId) {
        (self.id.clone(), cell.clone())
    }

    /// The budget of an answer, where the host takes one.
    fn budget(&self, max_output_tokens: Option<u64>) -> Option<u64> {
        max_output_tokens.filter(|_| self.shared.has(Known::BoundedOutput))
    }

    fn begin_shutdown(&self) -> Option<SessionFuture<()>> {
        if self.shut_down.swap(true, Ordering::AcqRel) {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        let session = self.id.clone();
        let request = Operation::Shutdown { session_id: session.clone() };
        let sent = self.shared.request(request, |_, _| Waiting::ShutDown { session, reply });
        Some(match sent {
            Ok(_) => Box::pin(received(answer)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        })
    }
}

impl CodeModeSession for ClientSession {
    fn execute(&self, step: Arc<Step>, request: CellRequest) -> SessionFuture<StartedCell> {
        if self.shut_down.load(Ordering::Acquire) {
            return Box::pin(std::future::ready(Err(SessionError::ShutDown)));
        }
        let CellRequest { tool_call_id, source, yield_time, max_output_tokens } = request;
        let request = Operation::Execute {
            session_id: self.id.clone(),
            request: ExecuteRequest {
                tool_call_id,
                enabled_tools: step.tools.list().clone(),
                source,
                yield_time_ms: yield_time.map(milliseconds),
                max_output_tokens: max_output_tokens.map(output_tokens),
            },
        };
        let (reply, answer) = oneshot::channel();
        let session = self.id.clone();
        let sent = self.shared.request(request, |_, _| Waiting::Started {
            session,
            step,
            reply: Some(reply),
        });
        let execution = match sent {
            Ok(id) => Execution {
                shared: Arc::clone(&self.shared),
                session: self.id.clone(),
                id,
                answer: Some(answer),
            },
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        Box::pin(execution.started())
    }

    fn wait(
        &self,
        cell: &CellId,
        yield_time: Duration,
        max_output_tokens: Option<u64>,
    ) -> SessionFuture<Delivery<WaitOutcome>> {
        let mut wait = Wait {
            shared: Arc::clone(&self.shared),
            cell: self.cell(cell),
            yield_time,
            max_output_tokens: self.budget(max_output_tokens),
            reserved: false,
        };
        match wait.begin() {
            Begun::Ready(outcome) => Box::pin(std::future::ready(outcome)),
            Begun::Sent(observation) => Box::pin(observation.outcome()),
            Begun::Behind(orphans) => Box::pin(wait.after(orphans)),
        }
    }

    fn terminate(
        &self,
        cell: &CellId,
        max_output_tokens: Option<u64>,
    ) -> SessionFuture<Delivery<WaitOutcome>> {
        let request = Operation::Terminate {
            session_id: self.id.clone(),
            cell_id: cell.clone(),
            max_output_tokens: self.budget(max_output_tokens),
        };
        match observe(&self.shared, self.cell(cell), request, false) {
            Ok(observation) => Box::pin(observation.outcome()),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn yield_now(&self, cell: &CellId) {
        let cell = self.cell(cell);
        let observer = self.shared.state.0.lock().cells.get(&cell).and_then(|entry| entry.observer);
        if let Some(id) = observer {
            self.shared.yield_now(id);
        }
    }

    fn usage(&self) -> SessionFuture<SessionUsage> {
        if self.shut_down.load(Ordering::Acquire) {
            return Box::pin(std::future::ready(Err(SessionError::ShutDown)));
        }
        let (reply, answer) = oneshot::channel();
        let request = Operation::Usage { session_id: self.id.clone() };
        match self.shared.request(request, |_, _| Waiting::Usage(reply)) {
            Ok(_) => Box::pin(received(answer)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn shutdown(&self) -> SessionFuture<()> {
        self.begin_shutdown().unwrap_or_else(|| Box::pin(std::future::ready(Ok(()))))
    }
}

impl Drop for ClientSession {
    fn drop(&mut self) {
        // Its cells are reported closed as the host says so.
        drop(self.begin_shutdown());
    }
}

/// An execute on its way. Dropped before its cell has started, it is given up.
struct Execution {
    shared: Arc<Shared>,
    session: SessionId,
    id: RequestId,
    answer: Option<oneshot::Receiver<Result<Started, SessionError>>>,
}

impl Execution {
    async fn started(mut self) -> Result<StartedCell, SessionError> {
        let Some(answer) = &mut self.answer else { return Err(SessionError::ShutDown) };
        let started = answer.await;
        self.answer = None;
        let started = started.unwrap_or_else(|_| Err(self.shared.gone()))?;
        let Started { cell_id, id, response } = started;
        let first = Observation {
            shared: Arc::clone(&self.shared),
            cell: (self.session.clone(), cell_id.clone()),
            id,
            answer: Some(response),
        };
        let response = async { Ok(first.outcome().await?.map(into_response)) };
        Ok(StartedCell { cell_id, response: Box::pin(response) })
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        let Some(mut answer) = self.answer.take() else { return };
        let mut tables = self.shared.state.0.lock();
        answer.close();
        if let Ok(Ok(started)) = answer.try_recv() {
            // It has started all the same. Nobody knows its name, so nobody will ask for it.
            drop(tables);
            return self.shared.end_unknown(&(self.session.clone(), started.cell_id));
        }
        if let Some(Waiting::Started { reply, .. }) = tables.operations.get_mut(&self.id) {
            *reply = None;
            drop(tables);
            self.shared.cancel(self.id);
        }
    }
}

/// A wait that is being made.
struct Wait {
    shared: Arc<Shared>,
    cell: (SessionId, CellId),
    yield_time: Duration,
    max_output_tokens: Option<u64>,
    /// Whether the cell's next response is kept for this one.
    reserved: bool,
}

enum Begun {
    /// It was answered from what somebody else had left, or refused.
    Ready(Result<Delivery<WaitOutcome>, SessionError>),
    Sent(Observation),
    /// An answer is on its way to somebody who has given up, and the next wait can only follow it.
    Behind(watch::Receiver<usize>),
}

impl Wait {
    fn begin(&mut self) -> Begun {
        let mut left = None;
        if let Some(entry) = self.shared.state.0.lock().cells.get_mut(&self.cell) {
            if entry.reserved && !self.reserved {
                return Begun::Ready(Err(SessionError::Observed(self.cell.1.clone())));
            }
            if *entry.orphans.borrow() > 0 {
                entry.reserved = true;
                self.reserved = true;
                return Begun::Behind(entry.orphans.subscribe());
            }
            left = entry.take_last();
        }
        if let Some(last) = left {
            self.shared.forget_if_done(&self.cell);
            return Begun::Ready(Ok(last.map(WaitOutcome::LiveCell)));
        }
        let request = Operation::Wait {
            session_id: self.cell.0.clone(),
            request: WaitRequest {
                cell_id: self.cell.1.clone(),
                yield_time_ms: milliseconds(self.yield_time),
            },
            max_output_tokens: self.max_output_tokens,
        };
        match observe(&self.shared, self.cell.clone(), request, true) {
            Ok(observation) => Begun::Sent(observation),
            Err(error) => Begun::Ready(Err(error)),
        }
    }

    async fn after(
        mut self,
        mut orphans: watch::Receiver<usize>,
    ) -> Result<Delivery<WaitOutcome>, SessionError> {
        loop {
            // An error says that the cell's entry is gone, and with it those who had given up.
            let _ = orphans.wait_for(|orphans| *orphans == 0).await;
            match self.begin() {
                Begun::Ready(outcome) => return outcome,
                Begun::Sent(observation) => {
                    // Nobody else waits before the host knows of this one.
                    drop(self);
                    return observation.outcome().await;
                }
                Begun::Behind(again) => orphans = again,
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if !self.reserved {
            return;
        }
        if let Some(entry) = self.shared.state.0.lock().cells.get_mut(&self.cell) {
            entry.reserved = false;
        }
        self.shared.forget_if_done(&self.cell);
    }
}

/// Sends a request whose answer shows what a cell has. At once.
fn observe(
    shared: &Arc<Shared>,
    cell: (SessionId, CellId),
    request: Operation,
    observes: bool,
) -> Result<Observation, SessionError> {
    let (reply, answer) = oneshot::channel();
    let id = shared.request(request, |id, tables| {
        if let Some(entry) = tables.cells.get_mut(&cell) {
            entry.observations += 1;
            // If somebody else is, the host will say so, and the cell stays theirs.
            if observes && entry.observer.is_none() {
                entry.observer = Some(id);
            }
        }
        Waiting::Response { cell: cell.clone(), observes, reply: Some(reply) }
    })?;
    Ok(Observation { shared: Arc::clone(shared), cell, id, answer: Some(answer) })
}

/// A request whose answer shows what a cell has. Given up before that, nothing of it is lost: what comes all the
/// same is kept for the next who waits.
struct Observation {
    shared: Arc<Shared>,
    cell: (SessionId, CellId),
    id: RequestId,
    answer: Option<oneshot::Receiver<Result<Delivery<WaitOutcome>, SessionError>>>,
}

impl Observation {
    async fn outcome(mut self) -> Result<Delivery<WaitOutcome>, SessionError> {
        let Some(answer) = &mut self.answer else { return Err(self.shared.gone()) };
        let outcome = answer.await;
        self.answer = None;
        let outcome = outcome.unwrap_or_else(|_| Err(self.shared.gone()))?;
        Ok(self.shared.with_left(&self.cell, outcome))
    }

    /// Gives up: keeps what has come, or sees to it that what comes is kept.
    fn give_up(&self, mut answer: oneshot::Receiver<Result<Delivery<WaitOutcome>, SessionError>>) {
        let mut tables = self.shared.state.0.lock();
        answer.close();
        let come = answer.try_recv();
        let tables = &mut *tables;
        let entry = tables.cells.get_mut(&self.cell);
        if let Ok(outcome) = come {
            if let (Some(entry), Ok(outcome)) = (entry, outcome) {
                entry.keep(outcome);
            }
            return;
        }
        let Some(Waiting::Response { reply, observes, .. }) = tables.operations.get_mut(&self.id)
        else {
            return;
        };
        *reply = None;
        if let Some(entry) = entry {
            entry.orphans.send_modify(|orphans| *orphans += 1);
        }
        if *observes {
            // The one ends a wait, the other the wait for a first response, which has no other way to end early.
            self.shared.cancel(self.id);
            self.shared.yield_now(self.id);
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.give_up(answer);
        }
        if let Some(entry) = self.shared.state.0.lock().cells.get_mut(&self.cell) {
            entry.observations = entry.observations.saturating_sub(1);
        }
        self.shared.forget_if_done(&self.cell);
    }
}

/// Whole milliseconds, rounded up: a wait for part of one is none that yields at once.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn output_tokens(tokens: u64) -> OutputTokens {
    u32::try_from(tokens).ok().and_then(OutputTokens::new).unwrap_or(OutputTokens::MAX)
}
