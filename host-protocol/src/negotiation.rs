//! What client and host agree on before anything else.

use serde::Serialize;

use crate::{
    Capability, CapabilitySet, ClientToHost, Hello, Known, Operation, ProtocolVersion,
    SupportedVersions,
    decode::{Decode, Value},
    fault::Fault,
};

/// Answers a hello with what both sides have.
///
/// The version is the highest that both speak.
///
/// # Errors
/// The [`Rejection`] to send, after which the connection closes: first for the version, then for the first
/// required capability, by name, that the host lacks.
pub fn negotiate(hello: &Hello, offer: &HostOffer) -> Result<Negotiated, Rejection> {
    let shared =
        offer.versions.iter().filter(|version| hello.supported_versions().contains(*version));
    let Some(version) = shared.max() else {
        return Err(Rejection::NoCompatibleVersion { supported_versions: offer.versions.clone() });
    };
    if let Some(capability) = hello.required_capabilities().first_beyond(&offer.capabilities) {
        return Err(Rejection::MissingRequiredCapability { capability: capability.clone() });
    }
    let asked = hello.required_capabilities().iter().chain(hello.optional_capabilities().iter());
    let capabilities = asked.filter(|name| offer.capabilities.contains(name)).cloned().collect();
    Ok(Negotiated { version, capabilities })
}

/// The versions and capabilities that a host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostOffer {
    /// The versions that it speaks.
    pub versions: SupportedVersions,
    /// What it can do beyond the plain protocol.
    pub capabilities: CapabilitySet,
}

impl HostOffer {
    /// V1 with every known capability: what the reference host offers, and ours beyond it.
    pub fn v1() -> HostOffer {
        HostOffer { versions: SupportedVersions::v1(), capabilities: CapabilitySet::all_known() }
    }
}

/// What holds for the rest of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The version that both speak.
    pub version: ProtocolVersion,
    /// What both have.
    pub capabilities: CapabilitySet,
}

impl Negotiated {
    /// Checks, for a client, that a host's `connection/ready` keeps to what `hello` asked for.
    ///
    /// # Errors
    /// [`ReadyError`], after which the client closes the connection.
    pub fn from_ready(
        hello: &Hello,
        selected_version: ProtocolVersion,
        capabilities: CapabilitySet,
    ) -> Result<Negotiated, ReadyError> {
        if !hello.supported_versions().contains(selected_version) {
            return Err(ReadyError::UnaskedVersion(selected_version.number()));
        }
        if let Some(missing) = hello.required_capabilities().first_beyond(&capabilities) {
            return Err(ReadyError::MissingCapability(missing.clone()));
        }
        let unasked = capabilities.iter().find(|capability| {
            !hello.required_capabilities().contains(capability)
                && !hello.optional_capabilities().contains(capability)
        });
        if let Some(unasked) = unasked {
            return Err(ReadyError::UnaskedCapability(unasked.clone()));
        }
        Ok(Negotiated { version: selected_version, capabilities })
    }

    /// How many delegate requests of the connection may be unanswered at once, over all its sessions.
    pub fn delegate_capacity(&self) -> usize {
        match self.capabilities.has(Known::DelegateCapacity) {
            true => LARGE_DELEGATE_CAPACITY,
            false => DELEGATE_CAPACITY,
        }
    }

    /// Checks that `message` uses nothing that was not agreed on.
    ///
    /// # Errors
    /// [`NotNegotiated`], naming the place and the capability that it belongs to.
    pub fn permits(&self, message: &ClientToHost) -> Result<(), NotNegotiated> {
        let used: &[(bool, &'static str, Known)] = match message {
            ClientToHost::OperationYield { .. } => &[(true, "type", Known::YieldObservation)],
            ClientToHost::OperationRequest { request, .. } => match request {
                Operation::Open { cell_execution_limits, output_truncation, budgets, .. } => &[
                    (
                        cell_execution_limits.is_some(),
                        "request.cellExecutionLimits",
                        Known::CellExecutionLimits,
                    ),
                    (output_truncation.is_some(), "request.outputTruncation", Known::BoundedOutput),
                    (budgets.is_some(), "request.budgets", Known::Budgets),
                ],
                Operation::Wait { max_output_tokens, .. }
                | Operation::Terminate { max_output_tokens, .. } => &[(
                    max_output_tokens.is_some(),
                    "request.maxOutputTokens",
                    Known::BoundedOutput,
                )],
                Operation::Usage { .. } => &[(true, "request.method", Known::Budgets)],
                Operation::Tools { .. } => &[(true, "request.method", Known::HostTools)],
                Operation::Execute { .. } | Operation::Shutdown { .. } => &[],
            },
            _ => &[],
        };
        match used.iter().find(|(used, _, known)| *used && !self.capabilities.has(*known)) {
            None => Ok(()),
            Some((_, path, known)) => Err(NotNegotiated { path, capability: known.name() }),
        }
    }
}

/// A client used what was not agreed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} belongs to the capability {capability}, which was not negotiated; \
     name it in the hello's requiredCapabilities or optionalCapabilities"
)]
pub struct NotNegotiated {
    /// Where in the message, as in [`crate::DecodeError::path`].
    pub path: &'static str,
    /// The capability that allows it.
    pub capability: &'static str,
}

/// A host's `connection/ready` does not fit the hello that it answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadyError {
    /// A version that was not offered.
    #[error("the host selected protocol version {0}, which was not offered to it")]
    UnaskedVersion(u32),
    /// A required capability is not among those agreed on.
    #[error("the host is ready without {0}, which it was told is required")]
    MissingCapability(Capability),
    /// A capability that was not asked for.
    #[error("the host is ready with {0}, which was not asked for")]
    UnaskedCapability(Capability),
}

/// Why a host refuses a connection, as it says on the wire.
#[cfg_attr(test, derive(schemars::JsonSchema, ts_rs::TS))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Rejection {
    /// No version in common.
    #[error("the host speaks none of the client's protocol versions")]
    NoCompatibleVersion {
        /// Those that the host speaks.
        supported_versions: SupportedVersions,
    },
    /// The client needs what the host does not have.
    #[error("the host does not have the required capability {capability}")]
    MissingRequiredCapability {
        /// The first that it lacks.
        capability: Capability,
    },
    /// The first message was no hello, or a broken one.
    #[error("{message}")]
    InvalidHello {
        /// What was wrong with it.
        message: String,
    },
}

impl Rejection {
    /// For a first message that is another than `connection/hello`, in the reference host's words.
    pub fn not_a_hello() -> Rejection {
        Rejection::InvalidHello { message: "first message must be connection/hello".to_owned() }
    }
}

impl Decode for Rejection {
    fn read(value: Value<'_>) -> Result<Rejection, Fault> {
        let types = ["noCompatibleVersion", "missingRequiredCapability", "invalidHello"];
        match value.tag("type", &types)? {
            "noCompatibleVersion" => {
                let [versions] = value.tagged("type", ["supportedVersions"])?;
                Ok(Rejection::NoCompatibleVersion { supported_versions: versions.required()? })
            }
            "missingRequiredCapability" => {
                let [capability] = value.tagged("type", ["capability"])?;
                Ok(Rejection::MissingRequiredCapability { capability: capability.required()? })
            }
            _ => {
                let [message] = value.tagged("type", ["message"])?;
                Ok(Rejection::InvalidHello { message: message.required()? })
            }
        }
    }
}

/// The delegate requests that may be unanswered without [`Known::DelegateCapacity`]: what the reference host
/// allows.
const DELEGATE_CAPACITY: usize = 1024;

/// The same with it.
const LARGE_DELEGATE_CAPACITY: usize = 4096;
