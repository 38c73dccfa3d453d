//! `codemode host` and the client library.

mod bursts;
mod client;
mod desk;
mod endings;
mod frames;
mod raw;
mod web_socket;
