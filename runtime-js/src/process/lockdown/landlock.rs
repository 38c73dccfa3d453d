//! What Landlock denies: all that the kernel's version of it can.
//!
//! It holds for the calling thread and those that it starts, hence comes before V8.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};

use super::{Applied, Denied, Layer};

/// Each a rule set of its own, so that each can be told, and tried, by itself. They add up.
pub(super) const LAYERS: [(Layer, fn() -> Applied); 3] =
    [(Layer::Files, files), (Layer::Network, network), (Layer::Scope, scope)];

/// The newest that is known here. Of what the kernel does not have, the rest holds.
const NEWEST: ABI = ABI::V10;

fn files() -> Applied {
    restrict(Ruleset::default().handle_access(AccessFs::from_all(NEWEST)), "5.13")
}

fn network() -> Applied {
    restrict(Ruleset::default().handle_access(AccessNet::from_all(NEWEST)), "6.7")
}

fn scope() -> Applied {
    restrict(Ruleset::default().scope(Scope::from_all(NEWEST)), "6.12")
}

fn restrict(ruleset: Result<Ruleset, landlock::RulesetError>, since: &str) -> Applied {
    let restricted = ruleset
        .and_then(Ruleset::create)
        .and_then(|created| created.restrict_self())
        .map_err(Denied::new)?;
    let abi = match restricted.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            kernel_abi.unwrap_or(effective_abi as i32)
        }
        LandlockStatus::NotEnabled => {
            return Err(Denied::new("Landlock is in this kernel, but not enabled at boot"));
        }
        LandlockStatus::NotImplemented => {
            return Err(Denied::new(format_args!(
                "this kernel has no Landlock; Linux {since} and later may"
            )));
        }
    };
    match restricted.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => {
            Ok(Some(format!("ABI {abi}")))
        }
        RulesetStatus::NotEnforced => Err(Denied::new(format_args!(
            "Landlock of this kernel (ABI {abi}) cannot; that of Linux {since} and later can"
        ))),
    }
}
