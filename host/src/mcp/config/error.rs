//! What is wrong with a configuration, and what to do about it.

use std::path::{Path, PathBuf};

/// Why a file is no configuration of MCP servers.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

impl ConfigError {
    pub(super) fn new(file: &Path, fault: Fault) -> ConfigError {
        ConfigError { file: file.to_owned(), fault }
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is not of its format.
    #[error("{0}")]
    Syntax(String),
    /// It is JSON that is no configuration.
    #[error(
        "has no `mcpServers`: expected {{\"mcpServers\": {{\"name\": {{\"command\": …}}}}}}, as MCP clients have it"
    )]
    NoServers,
    /// A field does not say what it should.
    #[error("{field}: {problem}")]
    Field {
        /// Where, such as `servers.files.command`.
        field: String,
        /// What is wrong there, and what to write instead.
        problem: String,
    },
    /// A server's name is not usable.
    #[error(
        "{0:?} is no name for a server: it must not be blank, have more than 64 characters, or control characters"
    )]
    BadName(String),
    /// Two servers have the same name in a cell.
    #[error(
        "the servers {server:?} and {other:?} would both be `{identifier}` in a cell (mcp__{identifier}__…): rename one"
    )]
    NamesCollide {
        /// One of them.
        server: String,
        /// The other.
        other: String,
        /// What both are in a cell.
        identifier: String,
    },
    /// Two files define one server.
    #[error("the server {server:?} is defined in {} too: rename one, or remove it", other.display())]
    NamedTwice {
        /// The server.
        server: String,
        /// The file that had it first.
        other: PathBuf,
    },
}

impl Fault {
    pub(super) fn field(field: impl Into<String>, problem: impl Into<String>) -> Fault {
        Fault::Field { field: field.into(), problem: problem.into() }
    }
}
