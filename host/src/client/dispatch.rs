//! Hands what comes from the host to those it is for.

use std::{any::Any, sync::Arc};

use codemode_cells::{Delivery, SessionError, Step};
use codemode_host_protocol::{
    Answer, CellId, DelegateId, DelegateRequest, HostToClient, OperationValue, RequestId,
    RuntimeResponse, SessionId, WaitOutcome,
};
use tokio::{sync::oneshot, time::sleep};

use crate::client::{
    call, kind,
    shared::{CellEntry, Closing, Reply, Started, State, Tables, Waiting, send},
    wire::{CHILD_GRACE, Incoming, Lost, Obituary, WeakOutgoing, Writing},
};

/// Reads from the host until the connection is lost, and tells everybody who waits.
pub(super) async fn dispatch(
    incoming: Box<dyn Incoming>,
    writing: Writing,
    state: Arc<State>,
    outgoing: WeakOutgoing,
    obituary: Obituary,
) {
    let lost = async {
        match writing.await {
            Err(error) => Lost::Write(error),
            // Nobody is left on this side.
            Ok(()) => {
                sleep(CHILD_GRACE).await;
                Lost::Lingers
            }
        }
    };
    let lost = tokio::select! {
        biased;
        lost = read(incoming, &state, &outgoing) => lost,
        lost = lost => lost,
    };
    let mut reason = lost.to_string();
    if matches!(lost, Lost::Closed | Lost::Io(_) | Lost::Write(_) | Lost::Lingers)
        && let Some(more) = obituary.await
    {
        reason = format!("{reason}; {more}");
    }
    tracing::debug!(reason, "the connection to the host was lost");
    state.lose(&reason);
}

async fn read(
    mut incoming: Box<dyn Incoming>,
    state: &Arc<State>,
    outgoing: &WeakOutgoing,
) -> Lost {
    loop {
        let handled = match incoming.next().await {
            Ok(message) => handle(message, state, outgoing),
            Err(lost) => Err(lost),
        };
        if let Err(lost) = handled {
            return lost;
        }
    }
}

fn handle(message: HostToClient, state: &Arc<State>, outgoing: &WeakOutgoing) -> Result<(), Lost> {
    match message {
        HostToClient::OperationResponse { id, result } => {
            let done = answered(&mut state.0.lock(), outgoing, id, result.into_result());
            // Outside of the lock: with them go steps, which are not ours.
            drop(done);
        }
        HostToClient::ExecuteInitialResponse { id, result } => {
            let done = initial_response(&mut state.0.lock(), id, result.into_result());
            drop(done);
        }
        HostToClient::DelegateRequest { id, session_id, request } => {
            delegate(state, outgoing, id, session_id, request);
        }
        HostToClient::DelegateCancel { id } => {
            let call = state.0.lock().calls.remove(&id);
            if let Some(call) = call {
                call.abort();
            }
        }
        HostToClient::CellClosed { session_id, cell_id } => {
            let closed = close(&mut state.0.lock(), &(session_id, cell_id));
            // Outside of the lock: this may be what reports the cell closed.
            drop(closed);
        }
        HostToClient::Ready { .. } | HostToClient::Rejected { .. } => {
            return Err(Lost::OutOfPlace(kind(&message)));
        }
    }
    Ok(())
}

fn answered(
    tables: &mut Tables,
    outgoing: &WeakOutgoing,
    id: RequestId,
    result: Result<OperationValue, String>,
) -> Vec<CellEntry> {
    let Some(waiting) = tables.operations.remove(&id) else {
        tracing::warn!(id = id.0, "the host answered what nobody had asked");
        return Vec::new();
    };
    match (waiting, result) {
        (Waiting::Opened(reply), result) => {
            send(Some(reply), result.map(drop).map_err(SessionError::Refused));
        }
        (Waiting::Usage(reply), Ok(OperationValue::SessionUsage { usage, .. })) => {
            send(Some(reply), Ok(*usage));
        }
        (Waiting::Usage(reply), Err(message)) => {
            send(Some(reply), Err(SessionError::Refused(message)));
        }
        (Waiting::Tools(reply), Ok(OperationValue::SessionTools { tools, .. })) => {
            send(Some(reply), Ok(tools));
        }
        (Waiting::Tools(reply), Err(message)) => {
            send(Some(reply), Err(SessionError::Refused(message)));
        }
        (Waiting::ShutDown { session, reply }, result) => {
            send(Some(reply), result.map(drop).map_err(SessionError::Refused));
            return tables.take_session(&session);
        }
        (
            Waiting::Started { session, step, reply },
            Ok(OperationValue::ExecutionStarted { cell_id }),
        ) => started(tables, id, (session, cell_id), step, reply, outgoing),
        (Waiting::Started { reply, .. }, Err(message)) => {
            send(reply, Err(SessionError::Refused(message)));
        }
        (
            Waiting::Response { cell, observes, reply },
            Ok(OperationValue::WaitCompleted { outcome }),
        ) => {
            let outcome = sealed(tables, &cell, outcome);
            return settle(tables, id, &cell, observes, reply, Ok(outcome)).into_iter().collect();
        }
        (Waiting::Response { cell, observes, reply }, Err(message)) => {
            let error = refusal(message, &cell.1);
            return settle(tables, id, &cell, observes, reply, Err(error)).into_iter().collect();
        }
        (_, Ok(_)) => tracing::warn!(id = id.0, "the host answered something else than was asked"),
    }
    Vec::new()
}

fn started(
    tables: &mut Tables,
    id: RequestId,
    cell: (SessionId, CellId),
    step: Arc<Step>,
    reply: Option<Reply<Started>>,
    outgoing: &WeakOutgoing,
) {
    let mut entry = CellEntry::new(step, cell.1.clone(), id);
    let (answer, response) = oneshot::channel();
    entry.observations = 1;
    tables.cells.insert(cell.clone(), entry);
    let waiting = Waiting::Response { cell: cell.clone(), observes: true, reply: Some(answer) };
    tables.operations.insert(id, waiting);
    match (reply, outgoing.upgrade()) {
        (Some(reply), _) => send(Some(reply), Ok(Started { cell_id: cell.1, id, response })),
        (None, Some(outgoing)) => tables.end_unknown(&cell, &outgoing),
        (None, None) => {}
    }
}

fn initial_response(
    tables: &mut Tables,
    id: RequestId,
    result: Result<RuntimeResponse, String>,
) -> Option<CellEntry> {
    let Some(Waiting::Response { cell, observes, reply }) = tables.operations.remove(&id) else {
        tracing::warn!(id = id.0, "the host sent the first response of a cell unasked");
        return None;
    };
    let result = match result {
        Ok(response) => Ok(sealed(tables, &cell, WaitOutcome::LiveCell(response))),
        Err(message) => Err(refusal(message, &cell.1)),
    };
    settle(tables, id, &cell, observes, reply, result)
}

/// Gives an answer to who waits for it, or keeps what it shows if nobody does any more. Gives back the cell if
/// that was the last of it.
fn settle(
    tables: &mut Tables,
    id: RequestId,
    cell: &(SessionId, CellId),
    observes: bool,
    reply: Option<Reply<Delivery<WaitOutcome>>>,
    result: Result<Delivery<WaitOutcome>, SessionError>,
) -> Option<CellEntry> {
    let entry = tables.cells.get_mut(cell);
    let mut result = Some(result);
    if let Some(entry) = entry {
        if observes && entry.observer == Some(id) {
            entry.observer = None;
        }
        if reply.is_none() {
            if let Some(Ok(outcome)) = result.take() {
                entry.keep(outcome);
            }
            entry.orphans.send_modify(|orphans| *orphans = orphans.saturating_sub(1));
        }
    }
    if let Some(result) = result {
        send(reply, result);
    }
    tables.take_if_done(cell)
}

/// Ties a cell's last response to the report that the cell is closed, which it must come before.
fn sealed(
    tables: &Tables,
    cell: &(SessionId, CellId),
    outcome: WaitOutcome,
) -> Delivery<WaitOutcome> {
    let closing = tables.cells.get(cell).and_then(|entry| entry.closing.clone());
    match (&outcome, closing) {
        (WaitOutcome::LiveCell(response), Some(closing)) if response.is_terminal() => {
            Delivery::before(outcome, Some(closing as Arc<dyn Any + Send + Sync>))
        }
        _ => Delivery::new(outcome),
    }
}

/// Takes what is to be dropped of a cell that is closed. One that has something left for its next waiter stays.
fn close(
    tables: &mut Tables,
    cell: &(SessionId, CellId),
) -> (Option<Arc<Closing>>, Option<CellEntry>) {
    let closing = tables.cells.get_mut(cell).and_then(|entry| entry.closing.take());
    (closing, tables.take_if_done(cell))
}

fn delegate(
    state: &Arc<State>,
    outgoing: &WeakOutgoing,
    id: DelegateId,
    session: SessionId,
    request: DelegateRequest,
) {
    let cell = (session, request.cell_id().clone());
    let step_and_closing = state.0.lock().cells.get(&cell).and_then(|entry| {
        let closing = entry.closing.clone()?;
        Some((Arc::clone(&entry.step), closing))
    });
    let Some((step, closing)) = step_and_closing else {
        let message = format!("this client has no cell {} in session {}", cell.1, cell.0);
        return call::answer(outgoing, id, Answer::Error { message });
    };
    let Some(call) = call::begin(step, closing, request, id, outgoing) else { return };
    let mut tables = state.0.lock();
    let done = Arc::downgrade(state);
    // Under the lock, so that the call is on the list before its end takes it off.
    let task = tokio::spawn(async move {
        call.await;
        if let Some(state) = done.upgrade() {
            state.0.lock().calls.remove(&id);
        }
    });
    tables.calls.insert(id, task.abort_handle());
}

/// A refusal in the host's words, as the error that it is.
fn refusal(message: String, cell: &CellId) -> SessionError {
    let known = [SessionError::Observed(cell.clone()), SessionError::Terminating(cell.clone())];
    known
        .into_iter()
        .find(|error| error.to_string() == message)
        .unwrap_or(SessionError::Refused(message))
}
