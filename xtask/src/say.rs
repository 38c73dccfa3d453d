//! What the person at the terminal reads. All of it goes to stderr: stdout belongs to the programs that are run.
#![allow(clippy::print_stderr, reason = "this module is the output")]

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use crate::error::Error;

/// Something is about to happen, or has been decided.
pub(crate) fn note(text: &str) {
    eprintln!("{} {text}", paint("36", "xtask:"));
}

/// The beginning of one step among several.
pub(crate) fn header(text: &str) {
    eprintln!("\n{}", paint("1", &format!("── {text} ──")));
}

/// One line of a summary.
pub(crate) fn outcome(ok: bool, text: &str) {
    let mark = if ok { paint("32", "ok    ") } else { paint("31", "FAILED") };
    eprintln!("{mark} {text}");
}

/// A line that the next one overwrites, on a terminal; nothing elsewhere.
pub(crate) fn transient(text: &str) {
    if is_terminal() {
        eprint!("\r\x1b[2K{text}");
    }
}

pub(crate) fn failure(error: &Error) {
    eprintln!("{} {error}", paint("31", "error:"));
}

pub(crate) fn is_terminal() -> bool {
    stderr().is_terminal()
}

/// `1 h 05 min`, `12 min 03 s`, `4.2 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60) {
        (0, 0) => format!("{:.1} s", time.as_secs_f64()),
        (0, minutes) => format!("{minutes} min {:02} s", seconds % 60),
        (hours, minutes) => format!("{hours} h {:02} min", minutes % 60),
    }
}

fn paint(code: &str, text: &str) -> String {
    if is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        for (ms, expected) in [
            (40, "0.0 s"),
            (4_240, "4.2 s"),
            (59_900, "59.9 s"),
            (723_000, "12 min 03 s"),
            (3_900_000, "1 h 05 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), expected);
        }
    }
}
