//! What carries a connection's messages.

pub use listen::{Listen, ListenError};
pub use serve::{ServeError, ServeOptions, WebSocketOptions, serve};
pub use stream::serve_stream;

pub(crate) mod admission;
pub(crate) mod drive;
mod listen;
mod serve;
mod socket;
pub(crate) mod stdio;
mod stream;
mod websocket;
