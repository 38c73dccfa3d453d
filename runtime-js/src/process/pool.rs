//! Worker processes that are made ahead of need.

use std::{io, sync::Arc};

use parking_lot::{Condvar, Mutex};

use super::{ProcessOptions, cgroup::Groups, remote::Remote, zygote::Nursery};

/// Makes worker processes, on a thread that lives as long as the pool: they end with it.
#[derive(Debug)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: ProcessOptions,
    warm_heap_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    warm: Vec<Remote>,
    /// Who waits for a process.
    waiting: usize,
    /// Why the last process could not be started, for those who wait.
    failure: Option<io::Error>,
    started: bool,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(options: ProcessOptions, warm_heap_bytes: usize) -> Pool {
        let inner =
            Inner { options, warm_heap_bytes, state: Mutex::default(), changed: Condvar::new() };
        Pool(Arc::new(inner))
    }

    /// Begins to make processes. A thread that cannot be had now is asked for again by the first cell.
    pub(crate) fn prepare(&self) {
        let _ = self.run();
    }

    pub(crate) fn options(&self) -> &ProcessOptions {
        &self.0.options
    }

    /// A process that is there, if there is one.
    pub(crate) fn try_take(&self) -> Option<Remote> {
        let mut state = self.0.state.lock();
        let taken = take_living(&mut state.warm);
        self.0.changed.notify_all();
        taken
    }

    /// A process that no tenant has used. Waits until one is started, which takes a few milliseconds.
    pub(crate) fn take(&self) -> io::Result<Remote> {
        self.run()?;
        let mut state = self.0.state.lock();
        state.waiting += 1;
        self.0.changed.notify_all();
        let taken = loop {
            if let Some(worker) = take_living(&mut state.warm) {
                break Ok(worker);
            }
            if let Some(failure) = state.failure.take() {
                break Err(failure);
            }
            self.0.changed.wait(&mut state);
        };
        state.waiting -= 1;
        self.0.changed.notify_all();
        taken
    }

    fn run(&self) -> io::Result<()> {
        let mut state = self.0.state.lock();
        if state.started {
            return Ok(());
        }
        let inner = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name(String::from("codemode-pool"))
            .stack_size(STACK_BYTES)
            .spawn(move || inner.run())?;
        state.started = true;
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        for worker in state.warm.drain(..) {
            worker.disown();
        }
        self.0.changed.notify_all();
    }
}

impl Inner {
    fn run(&self) {
        let groups = self.options.control_groups.then(Groups::find).and_then(Result::ok);
        let groups = groups.filter(|groups| groups.prepare().is_ok());
        let mut nursery = Nursery::new(&self.options);
        let mut state = self.state.lock();
        while !state.closed {
            let missing = state.warm.len() < self.options.warm + state.waiting;
            if !missing || (state.failure.is_some() && state.waiting > 0) {
                self.changed.wait(&mut state);
                continue;
            }
            drop(state);
            let spawned =
                Remote::spawn(&self.options, &mut nursery, groups.as_ref(), self.warm_heap_bytes);
            state = self.state.lock();
            match spawned {
                Ok(worker) if state.closed => worker.disown(),
                Ok(worker) => state.warm.push(worker),
                // Without somebody to tell, the next one who asks makes it try again.
                Err(_) if state.waiting == 0 => self.changed.wait(&mut state),
                Err(error) => state.failure = Some(error),
            }
            self.changed.notify_all();
        }
    }
}

/// One that has not died while it waited; the one that has had most time to get ready.
fn take_living(warm: &mut Vec<Remote>) -> Option<Remote> {
    warm.retain(|worker| worker.load().is_some());
    let ready = warm.iter().position(Remote::is_ready).unwrap_or(0);
    (!warm.is_empty()).then(|| warm.remove(ready))
}

const STACK_BYTES: usize = 256 << 10;
