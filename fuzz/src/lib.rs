//! What must hold for any bytes. Each function is a fuzz target, and panics where something does not hold.
//!
//! `cargo +nightly fuzz run codec` looks for such bytes for as long as it is let; `cargo xtask test --only fuzz` takes the
//! seeds in `corpus/` and some thousand variations of them, on any compiler.

pub use declarations::declarations;
pub use source::source;
pub use values::values;
pub use wire::{codec, envelopes};

mod cell;
mod declarations;
#[path = "../../host-protocol/tests/it/frames.rs"]
mod frames;
mod source;
mod values;
mod wire;

#[cfg(test)]
mod brief;
