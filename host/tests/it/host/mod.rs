//! `codemode host` and the client library.

mod bursts;
mod client;
#[allow(dead_code, reason = "the tests of `cells` need more of it")]
#[path = "../../../../cells/tests/it/desk.rs"]
pub(crate) mod desk;
mod endings;
mod frames;
mod raw;
mod support;
mod web_socket;
