//! One client at standard input and output.

use tokio::net::unix::pipe;

use crate::{Host, connection::ConnectionEnd, transport::stream::serve_stream};

/// Serves the client that started this process.
pub(crate) async fn serve_stdio(host: &Host) -> ConnectionEnd {
    // Opened anew, because "does not block" is a mark on what a descriptor stands for: set on the inherited
    // one, it would show to others who hold it, a terminal's shell among them.
    let input = pipe::OpenOptions::new().open_receiver("/proc/self/fd/0");
    let output = pipe::OpenOptions::new().open_sender("/proc/self/fd/1");
    match (input, output) {
        (Ok(input), Ok(output)) => serve_stream(host, input, output).await,
        // Sockets, files and terminals, by way of threads that block.
        _ => serve_stream(host, tokio::io::stdin(), tokio::io::stdout()).await,
    }
}
