//! Tools as a model learns of them: as TypeScript declarations, which models read better than JSON Schema.
//!
//! What a schema says beyond TypeScript's types (words, ranges, patterns, defaults) becomes a comment. Types that are referred
//! to, or would be written more than once, have names. A schema is never refused, however odd, deep or large it is:
//! what has no meaning here reads `unknown`.
//!
//! ```
//! use codemode_declarations::render;
//! use codemode_host_protocol::{Json, ToolDefinition, ToolKind, ToolName};
//!
//! let schema = r#"{"properties": {"path": {"type": "string"}}, "required": ["path"]}"#;
//! let read = ToolDefinition {
//!     name: "mcp__files__read".to_owned(),
//!     tool_name: ToolName { namespace: Some("files".to_owned()), name: "read".to_owned() },
//!     description: "Reads a file".to_owned(),
//!     kind: ToolKind::Function,
//!     input_schema: Json::parse(schema).ok(),
//!     output_schema: None,
//! };
//! let expected = "declare const tools: {
//!   files: {
//!     /** Reads a file */
//!     read(args: {
//!       path: string;
//!     }): Promise<unknown>;
//!   };
//! };
//! ";
//! assert_eq!(render(&[read]), expected);
//! ```

pub use search::ToolIndex;

use codemode_host_protocol::{Json, ToolDefinition};

use crate::{
    print::{Printer, Style},
    share::Shared,
    toolset::Toolset,
    tree::Tree,
    types::Types,
};

mod budget;
mod docs;
mod document;
mod print;
mod schema;
mod search;
mod share;
mod toolset;
mod tree;
mod types;

#[cfg(test)]
mod tests;

/// Renders tools as the declaration of the object `tools` that a cell calls them on.
///
/// A tool of a namespace is shown as `tools.namespace.name`, where a cell has that; it is `tools[definition.name]`
/// as well. Names are those that a cell sees, so that of two tools with one name only the later is there. Where a tool
/// has the name of a namespace, the namespace's own are shown by their long names: there they are not found otherwise.
pub fn render(definitions: &[ToolDefinition]) -> String {
    Toolset::new(definitions).text()
}

/// Renders tools as [`render`] does, in `max_tokens` of the o200k_base vocabulary at most.
///
/// What does not fit is cut down: to signatures without comments, then to names, then to how many there are; the last line says
/// how a cell learns of the rest. Every namespace, and the tools of none, have the same room. The same tools come to the same
/// text. Where not even the last line fits, there is no text.
pub fn render_within(definitions: &[ToolDefinition], max_tokens: usize) -> String {
    budget::within(&Toolset::new(definitions), max_tokens)
}

/// The declaration of the tool at `place` as [`render`] has it, and the types that it needs. What would be long is cut down to a
/// signature without comments, and that to its beginning.
pub fn describe(definitions: &[ToolDefinition], place: usize) -> String {
    budget::description(&Toolset::of_one(definitions, place))
}

/// How the tool at `place` is called, on one line and in brief: `(args: { path: string }): Promise<string>`.
pub fn signature(definitions: &[ToolDefinition], place: usize) -> String {
    Toolset::of_one(definitions, place).signature().unwrap_or_default()
}

/// The declarations of a cell's other globals: the functions that show and store, and those that find tools, which a cell of a
/// session with discovery has.
pub const GLOBALS: &str = include_str!("globals.d.ts");

/// Of [`GLOBALS`] those that most cells need: what a model is told where each token counts.
pub fn common_globals() -> &'static str {
    GLOBALS.split("\n\n").next().unwrap_or(GLOBALS)
}

/// A schema as a type on one line, without comments. What it refers to is `unknown`.
pub fn inline_type(schema: &Json) -> String {
    let Some(tree) = Tree::read(schema) else { return String::from("unknown") };
    let mut types = Types::default();
    let root = schema::convert(&mut types, &tree, "Input");
    let shared = Shared::undeclared(types);
    Printer { shared: &shared, style: Style::Inline }.text(root, 0)
}
