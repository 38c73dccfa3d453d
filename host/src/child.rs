//! A child process and all that it started, ended together.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::oneshot;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The process group of a command.
///
/// Dropping it kills what is left of the group. The command itself is reaped after that and not before: as
/// long as it is not, the system gives its number, which is the group's, to nobody else.
pub(crate) struct ProcessGroup {
    id: Pid,
    /// Dropped with the group; lets the thread that watches the command reap it.
    _reap: mpsc::Sender<()>,
}

/// A command that was started.
pub(crate) struct Started {
    pub(crate) group: ProcessGroup,
    /// Gets the command's end.
    pub(crate) exit: oneshot::Receiver<Exit>,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl ProcessGroup {
    /// Starts `command` as the leader of a group of its own. Blocks while the system starts it.
    pub(crate) fn start(command: &mut Command) -> io::Result<Started> {
        let (hand_over, children) = mpsc::channel::<(Child, Pid)>();
        let (reap, may_reap) = mpsc::channel();
        let (tell_exit, exit) = oneshot::channel();
        // A thread for each command: unlike a pidfd or SIGCHLD this needs neither a newer kernel nor a part in
        // the process-wide handling of signals, and it goes on when the async runtime is gone. It is there
        // first, so that no command is without one.
        thread::Builder::new()
            .name("codemode-command".to_owned())
            .stack_size(WATCHER_STACK)
            .spawn(move || {
                if let Ok((child, id)) = children.recv() {
                    watch(child, id, tell_exit, &may_reap);
                }
            })?;
        let mut child = command.process_group(0).spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let id = Pid::from_child(&child);
        let group = ProcessGroup { id, _reap: reap };
        // The thread waits for this and cannot be gone.
        let _ = hand_over.send((child, id));
        Ok(Started { group, exit, stdin, stdout, stderr })
    }

    /// Asks all processes of the group to end.
    pub(crate) fn terminate(&self) {
        // It fails only when nobody is left to ask.
        let _ = kill_process_group(self.id, Signal::TERM);
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let _ = kill_process_group(self.id, Signal::KILL);
    }
}

/// Tells how `child` ended, and reaps it once its group is gone.
fn watch(
    mut child: Child,
    id: Pid,
    tell_exit: oneshot::Sender<Exit>,
    may_reap: &mpsc::Receiver<()>,
) {
    let status = loop {
        match waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            result => break result.ok().flatten(),
        }
    };
    if let Some(status) = status {
        let exit = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(Exit::Code(code)),
            (None, Some(signal)) => Some(Exit::Signal(signal)),
            (None, None) => None,
        };
        if let Some(exit) = exit {
            // Nobody may be waiting any more.
            let _ = tell_exit.send(exit);
        }
    }
    // Nothing is ever sent: this ends when the group is dropped.
    let _ = may_reap.recv();
    let _ = child.wait();
}

/// The name of a signal, as `kill -l` has it.
pub(crate) fn signal_name(number: i32) -> String {
    let name = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::SYS, "SIGSYS"),
    ]
    .into_iter()
    .find(|(signal, _)| signal.as_raw() == number);
    name.map_or_else(|| format!("signal {number}"), |(_, name)| name.to_owned())
}

/// How long processes that were asked to end may take before they are killed.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// The watcher waits in two system calls and needs next to nothing.
const WATCHER_STACK: usize = 64 * 1024;
