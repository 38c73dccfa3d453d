//! Tools, and what was made of them for cells.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use codemode_host_protocol::{ToolDefinition, ToolList};
use codemode_runtime_js::ToolCatalog;

use crate::discovery::Known;

/// The tools of one step or of several, with what their cells are told of them. That is made when a cell first needs it, and
/// shared by all clones.
#[derive(Clone)]
pub struct Toolset(Arc<Inner>);

struct Inner {
    tools: ToolList,
    catalog: OnceLock<Arc<ToolCatalog>>,
    known: Known,
}

impl Toolset {
    /// The tools, in the order in which they were advertised.
    pub fn list(&self) -> &ToolList {
        &self.0.tools
    }

    /// The tools as cells see them.
    pub(crate) fn catalog(&self) -> Arc<ToolCatalog> {
        Arc::clone(self.0.catalog.get_or_init(|| Arc::new(ToolCatalog::new(&self.0.tools))))
    }

    pub(crate) fn known(&self) -> &Known {
        &self.0.known
    }
}

impl Deref for Toolset {
    type Target = [ToolDefinition];

    fn deref(&self) -> &[ToolDefinition] {
        &self.0.tools
    }
}

impl From<ToolList> for Toolset {
    fn from(tools: ToolList) -> Toolset {
        Toolset(Arc::new(Inner { tools, catalog: OnceLock::new(), known: Known::default() }))
    }
}

impl From<Vec<ToolDefinition>> for Toolset {
    fn from(tools: Vec<ToolDefinition>) -> Toolset {
        ToolList::from(tools).into()
    }
}

impl FromIterator<ToolDefinition> for Toolset {
    fn from_iter<I: IntoIterator<Item = ToolDefinition>>(tools: I) -> Toolset {
        tools.into_iter().collect::<ToolList>().into()
    }
}

impl fmt::Debug for Toolset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Toolset").field(&self.0.tools).finish()
    }
}
