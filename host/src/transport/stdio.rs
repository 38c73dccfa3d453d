//! One client at standard input and output.

use std::{io, os::fd::AsFd as _};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest},
    net::unix::pipe,
};

use crate::{
    Host,
    connection::ConnectionEnd,
    transport::{socket::Socket, stream::serve_stream},
};

/// Serves the client that started this process.
pub(crate) async fn serve_stdio(host: &Host) -> ConnectionEnd {
    serve_stream(host, input(), output()).await
}

/// What comes from the client. Within a tokio runtime.
///
/// A pipe is opened anew, because "does not block" is a mark on what a descriptor stands for: set on the inherited one, it
/// would show to others who hold it. A socket can be read so without the mark; Node.js gives its child processes sockets. Files,
/// terminals and pipes of other users block, on a thread.
pub(crate) fn input() -> Box<dyn AsyncRead + Send + Unpin> {
    if let Ok(pipe) = pipe::OpenOptions::new().open_receiver("/proc/self/fd/0") {
        return Box::new(pipe);
    }
    match Socket::open(io::stdin().as_fd(), Interest::READABLE) {
        Ok(socket) => Box::new(socket),
        Err(_) => Box::new(tokio::io::stdin()),
    }
}

/// What goes to the client, in the same way.
pub(crate) fn output() -> Box<dyn AsyncWrite + Send + Unpin> {
    if let Ok(pipe) = pipe::OpenOptions::new().open_sender("/proc/self/fd/1") {
        return Box::new(pipe);
    }
    match Socket::open(io::stdout().as_fd(), Interest::WRITABLE) {
        Ok(socket) => Box::new(socket),
        Err(_) => Box::new(tokio::io::stdout()),
    }
}
