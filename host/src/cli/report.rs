//! What the command line says on stderr.
#![allow(clippy::print_stderr)]

use anstream::eprintln;
use anstyle::{AnsiColor, Style};

use super::terminal::Shown;

/// `error: …`, in red where colours are wanted.
pub(super) fn error(message: &str) {
    eprintln!("{RED}error:{RED:#} {}", Shown::on_stderr().text(message));
}

/// `hint: …`.
pub(super) fn hint(message: &str) {
    eprintln!("{CYAN}hint:{CYAN:#} {}", Shown::on_stderr().text(message));
}

/// `note: …`.
pub(super) fn note(message: &str) {
    eprintln!("{YELLOW}note:{YELLOW:#} {}", Shown::on_stderr().text(message));
}

/// A line as it is, which may have colours of ours.
pub(super) fn line(text: &str) {
    eprintln!("{text}");
}

const RED: Style = AnsiColor::Red.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
