//! What is wrong with a message that could not be decoded.

use std::fmt;

use crate::{DelegateId, RequestId};

/// Why a message was refused: where, by which rule, and which request it was about.
///
/// A host answers the request that [`DecodeError::subject`] names and goes on; it closes the connection only
/// when there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{rule}", Prefix(path))]
pub struct DecodeError {
    /// The message's `type`, where it was readable, known, and there once.
    pub message_type: Option<&'static str>,
    /// The message's `id`, where it was readable: also when the message is broken further on.
    pub id: Option<i64>,
    /// Where in the message, such as `request.enabled_tools[2].kind`; empty for the message itself.
    pub path: String,
    /// The rule that it broke.
    pub rule: Rule,
}

impl DecodeError {
    /// Whom the broken message is about, if its id was readable.
    ///
    /// An operation is to be answered with the error, but for a broken `operation/cancel` or `operation/yield`:
    /// their id is that of another request, whose answer is still to come.
    pub fn subject(&self) -> Option<Subject> {
        let id = self.id?;
        Some(match self.message_type {
            Some("delegate/request" | "delegate/response" | "delegate/cancel") => {
                Subject::Delegate(DelegateId(id))
            }
            // Also where the type is unknown: every other message that has an id is about an operation.
            _ => Subject::Operation(RequestId(id)),
        })
    }
}

/// What a broken message was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An operation of the client's.
    Operation(RequestId),
    /// A delegate request of the host's.
    Delegate(DelegateId),
}

/// A rule that a message broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// The frame's body is not UTF-8.
    #[error("the message is not UTF-8 (first bad byte at {offset})")]
    NotUtf8 {
        /// Bytes before the first bad one.
        offset: usize,
    },
    /// The frame's body is not one JSON value.
    #[error("the message is not JSON: {message}")]
    NotJson {
        /// What the JSON reader says, with line and column.
        message: String,
    },
    /// The nesting is deeper than [`crate::MAX_DEPTH`].
    #[error("the message nests objects and arrays more than {limit} deep")]
    TooDeep {
        /// The deepest nesting that is taken.
        limit: usize,
    },
    /// A value of another JSON type.
    #[error("must be {expected} and is {found}")]
    WrongType {
        /// What the field takes.
        expected: &'static str,
        /// What stood there.
        found: &'static str,
    },
    /// A field that the object does not have.
    #[error("is not a field here; there are {}", List(expected))]
    UnknownField {
        /// The fields that it has.
        expected: Vec<&'static str>,
    },
    /// A field that must be there and is not.
    #[error("is missing")]
    MissingField,
    /// A field that stands in the object twice.
    #[error("stands there more than once")]
    DuplicateField,
    /// A word that is none of those that the field takes.
    #[error("is \"{found}\"; it must be one of {}", List(expected))]
    UnknownVariant {
        /// What stood there, cut to [`FOUND_MAX`] bytes.
        found: String,
        /// The words that it takes.
        expected: Vec<&'static str>,
    },
    /// An object that must have exactly one field has none or several.
    #[error("must have exactly one field, one of {}", List(expected))]
    NotOneVariant {
        /// The fields of which it takes one.
        expected: Vec<&'static str>,
    },
    /// An integer outside its range.
    #[error("must be an integer from {min} to {max}")]
    OutOfRange {
        /// The smallest that is taken.
        min: i64,
        /// The largest that is taken.
        max: u64,
    },
    /// A string with an escape that is half a surrogate pair.
    #[error("holds a \\u escape that is half a surrogate pair, which is no character")]
    LoneSurrogate,
    /// An empty string or white space alone, where a name must stand.
    #[error("must not be empty or blank")]
    Blank,
    /// An empty list, where there must be something.
    #[error("must not be empty")]
    Empty,
    /// A set in which a value stands twice.
    #[error("names {value} more than once")]
    Repeated {
        /// The value, cut to [`FOUND_MAX`] bytes.
        value: String,
    },
    /// A capability that is both required and optional.
    #[error("names {capability}, which requiredCapabilities names as well; it can be in one only")]
    InBothSets {
        /// The capability, cut to [`FOUND_MAX`] bytes.
        capability: String,
    },
}

impl Rule {
    /// The rule's name: stable, for logs, tests and clients in other languages.
    pub fn code(&self) -> &'static str {
        match self {
            Rule::NotUtf8 { .. } => "not-utf8",
            Rule::NotJson { .. } => "not-json",
            Rule::TooDeep { .. } => "too-deep",
            Rule::WrongType { .. } => "wrong-type",
            Rule::UnknownField { .. } => "unknown-field",
            Rule::MissingField => "missing-field",
            Rule::DuplicateField => "duplicate-field",
            Rule::UnknownVariant { .. } => "unknown-variant",
            Rule::NotOneVariant { .. } => "not-one-variant",
            Rule::OutOfRange { .. } => "out-of-range",
            Rule::LoneSurrogate => "lone-surrogate",
            Rule::Blank => "blank",
            Rule::Empty => "empty",
            Rule::Repeated { .. } => "repeated",
            Rule::InBothSets { .. } => "in-both-sets",
        }
    }
}

/// Cuts what a message held, so that an error about it stays short: a hostile sender does not fill the log.
pub(crate) fn excerpt(found: &str) -> String {
    if found.len() <= FOUND_MAX {
        return found.to_owned();
    }
    let end = found.floor_char_boundary(FOUND_MAX);
    format!("{}…", &found[..end])
}

/// A path and what parts it from the rule.
struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            path => write!(f, "{path} "),
        }
    }
}

/// Words, parted by commas.
struct List<'a>(&'a [&'static str]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// The most bytes of a refused value that an error repeats.
pub const FOUND_MAX: usize = 80;
