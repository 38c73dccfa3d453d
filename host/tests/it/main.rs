//! The crate from outside: its command line, as a process, and its host and client, over real pipes and sockets.
#![allow(clippy::unwrap_used, missing_docs)]

mod host;
mod mcp;
mod mcp_server;
mod run;
