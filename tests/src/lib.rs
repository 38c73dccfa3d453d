//! What no single crate can test: hosts of the V1 protocol, ours and the reference, held against each other.
//!
//! [`Conversation`]s are data, in `tests/conversations/`. [`play`] has one with a host and gives a [`Transcript`];
//! [`differences`] of two transcripts must be exactly those that `docs/differences.md` lists ([`Listed`]).
//! [`run_turn`] does the same from further away: with the Codex command line in front of the host.
//!
//! [`hostile`] runs cells that attack.

pub use binary::codemode;
pub use compare::{Difference, differences};
pub use fields::Fields;
pub use listed::{Listed, Unlisted};
pub use order::Order;
pub use play::{Transcript, play};
pub use reference::{Reference, Unavailable};
pub use script::{Action, Conversation, ScriptError, conversations};
pub use side::{Frame, Frames, HostCommand, HostProcess};
pub use turn::{Turn, TurnError, run_turn, turns};

mod binary;
mod compare;
mod fields;
mod glob;
pub mod hostile;
mod listed;
mod order;
mod play;
mod reference;
mod responses_api;
mod script;
mod side;
mod turn;
