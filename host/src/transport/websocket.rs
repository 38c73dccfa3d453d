//! Messages over WebSocket, one envelope each.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use codemode_host_protocol::{HEADER_LEN, MAX_FRAME_LEN};
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        self, Bytes, Message, Utf8Bytes,
        error::CapacityError,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tracing::Instrument as _;

use crate::{
    Host, ServeError, WebSocketOptions,
    connection::{
        Connection, ConnectionEnd,
        outbox::{Batch, Outbox},
    },
    transport::{
        admission::{Admission, full},
        drive::{Source, drive},
    },
};

/// Serves any number of clients over WebSocket.
///
/// A message is one envelope, with no length before it: text or binary from the client, text from the host. The
/// envelope's own limits hold for it.
pub(crate) struct WebSocketServer {
    host: Host,
    admission: Arc<Admission>,
}

impl WebSocketServer {
    /// A server for `address`, which decides whether clients need a token.
    pub(crate) fn new(
        host: Host,
        options: WebSocketOptions,
        address: SocketAddr,
    ) -> Result<WebSocketServer, ServeError> {
        if options.token.is_none() && !address.ip().is_loopback() {
            return Err(ServeError::TokenNeeded(address));
        }
        let admission = Arc::new(Admission::new(options)?);
        Ok(WebSocketServer { host, admission })
    }

    /// Serves those who come, until the host drains and the last connection has ended.
    ///
    /// Cancel safety: dropping the future ends all connections.
    pub(crate) async fn run(self, listener: TcpListener) {
        let most = self.host.max_connections();
        let mut connections = JoinSet::new();
        let mut refusals = JoinSet::new();
        loop {
            tokio::select! {
                () = self.host.draining() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) if connections.len() >= most => {
                        tracing::warn!(%peer, most, "a client was not let in: there are too many");
                        // Who comes when there are too many of these as well is turned away without a word.
                        if refusals.len() < MAX_REFUSALS {
                            refusals.spawn(refuse_peer(stream, most));
                        }
                    }
                    Ok((stream, peer)) => {
                        let host = self.host.clone();
                        let admission = Arc::clone(&self.admission);
                        let span = tracing::info_span!("connection", %peer);
                        connections.spawn(serve_peer(host, admission, stream).instrument(span));
                    }
                    // Of a lack of descriptors, most likely: trying at once again would only spin.
                    Err(error) => {
                        tracing::error!(%error, "a connection was not accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                Some(_) = refusals.join_next() => {}
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }
}

/// Listens at `address`.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|error| ServeError::Bind { address, error })
}

#[expect(clippy::result_large_err, reason = "tungstenite asks for this type")]
async fn serve_peer(host: Host, admission: Arc<Admission>, stream: TcpStream) {
    // Frames are small and somebody waits for each of them.
    let _ = stream.set_nodelay(true);
    let handshake = accept_hdr_async_with_config(
        stream,
        |request: &_, response| admission.check(request, response),
        Some(config()),
    );
    let socket = match timeout(HANDSHAKE_TIME, handshake).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return tracing::info!(%error, "a client was not let in"),
        Err(_) => return tracing::info!("a client did not finish the handshake in time"),
    };
    tracing::info!("connected");
    let (mut sink, stream) = socket.split();
    let outbox = Outbox::of_frames();
    let mut source = Messages { stream, heard: Instant::now() };
    let write = write_messages(Arc::clone(&outbox), &mut sink);
    let end = drive(&host, &mut source, outbox, write).await;
    match end.is_clean() {
        true => tracing::info!(%end, "disconnected"),
        false => tracing::warn!(%end, "disconnected"),
    }
    let farewell = async {
        let _ = sink.send(Message::Close(Some(close_frame(&end)))).await;
        // Until the client has answered, as the protocol has it: a reset would take the reason from it.
        while let Some(Ok(_)) = source.stream.next().await {}
    };
    let _ = timeout(FAREWELL_TIME, farewell).await;
}

/// Tells a client why it is not let in, before it has shown anything.
#[expect(clippy::result_large_err, reason = "tungstenite asks for this type")]
async fn refuse_peer(stream: TcpStream, most: usize) {
    let handshake =
        accept_hdr_async_with_config(stream, |_: &_, _| Err(full(most)), Some(config()));
    let _ = timeout(REFUSAL_TIME, handshake).await;
}

struct Messages {
    stream: SplitStream<WebSocketStream<TcpStream>>,
    /// When something last came from the client.
    heard: Instant,
}

impl Source for Messages {
    async fn receive(&mut self, connection: &mut Connection) -> Result<(), ConnectionEnd> {
        let Ok(message) = timeout_at(self.heard + IDLE_TIME, self.stream.next()).await else {
            return Err(ConnectionEnd::Idle { seconds: IDLE_TIME.as_secs() });
        };
        self.heard = Instant::now();
        match message {
            Some(Ok(Message::Text(text))) => connection.receive_body(text.as_bytes()),
            Some(Ok(Message::Binary(bytes))) => connection.receive_body(&bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Ok(Message::Close(_))) | None => Err(ConnectionEnd::Closed),
            Some(Err(error)) => Err(read_failed(error)),
        }
    }
}

async fn write_messages(
    outbox: Arc<Outbox>,
    sink: &mut SplitSink<WebSocketStream<TcpStream>, Message>,
) -> Result<(), ConnectionEnd> {
    let mut pings = interval(PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let batch = tokio::select! {
            batch = outbox.next_batch() => batch,
            _ = pings.tick() => {
                sink.send(Message::Ping(Bytes::new())).await.map_err(write_failed)?;
                continue;
            }
        };
        match batch {
            None => return Ok(()),
            Some(Batch::Frames(bytes)) => write_batch(&outbox, sink, bytes.into()).await?,
            // A message goes out whole, with its length before it.
            Some(Batch::Long(mut frame)) => {
                let mut bytes = Vec::with_capacity(frame.len_bytes());
                while frame.next_part(&mut bytes) {}
                write_batch(&outbox, sink, bytes.into()).await?;
            }
            Some(Batch::Messages(_)) => {}
        }
    }
}

async fn write_batch(
    outbox: &Outbox,
    sink: &mut SplitSink<WebSocketStream<TcpStream>, Message>,
    mut frames: Bytes,
) -> Result<(), ConnectionEnd> {
    while let Some((header, _)) = frames.split_first_chunk::<HEADER_LEN>() {
        let end = (HEADER_LEN + u32::from_le_bytes(*header) as usize).min(frames.len());
        let body = frames.split_to(end).split_off(HEADER_LEN);
        let text = Utf8Bytes::try_from(body)
            .map_err(|error| write_failed(tungstenite::Error::Io(std::io::Error::other(error))))?;
        sink.feed(Message::Text(text)).await.map_err(write_failed)?;
        outbox.wrote(end);
    }
    sink.flush().await.map_err(write_failed)
}

fn read_failed(error: tungstenite::Error) -> ConnectionEnd {
    use codemode_host_protocol::FrameError;
    match error {
        tungstenite::Error::ConnectionClosed => ConnectionEnd::Closed,
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { size, .. }) => {
            ConnectionEnd::Frame(FrameError::Oversized { len: size })
        }
        error => io_failed("reading from the client", error),
    }
}

fn write_failed(error: tungstenite::Error) -> ConnectionEnd {
    io_failed("writing to the client", error)
}

fn io_failed(doing: &'static str, error: tungstenite::Error) -> ConnectionEnd {
    let error = match error {
        tungstenite::Error::Io(error) => error,
        error => std::io::Error::other(error),
    };
    ConnectionEnd::Io { doing, error }
}

fn close_frame(end: &ConnectionEnd) -> CloseFrame {
    let code = match end {
        ConnectionEnd::Closed => CloseCode::Normal,
        ConnectionEnd::Drained => CloseCode::Away,
        ConnectionEnd::Malformed(_) => CloseCode::Invalid,
        ConnectionEnd::Frame(_) => CloseCode::Size,
        ConnectionEnd::SlowReader { .. } | ConnectionEnd::Idle { .. } => CloseCode::Policy,
        ConnectionEnd::Rejected(_)
        | ConnectionEnd::SecondHello
        | ConnectionEnd::DuplicateRequestId(_) => CloseCode::Protocol,
        ConnectionEnd::Io { .. } => CloseCode::Error,
    };
    let mut reason = end.to_string();
    reason.truncate(reason.floor_char_boundary(CLOSE_REASON_MAX));
    CloseFrame { code, reason: reason.into() }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_LEN))
        .max_frame_size(Some(MAX_FRAME_LEN))
        // Of the default 128 KiB one takes more than a session that waits.
        .read_buffer_size(16 << 10)
}

/// Between a client's TCP connection and its being let in.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// For telling a client that there are too many.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// How many clients are told that at a time.
const MAX_REFUSALS: usize = 64;

/// For the closing handshake.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// Between pings, of which a client answers each. Below the minute after which many proxies drop what is silent.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// A client of which nothing was heard for three pings is gone.
const IDLE_TIME: Duration = Duration::from_secs(65);

/// After an error of `accept`.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a close frame has room for, in bytes.
const CLOSE_REASON_MAX: usize = 123;
