//! What was made of the tools of cells, for the cells that come with the same ones.

use std::sync::Arc;

use codemode_cells::{Step, ToolRuntime, Toolset};
use codemode_host_protocol::ToolList;

use crate::mcp::{Company, Snapshot};

/// What was made of the last few lists of tools. Of a list that nobody else has any more, nothing is kept.
#[derive(Default)]
pub(super) struct Toolsets(Vec<Made>);

/// What was made of a list.
struct Made {
    of: ToolList,
    tools: Tools,
}

enum Tools {
    /// The list alone.
    Own(Toolset),
    /// The host's, too.
    Both(Company),
}

impl Toolsets {
    /// A step of these tools and of the host's.
    pub(super) fn step(
        &mut self,
        list: ToolList,
        host_tools: Option<&Snapshot>,
        runtime: Arc<dyn ToolRuntime>,
    ) -> Step {
        let place = self.0.iter().position(|made| made.of.is(&list) && made.is_beside(host_tools));
        match place {
            Some(place) => self.0[..=place].rotate_right(1),
            None => {
                let tools = match host_tools {
                    Some(snapshot) => Tools::Both(snapshot.with(&list)),
                    None => Tools::Own(Toolset::from(list.clone())),
                };
                self.0.insert(0, Made { of: list, tools });
                self.0.truncate(MOST);
            }
        }
        let step = match &self.0[0].tools {
            Tools::Own(tools) => Step::new(tools.clone(), runtime),
            Tools::Both(company) => company.step(runtime),
        };
        self.0.retain(|made| !made.is_done_with());
        step
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Made {
    fn is_beside(&self, host_tools: Option<&Snapshot>) -> bool {
        match (&self.tools, host_tools) {
            (Tools::Own(_), None) => true,
            (Tools::Both(company), Some(snapshot)) => company.is_of(snapshot),
            (Tools::Own(_), Some(_)) | (Tools::Both(_), None) => false,
        }
    }

    /// Whether nobody can come with the list again.
    fn is_done_with(&self) -> bool {
        let ours = match &self.tools {
            Tools::Own(_) => 2,
            Tools::Both(_) => 1,
        };
        self.of.holders() <= ours
    }
}

/// Cells come with the last list, or with that of another agent of the same client.
const MOST: usize = 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use codemode_cells::ToolFuture;
    use codemode_host_protocol::{
        CellId, Json, ToolDefinition, ToolInvocation, ToolKind, ToolName,
    };

    use super::*;

    #[test]
    fn what_was_made_of_a_list_serves_as_long_as_somebody_has_the_list() {
        let mut toolsets = Toolsets::default();
        let (one, other) = (list("one"), list("other"));
        let step = |toolsets: &mut Toolsets, list: &ToolList| {
            toolsets.step(list.clone(), None, Arc::new(Nobody)).tools
        };
        let first = step(&mut toolsets, &one);
        assert!(first.list().is(&one));
        assert!(step(&mut toolsets, &other).list().is(&other));
        assert!(std::ptr::eq(first.list(), step(&mut toolsets, &one).list()), "the same one");

        drop(one);
        step(&mut toolsets, &other);
        assert_eq!(toolsets.0.len(), 1);
        assert_eq!(first.list().holders(), 1, "the cells of the step still have theirs");
    }

    #[test]
    fn what_was_made_of_few_lists_is_kept() {
        let mut toolsets = Toolsets::default();
        let lists: Vec<ToolList> = (0..20).map(|n| list(&format!("tool_{n}"))).collect();
        for list in &lists {
            toolsets.step(list.clone(), None, Arc::new(Nobody));
        }
        assert_eq!(toolsets.0.len(), MOST);
    }

    fn list(name: &str) -> ToolList {
        ToolList::from(vec![ToolDefinition {
            name: name.to_owned(),
            tool_name: ToolName::plain(name),
            description: String::new(),
            kind: ToolKind::Function,
            input_schema: None,
            output_schema: None,
        }])
    }

    struct Nobody;

    impl ToolRuntime for Nobody {
        fn invoke(&self, _: ToolInvocation) -> ToolFuture<Json> {
            Box::pin(std::future::pending())
        }

        fn notify(&self, _: &str, _: &CellId, _: String) -> ToolFuture<()> {
            Box::pin(std::future::pending())
        }
    }
}
