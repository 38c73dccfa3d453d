//! The words that every codemode crate uses, and the wire format they travel in.
//!
//! This crate knows no engine, no async runtime and no socket. A value of one of its types is valid: the
//! constructors and decoders refuse everything else, so nobody who receives one needs to check it again.

pub use content::{ContentItem, ImageDetail};
pub use ids::{CellId, IdError, SessionId};
pub use json::Json;
pub use tool::{ToolDefinition, ToolFailure, ToolInvocation, ToolKind, ToolName};

mod content;
mod ids;
mod json;
mod tool;
