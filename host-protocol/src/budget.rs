//! What cells, sessions and hosts may use, under the names that code, wire, command line and documents share.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    decode::{Decode, Value},
    fault::Fault,
};

/// One thing of which only so much may be used.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Budget {
    /// JavaScript heap at a time, in bytes.
    Heap,
    /// Array buffers at a time, in bytes. They lie outside of the heap.
    ArrayBuffers,
    /// Processor time of the cell's own thread, in milliseconds.
    Cpu,
    /// Time since the start, in milliseconds.
    Wall,
    /// What is shown, in bytes.
    OutputBytes,
    /// How many items are shown.
    OutputItems,
    /// What is stored, in bytes, keys included.
    StoredBytes,
    /// How many values are stored.
    StoredValues,
    /// Tool calls in all.
    ToolCalls,
    /// Tool calls that are open at a time.
    OpenToolCalls,
    /// Arguments of tool calls, in bytes of JSON.
    ArgumentBytes,
    /// Results of tool calls, in bytes of JSON.
    ResultBytes,
    /// Timers that are set at a time.
    Timers,
    /// Cells that have an isolate.
    LiveCells,
    /// Source, in bytes.
    SourceBytes,
    /// How deep values that leave a cell are nested.
    Depth,
    /// Output that nobody has read yet, in bytes.
    UnreadBytes,
    /// Clients over WebSocket at a time.
    Connections,
}

impl Budget {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Budget; 18] = [
        Budget::Heap,
        Budget::ArrayBuffers,
        Budget::Cpu,
        Budget::Wall,
        Budget::OutputBytes,
        Budget::OutputItems,
        Budget::StoredBytes,
        Budget::StoredValues,
        Budget::ToolCalls,
        Budget::OpenToolCalls,
        Budget::ArgumentBytes,
        Budget::ResultBytes,
        Budget::Timers,
        Budget::LiveCells,
        Budget::SourceBytes,
        Budget::Depth,
        Budget::UnreadBytes,
        Budget::Connections,
    ];

    /// Its name, on the wire and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Budget::Heap => "heap",
            Budget::ArrayBuffers => "arrayBuffers",
            Budget::Cpu => "cpu",
            Budget::Wall => "wall",
            Budget::OutputBytes => "outputBytes",
            Budget::OutputItems => "outputItems",
            Budget::StoredBytes => "storedBytes",
            Budget::StoredValues => "storedValues",
            Budget::ToolCalls => "toolCalls",
            Budget::OpenToolCalls => "openToolCalls",
            Budget::ArgumentBytes => "argumentBytes",
            Budget::ResultBytes => "resultBytes",
            Budget::Timers => "timers",
            Budget::LiveCells => "liveCells",
            Budget::SourceBytes => "sourceBytes",
            Budget::Depth => "depth",
            Budget::UnreadBytes => "unreadBytes",
            Budget::Connections => "connections",
        }
    }

    /// The budget of that name.
    pub fn named(name: &str) -> Option<Budget> {
        Budget::ALL.into_iter().find(|budget| budget.name() == name)
    }

    /// What its numbers count.
    pub const fn unit(self) -> Unit {
        match self {
            Budget::Heap
            | Budget::ArrayBuffers
            | Budget::OutputBytes
            | Budget::StoredBytes
            | Budget::ArgumentBytes
            | Budget::ResultBytes
            | Budget::SourceBytes
            | Budget::UnreadBytes => Unit::Bytes,
            Budget::Cpu | Budget::Wall => Unit::Milliseconds,
            Budget::OutputItems
            | Budget::StoredValues
            | Budget::ToolCalls
            | Budget::OpenToolCalls
            | Budget::Timers
            | Budget::LiveCells
            | Budget::Depth
            | Budget::Connections => Unit::Count,
        }
    }

    /// Whether there is such a budget of a cell, a session or a host.
    pub const fn is_of(self, scope: Scope) -> bool {
        match (self, scope) {
            (Budget::Connections, scope) => matches!(scope, Scope::Host),
            (Budget::UnreadBytes | Budget::LiveCells, scope) => !matches!(scope, Scope::Cell),
            (Budget::Depth, scope) => matches!(scope, Scope::Cell),
            (_, scope) => !matches!(scope, Scope::Host),
        }
    }

    /// Whether what was used of it comes back, as memory does and time does not.
    pub const fn comes_back(self) -> bool {
        matches!(
            self,
            Budget::Heap
                | Budget::ArrayBuffers
                | Budget::StoredBytes
                | Budget::StoredValues
                | Budget::OpenToolCalls
                | Budget::Timers
                | Budget::LiveCells
                | Budget::Depth
                | Budget::UnreadBytes
                | Budget::Connections
        )
    }

    /// What it bounds in `scope`, in a few words; nothing where there is no such budget.
    pub const fn bounds(self, scope: Scope) -> &'static str {
        match (self, scope) {
            (Budget::Heap, Scope::Cell) => "JavaScript heap",
            (Budget::Heap, Scope::Session) => {
                "heaps of all cells together, as the collector last saw them"
            }
            (Budget::ArrayBuffers, Scope::Cell) => "array buffers at a time",
            (Budget::ArrayBuffers, Scope::Session) => "array buffers of all cells together",
            (Budget::Cpu, Scope::Cell) => "processor time of the cell's thread",
            (Budget::Cpu, Scope::Session) => "processor time of all cells",
            (Budget::Wall, Scope::Cell) => "time since the cell started",
            (Budget::Wall, Scope::Session) => "time since the session opened",
            (Budget::OutputBytes, Scope::Cell) => "what the cell shows",
            (Budget::OutputBytes, Scope::Session) => "what all cells show",
            (Budget::OutputItems, Scope::Cell) => "items that the cell shows",
            (Budget::OutputItems, Scope::Session) => "items that all cells show",
            (Budget::StoredBytes, Scope::Cell) => "what the cell stores, keys included",
            (Budget::StoredBytes, Scope::Session) => "what the session keeps, keys included",
            (Budget::StoredValues, Scope::Cell) => "values that the cell stores",
            (Budget::StoredValues, Scope::Session) => "values that the session keeps",
            (Budget::ToolCalls, Scope::Cell) => "tool calls of the cell",
            (Budget::ToolCalls, Scope::Session) => "tool calls of all cells",
            (Budget::OpenToolCalls, Scope::Cell) => "tool calls of the cell at a time",
            (Budget::OpenToolCalls, Scope::Session) => "tool calls of all cells at a time",
            (Budget::ArgumentBytes, Scope::Cell) => "the argument of one tool call",
            (Budget::ArgumentBytes, Scope::Session) => "arguments of all tool calls",
            (Budget::ResultBytes, Scope::Cell) => "the result of one tool call",
            (Budget::ResultBytes, Scope::Session) => "results of all tool calls",
            (Budget::Timers, Scope::Cell) => "timers of the cell that are set",
            (Budget::Timers, Scope::Session) => "timers of all cells that are set",
            (Budget::SourceBytes, Scope::Cell) => "the cell's source",
            (Budget::SourceBytes, Scope::Session) => "sources of all cells",
            (Budget::Depth, Scope::Cell) => "nesting of a value that leaves the cell",
            (Budget::LiveCells, Scope::Session) => "cells that have not ended",
            (Budget::LiveCells, Scope::Host) => "cells of all sessions that have not ended",
            (Budget::UnreadBytes, Scope::Session) => "output of all cells that nobody has read",
            (Budget::UnreadBytes, Scope::Host) => "output of all sessions that nobody has read",
            (Budget::Connections, Scope::Host) => "clients over WebSocket",
            _ => "",
        }
    }

    /// What a program is told when a cell or a client crosses it, stable. A session that is over its budget says
    /// [`SESSION_BUDGET_EXCEEDED`] instead, whichever it is: see [`LimitExceeded::code`].
    pub const fn code(self) -> &'static str {
        match self {
            Budget::Heap => "HeapLimitExceeded",
            Budget::ArrayBuffers => "ArrayBufferLimitExceeded",
            Budget::Cpu => "CpuLimitExceeded",
            Budget::Wall => "TimeLimitExceeded",
            Budget::OutputBytes | Budget::OutputItems => "OutputLimitExceeded",
            Budget::StoredBytes | Budget::StoredValues => "StoredValuesLimitExceeded",
            Budget::ToolCalls => "ToolCallLimitExceeded",
            Budget::OpenToolCalls => "OpenToolCallLimitExceeded",
            Budget::ArgumentBytes => "ArgumentLimitExceeded",
            Budget::ResultBytes => "ResultLimitExceeded",
            Budget::Timers => "TimerLimitExceeded",
            Budget::LiveCells => "LiveCellLimitExceeded",
            Budget::SourceBytes => "SourceLimitExceeded",
            Budget::Depth => "DepthLimitExceeded",
            Budget::UnreadBytes => "UnreadOutputLimitExceeded",
            Budget::Connections => "ConnectionLimitExceeded",
        }
    }

    /// An amount of it, for people: `67108864 bytes`, `1.5s`, `3 items`.
    pub fn amount(self, amount: u64) -> String {
        let noun = match self {
            Budget::Cpu | Budget::Wall if amount == 0 => return "0ms".to_owned(),
            Budget::Cpu | Budget::Wall => return format!("{:?}", Duration::from_millis(amount)),
            Budget::OutputItems => "items",
            Budget::StoredValues => "values",
            Budget::ToolCalls | Budget::OpenToolCalls => "tool calls",
            Budget::Timers => "timers",
            Budget::LiveCells => "cells",
            Budget::Depth => "levels",
            Budget::Connections => "connections",
            _ => "bytes",
        };
        format!("{amount} {noun}")
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Decode for Budget {
    fn read(value: Value<'_>) -> Result<Budget, Fault> {
        let names = Budget::ALL.map(Budget::name);
        let name = value.word(&names)?;
        // One of the names it is.
        Ok(Budget::named(name).unwrap_or(Budget::Heap))
    }
}

/// What the numbers of a budget count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Thousandths of a second.
    Milliseconds,
    /// Things.
    Count,
}

/// Whose budget it is.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// One cell's.
    Cell,
    /// That of all cells of a session.
    Session,
    /// That of all sessions of a host.
    Host,
}

impl Scope {
    /// Its name, on the wire and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Cell => "cell",
            Scope::Session => "session",
            Scope::Host => "host",
        }
    }
}

impl Decode for Scope {
    fn read(value: Value<'_>) -> Result<Scope, Fault> {
        Ok(match value.word(&["cell", "session", "host"])? {
            "cell" => Scope::Cell,
            "session" => Scope::Session,
            _ => Scope::Host,
        })
    }
}

/// An amount for each budget, or none: of a limit, none means that there is no limit.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Budgets([Option<u64>; Budget::ALL.len()]);

impl Budgets {
    /// The amount for `budget`, in its unit.
    pub fn of(&self, budget: Budget) -> Option<u64> {
        self.0[budget as usize]
    }

    /// Sets the amount for `budget`.
    pub fn set(&mut self, budget: Budget, amount: Option<u64>) {
        self.0[budget as usize] = amount;
    }

    /// The same with an amount for `budget`.
    #[must_use]
    pub fn with(mut self, budget: Budget, amount: u64) -> Budgets {
        self.set(budget, Some(amount));
        self
    }

    /// Those that there are, in the order of [`Budget::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Budget, u64)> + '_ {
        Budget::ALL.into_iter().filter_map(|budget| Some((budget, self.of(budget)?)))
    }
}

impl FromIterator<(Budget, u64)> for Budgets {
    fn from_iter<I: IntoIterator<Item = (Budget, u64)>>(amounts: I) -> Budgets {
        let mut budgets = Budgets::default();
        for (budget, amount) in amounts {
            budgets.set(budget, Some(amount));
        }
        budgets
    }
}

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(budget, amount)| (budget.name(), amount))).finish()
    }
}

impl Serialize for Budgets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (budget, amount) in self.iter() {
            map.serialize_entry(budget.name(), &amount)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Budgets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Budgets, D::Error> {
        let amounts = std::collections::BTreeMap::<Budget, u64>::deserialize(deserializer)?;
        Ok(amounts.into_iter().collect())
    }
}

impl Decode for Budgets {
    fn read(value: Value<'_>) -> Result<Budgets, Fault> {
        let mut budgets = Budgets::default();
        let fields = value.object(Budget::ALL.map(Budget::name))?;
        for (budget, field) in Budget::ALL.into_iter().zip(fields) {
            budgets.set(budget, field.optional()?);
        }
        Ok(budgets)
    }
}

impl Budgets {
    /// The same, if all of them are budgets of `scope`.
    fn all_of(self, scope: Scope) -> Result<Budgets, Fault> {
        match self.iter().find(|(budget, _)| !budget.is_of(scope)) {
            None => Ok(self),
            Some((budget, _)) => {
                let known = Budget::ALL.into_iter().filter(|budget| budget.is_of(scope));
                Err(Fault::unknown_field(budget.name(), known.map(Budget::name).collect()))
            }
        }
    }
}

/// Limits that a client asks for when it opens a session. What is absent is left to the host, and more than the host
/// grants is not granted.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SessionBudgets {
    /// Of each cell.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<Budgets>,
    /// Of all cells together.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Budgets>,
}

impl Decode for SessionBudgets {
    fn read(value: Value<'_>) -> Result<SessionBudgets, Fault> {
        let [cell, session] = value.object(["cell", "session"])?;
        let of = |budgets: Option<Budgets>, scope: Scope| {
            let all = budgets.map(|budgets| budgets.all_of(scope)).transpose();
            all.map_err(|fault| fault.at(scope.name()))
        };
        Ok(SessionBudgets {
            cell: of(cell.optional()?, Scope::Cell)?,
            session: of(session.optional()?, Scope::Session)?,
        })
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Budgets {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Budgets".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let amount = generator.subschema_for::<u64>();
        let properties: serde_json::Map<_, _> = Budget::ALL
            .iter()
            .map(|budget| (budget.name().to_owned(), amount.clone().to_value()))
            .collect();
        schemars::json_schema!({
            "description": "An amount for some of the budgets: bytes, milliseconds or a number of things.",
            "type": "object",
            "properties": properties,
        })
    }
}

#[cfg(test)]
impl ts_rs::TS for Budgets {
    type WithoutGenerics = Budgets;
    type OptionInnerType = Budgets;

    fn docs() -> Option<String> {
        let text = "An amount for some of the budgets: bytes, milliseconds or a number of things.";
        Some(format!("/**\n * {text}\n */\n"))
    }

    fn ident(_: &ts_rs::Config) -> String {
        "Budgets".to_owned()
    }

    fn name(_: &ts_rs::Config) -> String {
        "Budgets".to_owned()
    }

    fn decl(_: &ts_rs::Config) -> String {
        "type Budgets = Partial<Record<Budget, number>>;".to_owned()
    }

    fn decl_concrete(cfg: &ts_rs::Config) -> String {
        Self::decl(cfg)
    }

    fn inline(cfg: &ts_rs::Config) -> String {
        Self::name(cfg)
    }

    fn output_path() -> Option<std::path::PathBuf> {
        Some("Budgets.ts".into())
    }

    fn visit_dependencies(visitor: &mut impl ts_rs::TypeVisitor)
    where
        Self: 'static,
    {
        visitor.visit::<Budget>();
    }
}

/// A budget that was crossed. On the wire it has its `code` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct LimitExceeded {
    /// Whose it is.
    pub scope: Scope,
    /// Which.
    pub budget: Budget,
    /// How much was allowed, in the budget's unit.
    pub limit: u64,
    /// How much there was, or would have been, when that was noticed.
    pub used: u64,
}

impl LimitExceeded {
    /// A budget of a cell.
    pub fn of_cell(budget: Budget, limit: u64, used: u64) -> LimitExceeded {
        LimitExceeded { scope: Scope::Cell, budget, limit, used }
    }

    /// A budget of a session.
    pub fn of_session(budget: Budget, limit: u64, used: u64) -> LimitExceeded {
        LimitExceeded { scope: Scope::Session, budget, limit, used }
    }

    /// A stable name for programs, with which its text begins: [`SESSION_BUDGET_EXCEEDED`] where a session is over
    /// its budget and its cells end, else the budget's own.
    pub fn code(&self) -> &'static str {
        match self.is_session_over() {
            true => SESSION_BUDGET_EXCEEDED,
            false => self.budget.code(),
        }
    }

    /// Whether a session is over its budget, so that its running cells end.
    pub fn is_session_over(&self) -> bool {
        self.scope == Scope::Session && !self.is_refusal()
    }

    /// Whether a session keeps within it by refusing what would be too much, and goes on.
    fn is_refusal(&self) -> bool {
        matches!(
            self.budget,
            Budget::LiveCells
                | Budget::StoredBytes
                | Budget::StoredValues
                | Budget::UnreadBytes
                | Budget::OpenToolCalls
        )
    }
}

impl Serialize for LimitExceeded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let LimitExceeded { scope, budget, limit, used } = *self;
        LimitOnWire { code: self.code(), scope, budget, limit, used }.serialize(serializer)
    }
}

impl Decode for LimitExceeded {
    fn read(value: Value<'_>) -> Result<LimitExceeded, Fault> {
        let [code, scope, budget, limit, used] =
            value.object(["code", "scope", "budget", "limit", "used"])?;
        let exceeded = LimitExceeded {
            scope: scope.required()?,
            budget: budget.required()?,
            limit: limit.required()?,
            used: used.required()?,
        };
        let code: String = code.required()?;
        match code == exceeded.code() {
            true => Ok(exceeded),
            false => {
                let expected = vec![exceeded.code()];
                let found = crate::error::excerpt(&code);
                Err(Fault::new(crate::Rule::UnknownVariant { found, expected }).at("code"))
            }
        }
    }
}

/// A budget that was crossed.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[cfg_attr(test, schemars(rename = "LimitExceeded"), ts(rename = "LimitExceeded"))]
#[derive(Serialize)]
pub(crate) struct LimitOnWire {
    /// What was crossed, for programs. It belongs to the budget; that of a session which is over its budget is
    /// `sessionBudgetExceeded`, whichever budget it is.
    code: &'static str,
    /// Whose budget it is.
    scope: Scope,
    /// Which.
    budget: Budget,
    /// How much was allowed: bytes, milliseconds or a number of things.
    limit: u64,
    /// How much there was, or would have been, when that was noticed.
    used: u64,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LimitExceeded { scope, budget, .. } = *self;
        let (limit, used) = (budget.amount(self.limit), budget.amount(self.used));
        write!(f, "{}: ", self.code())?;
        if scope != Scope::Cell {
            let whose = scope.name();
            return match budget.comes_back() {
                true => write!(
                    f,
                    "the {budget} budget of this {whose} is {limit}, and its cells want {used} at a time"
                ),
                false => write!(
                    f,
                    "the {budget} budget of this {whose} is {limit}, and its cells have used {used}; \
                     open another session"
                ),
            };
        }
        match budget {
            Budget::Heap => write!(f, "the cell used more than its {limit} of heap"),
            Budget::ArrayBuffers => {
                write!(f, "the cell used more than its {limit} of array buffers")
            }
            Budget::Cpu => write!(f, "the cell computed for longer than its {limit}"),
            Budget::Wall => write!(f, "the cell ran for longer than its {limit}"),
            Budget::OutputBytes | Budget::OutputItems => {
                write!(f, "the cell showed more than its {limit}")
            }
            Budget::StoredBytes | Budget::StoredValues => {
                write!(f, "the cell would have stored {used}, and may store {limit}")
            }
            Budget::ToolCalls => write!(f, "the cell made more than its {limit}"),
            Budget::OpenToolCalls => {
                write!(
                    f,
                    "the cell has {limit} open, and may not have more: await some of them first"
                )
            }
            Budget::ArgumentBytes => {
                write!(f, "the argument takes {used}, and {limit} is the most; pass less at a time")
            }
            Budget::ResultBytes => {
                write!(
                    f,
                    "the result takes {used}, and {limit} is the most; ask for less at a time"
                )
            }
            Budget::Timers => write!(f, "the cell set more than its {limit} at a time"),
            Budget::SourceBytes => {
                write!(f, "the source takes {used}, and {limit} is the most; keep data out of it")
            }
            Budget::Depth => {
                write!(f, "the value is nested {used} deep, and at most {limit} can be passed on")
            }
            Budget::LiveCells | Budget::UnreadBytes | Budget::Connections => {
                write!(f, "{used} of {budget}, and {limit} is the most")
            }
        }
    }
}

impl std::error::Error for LimitExceeded {}

/// What a session has used of its budgets, and what it and each of its cells may use.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionUsage {
    /// What the session has used: of what does not come back, since it was opened; of all else, now. Where cells
    /// run in processes of their own, of heaps, array buffers and timers it is what these were lent, which may be a little
    /// more.
    pub used: Budgets,
    /// What it may use.
    pub limits: Budgets,
    /// What each of its cells may use.
    pub cell_limits: Budgets,
    /// The budget of which nothing is left, so that no cell starts any more.
    #[cfg_attr(
        test,
        ts(optional, as = "Option<LimitOnWire>"),
        schemars(with = "Option<LimitOnWire>")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exceeded: Option<LimitExceeded>,
}

impl Decode for SessionUsage {
    fn read(value: Value<'_>) -> Result<SessionUsage, Fault> {
        let [used, limits, cell_limits, exceeded] =
            value.object(["used", "limits", "cellLimits", "exceeded"])?;
        Ok(SessionUsage {
            used: used.required()?,
            limits: limits.required()?,
            cell_limits: cell_limits.required()?,
            exceeded: exceeded.optional()?,
        })
    }
}

impl SessionUsage {
    /// What is left of a budget of the session; `None` where it has no limit.
    pub fn left(&self, budget: Budget) -> Option<u64> {
        let used = self.used.of(budget).unwrap_or(0);
        self.limits.of(budget).map(|limit| limit.saturating_sub(used))
    }
}

/// The code of cells that end, and requests that are refused, because their session is over its budget.
pub const SESSION_BUDGET_EXCEEDED: &str = "sessionBudgetExceeded";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_budget_has_a_place_a_name_and_words() {
        for (index, budget) in Budget::ALL.into_iter().enumerate() {
            assert_eq!(budget as usize, index);
            assert_eq!(Budget::named(budget.name()), Some(budget));
            assert_eq!(serde_json::to_value(budget).unwrap(), budget.name());
            for scope in [Scope::Cell, Scope::Session, Scope::Host] {
                assert_eq!(budget.bounds(scope).is_empty(), !budget.is_of(scope), "{budget}");
            }
        }
    }

    #[test]
    fn what_was_crossed_is_said() {
        let said =
            |scope, budget, limit, used| LimitExceeded { scope, budget, limit, used }.to_string();
        for (said, expected) in [
            (
                said(Scope::Cell, Budget::Heap, 64, 65),
                "HeapLimitExceeded: the cell used more than its 64 bytes of heap",
            ),
            (
                said(Scope::Cell, Budget::Cpu, 1500, 1600),
                "CpuLimitExceeded: the cell computed for longer than its 1.5s",
            ),
            (
                said(Scope::Session, Budget::Cpu, 1000, 1200),
                "sessionBudgetExceeded: the cpu budget of this session is 1s, and its cells have used 1.2s; \
                 open another session",
            ),
            (
                said(Scope::Session, Budget::Heap, 10, 11),
                "sessionBudgetExceeded: the heap budget of this session is 10 bytes, and its cells want 11 bytes at a time",
            ),
        ] {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn amounts_survive_the_wire() {
        let budgets = Budgets::default().with(Budget::Cpu, 5).with(Budget::Heap, u64::MAX);
        let json = serde_json::to_string(&budgets).unwrap();
        assert_eq!(json, r#"{"heap":18446744073709551615,"cpu":5}"#);
        assert_eq!(serde_json::from_str::<Budgets>(&json).unwrap(), budgets);
    }
}
