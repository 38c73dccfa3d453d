//! What the running cell's callbacks share.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
};

use codemode_host_protocol::{Budget, ContentItem, Json, LimitExceeded};

use crate::{
    CallId, Discovery, Event, EventSink, Limits, StoredValues, ToolCatalog, WhenStuck,
    catalog::{Held, Holder},
    cell::{Shared, Stop},
    limits::HeapGuard,
    meter::Meter,
    realm::Helpers,
    source::Source,
    timers::Timers,
};

/// The running cell, as its callbacks see it; in a slot of the isolate while the cell runs.
pub(crate) struct CellState {
    pub(crate) shared: Arc<Shared>,
    pub(crate) helpers: Helpers,
    pub(crate) catalog: Arc<ToolCatalog>,
    pub(crate) discovery: Option<Arc<dyn Discovery>>,
    pub(crate) limits: Limits,
    pub(crate) when_stuck: WhenStuck,
    pub(crate) heap: Arc<HeapGuard>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) source: RefCell<Source>,
    pub(crate) stored: Arc<dyn StoredValues>,
    pub(crate) writes: RefCell<BTreeMap<String, Json>>,
    pub(crate) written_bytes: Cell<usize>,
    pub(crate) calls: RefCell<HashMap<CallId, PendingCall>>,
    /// What became of the properties of `tools` that the cell has touched.
    pub(crate) touched_tools: RefCell<TouchedTools>,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) calls_made: Cell<u64>,
    pub(crate) argument_bytes: Cell<u64>,
    pub(crate) result_bytes: Cell<u64>,
    pub(crate) output_bytes: Cell<usize>,
    pub(crate) output_items: Cell<usize>,
    pub(crate) over: RefCell<Option<Over>>,
    /// Absent while the cell waits in an isolate that others run in: then it is where the cell can be ended from outside.
    pub(crate) sink: RefCell<Option<Box<dyn EventSink>>>,
}

/// A tool call that has not been answered.
pub(crate) struct PendingCall {
    pub(crate) resolver: v8::Global<v8::PromiseResolver>,
    /// Made when the call was, so that its stack shows the call; thrown if the call fails.
    pub(crate) error: v8::Global<v8::Object>,
    pub(crate) tool: String,
}

/// The properties of `tools`, and of its namespaces, that the cell has touched.
#[derive(Default)]
pub(crate) struct TouchedTools {
    by_place: HashMap<(Holder, Held), TouchedTool>,
    /// Objects whose properties are like those of any object.
    plain: HashSet<Holder>,
}

impl TouchedTools {
    pub(crate) fn find(&self, holder: Holder, held: Held) -> Option<&TouchedTool> {
        self.by_place.get(&(holder, held))
    }

    pub(crate) fn insert(&mut self, holder: Holder, held: Held, touched: TouchedTool) {
        self.by_place.insert((holder, held), touched);
    }

    pub(crate) fn is_plain(&self, holder: Holder) -> bool {
        self.plain.contains(&holder)
    }

    pub(crate) fn make_plain(&mut self, holder: Holder) {
        self.by_place.retain(|(of, _), _| *of != holder);
        self.plain.insert(holder);
    }
}

/// A property of `tools` that the cell has touched.
#[derive(Clone)]
pub(crate) enum TouchedTool {
    /// The tool's function, or what the cell put in its place.
    Value(v8::Global<v8::Value>),
    /// The cell deleted it.
    Deleted,
}

/// Why the cell runs no further, found from within.
#[derive(Clone, Debug)]
pub(crate) enum Over {
    /// It said `exit()`.
    Exit,
    /// It crossed a limit.
    Limit(LimitExceeded),
    /// Whoever receives its events is gone.
    Abandoned,
}

impl CellState {
    /// The state of the cell that runs in this isolate.
    pub(crate) fn of(isolate: &v8::Isolate) -> Option<Rc<CellState>> {
        isolate.get_slot::<Rc<CellState>>().cloned()
    }

    /// Whether the cell has to stop, and nothing it does counts any more.
    pub(crate) fn is_over(&self) -> bool {
        self.over.borrow().is_some()
            || self.shared.stopped().is_some()
            || self.heap.exceeded().is_some()
    }

    /// Whether the tools of a namespace are together in an object, too.
    pub(crate) fn has_namespaces(&self) -> bool {
        self.discovery.is_some()
    }

    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.shared.stopped()
    }

    /// Ends the cell from within. The first reason stands.
    pub(crate) fn finish(&self, isolate: &v8::Isolate, over: Over) {
        self.over.borrow_mut().get_or_insert(over);
        isolate.terminate_execution();
    }

    /// Tells the receiver, unless the cell is over. A receiver that panics ends the cell.
    pub(crate) fn tell(&self, isolate: &v8::Isolate, event: Event) {
        if self.is_over() {
            return;
        }
        let Ok(mut sink) = self.sink.try_borrow_mut() else { return };
        let Some(receiver) = sink.as_mut() else { return };
        if catch_unwind(AssertUnwindSafe(|| receiver.event(event))).is_err() {
            drop(sink);
            self.finish(isolate, Over::Abandoned);
        }
    }

    /// Keeps a value under a key, within the limits.
    ///
    /// # Errors
    /// The limit, and what to tell the cell, when it stores too much.
    pub(crate) fn write(&self, key: String, value: Json) -> Result<(), (LimitExceeded, String)> {
        let Limits { stored_bytes, stored_keys, .. } = self.limits;
        let mut writes = self.writes.borrow_mut();
        let old = writes.get(&key).map_or(0, |old| key.len() + old.text().len());
        let bytes = self.written_bytes.get() - old + key.len() + value.text().len();
        let keys = writes.len() + usize::from(old == 0);
        let over =
            [(Budget::StoredBytes, stored_bytes, bytes), (Budget::StoredValues, stored_keys, keys)];
        if let Some((budget, limit, used)) = over.into_iter().find(|(_, limit, used)| used > limit)
        {
            let limit = LimitExceeded::of_cell(budget, limit as u64, used as u64);
            let message = format!(
                "{}: unable to store {key:?}: a cell may store {stored_bytes} bytes under {stored_keys} keys",
                limit.code()
            );
            return Err((limit, message));
        }
        self.written_bytes.set(bytes);
        writes.insert(key, value);
        Ok(())
    }

    /// Ends the cell because it is over a limit of its own.
    pub(crate) fn exceed(&self, isolate: &v8::Isolate, budget: Budget, limit: usize, used: usize) {
        let limit = LimitExceeded::of_cell(budget, limit as u64, used as u64);
        self.finish(isolate, Over::Limit(limit));
    }

    /// Shows an item, within the limits.
    pub(crate) fn show(&self, isolate: &v8::Isolate, item: ContentItem) {
        let bytes = self.output_bytes.get().saturating_add(item.len_bytes());
        let items = self.output_items.get() + 1;
        let Limits { output_bytes: limit_bytes, output_items: limit_items, .. } = self.limits;
        if bytes > limit_bytes || items > limit_items {
            return self.refuse_output(isolate, bytes, items);
        }
        self.output_bytes.set(bytes);
        self.output_items.set(items);
        self.tell(isolate, Event::Output(item));
    }

    /// Ends the cell for showing so much, which is more than it may.
    pub(crate) fn refuse_output(&self, isolate: &v8::Isolate, bytes: usize, items: usize) {
        match self.limits.output_bytes {
            limit if bytes > limit => self.exceed(isolate, Budget::OutputBytes, limit, bytes),
            _ => self.exceed(isolate, Budget::OutputItems, self.limits.output_items, items),
        }
    }
}
