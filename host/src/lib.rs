//! The codemode host as a library: what touches the world outside of the sandbox.
//!
//! A [`Host`] runs sessions for clients, each on a connection of its own: [`serve`] on standard input and output
//! or over WebSocket, [`serve_stream`] on any stream of bytes.

pub use codemode_declarations as declarations;
pub use codemode_runtime_js::Isolation;
#[cfg(target_os = "linux")]
pub use codemode_runtime_js::process;
pub use connection::ConnectionEnd;
pub use host::{Host, HostOptions, SessionCeilings};
pub use transport::{
    Listen, ListenError, ServeError, ServeOptions, WebSocketOptions, serve, serve_stream,
};

pub mod cli;
pub mod client;
pub mod mcp;
pub mod workspace;

mod child;
mod connection;
mod host;
mod transport;
