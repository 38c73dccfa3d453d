use std::{collections::HashSet, fmt::Write};

use crate::{compare::Difference, glob};

/// The differences from the reference that are meant, as `docs/differences.md` lists them.
///
/// In that file, each block of code that is marked `differences` holds patterns, one a line, in which `*` stands
/// for anything; the prose around it is the reason.
#[derive(Debug)]
pub struct Listed {
    patterns: Vec<(usize, String)>,
}

/// How what was found and what is listed do not fit.
#[derive(Debug, Default)]
pub struct Unlisted {
    /// Differences that no pattern matches.
    pub surprising: Vec<String>,
    /// Patterns that nothing matches, with their lines.
    pub vanished: Vec<String>,
}

impl Listed {
    /// Reads the list.
    pub fn parse(text: &str) -> Listed {
        let mut patterns = Vec::new();
        let mut inside = false;
        for (number, line) in text.lines().enumerate() {
            match line.trim_end() {
                "```differences" => inside = true,
                "```" => inside = false,
                "" => {}
                line if inside => patterns.push((number + 1, line.to_owned())),
                _ => {}
            }
        }
        Listed { patterns }
    }

    /// Holds what was found in all conversations against the patterns that `concerns` is true of.
    pub fn check(&self, found: &[Difference], concerns: impl Fn(&str) -> bool) -> Unlisted {
        let mut unlisted = Unlisted::default();
        let patterns: Vec<_> =
            self.patterns.iter().filter(|(_, pattern)| concerns(pattern)).collect();
        let mut used = HashSet::new();
        for difference in found {
            let difference = difference.to_string();
            let mut is_listed = false;
            for (line, pattern) in &patterns {
                if glob::matches(pattern, &difference) {
                    is_listed = true;
                    used.insert(*line);
                }
            }
            if !is_listed {
                unlisted.surprising.push(difference);
            }
        }
        for (line, pattern) in patterns {
            if !used.contains(line) {
                unlisted.vanished.push(format!("line {line}: {pattern}"));
            }
        }
        unlisted
    }
}

impl Unlisted {
    /// Whether something of this conversation does not fit.
    pub fn concerns(&self, conversation: &str) -> bool {
        // A pattern for all of them is no word about this one.
        let is_of = |line: &str| {
            line.split_once(" | ")
                .is_some_and(|(name, _)| name != "*" && glob::matches(name, conversation))
        };
        let pattern = |line: &str| line.split_once(": ").is_some_and(|(_, pattern)| is_of(pattern));
        self.surprising.iter().any(|line| line.starts_with(&format!("{conversation} | ")))
            || self.vanished.iter().any(|line| pattern(line))
    }

    /// What to tell whoever has to look into it; empty when all is as listed.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for difference in &self.surprising {
            let _ = writeln!(text, "not listed: {difference}");
        }
        for pattern in &self.vanished {
            let _ = writeln!(text, "listed, but there is no such difference: {pattern}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_not_fitting_are_told() {
        let listed = Listed::parse(
            "# A\nReason.\n```differences\nf/a | * | 1 => 2\nf/gone | *\n```\ng/not one\n",
        );
        let difference = |conversation: &str| Difference {
            conversation: conversation.into(),
            about: "x".into(),
            path: String::new(),
            reference: "1".into(),
            ours: "2".into(),
        };
        let unlisted = listed.check(&[difference("f/a"), difference("f/b")], |_| true);
        assert_eq!(unlisted.surprising, ["f/b | x |  | 1 => 2"]);
        assert_eq!(unlisted.vanished, ["line 5: f/gone | *"]);
        assert!(["f/b", "f/gone"].into_iter().all(|name| unlisted.concerns(name)));
        assert!(!unlisted.concerns("f/a"));
    }
}
