//! The crate from outside: its command line, as a process.
#![allow(clippy::unwrap_used, missing_docs)]

mod run;
