//! The processor time of a cell.

use std::time::Duration;

use nix::{
    libc::clockid_t,
    time::{ClockId, clock_gettime},
    unistd::gettid,
};
use parking_lot::Mutex;

/// The processor time of one cell, which any thread can read. That of the thread that it runs on, while it does.
#[derive(Debug, Default)]
pub(crate) struct CpuTime(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    /// It has no thread yet.
    #[default]
    Waits,
    /// It runs on the thread with this clock, which showed `from` at its start.
    Runs { clock: ClockId, from: Duration },
    /// It used so much.
    Ended(Duration),
}

impl CpuTime {
    /// The cell begins, on this thread.
    pub(crate) fn begin(&self) {
        let clock = this_threads_clock();
        *self.0.lock() = State::Runs { clock, from: read(clock) };
    }

    /// The cell has ended, on the thread on which it began.
    pub(crate) fn end(&self) -> Duration {
        let mut state = self.0.lock();
        let used = state.used();
        *state = State::Ended(used);
        used
    }

    /// How much the cell has used.
    pub(crate) fn used(&self) -> Duration {
        // The lock keeps the cell from ending, and so its thread from going, while its clock is read.
        self.0.lock().used()
    }
}

impl State {
    fn used(&self) -> Duration {
        match self {
            State::Waits => Duration::ZERO,
            State::Runs { clock, from } => read(*clock).saturating_sub(*from),
            State::Ended(used) => *used,
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
                let used = time.end();
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
