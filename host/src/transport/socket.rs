//! A socket that is read and written without waiting, and that others may wait at.
//!
//! "Does not block" is a mark on what a descriptor stands for, and whoever else holds that sees it. So each call says it for itself. One of the four modules
//! with `unsafe` code.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::net::{RecvFlags, SendFlags, SocketType, recv, send, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};

/// One direction of a stream socket that others may hold too.
pub(super) struct Socket(AsyncFd<OwnedFd>);

impl Socket {
    /// # Errors
    /// When it is no stream socket.
    pub(super) fn open(descriptor: BorrowedFd<'_>, interest: Interest) -> io::Result<Socket> {
        if sockopt::socket_type(descriptor)? != SocketType::STREAM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let descriptor = descriptor.try_clone_to_owned()?;
        // SAFETY: it is open, as nobody closes it but its owner, which is dropped with this; and its number stays the same.
        Ok(Socket(unsafe { AsyncFd::register_with_interest(descriptor, interest)? }))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            let read = ready.try_io(|socket| {
                let (len, _) =
                    rustix::io::retry_on_intr(|| recv(socket, &mut *room, RecvFlags::DONTWAIT))?;
                Ok(len)
            });
            // Otherwise it is not ready any more.
            if let Ok(read) = read {
                return Poll::Ready(read.map(|len| buffer.advance(len)));
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            let written = ready.try_io(|socket| {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                Ok(rustix::io::retry_on_intr(|| send(socket, bytes, flags))?)
            });
            if let Ok(written) = written {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // That would be for all who hold the socket, and standard error may be one of them.
        Poll::Ready(Ok(()))
    }
}
