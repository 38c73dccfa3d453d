//! Identifiers that cross the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names one session of one connection. Chosen by the client, never blank.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS), schemars(extend("pattern" = r"\S")))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SessionId(String);

impl SessionId {
    /// Takes any string that holds more than white space, and keeps it as it is.
    ///
    /// # Errors
    /// [`IdError::Empty`] for the empty string and for white space alone.
    pub fn new(id: impl Into<String>) -> Result<SessionId, IdError> {
        let id = id.into();
        if id.trim().is_empty() {
            return Err(IdError::Empty { field: "sessionId" });
        }
        Ok(SessionId(id))
    }

    /// The id as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SessionId {
    type Error = IdError;

    fn try_from(id: String) -> Result<SessionId, IdError> {
        SessionId::new(id)
    }
}

/// Names one cell of one session. The host counts them from "1"; a client may ask for any string, and is
/// told which of them is no cell.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CellId(String);

impl CellId {
    /// Takes any string: whether it names a cell is the session's to say.
    pub fn new(id: impl Into<String>) -> CellId {
        CellId(id.into())
    }

    /// The id of the `number`th cell of a session, counted from 1.
    pub fn from_number(number: u64) -> CellId {
        CellId(number.to_string())
    }

    /// The id as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ties an operation to its answers. Chosen by the client; one that is in use must not be used again.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub i64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Ties a delegate request to its answer. Chosen by the host, unique within its connection.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DelegateId(pub i64);

impl fmt::Display for DelegateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a string is no identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The string was empty, or white space alone.
    #[error("{field} must not be empty or blank")]
    Empty {
        /// The field it stood in, as the wire spells it.
        field: &'static str,
    },
}
