//! Tests of the crate from outside.

#![allow(clippy::unwrap_used)]

mod docs;
mod frames;
mod properties;
mod recall;
mod vectors;
