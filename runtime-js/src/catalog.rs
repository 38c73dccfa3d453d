//! The tools of a step as its cells see them.

use std::collections::HashMap;

use codemode_host_protocol::{ToolDefinition, ToolKind, ToolName, identifier};
use serde::{Deserialize, Serialize};

/// The tools that a cell sees, prepared once for all cells of a step.
///
/// Each tool is a property of `tools`, named by its definition's `name` with every character that no
/// JavaScript identifier takes replaced by `_`.
#[derive(Debug, Default)]
pub struct ToolCatalog {
    entries: Vec<Entry>,
    by_identifier: HashMap<String, usize>,
    /// Indexes of the first tools of each identifier, in order.
    places: Vec<usize>,
    /// The length of the longest identifier.
    longest: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) identifier: String,
    pub(crate) description: String,
    pub(crate) tool: ToolName,
    pub(crate) kind: ToolKind,
}

impl ToolCatalog {
    /// Prepares `definitions`. Where two normalise to one identifier, `tools` holds the later one.
    pub fn new(definitions: &[ToolDefinition]) -> ToolCatalog {
        let entries: Vec<Entry> = definitions
            .iter()
            .map(|definition| Entry {
                identifier: identifier(&definition.name),
                description: definition.description.clone(),
                tool: definition.tool_name.clone(),
                kind: definition.kind,
            })
            .collect();
        ToolCatalog::from_entries(entries)
    }

    pub(crate) fn from_entries(entries: Vec<Entry>) -> ToolCatalog {
        let mut by_identifier = HashMap::new();
        let mut places = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if by_identifier.insert(entry.identifier.clone(), index).is_none() {
                places.push(index);
            }
        }
        let longest = entries.iter().map(|entry| entry.identifier.len()).max().unwrap_or(0);
        ToolCatalog { entries, by_identifier, places, longest }
    }

    /// The index of the tool that `tools[identifier]` is.
    pub(crate) fn index_of(&self, identifier: &str) -> Option<usize> {
        self.by_identifier.get(identifier).copied()
    }

    /// The length of the longest identifier; they are all ASCII.
    pub(crate) fn longest_identifier(&self) -> usize {
        self.longest
    }

    pub(crate) fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    /// All tools, in the order in which they were advertised.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The names of the properties of `tools`, in the order in which they were first advertised.
    pub(crate) fn identifiers(&self) -> impl Iterator<Item = &str> {
        self.places
            .iter()
            .filter_map(|&index| self.entries.get(index))
            .map(|entry| entry.identifier.as_str())
    }

    /// The identifiers that a model may have meant by `name`, nearest first.
    pub(crate) fn nearest(&self, name: &str) -> Vec<&str> {
        let mut near: Vec<(f64, &str)> = self
            .identifiers()
            .map(|identifier| (strsim::jaro_winkler(name, identifier), identifier))
            .filter(|(likeness, _)| *likeness >= LIKE)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.into_iter().take(MAX_NEAREST).map(|(_, identifier)| identifier).collect()
    }
}

/// Jaro-Winkler likeness from which a name is worth offering: `readFile` and `read_file` have 0.93, `list` and
/// `list_directory` 0.86, `fetch` and `search` 0.58.
const LIKE: f64 = 0.8;

const MAX_NEAREST: usize = 3;
