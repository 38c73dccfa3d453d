//! The client's first message.

use std::num::NonZeroU32;

use serde::Serialize;

use crate::{
    Capability, CapabilitySet, Rule,
    decode::{Decode, Value},
    error::excerpt,
    fault::Fault,
};

/// The versions and capabilities with which a client can work.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS), schemars(inline))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The versions that the client speaks.
    supported_versions: SupportedVersions,
    /// What the client cannot do without.
    required_capabilities: CapabilitySet,
    /// What the client uses where it can. None of them is required as well.
    optional_capabilities: CapabilitySet,
}

impl Hello {
    /// A hello that names `required`, without which the client cannot work, and `optional`, which it uses
    /// where the host has them.
    ///
    /// # Errors
    /// [`HelloError::InBothSets`] when a capability is required and optional.
    pub fn new(
        versions: SupportedVersions,
        required: CapabilitySet,
        optional: CapabilitySet,
    ) -> Result<Hello, HelloError> {
        if let Some(capability) = required.first_shared(&optional) {
            return Err(HelloError::InBothSets(capability.clone()));
        }
        Ok(Hello {
            supported_versions: versions,
            required_capabilities: required,
            optional_capabilities: optional,
        })
    }

    /// A hello for V1 that asks for every known capability, and needs none of them.
    pub fn v1() -> Hello {
        Hello {
            supported_versions: SupportedVersions::v1(),
            required_capabilities: CapabilitySet::EMPTY,
            optional_capabilities: CapabilitySet::all_known(),
        }
    }

    /// The versions that the client speaks.
    pub fn supported_versions(&self) -> &SupportedVersions {
        &self.supported_versions
    }

    /// What the client cannot do without.
    pub fn required_capabilities(&self) -> &CapabilitySet {
        &self.required_capabilities
    }

    /// What the client uses where it can.
    pub fn optional_capabilities(&self) -> &CapabilitySet {
        &self.optional_capabilities
    }
}

impl Decode for Hello {
    fn read(value: Value<'_>) -> Result<Hello, Fault> {
        let [versions, required, optional] = value.tagged(
            "type",
            ["supportedVersions", "requiredCapabilities", "optionalCapabilities"],
        )?;
        Hello::new(versions.required()?, required.required()?, optional.required()?).map_err(
            |HelloError::InBothSets(capability)| {
                let capability = excerpt(capability.as_str());
                Fault::new(Rule::InBothSets { capability }).at("optionalCapabilities")
            },
        )
    }
}

/// Why two sets of capabilities make no hello.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// A capability is required and optional.
    #[error("capability {0} cannot be both required and optional; name it once")]
    InBothSets(Capability),
}

/// A version of the protocol, from 1.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ProtocolVersion(NonZeroU32);

impl ProtocolVersion {
    /// The version that this crate speaks.
    pub const V1: ProtocolVersion = ProtocolVersion(NonZeroU32::MIN);

    /// The version with that number; `None` for 0.
    pub fn new(number: u32) -> Option<ProtocolVersion> {
        NonZeroU32::new(number).map(ProtocolVersion)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl Decode for ProtocolVersion {
    fn read(value: Value<'_>) -> Result<ProtocolVersion, Fault> {
        let number = value.integer(1, u64::from(u32::MAX))?;
        ProtocolVersion::new(number as u32)
            .ok_or_else(|| Fault::new(Rule::OutOfRange { min: 1, max: u64::from(u32::MAX) }))
    }
}

/// Versions of the protocol: at least one, each once, in the order in which they were named.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SupportedVersions(
    #[cfg_attr(test, schemars(length(min = 1), extend("uniqueItems" = true)))] Vec<ProtocolVersion>,
);

impl SupportedVersions {
    /// Takes versions, which may come in any order.
    ///
    /// # Errors
    /// [`VersionsError::Empty`] for none, [`VersionsError::Repeated`] for one that comes twice.
    pub fn new(
        versions: impl IntoIterator<Item = ProtocolVersion>,
    ) -> Result<SupportedVersions, VersionsError> {
        let versions: Vec<ProtocolVersion> = versions.into_iter().collect();
        if versions.is_empty() {
            return Err(VersionsError::Empty);
        }
        let mut sorted: Vec<(ProtocolVersion, usize)> = versions.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let repeated = sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1]);
        if let Some((version, index)) = repeated.min_by_key(|(_, index)| *index) {
            return Err(VersionsError::Repeated { version: version.number(), index });
        }
        Ok(SupportedVersions(versions))
    }

    /// Version 1 alone.
    pub fn v1() -> SupportedVersions {
        SupportedVersions(vec![ProtocolVersion::V1])
    }

    /// The versions in the order in which they were named.
    pub fn iter(&self) -> impl Iterator<Item = ProtocolVersion> {
        self.0.iter().copied()
    }

    /// Whether `version` is one of these.
    pub fn contains(&self, version: ProtocolVersion) -> bool {
        self.0.contains(&version)
    }
}

impl Decode for SupportedVersions {
    fn read(value: Value<'_>) -> Result<SupportedVersions, Fault> {
        SupportedVersions::new(Vec::<ProtocolVersion>::read(value)?).map_err(|error| match error {
            VersionsError::Empty => Fault::new(Rule::Empty),
            VersionsError::Repeated { version, index } => {
                Fault::new(Rule::Repeated { value: version.to_string() }).at_index(index)
            }
        })
    }
}

/// Why versions make no set of supported ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionsError {
    /// There is none.
    #[error("at least one protocol version must be named")]
    Empty,
    /// One comes twice.
    #[error("protocol version {version} is named more than once")]
    Repeated {
        /// The version's number.
        version: u32,
        /// The place of its second mention, counted from 0.
        index: usize,
    },
}
