//! Tools as a step advertises them, and calls of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    CellId, Json, LimitExceeded,
    decode::{Decode, Value},
    fault::Fault,
};

/// A tool as one step advertises it to its cells.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolDefinition {
    /// The name under which the cell sees it; characters that no JavaScript identifier takes become `_`.
    pub name: String,
    /// The name under which the step's runtime knows it.
    pub tool_name: ToolName,
    /// What the tool does, for the model.
    pub description: String,
    /// What its input is.
    pub kind: ToolKind,
    /// JSON Schema of the input, if the tool has one.
    pub input_schema: Option<Json>,
    /// JSON Schema of the result, if the tool has one.
    pub output_schema: Option<Json>,
}

/// `name` as a JavaScript identifier, as cells see it: every character that no identifier takes, and a leading digit,
/// replaced by `_`. All ASCII.
pub fn identifier(name: &str) -> String {
    if name.is_empty() {
        return String::from("_");
    }
    name.chars()
        .enumerate()
        .map(|(index, c)| match c {
            'a'..='z' | 'A'..='Z' | '_' | '$' => c,
            '0'..='9' if index > 0 => c,
            _ => '_',
        })
        .collect()
}

/// The name of a tool in the namespace of whoever offers it.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolName {
    /// The tool's own name.
    pub name: String,
    /// Whose tool it is, such as an MCP server's name.
    pub namespace: Option<String>,
}

impl ToolName {
    /// A name outside every namespace.
    pub fn plain(name: impl Into<String>) -> ToolName {
        ToolName { name: name.into(), namespace: None }
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What a tool takes.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// One JSON object.
    Function,
    /// One string in a grammar of the tool's own.
    Freeform,
}

/// One call of a tool by a cell.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolInvocation {
    /// The calling cell.
    pub cell_id: CellId,
    /// The call, unique within its cell.
    pub runtime_tool_call_id: String,
    /// The tool.
    pub tool_name: ToolName,
    /// Its kind, as the step advertised it.
    pub tool_kind: ToolKind,
    /// The input; null where the cell gave none or gave null.
    pub input: Option<Json>,
}

/// Why a tool call gave no result. The calling cell sees it as a `ToolError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ToolFailure {
    /// What went wrong, for the model.
    pub message: String,
    /// The budget that the call would have crossed, where that is why.
    pub limit: Option<LimitExceeded>,
    /// In which way it failed, where whoever executes the tool tells ways apart. The cell sees it as `kind`.
    pub kind: Option<FailureKind>,
}

/// The ways in which a tool call fails: a small fixed set, fit for the label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Whoever executes it took too long.
    Timeout,
    /// Whoever executes it is not there, or went away.
    Transport,
    /// Whoever executes it, or the call, did not keep to the protocol.
    Protocol,
    /// The tool itself says that it failed.
    Tool,
    /// Whoever executes it took the call back.
    Cancelled,
    /// Nobody said yes.
    Denied,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [FailureKind; 6] = [
        FailureKind::Timeout,
        FailureKind::Transport,
        FailureKind::Protocol,
        FailureKind::Tool,
        FailureKind::Cancelled,
        FailureKind::Denied,
    ];

    /// The kind in one word.
    pub const fn name(self) -> &'static str {
        match self {
            FailureKind::Timeout => "timeout",
            FailureKind::Transport => "transport",
            FailureKind::Protocol => "protocol",
            FailureKind::Tool => "tool",
            FailureKind::Cancelled => "cancelled",
            FailureKind::Denied => "denied",
        }
    }
}

impl ToolFailure {
    /// A failure that says `message`.
    pub fn new(message: impl Into<String>) -> ToolFailure {
        ToolFailure { message: message.into(), limit: None, kind: None }
    }

    /// The failure of a call that was refused because of a budget.
    pub fn refused(limit: LimitExceeded) -> ToolFailure {
        ToolFailure { message: limit.to_string(), limit: Some(limit), kind: None }
    }

    /// The same failure, known to be of this kind.
    #[must_use]
    pub fn of_kind(self, kind: FailureKind) -> ToolFailure {
        ToolFailure { kind: Some(kind), ..self }
    }
}

impl Decode for ToolDefinition {
    fn read(value: Value<'_>) -> Result<ToolDefinition, Fault> {
        let [name, tool_name, description, kind, input_schema, output_schema] = value.object([
            "name",
            "tool_name",
            "description",
            "kind",
            "input_schema",
            "output_schema",
        ])?;
        Ok(ToolDefinition {
            name: name.required()?,
            tool_name: tool_name.required()?,
            description: description.required()?,
            kind: kind.required()?,
            input_schema: input_schema.optional()?,
            output_schema: output_schema.optional()?,
        })
    }
}

impl Decode for ToolName {
    fn read(value: Value<'_>) -> Result<ToolName, Fault> {
        let [name, namespace] = value.object(["name", "namespace"])?;
        Ok(ToolName { name: name.required()?, namespace: namespace.optional()? })
    }
}

impl Decode for ToolKind {
    fn read(value: Value<'_>) -> Result<ToolKind, Fault> {
        Ok(match value.word(&["function", "freeform"])? {
            "function" => ToolKind::Function,
            _ => ToolKind::Freeform,
        })
    }
}

impl Decode for ToolInvocation {
    fn read(value: Value<'_>) -> Result<ToolInvocation, Fault> {
        let [cell_id, runtime_tool_call_id, tool_name, tool_kind, input] =
            value.object(["cell_id", "runtime_tool_call_id", "tool_name", "tool_kind", "input"])?;
        Ok(ToolInvocation {
            cell_id: cell_id.required()?,
            runtime_tool_call_id: runtime_tool_call_id.required()?,
            tool_name: tool_name.required()?,
            tool_kind: tool_kind.required()?,
            input: input.optional()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_identifiers() {
        for (name, expected) in [
            ("read_file", "read_file"),
            ("mcp.server/tool-x", "mcp_server_tool_x"),
            ("1abc", "_abc"),
            ("9", "_"),
            ("", "_"),
            ("\u{e9}a\u{1f600}b", "_a_b"),
            ("class", "class"),
        ] {
            assert_eq!(identifier(name), expected, "{name:?}");
        }
    }
}
