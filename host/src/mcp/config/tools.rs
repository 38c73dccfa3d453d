//! Which tools of a server cells see, and which of them need a yes.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Rules about the tools of a server. By default cells see all of them, and those that their server calls
/// destructive need a yes.
#[derive(Clone, Debug)]
pub struct ToolRules {
    /// Only these, if given.
    allow: Option<Patterns>,
    /// And none of these.
    deny: Patterns,
    /// These need a yes, whatever their server says.
    approve: Patterns,
    /// These need none.
    trust: Patterns,
    /// Whether those that their server calls destructive need a yes.
    approve_destructive: bool,
}

/// What a tool's rules say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Cells do not see it.
    Hidden,
    /// Cells call it as they like.
    Free,
    /// Each call needs a yes.
    NeedsApproval,
}

impl ToolRules {
    /// Rules of lists of globs: `*` stands for anything, `?` for one character, `{a,b}` for either.
    ///
    /// # Errors
    /// With the name of the list and what is wrong with its glob.
    pub fn new(
        allow: Option<Vec<String>>,
        deny: Vec<String>,
        approve: Vec<String>,
        trust: Vec<String>,
        approve_destructive: bool,
    ) -> Result<ToolRules, (&'static str, String)> {
        let patterns = |list: &'static str, globs: Vec<String>| {
            Patterns::new(globs).map_err(|error| (list, error))
        };
        Ok(ToolRules {
            allow: allow.map(|allow| patterns("allow", allow)).transpose()?,
            deny: patterns("deny", deny)?,
            approve: patterns("approve", approve)?,
            trust: patterns("trust", trust)?,
            approve_destructive,
        })
    }

    /// What becomes of `tool`; `destructive` is what its server says.
    pub fn treatment(&self, tool: &str, destructive: bool) -> Treatment {
        let allowed = self.allow.as_ref().is_none_or(|allow| allow.matches(tool));
        if !allowed || self.deny.matches(tool) {
            return Treatment::Hidden;
        }
        // A list that names the tool is nearer to it than a switch about many; of two lists the careful one wins.
        if self.approve.matches(tool) {
            return Treatment::NeedsApproval;
        }
        if destructive && self.approve_destructive && !self.trust.matches(tool) {
            return Treatment::NeedsApproval;
        }
        Treatment::Free
    }

    /// The globs that match none of `tools`, each with the name of its list: most likely mistakes.
    pub fn idle<'a>(&'a self, tools: &[&str]) -> Vec<(&'static str, &'a str)> {
        let lists = [
            ("allow", self.allow.as_ref()),
            ("deny", Some(&self.deny)),
            ("approve", Some(&self.approve)),
            ("trust", Some(&self.trust)),
        ];
        let mut idle = Vec::new();
        for (list, patterns) in lists {
            let Some(patterns) = patterns else { continue };
            let mut used = vec![false; patterns.globs.len()];
            for tool in tools {
                for index in patterns.set.matches(tool) {
                    used[index] = true;
                }
            }
            let unused = patterns.globs.iter().zip(used).filter(|(_, used)| !used);
            idle.extend(unused.map(|(glob, _)| (list, glob.as_str())));
        }
        idle
    }
}

impl Default for ToolRules {
    fn default() -> ToolRules {
        ToolRules {
            allow: None,
            deny: Patterns::default(),
            approve: Patterns::default(),
            trust: Patterns::default(),
            approve_destructive: true,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Patterns {
    globs: Vec<String>,
    set: GlobSet,
}

impl Patterns {
    fn new(globs: Vec<String>) -> Result<Patterns, String> {
        let mut set = GlobSetBuilder::new();
        for glob in &globs {
            let built = GlobBuilder::new(glob).backslash_escape(true).build();
            set.add(built.map_err(|error| error.to_string())?);
        }
        let set = set.build().map_err(|error| error.to_string())?;
        Ok(Patterns { globs, set })
    }

    fn matches(&self, tool: &str) -> bool {
        self.set.is_match(tool)
    }
}
