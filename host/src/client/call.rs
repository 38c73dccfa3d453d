//! Tool calls and notifications of cells, carried out by the steps they belong to.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use codemode_cells::{Step, ToolFuture};
use codemode_host_protocol::{
    Answer, ClientToHost, DelegateId, DelegateRequest, DelegateValue, ToolFailure,
};

use crate::client::{shared::Closing, wire::WeakOutgoing};

/// Begins what a cell asks for, here and now, so that the order of its program is kept. What is left to do is
/// given back as a future; what is over at once is answered.
///
/// The cell is not reported closed before the future is done or dropped.
pub(super) fn begin(
    step: Arc<Step>,
    closing: Arc<Closing>,
    request: DelegateRequest,
    id: DelegateId,
    outgoing: &WeakOutgoing,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let started = catch_unwind(AssertUnwindSafe(|| start(&step, request)));
    let Ok(mut future) = started else {
        answer(outgoing, id, panicked());
        return None;
    };
    if let Poll::Ready(result) = poll(&mut future, &mut Context::from_waker(Waker::noop())) {
        answer(outgoing, id, result);
        return None;
    }
    let outgoing = outgoing.clone();
    Some(async move {
        let result = poll_fn(|cx| poll(&mut future, cx)).await;
        drop(future);
        answer(&outgoing, id, result);
        drop(closing);
    })
}

/// Tells the host what a request came to.
pub(super) fn answer(outgoing: &WeakOutgoing, id: DelegateId, result: Answer<DelegateValue>) {
    let Some(outgoing) = outgoing.upgrade() else { return };
    let sent = outgoing.send(ClientToHost::DelegateResponse { id, result });
    if let Err(error) = sent {
        let result = Answer::error(format!("the result was not sent to the host: {error}"));
        if let Err(error) = outgoing.send(ClientToHost::DelegateResponse { id, result }) {
            tracing::error!(%error, "an answer was not sent");
        }
    }
}

fn start(step: &Step, request: DelegateRequest) -> ToolFuture<DelegateValue> {
    match request {
        DelegateRequest::ToolInvoke { invocation } => {
            let result = step.runtime.invoke(invocation);
            Box::pin(async { Ok(DelegateValue::ToolResult { result: result.await? }) })
        }
        DelegateRequest::NotificationSend { call_id, cell_id, text } => {
            let delivered = step.runtime.notify(&call_id, &cell_id, text);
            Box::pin(async {
                delivered.await?;
                Ok(DelegateValue::NotificationDelivered)
            })
        }
    }
}

fn poll(
    future: &mut Pin<Box<dyn Future<Output = Result<DelegateValue, ToolFailure>> + Send>>,
    cx: &mut Context<'_>,
) -> Poll<Answer<DelegateValue>> {
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(result) => result.map(Answer::from),
        Err(_) => Poll::Ready(panicked()),
    }
}

fn panicked() -> Answer<DelegateValue> {
    Answer::error("the tool's runtime failed (it panicked); its client's log has the details")
}
