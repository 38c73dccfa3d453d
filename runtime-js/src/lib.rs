//! One code-mode cell in one JavaScript isolate.
//!
//! An [`Engine`] stands for V8 in this process. A [`Tenant`] is one owner of isolates, such as a session: no
//! isolate ever serves two tenants. [`Tenant::start`] runs a [`CellSpec`] on a thread of its own; what the cell
//! does comes out as [`Event`]s, the last of which is its one [`End`]; what the world does to it goes in
//! through the [`Cell`] handle, and reaches it through one ordered queue.
//!
//! ```
//! use codemode_runtime_js::{CellSpec, Engine, Event};
//!
//! let engine = Engine::new();
//! let (send, events) = std::sync::mpsc::channel();
//! let spec = CellSpec::new("const n: number = await Promise.resolve(41); text(n + 1)");
//! let _cell = engine.tenant().start(spec, move |event| send.send(event).unwrap()).unwrap();
//! let Event::Output(item) = events.recv().unwrap() else { panic!() };
//! assert_eq!(item, codemode_host_protocol::ContentItem::text("42"));
//! ```

pub use catalog::ToolCatalog;
pub use cell::Cell;
pub use codemode_host_protocol::LimitExceeded;
pub use engine::{Engine, EngineOptions, Isolation};
pub use error::{CellError, Frame, Position};
pub use event::{CallId, End, Event, EventSink, Outcome, RuntimeCrash, ToolCall, Usage};
pub use spec::{CellSpec, Discovery, FoundTool, Limits, StoredValues, TenantLimits, WhenStuck};
pub use tenant::{StartError, Tenant};

#[cfg(target_os = "linux")]
pub mod process;

mod catalog;
mod cell;
mod clock;
mod cpu;
mod engine;
mod error;
mod event;
mod globals;
mod hints;
mod home;
mod inbox;
mod limits;
mod meter;
mod module;
mod pages;
mod realm;
mod run;
mod source;
mod spec;
mod stack;
mod state;
mod tenant;
mod timers;
mod worker;

#[cfg(test)]
mod tests;
