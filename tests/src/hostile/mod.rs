//! Cells that attack, and what must become of them.
//!
//! Each file below `tests/hostile/` is one attack ([`Attack`]); its header says what must happen. An [`Arena`] runs attacks
//! against the session API in one mode of isolation, and looks after each whether the session is as good as new.

pub use arena::{Arena, Busy, Mode, Report};
pub use attack::{Attack, AttackError, Ending, Extras, Turn, attacks};
pub use honest::{Honest, HonestReport};
pub use soak::{Memory, SoakReport, soak};

mod arena;
mod attack;
mod honest;
mod soak;
mod tools;
