//! Yes or no to a call, from the person at the terminal.

use std::{
    fs::{File, OpenOptions},
    io::{IsTerminal as _, Read as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{QueueSelector, tcflush},
};
use tokio::sync::Mutex;

use super::printer::Happening;
use crate::mcp::{Approver, ApproverFuture, Ask, Decision};

/// Asks the person at the terminal, if there is one.
pub(super) struct Approvals {
    /// Held while a question stands: one at a time.
    turn: Arc<Mutex<()>>,
    happenings: mpsc::Sender<Happening>,
}

impl Approvals {
    pub(super) fn new(happenings: mpsc::Sender<Happening>) -> Approvals {
        Approvals { turn: Arc::default(), happenings }
    }
}

impl Approver for Approvals {
    fn ask(&self, ask: Ask) -> ApproverFuture {
        let name = format!("{}.{}", ask.server, ask.tool);
        let turn = Arc::clone(&self.turn);
        let happenings = self.happenings.clone();
        Box::pin(async move {
            let _turn = turn.lock().await;
            let Some(terminal) = terminal() else {
                return Decision::denied(format!(
                    "nobody is at the terminal to be asked. Its user can start codemode with --approve '{name}', or \
                     --approve all"
                ));
            };
            // What was typed before the question, perhaps in answer to another, does not count.
            let _ = tcflush(&terminal, QueueSelector::IFlush);
            let id = ask.runtime_tool_call_id.clone();
            let _ = happenings.send(Happening::Asked(ask));
            let _over = Over { id, happenings };
            match answer(terminal).await {
                true => Decision::Approved,
                false => Decision::denied("the user said no"),
            }
        })
    }
}

/// Tells that a question is over, in whatever way.
struct Over {
    id: String,
    happenings: mpsc::Sender<Happening>,
}

impl Drop for Over {
    fn drop(&mut self) {
        let _ = self.happenings.send(Happening::Answered { call: self.id.clone() });
    }
}

/// The terminal, if somebody sits there. Not standard input: that may be the cell's source.
fn terminal() -> Option<File> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    (std::io::stderr().is_terminal() && terminal.is_terminal()).then_some(terminal)
}

/// Reads a line: yes if it is a yes.
///
/// Cancel safety: nothing is read any more after a moment.
async fn answer(mut terminal: File) -> bool {
    let cancelled = Cancelled(Arc::new(AtomicBool::new(false)));
    let is_cancelled = Arc::clone(&cancelled.0);
    let line = tokio::task::spawn_blocking(move || {
        let mut line = Vec::new();
        while !is_cancelled.load(Ordering::Relaxed) {
            let mut fds = [PollFd::new(&terminal, PollFlags::IN)];
            let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            if poll(&mut fds, Some(&moment)).is_ok_and(|ready| ready == 0) {
                continue;
            }
            let mut bytes = [0; 256];
            match terminal.read(&mut bytes) {
                Ok(count @ 1..) => line.extend_from_slice(&bytes[..count]),
                _ => break,
            }
            if line.contains(&b'\n') || line.len() > MAX_ANSWER_BYTES {
                break;
            }
        }
        line
    });
    let line = line.await.unwrap_or_default();
    drop(cancelled);
    is_yes(&line)
}

fn is_yes(line: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(line).trim().to_ascii_lowercase();
    matches!(answer.as_str(), "y" | "yes")
}

struct Cancelled(Arc<AtomicBool>);

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const MAX_ANSWER_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        for (line, expected) in [
            ("y\n", true),
            (" Yes \r\n", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yy\n", false),
        ] {
            assert_eq!(is_yes(line.as_bytes()), expected, "{line:?}");
        }
    }
}
