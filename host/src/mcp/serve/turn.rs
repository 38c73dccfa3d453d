//! Calls begin in the order in which they were sent, though each is served by a task of its own.

use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::{
    RoleServer,
    model::{ClientRequest, GetExtensions as _, JsonRpcMessage},
    service::{RequestContext, RxJsonRpcMessage},
};
use tokio::sync::oneshot;

/// Gives turns to the calls that come in on one connection.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Ready when the last call has begun.
    last: Option<oneshot::Receiver<()>>,
}

impl Turns {
    /// Gives a call its turn, behind those before it.
    pub(super) fn give(&mut self, message: &mut RxJsonRpcMessage<RoleServer>) {
        let JsonRpcMessage::Request(request) = message else { return };
        if !matches!(request.request, ClientRequest::CallToolRequest(_)) {
            return;
        }
        let (begun, next) = oneshot::channel();
        let turn = Turn { before: self.last.replace(next), begun: Begun { _tell: begun } };
        let place = Place(Arc::new(Mutex::new(Some(turn))));
        request.request.extensions_mut().insert(place);
    }
}

/// Waits for the turn of a request's call. While what this returns is held, no later call begins.
///
/// Cancel safety: a call that is given up lets the next one begin.
pub(super) async fn turn(context: &RequestContext<RoleServer>) -> Option<Begun> {
    // Over HTTP there are none: requests come on connections that have no order among them.
    let place = context.extensions.get::<Place>()?;
    let Turn { before, begun } = place.0.lock().take()?;
    if let Some(before) = before {
        // An error says that the call before has gone.
        let _ = before.await;
    }
    Some(begun)
}

/// As a part of a request, which has to be cloned as a whole.
#[derive(Clone)]
struct Place(Arc<Mutex<Option<Turn>>>);

struct Turn {
    before: Option<oneshot::Receiver<()>>,
    begun: Begun,
}

/// Dropped when a call has begun.
pub(super) struct Begun {
    _tell: oneshot::Sender<()>,
}
