//! The worker processes of one tenant.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    pool::Pool,
    remote::{Refused, Remote},
    remote_cell::RemoteCell,
};
use crate::{CellSpec, EventSink, meter::Meter};

/// The worker processes that one tenant has had from the pool. None of them ever serves another.
///
/// A cell that has to be ended with its process takes along the cells that share it. So the first few cells that live
/// at a time have a process each, and more are shared out among those: memory for a thousand cells that wait is a
/// thousand isolates', and not a thousand processes'.
#[derive(Debug)]
pub(crate) struct Processes {
    pool: Arc<Pool>,
    /// What all of them together may let their cells use.
    meter: Arc<Meter>,
    workers: Mutex<Vec<Remote>>,
}

impl Processes {
    pub(crate) fn new(pool: Arc<Pool>, meter: Arc<Meter>) -> Processes {
        Processes { pool, meter, workers: Mutex::default() }
    }

    pub(crate) fn start(
        &self,
        mut spec: CellSpec,
        mut sink: Box<dyn EventSink>,
    ) -> io::Result<Arc<RemoteCell>> {
        let id = NEXT_CELL.fetch_add(1, Ordering::Relaxed);
        let mut workers = self.workers.lock();
        loop {
            let worker = self.choose(&mut workers)?;
            match worker.start(id, spec, sink, &self.pool) {
                Ok(cell) => return Ok(cell),
                // It has just died.
                Err(refused) => Refused { spec, sink } = *refused,
            }
        }
    }

    fn choose(&self, workers: &mut Vec<Remote>) -> io::Result<Remote> {
        let (spread, most) =
            (self.pool.options().spread.max(1), self.pool.options().cells_per_process);
        workers.retain(|worker| worker.load().is_some());
        // A cell that was told to end and has not may take its process with it: who joins it does so for want of another.
        let (sound, doubtful): (Vec<Remote>, Vec<Remote>) =
            workers.iter().cloned().partition(|worker| !worker.is_ending_a_cell());
        let instead = match least_loaded(&sound) {
            Some((0, worker)) => return Ok(worker),
            Some((_, worker)) if sound.len() < spread => Some(worker),
            Some((load, worker)) if load < most => return Ok(worker),
            Some(_) | None => None,
        };
        // One more is wanted, but not waited for where another will do.
        let fresh = match instead {
            Some(worker) => match self.pool.try_take() {
                Some(fresh) => fresh,
                None => return Ok(worker),
            },
            None => match self.pool.take() {
                Ok(fresh) => fresh,
                Err(error) => {
                    let doubtful = least_loaded(&doubtful).filter(|(load, _)| *load < most);
                    return doubtful.map(|(_, worker)| worker).ok_or(error);
                }
            },
        };
        fresh.belong_to(&self.meter);
        workers.push(fresh.clone());
        Ok(fresh)
    }
}

fn least_loaded(workers: &[Remote]) -> Option<(usize, Remote)> {
    let loads = workers.iter().filter_map(|worker| Some((worker.load()?, worker)));
    loads.min_by_key(|(load, _)| *load).map(|(load, worker)| (load, worker.clone()))
}

impl Drop for Processes {
    fn drop(&mut self) {
        for worker in self.workers.lock().drain(..) {
            worker.disown();
        }
    }
}

static NEXT_CELL: AtomicU64 = AtomicU64::new(1);
