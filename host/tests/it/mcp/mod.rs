//! MCP servers as tools: real servers from npm and PyPI, and one that misbehaves.

mod cells;
mod host;
mod misbehaving;
mod real;
pub(crate) mod support;
mod terminal;
mod web;
