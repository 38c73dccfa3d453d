//! MCP: servers whose tools cells call.
//!
//! A [`Config`] names servers, and a [`Manager`] owns the connections to them. [`Manager::snapshot`] gives the tools
//! that there are at one moment: a step is made of it, and the next step of the next snapshot. So tools of a server
//! that is still starting are absent from this step and there in the next, and a list that changes never changes
//! under a running cell.
//!
//! Nothing that a server says is believed: messages, lists, schemas and questions are bounded, a server that breaks
//! the protocol loses its connection and nobody else's, and one that dies is started again, after a pause that
//! doubles each time. What it may do is what its user gave it: a server's process has the user's rights.
//!
//! A server's process is started with little environment: what it needs to find its way, and what `env` in its
//! configuration says. Secrets of the shell that codemode was started from are not handed to every server.
//!
//! What servers ask of their client goes to an [`Upstream`]; calls that need a yes wait for an [`Approver`].

pub use self::{
    approval::{Approver, ApproverFuture, Ask, Decision, DenyAll},
    config::{
        Config, ConfigError, DEFAULT_APPROVAL_TIMEOUT, DEFAULT_CALL_TIMEOUT, DEFAULT_START_TIMEOUT,
        Fault, HttpConfig, OauthConfig, ServerConfig, ServerName, StdioConfig, ToolRules,
        Transport, Treatment,
    },
    login::{LoginError, log_in},
    manager::{Manager, ManagerOptions, ServerState, ServerStatus, Snapshot},
    upstream::{NoUpstream, Upstream, UpstreamFuture},
};

pub(crate) use self::manager::Company;

pub mod serve;

mod approval;
mod config;
mod connection;
mod failure;
mod handler;
mod http;
mod listing;
mod login;
mod manager;
mod result;
mod runtime;
mod server;
mod stdio;
mod tokens;
mod upstream;
