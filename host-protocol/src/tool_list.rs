//! The tools of a request, shared by all that came with the same ones.

use std::{ops::Deref, sync::Arc};

use serde::{Serialize, Serializer};

use crate::{
    ToolDefinition,
    decode::{Decode, Value},
    fault::Fault,
};

/// Tools, in the order in which they were advertised. A clone is the same list: requests bring the same tools again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolList(Arc<[ToolDefinition]>);

impl ToolList {
    /// Whether both are one list in memory. Lists that are not can still be equal.
    pub fn is(&self, other: &ToolList) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many clones there are, this one included.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Default for ToolList {
    fn default() -> ToolList {
        ToolList(Arc::from([]))
    }
}

impl Deref for ToolList {
    type Target = [ToolDefinition];

    fn deref(&self) -> &[ToolDefinition] {
        &self.0
    }
}

impl From<Vec<ToolDefinition>> for ToolList {
    fn from(tools: Vec<ToolDefinition>) -> ToolList {
        ToolList(tools.into())
    }
}

impl FromIterator<ToolDefinition> for ToolList {
    fn from_iter<I: IntoIterator<Item = ToolDefinition>>(tools: I) -> ToolList {
        ToolList(tools.into_iter().collect())
    }
}

impl Serialize for ToolList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl Decode for ToolList {
    fn read(value: Value<'_>) -> Result<ToolList, Fault> {
        match value.known_tools() {
            Some(known) => Ok(known.clone()),
            None => Vec::read(value).map(ToolList::from),
        }
    }
}
