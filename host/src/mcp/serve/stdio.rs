//! The connection of the one client at standard input and output.

use std::{borrow::Cow, io};

use rmcp::{
    ErrorData, RoleServer,
    model::JsonRpcMessage,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, async_rw::AsyncRwTransport},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::JoinHandle,
};

use super::{
    tap::{Tap, TooLong},
    turn::Turns,
};

/// Messages, one a line, of which none is longer than a client is told that it may be, and of whose calls each has its
/// turn.
pub(super) struct Stdio<R: AsyncRead + Unpin, W: AsyncWrite> {
    lines: AsyncRwTransport<RoleServer, Tap<R>, W>,
    too_long: mpsc::UnboundedReceiver<TooLong>,
    /// A refusal on its way.
    refusal: Option<JoinHandle<()>>,
    turns: Turns,
    max_bytes: usize,
}

impl<R, W> Stdio<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// Takes lines of `max_bytes` at most.
    pub(super) fn new(input: R, output: W, max_bytes: usize) -> Stdio<R, W> {
        let (tell, too_long) = mpsc::unbounded_channel();
        let input = Tap::new(input, max_bytes, tell);
        // It leaves out what is longer, and goes on with the next line.
        let lines = AsyncRwTransport::new_server(input, output).with_max_line_length(max_bytes);
        Stdio { lines, too_long, refusal: None, turns: Turns::default(), max_bytes }
    }

    /// Refuses a message that was left out: a request gets an error, and an answer is one for whoever waits for it here.
    fn refuse(&mut self, message: TooLong) -> Option<RxJsonRpcMessage<RoleServer>> {
        let TooLong { bytes, id, is_answer } = message;
        tracing::warn!(bytes, "a message of the client was too long, and was left out");
        let error = ErrorData::invalid_request(
            format!(
                "the message has {bytes} bytes, and may have {}; let cells get what is large with tools",
                self.max_bytes
            ),
            None,
        );
        if is_answer {
            return id.map(|id| JsonRpcMessage::error(error, Some(id)));
        }
        let refusal = self.lines.send(JsonRpcMessage::error(error, id));
        self.refusal = Some(tokio::spawn(async move {
            // A client that does not listen has gone.
            let _ = refusal.await;
        }));
        None
    }
}

impl<R, W> Transport<RoleServer> for Stdio<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn name() -> Cow<'static, str> {
        Cow::Borrowed("stdio")
    }

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.lines.send(message)
    }

    /// Cancel safety: nothing that was read is lost.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(refusal) = &mut self.refusal {
                let _ = refusal.await;
                self.refusal = None;
            }
            let too_long = tokio::select! {
                biased;
                Some(too_long) = self.too_long.recv() => too_long,
                message = self.lines.receive() => match message {
                    Some(mut message) => {
                        self.turns.give(&mut message);
                        return Some(message);
                    }
                    // The last line may have been one of those.
                    None => self.too_long.try_recv().ok()?,
                },
            };
            if let Some(error) = self.refuse(too_long) {
                return Some(error);
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.lines.close().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, duplex, split};

    use super::*;

    #[tokio::test]
    async fn what_is_too_long_is_refused_and_the_next_line_is_read() {
        let long = "x".repeat(1_000);
        let ping = json!({ "jsonrpc": "2.0", "id": 9, "method": "ping" });
        for (message, refused) in [
            (
                format!(
                    r#"{{"method":"tools/call","params":{{"id":1,"a":"{long}"}},"jsonrpc":"2.0","id":5}}"#
                ),
                Some(json!(5)),
            ),
            (format!(r#"{{"id":"five","params":["{long}\"]}}"]}}"#), Some(json!("five"))),
            // A notification, and what is no message at all.
            (format!(r#"{{"method":"n","params":{{"id":"{long}"}}}}"#), Some(Value::Null)),
            (long.clone(), Some(Value::Null)),
            // As long as it may be.
            (format!("{}{ping}", " ".repeat(499 - ping.to_string().len())), None),
        ] {
            let (ours, theirs) = duplex(64);
            let (input, output) = split(theirs);
            let mut stdio = Stdio::new(input, output, 500);
            let (input, mut output) = split(ours);
            let text = format!("{message}\n{ping}\n");
            let client = tokio::spawn(async move {
                output.write_all(text.as_bytes()).await.unwrap();
                output.shutdown().await.unwrap();
                BufReader::new(input).lines().next_line().await.unwrap()
            });
            let pings = if refused.is_some() { 1 } else { 2 };
            for _ in 0..pings {
                let received = serde_json::to_value(stdio.receive().await.unwrap()).unwrap();
                assert_eq!(received, ping, "{message}");
            }
            assert!(stdio.receive().await.is_none());
            drop(stdio);
            let line = client.await.unwrap();
            let error = line.map(|line| serde_json::from_str::<Value>(&line).unwrap());
            assert_eq!(error.as_ref().map(|error| error["id"].clone()), refused, "{message}");
            if let Some(error) = error {
                assert_eq!(error["error"]["code"], -32600);
                let text = format!("the message has {} bytes, and may have 500", message.len() + 1);
                assert!(error["error"]["message"].as_str().unwrap().starts_with(&text), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_an_error_for_who_asked() {
        let answer =
            format!(r#"{{"jsonrpc":"2.0","id":3,"result":{{"a":"{}"}}}}"#, "x".repeat(1_000));
        let text = format!("{answer}\n");
        let mut stdio = Stdio::new(text.as_bytes(), tokio::io::sink(), 500);
        let received = serde_json::to_value(stdio.receive().await.unwrap()).unwrap();
        assert_eq!((&received["id"], &received["error"]["code"]), (&json!(3), &json!(-32600)));
        assert!(stdio.receive().await.is_none());
    }
}
