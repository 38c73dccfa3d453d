//! A broken rule on its way out of the value that broke it.

use std::borrow::Cow;

use crate::{Rule, error::excerpt};

/// A broken rule, and the way to it from where the fault has got to so far.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) rule: Rule,
    /// From the inside out.
    way: Vec<Segment>,
}

impl Fault {
    pub(crate) fn new(rule: Rule) -> Fault {
        Fault { rule, way: Vec::new() }
    }

    pub(crate) fn at(mut self, field: &'static str) -> Fault {
        self.way.push(Segment::Field(Cow::Borrowed(field)));
        self
    }

    pub(crate) fn at_index(mut self, index: usize) -> Fault {
        self.way.push(Segment::Index(index));
        self
    }

    pub(crate) fn unknown_field(name: &str, expected: Vec<&'static str>) -> Fault {
        let mut fault = Fault::new(Rule::UnknownField { expected });
        fault.way.push(Segment::Field(Cow::Owned(excerpt(name))));
        fault
    }

    /// As [`crate::DecodeError::path`] has it.
    pub(crate) fn path(&self) -> String {
        use std::fmt::Write as _;

        let mut path = String::new();
        for segment in self.way.iter().rev() {
            match segment {
                Segment::Field(name) if path.is_empty() => path.push_str(name),
                Segment::Field(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Segment::Index(index) => {
                    let _ = write!(path, "[{index}]");
                }
            }
        }
        path
    }
}

#[derive(Debug)]
enum Segment {
    Field(Cow<'static, str>),
    Index(usize),
}
