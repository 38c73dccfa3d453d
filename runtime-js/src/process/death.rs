//! How processes come to their end.

use std::{
    io,
    os::unix::process::ExitStatusExt as _,
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::{
    io::retry_on_intr,
    process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid},
};

/// Whether the process ends within the moment that the system needs for it. It is yet to be waited for.
pub(super) fn ends_in_a_moment(process: Pid) -> bool {
    let until = Instant::now() + DEATH_GRACE;
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        if let Ok(Some(_)) = waitid(WaitId::Pid(process), how) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for a child to end. How it did.
///
/// # Errors
/// When it is no child, or somebody else has waited for it.
pub(super) fn reap(process: Pid) -> io::Result<ExitStatus> {
    let waited = retry_on_intr(|| waitpid(Some(process), WaitOptions::empty()))?;
    let (_, status) = waited.ok_or(io::ErrorKind::NotFound)?;
    Ok(ExitStatus::from_raw(status.as_raw()))
}

/// How a process ended, and the last that it had said.
pub(super) fn how_it_ended(process: &str, status: ExitStatus, last_words: &[u8]) -> String {
    let how = match (status.signal(), status.code()) {
        (Some(signal), _) => format!("{process} was ended by {}", name_of(signal)),
        (_, Some(code)) => format!("{process} ended by itself with code {code}"),
        _ => format!("{process} ended"),
    };
    let words = String::from_utf8_lossy(last_words);
    let mut telling =
        words.lines().map(str::trim).filter(|line| !line.trim_matches('#').is_empty());
    match telling.next_back() {
        Some(line) => format!("{how}, and had said: {line}"),
        None => how,
    }
}

fn name_of(signal: i32) -> String {
    match Signal::from_named_raw(signal) {
        Some(Signal::KILL) => String::from("SIGKILL, as the system does when memory runs out"),
        Some(Signal::SYS) => String::from("SIGSYS: it tried what a cell's process may not do"),
        // `Signal::SEGV`, in quotes.
        Some(signal) => {
            let name = format!("{signal:?}");
            let name = name.rsplit("::").next().unwrap_or_default();
            format!("SIG{}", name.trim_matches(|c: char| !c.is_alphanumeric()))
        }
        None => format!("signal {signal}"),
    }
}

/// From the end of a connection to when its process can be waited for.
const DEATH_GRACE: Duration = Duration::from_millis(100);

/// So much is kept of what a process says.
pub(super) const LAST_WORDS_BYTES: usize = 4 << 10;
