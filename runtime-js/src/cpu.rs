//! The processor time of a cell.

use std::time::Duration;

use nix::{
    libc::clockid_t,
    time::{ClockId, clock_gettime},
    unistd::gettid,
};
use parking_lot::Mutex;

/// The processor time of one cell, which any thread can read. That of the thread that it runs on, while it does; a thread
/// that waits for this cell alone may stand for it meanwhile, since it uses none.
#[derive(Debug, Default)]
pub(crate) struct CpuTime(Mutex<State>);

#[derive(Debug)]
enum State {
    /// No thread works for it. It has used so much.
    Rests(Duration),
    /// It runs on the thread with this clock, which would have shown `from` at its start, had it done nothing else since.
    Runs { clock: ClockId, from: Duration },
}

impl Default for State {
    fn default() -> State {
        State::Rests(Duration::ZERO)
    }
}

impl CpuTime {
    /// The cell begins or goes on, on this thread. Returns what it had used before.
    pub(crate) fn begin(&self) -> Duration {
        let mut state = self.0.lock();
        let used = state.used();
        let clock = this_threads_clock();
        *state = State::Runs { clock, from: read(clock).saturating_sub(used) };
        used
    }

    /// The thread does something else from now on, or nothing. Returns what the cell has used.
    pub(crate) fn rest(&self) -> Duration {
        let mut state = self.0.lock();
        let used = state.used();
        *state = State::Rests(used);
        used
    }

    /// How much the cell has used.
    pub(crate) fn used(&self) -> Duration {
        // The lock keeps the cell from coming to rest, and so its thread from going, while its clock is read.
        self.0.lock().used()
    }
}

impl State {
    fn used(&self) -> Duration {
        match self {
            State::Rests(used) => *used,
            State::Runs { clock, from } => read(*clock).saturating_sub(*from),
        }
    }
}

/// The calling thread, as the kernel numbers it, and the processor time that it has used.
#[cfg(target_os = "linux")]
pub(crate) fn this_thread() -> (u32, Duration) {
    (gettid().as_raw().unsigned_abs(), read(this_threads_clock()))
}

/// The processor time that a thread of another process has used; none where the kernel does not say.
#[cfg(target_os = "linux")]
pub(crate) fn of_thread(process: rustix::process::Pid, thread: u32) -> Option<Duration> {
    let process = process.as_raw_nonzero();
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The processor time that all threads of another process have used, those that have ended too; none once it was waited for.
#[cfg(target_os = "linux")]
pub(crate) fn of_process(process: rustix::process::Pid) -> Duration {
    // `CPUCLOCK_SCHED`, above it the complement of the process's id.
    let process: clockid_t = process.as_raw_nonzero().get();
    read(ClockId::from_raw((!process << 3) | 2))
}

/// What the kernel calls the clock of the processor time of the calling thread, in a way that holds on other threads
/// too (`CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED`, above them the complement of the thread's id).
fn this_threads_clock() -> ClockId {
    let thread: clockid_t = gettid().as_raw();
    ClockId::from_raw((!thread << 3) | 6)
}

/// Nothing, where there is no such clock: a sandbox that forbids to ask must not end cells.
fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, mpsc};

    use super::*;

    #[test]
    fn another_thread_sees_what_a_cell_uses_and_no_more() {
        let time = Arc::new(CpuTime::default());
        assert_eq!(time.used(), Duration::ZERO);
        let (begun, begins) = mpsc::channel();
        let (enough, stop) = mpsc::channel::<()>();
        let thread = std::thread::spawn({
            let time = Arc::clone(&time);
            move || {
                let before = read(this_threads_clock());
                time.begin();
                begun.send(()).unwrap();
                while stop.try_recv().is_err() {}
                let used = time.rest();
                assert!(used <= read(this_threads_clock()) - before);
            }
        });
        begins.recv().unwrap();
        while time.used() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        enough.send(()).unwrap();
        thread.join().unwrap();
        let used = time.used();
        assert!(used >= Duration::from_millis(20));
        assert_eq!(time.used(), used);
    }
}
