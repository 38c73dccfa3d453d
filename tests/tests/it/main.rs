//! Our host held against the reference, and against itself under load.
#![allow(clippy::unwrap_used, missing_docs)]

mod conversations;
mod doctor;
mod hostile;
mod hostile_soak;
mod security;
mod soak;
mod turns;
mod worker;

use std::{fs, path::Path};

use codemode_tests::Listed;
use tokio::sync::Mutex;

/// Held by a test that would disturb others, or be disturbed: the soak kills whichever worker process it finds, attacks keep
/// all processors busy, and the reference host answers otherwise when it is late.
static ALONE: Mutex<()> = Mutex::const_new(());

/// `tests/` of the checkout.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn listed() -> Listed {
    Listed::parse(&fs::read_to_string(folder().join("../docs/differences.md")).unwrap())
}
