//! The course of a connection, which is the same whatever carries it.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    Host,
    connection::{Connection, ConnectionEnd, outbox::Outbox},
};

/// Where a connection's messages come from.
pub(crate) trait Source {
    /// Hands what has arrived to `connection`, and waits for it if there is nothing.
    ///
    /// Cancel safe: what was read is handed on before the next wait.
    ///
    /// # Errors
    /// How the connection ends.
    fn receive(
        &mut self,
        connection: &mut Connection,
    ) -> impl Future<Output = Result<(), ConnectionEnd>> + Send;
}

/// Serves one client until the connection ends, and says how it did.
///
/// `write` sends what is in the outbox, until that is finished.
pub(crate) async fn drive<S: Source>(
    host: &Host,
    source: &mut S,
    outbox: Arc<Outbox>,
    write: impl Future<Output = Result<(), ConnectionEnd>>,
) -> ConnectionEnd {
    let mut connection = Connection::new(host.clone(), Arc::clone(&outbox));
    let mut write = std::pin::pin!(write);
    let end = tokio::select! {
        biased;
        end = outbox.overflowed() => end,
        written = &mut write => match written {
            Ok(()) => ConnectionEnd::Closed,
            Err(end) => return end,
        },
        end = converse(host, source, &mut connection) => end,
    };
    // Ends the sessions. What was said by now is still sent, if the client takes it.
    drop(connection);
    match timeout(LAST_WORDS, write).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the last messages were not sent"),
        Err(_) => tracing::debug!("the client did not take the last messages"),
    }
    end
}

async fn converse<S: Source>(
    host: &Host,
    source: &mut S,
    connection: &mut Connection,
) -> ConnectionEnd {
    let told = async {
        if let Err(end) = source.receive(connection).await {
            return end;
        }
        // So that the answer is sent first: for a millisecond or two V8's start would be in its way.
        tokio::task::yield_now().await;
        host.prepare();
        loop {
            if let Err(end) = source.receive(connection).await {
                return end;
            }
        }
    };
    tokio::select! {
        biased;
        end = told => return end,
        () = host.draining() => {}
    }
    let deadline = Instant::now() + host.drain_grace();
    while !connection.is_idle() && Instant::now() < deadline {
        // Cells that nobody waits for end without a word to the connection, hence the look now and then.
        let look = (Instant::now() + DRAIN_LOOK).min(deadline);
        tokio::select! {
            biased;
            told = source.receive(connection) => if let Err(end) = told { return end },
            () = sleep_until(look) => {}
        }
    }
    connection.shut_down().await;
    ConnectionEnd::Drained
}

/// How long a client has to take what was sent to it before its connection ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often a connection that drains is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
