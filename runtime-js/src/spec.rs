//! What a cell is started with.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use codemode_host_protocol::Json;
use serde::{Deserialize, Serialize};

use crate::ToolCatalog;

/// A cell to start.
#[derive(Clone, Debug)]
pub struct CellSpec {
    /// JavaScript or TypeScript: an ES module that may `await` at the top level.
    pub source: String,
    /// The name of the source in errors.
    pub file: String,
    /// The tools it sees.
    pub tools: Arc<ToolCatalog>,
    /// What `load(key)` finds.
    pub stored: Arc<dyn StoredValues>,
    /// Its limits.
    pub limits: Limits,
    /// Whether there is a `console`, whose lines become text output.
    pub console: bool,
    /// What becomes of it when it waits for what nothing can bring about.
    pub when_stuck: WhenStuck,
}

/// What a cell finds with `load(key)`: the values as they were when it started.
pub trait StoredValues: fmt::Debug + Send + Sync {
    /// What is stored under `key`. Called on the cell's own thread, once for each `load`.
    fn load(&self, key: &str) -> Option<Json>;
}

impl StoredValues for BTreeMap<String, Json> {
    fn load(&self, key: &str) -> Option<Json> {
        self.get(key).cloned()
    }
}

/// What becomes of a cell that awaits a promise while no tool call and no timer is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenStuck {
    /// It fails, and its error says where it waits.
    #[default]
    Fail,
    /// It goes on waiting until it is terminated, as on V1 hosts.
    Wait,
}

impl CellSpec {
    /// A cell without tools and stored values, under the default limits.
    pub fn new(source: impl Into<String>) -> CellSpec {
        CellSpec {
            source: source.into(),
            file: String::from("cell.js"),
            tools: Arc::default(),
            stored: Arc::new(BTreeMap::new()),
            limits: Limits::default(),
            console: false,
            when_stuck: WhenStuck::default(),
        }
    }
}

/// What one cell may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// JavaScript heap in bytes. Array buffers are counted apart, against the same figure.
    pub heap_bytes: usize,
    /// Wall time from the start; `None` for no limit.
    pub wall: Option<Duration>,
    /// Bytes of output in all.
    pub output_bytes: usize,
    /// Items of output in all.
    pub output_items: usize,
    /// Bytes of what it stores, keys included. `store` refuses what would be more.
    pub stored_bytes: usize,
    /// Keys that it stores values under. `store` refuses one more.
    pub stored_keys: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            heap_bytes: 256 << 20,
            wall: None,
            output_bytes: 64 << 20,
            output_items: 100_000,
            stored_bytes: 64 << 20,
            stored_keys: 10_000,
        }
    }
}
