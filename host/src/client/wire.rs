//! How a client's messages travel.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use codemode_host_protocol::{
    ClientToHost, DecodeError, Envelope as _, FrameDecoder, FrameError, HEADER_LEN, HostToClient,
    MAX_FRAME_LEN, encode_frame,
};
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender, WeakUnboundedSender},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self, Bytes, Message, Utf8Bytes,
        client::IntoClientRequest as _,
        http::{HeaderValue, header::AUTHORIZATION},
        protocol::WebSocketConfig,
    },
};

use crate::{
    ConnectionEnd, Host,
    client::ClientError,
    connection::{
        Connection,
        outbox::{Batch, Outbox},
    },
    transport::drive::{Source, drive},
};

/// A connection to a host, on which nothing was said yet.
pub(super) struct Wire {
    pub(super) outgoing: Outgoing,
    pub(super) incoming: Box<dyn Incoming>,
    /// Ends when writing fails, or when all that there was to write was written.
    pub(super) writing: Writing,
    /// Finds out more about the host's end, once the connection is lost.
    pub(super) obituary: Obituary,
}

pub(super) type Writing = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

pub(super) type Obituary = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// Where messages from the host arrive.
pub(super) trait Incoming: Send {
    /// The next message. Not cancel safe.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<HostToClient, Lost>> + Send + '_>>;
}

/// Why nothing more comes from the host.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("it closed the connection")]
    Closed,
    #[error("it closed the connection: {0}")]
    ClosedBecause(String),
    #[error("it sent what is no message: {0}")]
    Malformed(#[from] DecodeError),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("reading from it failed: {0}")]
    Io(#[from] io::Error),
    #[error("writing to it failed: {0}")]
    Write(io::Error),
    #[error("it sent {0} in the midst of things")]
    OutOfPlace(&'static str),
    #[error("this side closed the connection, and it did not")]
    Lingers,
}

/// Where messages to the host go. What is sent after the connection was lost goes nowhere: those who wait for
/// answers are told by the other direction.
///
/// A host that does not read is bounded in what it costs this process: with [`QUEUE_MAX`] bytes on their way to it, requests and
/// results are refused.
pub(super) enum Outgoing {
    /// Each already encoded, header included.
    Frames(UnboundedSender<Vec<u8>>, Arc<Queued>),
    /// The host in this process takes each at once.
    Messages(UnboundedSender<ClientToHost>),
}

/// Bytes that have been sent and not written.
#[derive(Debug, Default)]
pub(super) struct Queued(AtomicUsize);

impl Queued {
    /// Counts a frame that is to be written.
    fn add(&self, bytes: usize) -> Result<(), String> {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        // An error in place of an answer, or a cancel, is no more than what it answers or cancels.
        let most = if bytes > SMALL_LEN { QUEUE_MAX } else { QUEUE_MAX + QUEUE_SPARE };
        if before <= most {
            return Ok(());
        }
        self.wrote(bytes);
        Err(format!("the host does not read: {before} bytes are on their way to it"))
    }

    fn wrote(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Outgoing {
    /// Sends `message` after those before it.
    ///
    /// # Errors
    /// When it makes no frame, or too much is on its way.
    pub(super) fn send(&self, message: ClientToHost) -> Result<(), String> {
        match self {
            Outgoing::Frames(frames, queued) => {
                let mut frame = Vec::new();
                encode_frame(&message, &mut frame).map_err(|error| error.to_string())?;
                queued.add(frame.len())?;
                let _ = frames.send(frame);
            }
            Outgoing::Messages(messages) => drop(messages.send(message)),
        }
        Ok(())
    }

    /// A handle that does not keep the connection open.
    pub(super) fn downgrade(&self) -> WeakOutgoing {
        match self {
            Outgoing::Frames(frames, queued) => {
                WeakOutgoing::Frames(frames.downgrade(), Arc::clone(queued))
            }
            Outgoing::Messages(messages) => WeakOutgoing::Messages(messages.downgrade()),
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outgoing")
    }
}

/// An [`Outgoing`] that does not keep the connection open.
#[derive(Clone)]
pub(super) enum WeakOutgoing {
    Frames(WeakUnboundedSender<Vec<u8>>, Arc<Queued>),
    Messages(WeakUnboundedSender<ClientToHost>),
}

impl WeakOutgoing {
    pub(super) fn upgrade(&self) -> Option<Outgoing> {
        match self {
            WeakOutgoing::Frames(frames, queued) => {
                frames.upgrade().map(|frames| Outgoing::Frames(frames, Arc::clone(queued)))
            }
            WeakOutgoing::Messages(messages) => messages.upgrade().map(Outgoing::Messages),
        }
    }
}

/// What a task that writes ended with. The task goes on when this is dropped: it has something to finish.
fn written_by(task: JoinHandle<io::Result<()>>) -> Writing {
    Box::pin(async { task.await.unwrap_or_else(|error| Err(io::Error::other(error))) })
}

/// A host in a child process.
pub(super) fn spawn(mut command: Command) -> Result<Wire, ClientError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(ClientError::Spawn)?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(ClientError::Spawn(io::ErrorKind::BrokenPipe.into()));
    };
    let obituary = Box::pin(bury(child));
    Ok(Wire { obituary, ..over_stream(stdout, stdin) })
}

async fn bury(mut child: Child) -> Option<String> {
    let status = match timeout(CHILD_GRACE, child.wait()).await {
        Ok(status) => status.ok()?,
        Err(_) => {
            child.start_kill().ok()?;
            child.wait().await.ok()?
        }
    };
    Some(format!("its process ended with {status}"))
}

/// A host at the other end of a stream of frames.
pub(super) fn over_stream(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> Wire {
    let (sender, frames) = mpsc::unbounded_channel();
    let queued = Arc::new(Queued::default());
    let writing = written_by(tokio::spawn(write_frames(frames, Arc::clone(&queued), writer)));
    let chunk = vec![0; CHUNK_LEN].into();
    let incoming = Frames { reader, chunk, filled: 0..0, decoder: FrameDecoder::new() };
    Wire {
        outgoing: Outgoing::Frames(sender, queued),
        incoming: Box::new(incoming),
        writing,
        obituary: Box::pin(std::future::ready(None)),
    }
}

async fn write_frames(
    mut frames: UnboundedReceiver<Vec<u8>>,
    queued: Arc<Queued>,
    mut writer: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    while let Some(mut batch) = frames.recv().await {
        while batch.len() < CHUNK_LEN
            && let Ok(more) = frames.try_recv()
        {
            batch.extend_from_slice(&more);
        }
        writer.write_all(&batch).await?;
        writer.flush().await?;
        queued.wrote(batch.len());
    }
    writer.shutdown().await
}

struct Frames<R> {
    reader: R,
    chunk: Box<[u8]>,
    filled: std::ops::Range<usize>,
    decoder: FrameDecoder,
}

impl<R: AsyncRead + Send + Unpin> Frames<R> {
    async fn next_message(&mut self) -> Result<HostToClient, Lost> {
        loop {
            let mut input = &self.chunk[self.filled.clone()];
            let message = match self.decoder.next_frame(&mut input)? {
                Some(body) => Some(HostToClient::decode(body)?),
                None => None,
            };
            self.filled.start = self.filled.end - input.len();
            if let Some(message) = message {
                return Ok(message);
            }
            let len = self.reader.read(&mut self.chunk).await?;
            self.filled = 0..len;
            if len == 0 {
                self.decoder.finish()?;
                return Err(Lost::Closed);
            }
        }
    }
}

impl<R: AsyncRead + Send + Unpin> Incoming for Frames<R> {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<HostToClient, Lost>> + Send + '_>> {
        Box::pin(self.next_message())
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A host behind a WebSocket.
pub(super) async fn connect(url: &str, token: Option<&str>) -> Result<Wire, ClientError> {
    let failed = |reason: String| ClientError::Connect { url: url.to_owned(), reason };
    let mut request = url.into_client_request().map_err(|error| failed(error.to_string()))?;
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| failed("the token holds what no header can carry".to_owned()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_LEN))
        .max_frame_size(Some(MAX_FRAME_LEN));
    let (socket, _) = connect_async_with_config(request, Some(config), true)
        .await
        .map_err(|error| failed(refusal(error)))?;
    let (sink, stream) = socket.split();
    let (sender, frames) = mpsc::unbounded_channel();
    let queued = Arc::new(Queued::default());
    let written = Arc::clone(&queued);
    let writing = tokio::spawn(async move {
        write_messages(frames, &written, sink).await.map_err(|error| match error {
            tungstenite::Error::Io(error) => error,
            error => io::Error::other(error),
        })
    });
    Ok(Wire {
        outgoing: Outgoing::Frames(sender, queued),
        incoming: Box::new(Messages { stream }),
        writing: written_by(writing),
        obituary: Box::pin(std::future::ready(None)),
    })
}

/// Why the host did not let the client in, in its own words where it used any.
fn refusal(error: tungstenite::Error) -> String {
    let tungstenite::Error::Http(response) = &error else { return error.to_string() };
    match response.body() {
        Some(body) if !body.is_empty() => {
            format!("{} ({})", String::from_utf8_lossy(body), response.status())
        }
        _ => error.to_string(),
    }
}

async fn write_messages(
    mut frames: UnboundedReceiver<Vec<u8>>,
    queued: &Queued,
    mut sink: SplitSink<Socket, Message>,
) -> Result<(), tungstenite::Error> {
    while let Some(frame) = frames.recv().await {
        let len = frame.len();
        let body = Bytes::from(frame).split_off(HEADER_LEN);
        let text = Utf8Bytes::try_from(body).map_err(io::Error::other)?;
        sink.feed(Message::Text(text)).await?;
        queued.wrote(len);
        if frames.is_empty() {
            sink.flush().await?;
        }
    }
    sink.close().await
}

struct Messages {
    stream: SplitStream<Socket>,
}

impl Messages {
    async fn next_message(&mut self) -> Result<HostToClient, Lost> {
        loop {
            let message = match self.stream.next().await {
                None => return Err(Lost::Closed),
                Some(Err(tungstenite::Error::Io(error))) => return Err(error.into()),
                Some(Err(error)) => return Err(io::Error::other(error).into()),
                Some(Ok(message)) => message,
            };
            return Ok(match message {
                Message::Text(text) => HostToClient::decode(text.as_bytes())?,
                Message::Binary(bytes) => HostToClient::decode(&bytes)?,
                Message::Close(Some(frame)) if !frame.reason.is_empty() => {
                    return Err(Lost::ClosedBecause(frame.reason.to_string()));
                }
                Message::Close(_) => return Err(Lost::Closed),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            });
        }
    }
}

impl Incoming for Messages {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<HostToClient, Lost>> + Send + '_>> {
        Box::pin(self.next_message())
    }
}

/// A host in this process.
pub(super) fn in_process(host: &Host) -> Wire {
    let (sender, messages) = mpsc::unbounded_channel();
    let outbox = Outbox::of_messages();
    let host = host.clone();
    let sent = Arc::clone(&outbox);
    let serving = tokio::spawn(async move {
        // What is in the outbox is fetched from the other end.
        let end = drive(&host, &mut Inbox(messages), sent, std::future::pending()).await;
        tracing::debug!(%end, "disconnected");
        Ok(())
    });
    Wire {
        outgoing: Outgoing::Messages(sender),
        incoming: Box::new(Handed { outbox, batch: Default::default() }),
        writing: written_by(serving),
        obituary: Box::pin(std::future::ready(None)),
    }
}

struct Inbox(UnboundedReceiver<ClientToHost>);

impl Source for Inbox {
    async fn receive(&mut self, connection: &mut Connection) -> Result<(), ConnectionEnd> {
        match self.0.recv().await {
            Some(message) => connection.receive(message),
            None => Err(ConnectionEnd::Closed),
        }
    }
}

struct Handed {
    outbox: Arc<Outbox>,
    batch: std::collections::VecDeque<HostToClient>,
}

impl Handed {
    async fn next_message(&mut self) -> Result<HostToClient, Lost> {
        loop {
            if let Some(message) = self.batch.pop_front() {
                return Ok(message);
            }
            match self.outbox.next_batch().await {
                Some(Batch::Messages(batch)) => self.batch = batch,
                Some(Batch::Frames(_) | Batch::Long(_)) => {}
                None => return Err(Lost::Closed),
            }
        }
    }
}

impl Incoming for Handed {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<HostToClient, Lost>> + Send + '_>> {
        Box::pin(self.next_message())
    }
}

/// How long a host has to close the connection after this side did, and a child to end after that.
pub(super) const CHILD_GRACE: Duration = Duration::from_secs(5);

/// How much may be on its way to a host: four of the largest frames.
const QUEUE_MAX: usize = 4 * MAX_FRAME_LEN;

/// How much more of what is small.
const QUEUE_SPARE: usize = 64 << 20;

const SMALL_LEN: usize = 4 << 10;

/// What is read at a time, in bytes, and about what is written at a time.
const CHUNK_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_to_a_host_is_bounded() {
        let queued = Queued::default();
        for _ in 0..5 {
            assert_eq!(queued.add(MAX_FRAME_LEN), Ok(()));
        }
        let refused = queued.add(SMALL_LEN + 1).map_err(|error| error.contains("does not read"));
        assert_eq!(refused, Err(true));
        assert_eq!(queued.add(SMALL_LEN), Ok(()), "what is small may follow");
        queued.wrote(MAX_FRAME_LEN + SMALL_LEN);
        assert_eq!(queued.add(MAX_FRAME_LEN), Ok(()));
    }
}
