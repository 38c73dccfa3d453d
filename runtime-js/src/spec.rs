//! What a cell is started with.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use codemode_host_protocol::{Budget, Json};
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
    /// Whether its tools are found by namespace too, `tools.namespace.name`, and it has `search_tools` and `describe_tool`, which
    /// ask this.
    pub discovery: Option<Arc<dyn Discovery>>,
    /// What `load(key)` finds.
    pub stored: Arc<dyn StoredValues>,
    /// Its limits.
    pub limits: Limits,
    /// What all running cells of its tenant may use together.
    pub tenant: TenantLimits,
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

/// What a cell learns of its tools beyond their names.
///
/// Called while the cell stands still. What it asks must take it no time to speak of, however often it asks, and the answers must
/// be bounded.
pub trait Discovery: fmt::Debug + Send + Sync {
    /// The tools that fit what a cell is looking for, best first, `limit` at most.
    fn search(&self, query: &str, limit: usize) -> Vec<FoundTool>;

    /// The declaration of the tool at this place in the definitions that the cell's catalog was made of.
    fn describe(&self, place: usize) -> String;
}

/// What [`Discovery`] finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTool {
    /// Its place in the definitions that the cell's catalog was made of.
    pub place: usize,
    /// How it is called, in a line: `(args: { path: string }): Promise<string>`.
    pub signature: String,
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
            discovery: None,
            stored: Arc::new(BTreeMap::new()),
            limits: Limits::default(),
            tenant: TenantLimits::default(),
            console: false,
            when_stuck: WhenStuck::default(),
        }
    }
}

/// What one cell may use. The largest number means: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// JavaScript heap in bytes.
    pub heap_bytes: usize,
    /// Array buffers at a time, in bytes. They lie outside of the heap.
    pub buffer_bytes: usize,
    /// Processor time of the cell's own thread; `None` for no limit. What the engine's helpers do for it (garbage
    /// collection, optimising) does not count.
    pub cpu: Option<Duration>,
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
    /// Tool calls in all.
    pub tool_calls: usize,
    /// Bytes of JSON in the argument of one tool call. A call with more is refused.
    pub argument_bytes: usize,
    /// Bytes of JSON in the result of one tool call. A call with more fails.
    pub result_bytes: usize,
    /// Timers that are set at a time.
    pub timers: usize,
    /// Bytes of source.
    pub source_bytes: usize,
    /// How deep a value is nested that is passed to a tool or stored. More than the default no message holds.
    pub depth: usize,
}

impl Limits {
    /// The limit on `budget`, in its unit; `None` where there is none, or it is not of one cell in its engine.
    pub fn of(&self, budget: Budget) -> Option<u64> {
        let amount = match budget {
            Budget::Cpu => return self.cpu.map(millis),
            Budget::Wall => return self.wall.map(millis),
            Budget::Heap => self.heap_bytes,
            Budget::ArrayBuffers => self.buffer_bytes,
            Budget::OutputBytes => self.output_bytes,
            Budget::OutputItems => self.output_items,
            Budget::StoredBytes => self.stored_bytes,
            Budget::StoredValues => self.stored_keys,
            Budget::ToolCalls => self.tool_calls,
            Budget::ArgumentBytes => self.argument_bytes,
            Budget::ResultBytes => self.result_bytes,
            Budget::Timers => self.timers,
            Budget::SourceBytes => self.source_bytes,
            Budget::Depth => self.depth,
            Budget::OpenToolCalls
            | Budget::LiveCells
            | Budget::UnreadBytes
            | Budget::Connections => return None,
        };
        (amount != usize::MAX).then_some(amount as u64)
    }

    /// Sets the limit on `budget`, in its unit; `None` for no limit. What is not of one cell in its engine is left
    /// alone.
    pub fn set(&mut self, budget: Budget, limit: Option<u64>) {
        let amount = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        match budget {
            Budget::Cpu => self.cpu = limit.map(Duration::from_millis),
            Budget::Wall => self.wall = limit.map(Duration::from_millis),
            Budget::Heap => self.heap_bytes = amount,
            Budget::ArrayBuffers => self.buffer_bytes = amount,
            Budget::OutputBytes => self.output_bytes = amount,
            Budget::OutputItems => self.output_items = amount,
            Budget::StoredBytes => self.stored_bytes = amount,
            Budget::StoredValues => self.stored_keys = amount,
            Budget::ToolCalls => self.tool_calls = amount,
            Budget::ArgumentBytes => self.argument_bytes = amount,
            Budget::ResultBytes => self.result_bytes = amount,
            Budget::Timers => self.timers = amount,
            Budget::SourceBytes => self.source_bytes = amount,
            Budget::Depth => self.depth = amount.min(MAX_VALUE_DEPTH),
            Budget::OpenToolCalls
            | Budget::LiveCells
            | Budget::UnreadBytes
            | Budget::Connections => {}
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            heap_bytes: 256 << 20,
            buffer_bytes: 256 << 20,
            cpu: Some(Duration::from_secs(5 * 60)),
            wall: None,
            output_bytes: 64 << 20,
            output_items: 100_000,
            stored_bytes: 64 << 20,
            stored_keys: 10_000,
            tool_calls: 100_000,
            argument_bytes: 64 << 20,
            result_bytes: 64 << 20,
            timers: 10_000,
            source_bytes: 4 << 20,
            depth: MAX_VALUE_DEPTH,
        }
    }
}

/// What all running cells of one tenant may use together. The largest number means: no limit.
///
/// A tenant keeps to what its latest cell was started with. A cell that crosses one of these ends with a
/// [`LimitExceeded`](crate::LimitExceeded) of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantLimits {
    /// JavaScript heaps in bytes, as the garbage collector last saw them.
    pub heap_bytes: usize,
    /// Array buffers in bytes.
    pub buffer_bytes: usize,
    /// Timers that are set at a time.
    pub timers: usize,
}

impl Default for TenantLimits {
    /// No limits.
    fn default() -> TenantLimits {
        TenantLimits { heap_bytes: usize::MAX, buffer_bytes: usize::MAX, timers: usize::MAX }
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A message of the protocol has room for so many levels around and in a value, and clients refuse deeper ones.
const MAX_VALUE_DEPTH: usize = codemode_host_protocol::MAX_DEPTH - ENVELOPE_DEPTH;

/// `delegate/request`, its request, its invocation; and as much again to spare.
const ENVELOPE_DEPTH: usize = 7;

/// Tools that are found at a time.
pub(crate) const MAX_FOUND: usize = 100;

/// Of what a cell is looking for.
pub(crate) const MAX_QUERY_BYTES: usize = 4 << 10;
