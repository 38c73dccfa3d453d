//! How much memory a worker process holds.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    time::{Duration, Instant},
};

use rustix::process::Pid;

use super::{keeper::Why, remote::Remote, wire::ToWorker};

/// Reads what a process holds, for as long as it lives.
pub(crate) struct Gauge {
    statm: Option<File>,
    page_bytes: u64,
}

impl Gauge {
    /// The gauge of a process that has not been waited for. One that cannot be opened shows nothing.
    pub(crate) fn of(process: Pid) -> Gauge {
        let statm = File::open(format!("/proc/{}/statm", process.as_raw_nonzero())).ok();
        Gauge { statm, page_bytes: rustix::param::page_size() as u64 }
    }

    /// Bytes that the process itself has in memory, without what it maps from files and may be shared.
    pub(crate) fn private_bytes(&self) -> Option<u64> {
        let mut text = [0; 128];
        let len = self.statm.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = str::from_utf8(&text[..len]).ok()?;
        let mut pages = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
        let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
        Some(resident.saturating_sub(shared) * self.page_bytes)
    }
}

/// Looks at what a process holds, more often while that grows.
pub(super) struct Watch {
    gauge: Gauge,
    bound_bytes: u64,
    /// When to look again.
    pub(super) next: Instant,
    pause: Duration,
    last_bytes: u64,
    /// When the worker was asked which cells run, once it was over its bound.
    asked: Option<Instant>,
    pub(super) running: Option<Vec<u64>>,
}

impl Watch {
    pub(super) fn new(gauge: Gauge, bound_bytes: u64) -> Watch {
        Watch {
            gauge,
            bound_bytes,
            next: Instant::now(),
            pause: SHORTEST_WATCH,
            last_bytes: 0,
            asked: None,
            running: None,
        }
    }

    /// Something happens in the process.
    pub(super) fn soon(&mut self) {
        if self.pause > SHORTEST_WATCH {
            self.pause = SHORTEST_WATCH;
            self.next = self.next.min(Instant::now() + SHORTEST_WATCH);
        }
    }

    pub(super) fn check(&mut self, now: Instant, worker: &Remote) -> Option<Why> {
        if let Some(asked) = self.asked {
            if self.running.is_none() && now < asked + ANSWER_GRACE {
                self.next = asked + ANSWER_GRACE;
                return None;
            }
            let cells = self.running.take().unwrap_or_default();
            let (bytes, bound_bytes) = (self.last_bytes, self.bound_bytes);
            return Some(Why::Memory { cells, bytes, bound_bytes });
        }
        if now < self.next {
            return None;
        }
        let bytes = self.gauge.private_bytes().unwrap_or_default();
        if bytes > self.bound_bytes {
            self.last_bytes = bytes;
            if let Some(cell) = worker.only_cell() {
                let bound_bytes = self.bound_bytes;
                return Some(Why::Memory { cells: vec![cell], bytes, bound_bytes });
            }
            self.asked = Some(now);
            self.next = now + ANSWER_GRACE;
            worker.send(ToWorker::WhoRuns);
            return None;
        }
        let grew = bytes > self.last_bytes + GROWTH_BYTES;
        self.last_bytes = bytes;
        self.pause = if grew { SHORTEST_WATCH } else { (self.pause * 2).min(LONGEST_WATCH) };
        self.next = now + self.pause;
        None
    }
}

/// A process fills about a gigabyte a second.
const SHORTEST_WATCH: Duration = Duration::from_millis(25);
const LONGEST_WATCH: Duration = Duration::from_millis(400);
const GROWTH_BYTES: u64 = 4 << 20;

/// What a worker has to say which cells run. It needs none of them for it, but a processor, while it fills memory on.
const ANSWER_GRACE: Duration = Duration::from_millis(250);
