//! The tools of a step as its cells see them.

use std::sync::OnceLock;

use codemode_host_protocol::{ToolDefinition, ToolKind, ToolName, identifier};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The tools that a cell sees, prepared once for all cells of a step.
///
/// Each tool is a property of `tools`, named by its definition's `name` with every character that no
/// JavaScript identifier takes replaced by `_`. For cells with [`Discovery`](crate::Discovery), those of a namespace are
/// properties of `tools.namespace` too, unless a tool has that name.
#[derive(Debug, Default)]
pub struct ToolCatalog {
    entries: Vec<Entry>,
    flat: Names,
    /// Made for the first cell that has them.
    namespaces: OnceLock<Namespaces>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) identifier: String,
    pub(crate) description: String,
    pub(crate) tool: ToolName,
    pub(crate) kind: ToolKind,
}

/// The properties of an object, in the order in which they were first advertised, and what they are.
#[derive(Debug, Default)]
pub(crate) struct Names {
    places: IndexMap<String, usize>,
    /// The length of the longest one.
    longest: usize,
}

#[derive(Debug, Default)]
struct Namespaces {
    /// Properties of `tools`, and which of the following they are.
    names: Names,
    each: Vec<Names>,
}

/// An object whose properties are tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Tools,
    Namespace(u32),
}

/// What is a property of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Held {
    /// The tool at this place in the catalog.
    Tool(u32),
    Namespace(u32),
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
        let mut flat = Names::default();
        for (place, entry) in entries.iter().enumerate() {
            flat.insert(entry.identifier.clone(), place);
        }
        ToolCatalog { entries, flat, namespaces: OnceLock::new() }
    }

    /// The place of the tool that `tools[identifier]` is.
    pub(crate) fn index_of(&self, identifier: &str) -> Option<usize> {
        self.flat.get(identifier)
    }

    /// What a property of `holder` is.
    pub(crate) fn held(&self, holder: Holder, name: &str, with_namespaces: bool) -> Option<Held> {
        let small = |place: usize| u32::try_from(place).ok();
        match holder {
            Holder::Tools => match self.flat.get(name) {
                Some(place) => small(place).map(Held::Tool),
                None if !with_namespaces => None,
                None => self.namespaces().names.get(name).and_then(small).map(Held::Namespace),
            },
            Holder::Namespace(which) => {
                self.namespace(which)?.get(name).and_then(small).map(Held::Tool)
            }
        }
    }

    /// The names of the properties of `holder`: of `tools`, first the tools and then the namespaces.
    pub(crate) fn names(&self, holder: Holder, with_namespaces: bool) -> Vec<&str> {
        match holder {
            Holder::Tools if with_namespaces => {
                self.flat.iter().chain(self.namespaces().names.iter()).collect()
            }
            Holder::Tools => self.flat.iter().collect(),
            Holder::Namespace(which) => {
                self.namespace(which).into_iter().flat_map(Names::iter).collect()
            }
        }
    }

    /// The length of the longest name that a property of `holder` has; they are all ASCII.
    pub(crate) fn longest(&self, holder: Holder, with_namespaces: bool) -> usize {
        match holder {
            Holder::Tools if with_namespaces => {
                self.flat.longest.max(self.namespaces().names.longest)
            }
            Holder::Tools => self.flat.longest,
            Holder::Namespace(which) => self.namespace(which).map_or(0, |names| names.longest),
        }
    }

    /// The tools of the namespace that is `tools[identifier]`.
    pub(crate) fn namespace_of(&self, identifier: &str) -> Option<&Names> {
        let namespaces = self.namespaces();
        namespaces.each.get(namespaces.names.get(identifier)?)
    }

    /// The names of all namespaces.
    pub(crate) fn namespaces_named(&self) -> impl Iterator<Item = &str> {
        self.namespaces().names.iter()
    }

    fn namespace(&self, which: u32) -> Option<&Names> {
        self.namespaces().each.get(which as usize)
    }

    fn namespaces(&self) -> &Namespaces {
        self.namespaces.get_or_init(|| {
            let mut namespaces = Namespaces::default();
            for (place, entry) in self.entries.iter().enumerate() {
                let Some(name) = entry.tool.namespace.as_deref().map(identifier) else { continue };
                if self.flat.get(&name).is_some() {
                    continue;
                }
                let which = namespaces.names.get(&name).unwrap_or_else(|| {
                    namespaces.names.insert(name, namespaces.each.len());
                    namespaces.each.push(Names::default());
                    namespaces.each.len() - 1
                });
                namespaces.each[which].insert(identifier(&entry.tool.name), place);
            }
            namespaces
        })
    }

    pub(crate) fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    /// All tools, in the order in which they were advertised.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The names of the tools in `tools`, in the order in which they were first advertised.
    pub(crate) fn identifiers(&self) -> impl Iterator<Item = &str> {
        self.flat.iter()
    }

    /// Where in `tools` a tool is found, in as few words as possible.
    pub(crate) fn path(&self, place: usize) -> Option<String> {
        let entry = self.entry(place)?;
        let namespace = entry.tool.namespace.as_deref().map(identifier);
        let name = identifier(&entry.tool.name);
        match namespace {
            Some(namespace)
                if self.namespace_of(&namespace).and_then(|names| names.get(&name))
                    == Some(place) =>
            {
                Some(format!("tools.{namespace}.{name}"))
            }
            _ => Some(format!("tools.{}", entry.identifier)),
        }
    }

    /// The tool that `name` is the path of, or the name: `tools.server.tool`, `server.tool`, `mcp__server__tool`.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        let name = name.strip_prefix("tools.").unwrap_or(name);
        let in_namespace = || {
            let (namespace, tool) = name.split_once('.')?;
            self.namespace_of(&identifier(namespace))?.get(&identifier(tool))
        };
        self.index_of(name).or_else(in_namespace).or_else(|| self.index_of(&identifier(name)))
    }

    /// The identifiers that a model may have meant by `name`, nearest first.
    pub(crate) fn nearest(&self, name: &str) -> Vec<&str> {
        nearest_of(name, self.identifiers())
    }
}

impl Names {
    /// The later one has the name; it stays in the place of the first.
    fn insert(&mut self, name: String, place: usize) {
        self.longest = self.longest.max(name.len());
        self.places.insert(name, place);
    }

    pub(crate) fn get(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }
}

/// Those of `names` that a model may have meant by `name`, nearest first.
pub(crate) fn nearest_of<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut near: Vec<(f64, &str)> = names
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(MAX_NEAREST).map(|(_, name)| name).collect()
}

/// Jaro-Winkler likeness from which a name is worth offering: `readFile` and `read_file` have 0.93, `list` and
/// `list_directory` 0.86, `fetch` and `search` 0.58.
const LIKE: f64 = 0.8;

const MAX_NEAREST: usize = 3;
