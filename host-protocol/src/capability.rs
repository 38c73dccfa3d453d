//! What one side offers beyond the plain protocol, and the other side may ask for.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{
    Rule,
    decode::{Decode, Value},
    error::excerpt,
    fault::Fault,
};

/// The name of something beyond the plain protocol. Never blank.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS), schemars(extend("pattern" = r"\S")))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Capability(String);

impl Capability {
    /// Takes any string that holds more than white space, and keeps it as it is.
    ///
    /// # Errors
    /// [`CapabilityError::Blank`] for the empty string and for white space alone.
    pub fn new(name: impl Into<String>) -> Result<Capability, CapabilityError> {
        let name = name.into();
        if name.trim().is_empty() {
            return Err(CapabilityError::Blank);
        }
        Ok(Capability(name))
    }

    /// The name as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Known> for Capability {
    fn from(known: Known) -> Capability {
        Capability(known.name().to_owned())
    }
}

impl Decode for Capability {
    fn read(value: Value<'_>) -> Result<Capability, Fault> {
        Capability::new(value.string()?).map_err(|_| Fault::new(Rule::Blank))
    }
}

/// Why a string is no capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// The string was empty, or white space alone.
    #[error("a capability must not be empty or blank")]
    Blank,
}

/// The capabilities that our host has. The reference host offers all whose names do not begin with `codemode.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Known {
    /// `session/open` takes `outputTruncation`, `session/wait` and `session/terminate` take
    /// `maxOutputTokens`: the host can cut output to the budget, in the client's place.
    BoundedOutput,
    /// `session/open` takes `budgets`, the client may ask for `session/usage`, and the response of a cell that crossed a
    /// budget has `limit_exceeded`.
    Budgets,
    /// Cells find the tools of a namespace as `tools.namespace.name` too, and have `search_tools` and `describe_tool`.
    Discovery,
    /// The client may ask for `session/tools`: the host has tools of its own, which cells have beside the client's.
    HostTools,
    /// Up to 4,096 delegate requests of a connection may be unanswered, rather than 1,024.
    DelegateCapacity,
    /// `session/open` takes `cellExecutionLimits`.
    CellExecutionLimits,
    /// The client may send `operation/yield`.
    YieldObservation,
}

impl Known {
    /// All of them.
    pub const ALL: [Known; 7] = [
        Known::BoundedOutput,
        Known::Budgets,
        Known::Discovery,
        Known::HostTools,
        Known::DelegateCapacity,
        Known::CellExecutionLimits,
        Known::YieldObservation,
    ];

    /// The name as it stands on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Known::BoundedOutput => BOUNDED_OUTPUT,
            Known::Budgets => BUDGETS,
            Known::Discovery => DISCOVERY,
            Known::HostTools => HOST_TOOLS,
            Known::DelegateCapacity => DELEGATE_CAPACITY,
            Known::CellExecutionLimits => CELL_EXECUTION_LIMITS,
            Known::YieldObservation => YIELD_OBSERVATION,
        }
    }
}

/// Capabilities, each once, in the order of their names, which is the order in which a host lists them.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CapabilitySet(BTreeSet<Capability>);

impl CapabilitySet {
    /// The set without capabilities.
    pub const EMPTY: CapabilitySet = CapabilitySet(BTreeSet::new());

    /// Every known capability.
    pub fn all_known() -> CapabilitySet {
        Known::ALL.into_iter().map(Capability::from).collect()
    }

    /// Whether `known` is one of these.
    pub fn has(&self, known: Known) -> bool {
        self.0.iter().any(|capability| capability.as_str() == known.name())
    }

    /// Whether `capability` is one of these.
    pub fn contains(&self, capability: &Capability) -> bool {
        self.0.contains(capability)
    }

    /// Adds `capability`; false if it was there.
    pub fn insert(&mut self, capability: Capability) -> bool {
        self.0.insert(capability)
    }

    /// The capabilities by name.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first that `other` has as well.
    pub(crate) fn first_shared(&self, other: &CapabilitySet) -> Option<&Capability> {
        self.0.iter().find(|capability| other.contains(capability))
    }

    /// The first that `other` lacks.
    pub(crate) fn first_beyond(&self, other: &CapabilitySet) -> Option<&Capability> {
        self.0.iter().find(|capability| !other.contains(capability))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> CapabilitySet {
        CapabilitySet(capabilities.into_iter().collect())
    }
}

impl Decode for CapabilitySet {
    fn read(value: Value<'_>) -> Result<CapabilitySet, Fault> {
        let mut set = CapabilitySet::EMPTY;
        for (index, item) in value.items()?.enumerate() {
            let capability = Capability::read(item).map_err(|fault| fault.at_index(index))?;
            if set.contains(&capability) {
                let value = excerpt(capability.as_str());
                return Err(Fault::new(Rule::Repeated { value }).at_index(index));
            }
            set.insert(capability);
        }
        Ok(set)
    }
}

/// See [`Known::BoundedOutput`].
pub const BOUNDED_OUTPUT: &str = "bounded-output-v1";
/// See [`Known::Budgets`].
pub const BUDGETS: &str = "codemode.budgets";

/// See [`Known::Discovery`].
pub const DISCOVERY: &str = "codemode.discovery";
/// See [`Known::HostTools`].
pub const HOST_TOOLS: &str = "codemode.hostTools";
/// See [`Known::DelegateCapacity`].
pub const DELEGATE_CAPACITY: &str = "delegate-capacity-4096";
/// See [`Known::CellExecutionLimits`].
pub const CELL_EXECUTION_LIMITS: &str = "session-cell-execution-resource-limits";
/// See [`Known::YieldObservation`].
pub const YIELD_OBSERVATION: &str = "yield-observation";
