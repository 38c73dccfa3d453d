//! The tools of a server, as it tells them and as cells see them.

use codemode_host_protocol::{Json, ToolDefinition, ToolKind, ToolName};
use rmcp::model::{ListToolsResult, Tool};
use serde_json::Value;

use super::{ToolRules, Treatment, result};

/// The tools of a server that cells may see.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) tools: Vec<ListedTool>,
    /// What a person should know about the list.
    pub(super) warnings: Vec<String>,
}

/// A tool as cells see it.
#[derive(Debug)]
pub(super) struct ListedTool {
    pub(super) definition: ToolDefinition,
    pub(super) needs_approval: bool,
    /// Whether its result is its structured content, which its definition describes.
    pub(super) structured: bool,
}

/// A part of a server's list.
pub(super) struct Page {
    tools: Vec<Result<Tool, String>>,
    pub(super) next_cursor: Option<String>,
}

impl Page {
    pub(super) fn from_result(result: ListToolsResult) -> Page {
        let tools = result.tools.into_iter().map(Ok).collect();
        Page { tools, next_cursor: result.next_cursor }
    }

    /// Reads a list of which some tools are no tools: the others are still of use.
    pub(super) fn from_value(mut value: Value) -> Result<Page, String> {
        let next_cursor = value.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        let Some(Value::Array(tools)) = value.get_mut("tools").map(Value::take) else {
            return Err(String::from("its list of tools is none: there is no array `tools`"));
        };
        let tools = tools
            .into_iter()
            .map(|tool| {
                let name = tool.get("name").and_then(Value::as_str).unwrap_or("?").to_owned();
                serde_json::from_value(tool).map_err(|error| {
                    format!(
                        "the tool {:?} is left out, for it is none: {error}",
                        result::shorten(&name)
                    )
                })
            })
            .collect();
        Ok(Page { tools, next_cursor })
    }
}

impl Listing {
    /// The tools of `pages` that cells see by `rules`.
    pub(super) fn new(server: &str, pages: Vec<Page>, rules: &ToolRules) -> Listing {
        let mut listing = Listing::default();
        let mut told = Vec::new();
        let tools: Vec<_> = pages.into_iter().flat_map(|page| page.tools).collect();
        if tools.len() > MAX_TOOLS {
            listing.warnings.push(format!(
                "it has {} tools; cells see the first {MAX_TOOLS}. `allow` and `deny` choose among all of them",
                tools.len()
            ));
        }
        for tool in tools {
            match tool {
                Ok(tool) => {
                    told.push(tool.name.to_string());
                    listing.add(server, tool, rules);
                }
                Err(warning) => listing.warnings.push(warning),
            }
        }
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        for (list, glob) in rules.idle(&told) {
            listing
                .warnings
                .push(format!("`{list}` has {glob:?}, which is the name of none of its tools"));
        }
        let more = listing.warnings.len().saturating_sub(MAX_WARNINGS);
        if more > 0 {
            listing.warnings.truncate(MAX_WARNINGS);
            listing.warnings.push(format!("and {more} more of the kind"));
        }
        listing
    }

    fn add(&mut self, server: &str, tool: Tool, rules: &ToolRules) {
        let name = tool.name.as_ref();
        let destructive = tool
            .annotations
            .as_ref()
            // Where a server says nothing the hint's default is true; that would mark nearly every tool there is.
            .is_some_and(|hints| {
                hints.destructive_hint == Some(true) && hints.read_only_hint != Some(true)
            });
        let treatment = rules.treatment(name, destructive);
        if treatment == Treatment::Hidden || self.tools.len() >= MAX_TOOLS {
            return;
        }
        let shown = result::shorten(name);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            self.warnings.push(format!(
                "the tool {shown:?} is left out: a name has 1 to {MAX_NAME_BYTES} bytes and no control characters"
            ));
            return;
        }
        if self.tools.iter().any(|other| other.definition.tool_name.name == name) {
            self.warnings.push(format!("the tool {shown:?} is there twice; cells see the first"));
            return;
        }
        let input_schema = Json::from(Value::Object(tool.input_schema.as_ref().clone()));
        let output_schema = tool
            .output_schema
            .as_ref()
            .map(|schema| Json::from(Value::Object(schema.as_ref().clone())));
        let bytes = input_schema.text().len()
            + output_schema.as_ref().map_or(0, |schema| schema.text().len());
        if bytes > MAX_SCHEMA_BYTES {
            self.warnings.push(format!(
                "the tool {shown:?} is left out: its schemas take {} KiB, and may take {}",
                bytes >> 10,
                MAX_SCHEMA_BYTES >> 10
            ));
            return;
        }
        let description = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
        let definition = ToolDefinition {
            name: format!("mcp__{server}__{name}"),
            tool_name: ToolName { name: name.to_owned(), namespace: Some(server.to_owned()) },
            description: result::cut(description, MAX_DESCRIPTION_BYTES),
            kind: ToolKind::Function,
            input_schema: Some(input_schema),
            output_schema: Some(output_schema.clone().unwrap_or_else(result::whole_schema)),
        };
        self.tools.push(ListedTool {
            definition,
            needs_approval: treatment == Treatment::NeedsApproval,
            structured: output_schema.is_some(),
        });
    }
}

/// Tools of one server that cells see.
const MAX_TOOLS: usize = 1000;

/// Bytes of both schemas of a tool. The largest of real servers have some tens of thousands.
const MAX_SCHEMA_BYTES: usize = 256 << 10;

const MAX_DESCRIPTION_BYTES: usize = 32 << 10;
const MAX_NAME_BYTES: usize = 256;
const MAX_WARNINGS: usize = 20;
