//! What a step's cells learn of its tools beyond their names.

use std::{fmt, sync::OnceLock};

use codemode_declarations::{ToolIndex, describe, signature};
use codemode_host_protocol::ToolDefinition;
use codemode_runtime_js::{Discovery, FoundTool};

use crate::Toolset;

/// What is known of a step's tools: made when a cell first asks, and each part once, so that a cell which asks again and again
/// costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Known {
    index: OnceLock<ToolIndex>,
    tools: OnceLock<Vec<Tool>>,
}

#[derive(Debug, Default)]
struct Tool {
    signature: OnceLock<String>,
    description: OnceLock<String>,
}

impl Known {
    fn index(&self, definitions: &[ToolDefinition]) -> &ToolIndex {
        self.index.get_or_init(|| ToolIndex::new(definitions))
    }

    fn tool(&self, definitions: &[ToolDefinition], place: usize) -> Option<&Tool> {
        let tools = || definitions.iter().map(|_| Tool::default()).collect();
        self.tools.get_or_init(tools).get(place)
    }
}

/// Answers the cells of a step.
pub(crate) struct StepDiscovery(pub(crate) Toolset);

impl Discovery for StepDiscovery {
    fn search(&self, query: &str, limit: usize) -> Vec<FoundTool> {
        let (tools, known) = (&self.0, self.0.known());
        let found = known.index(tools).search(query, limit).into_iter();
        found
            .map(|place| {
                let brief = || shortened(signature(tools, place));
                let tool = known.tool(tools, place);
                let signature = tool.map(|tool| tool.signature.get_or_init(brief).clone());
                FoundTool { place, signature: signature.unwrap_or_default() }
            })
            .collect()
    }

    fn describe(&self, place: usize) -> String {
        let (tools, known) = (&self.0, self.0.known());
        let tool = known.tool(tools, place);
        tool.map(|tool| tool.description.get_or_init(|| describe(tools, place)).clone())
            .unwrap_or_default()
    }
}

impl fmt::Debug for StepDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepDiscovery").finish_non_exhaustive()
    }
}

/// What is kept of a signature: a cell is shown less.
fn shortened(mut signature: String) -> String {
    signature.truncate(signature.floor_char_boundary(MAX_SIGNATURE_BYTES));
    signature.shrink_to_fit();
    signature
}

const MAX_SIGNATURE_BYTES: usize = 1_000;
