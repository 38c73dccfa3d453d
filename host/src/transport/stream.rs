//! Frames over a stream of bytes.

use std::{io, sync::Arc};

use codemode_host_protocol::FrameDecoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    Host,
    connection::{
        Connection, ConnectionEnd,
        outbox::{Batch, Outbox},
    },
    transport::drive::{Source, drive},
};

/// Serves one client over a stream of frames, until the connection ends.
///
/// Cancel safety: dropping the future ends the connection and its sessions.
pub async fn serve_stream(
    host: &Host,
    reader: impl AsyncRead + Send + Unpin,
    writer: impl AsyncWrite + Send + Unpin,
) -> ConnectionEnd {
    let outbox = Outbox::of_frames();
    let mut frames =
        Frames { reader, chunk: vec![0; CHUNK_LEN].into(), decoder: FrameDecoder::new() };
    let write = write_frames(Arc::clone(&outbox), writer);
    drive(host, &mut frames, outbox, write).await
}

struct Frames<R> {
    reader: R,
    chunk: Box<[u8]>,
    decoder: FrameDecoder,
}

impl<R: AsyncRead + Send + Unpin> Source for Frames<R> {
    async fn receive(&mut self, connection: &mut Connection) -> Result<(), ConnectionEnd> {
        let len = self.reader.read(&mut self.chunk).await.map_err(read_failed)?;
        if len == 0 {
            self.decoder.finish()?;
            return Err(ConnectionEnd::Closed);
        }
        let mut input = &self.chunk[..len];
        while let Some(body) = self.decoder.next_frame(&mut input)? {
            connection.receive_body(body)?;
        }
        Ok(())
    }
}

async fn write_frames(
    outbox: Arc<Outbox>,
    mut writer: impl AsyncWrite + Unpin,
) -> Result<(), ConnectionEnd> {
    while let Some(batch) = outbox.next_batch().await {
        match batch {
            Batch::Frames(bytes) => write_bytes(&outbox, &mut writer, &bytes).await?,
            Batch::Long(mut frame) => {
                let mut part = Vec::new();
                while frame.next_part(&mut part) {
                    write_bytes(&outbox, &mut writer, &part).await?;
                    part.clear();
                }
            }
            Batch::Messages(_) => {}
        }
        writer.flush().await.map_err(write_failed)?;
    }
    // Where the stream is ours alone, a client that waits for its end sees that now, and not when the process ends.
    let _ = writer.shutdown().await;
    Ok(())
}

async fn write_bytes(
    outbox: &Outbox,
    writer: &mut (impl AsyncWrite + Unpin),
    mut rest: &[u8],
) -> Result<(), ConnectionEnd> {
    while !rest.is_empty() {
        let len = writer.write(rest).await.map_err(write_failed)?;
        if len == 0 {
            return Err(write_failed(io::ErrorKind::WriteZero.into()));
        }
        outbox.wrote(len);
        rest = &rest[len..];
    }
    Ok(())
}

fn read_failed(error: io::Error) -> ConnectionEnd {
    ConnectionEnd::Io { doing: "reading from the client", error }
}

fn write_failed(error: io::Error) -> ConnectionEnd {
    ConnectionEnd::Io { doing: "writing to the client", error }
}

/// What is read at a time, in bytes. A pipe of Linux holds as much.
const CHUNK_LEN: usize = 64 << 10;
