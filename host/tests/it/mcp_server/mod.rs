//! `codemode mcp`: real clients in front of it, the official conformance suite, and a client that misbehaves.

mod clients;
mod comparison;
mod conformance;
mod hostile;
mod support;
mod waiting;
