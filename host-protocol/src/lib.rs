//! The words that every codemode crate uses, and the wire format they travel in.
//!
//! This crate knows no engine, no async runtime and no socket. A value of one of its types is valid: the
//! constructors and decoders refuse everything else, so nobody who receives one needs to check it again.
//!
//! On a connection, each message ([`ClientToHost`], [`HostToClient`]) is one frame: [`encode_frame`] makes
//! frames, [`FrameDecoder`] finds them in a stream, [`Envelope::decode`] reads their bodies. The first two
//! messages settle what holds for the rest of it: [`negotiate`].
//!
//! ```
//! use codemode_host_protocol::{
//!     ClientToHost, Envelope, FrameDecoder, Hello, HostOffer, HostToClient, encode_frame, negotiate,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A client speaks first.
//! let mut stream = Vec::new();
//! encode_frame(&ClientToHost::Hello(Hello::v1()), &mut stream)?;
//!
//! // A host reads what has arrived, and answers.
//! let mut decoder = FrameDecoder::new();
//! let mut arrived = &stream[..];
//! while let Some(body) = decoder.next_frame(&mut arrived)? {
//!     let ClientToHost::Hello(hello) = ClientToHost::decode(body)? else { break };
//!     let answer = match negotiate(&hello, &HostOffer::v1()) {
//!         Ok(agreed) => HostToClient::Ready {
//!             selected_version: agreed.version,
//!             capabilities: agreed.capabilities,
//!         },
//!         Err(reason) => HostToClient::Rejected { reason },
//!     };
//!     assert_eq!(answer.message_type(), "connection/ready");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The crate's `schema` folder holds JSON Schema and TypeScript types of the messages.

pub use budget::{
    Budget, Budgets, LimitExceeded, SESSION_BUDGET_EXCEEDED, Scope, SessionBudgets, SessionUsage,
    Unit,
};
pub use capability::{
    BOUNDED_OUTPUT, BUDGETS, CELL_EXECUTION_LIMITS, Capability, CapabilityError, CapabilitySet,
    DELEGATE_CAPACITY, DISCOVERY, HOST_TOOLS, Known, YIELD_OBSERVATION,
};
pub use content::{ContentItem, ImageDetail};
pub use delegate::{DelegateRequest, DelegateValue};
pub use envelope::{ClientToHost, Envelope, HostToClient};
pub use error::{DecodeError, FOUND_MAX, Rule, Subject};
pub use frame::{EncodeError, FrameDecoder, FrameError, HEADER_LEN, MAX_FRAME_LEN, encode_frame};
pub use hello::{Hello, HelloError, ProtocolVersion, SupportedVersions, VersionsError};
pub use ids::{CellId, DelegateId, IdError, RequestId, SessionId};
pub use json::Json;
pub use long::LongFrame;
pub use negotiation::{HostOffer, Negotiated, NotNegotiated, ReadyError, Rejection, negotiate};
pub use operation::{
    CellExecutionLimits, DEFAULT_YIELD_TIME_MS, ExecuteRequest, Operation, OutputTokens,
    OutputTruncation, WaitRequest,
};
pub use order::{OrderCheck, OrderError};
pub use outline::MAX_DEPTH;
pub use recall::RequestDecoder;
pub use response::{Answer, OperationValue, RuntimeResponse, WaitOutcome};
pub use tool::{
    FailureKind, ToolDefinition, ToolFailure, ToolInvocation, ToolKind, ToolName, identifier,
};
pub use tool_list::ToolList;

mod budget;
mod capability;
mod content;
mod decode;
mod delegate;
mod envelope;
mod error;
mod fault;
mod frame;
mod head;
mod hello;
mod ids;
mod json;
mod long;
mod negotiation;
mod operation;
mod order;
mod outline;
mod recall;
mod response;
#[cfg(test)]
mod schema;
mod tool;
mod tool_list;
