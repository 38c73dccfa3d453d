//! Anything, in any order, from several threads: what must hold holds.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use codemode_cells::{CellRequest, CodeModeSession, SessionError, StartedCell};
use codemode_host_protocol::{CellId, RuntimeResponse, WaitOutcome};
use fastrand::Rng;

use crate::support::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn random_operations_keep_the_rules() {
    for round in 0..rounds() {
        one_session(Rng::with_seed(round)).await;
    }
}

/// Several clients of one session, each doing random things; then a shutdown amid all of it.
async fn one_session(mut rng: Rng) {
    let lab = Arc::new(Lab::new());
    let record = Arc::new(Record::default());
    let clients: Vec<_> = (0..3)
        .map(|_| tokio::spawn(client(Arc::clone(&lab), Arc::clone(&record), rng.fork())))
        .collect();
    if rng.u64(..2) == 0 {
        tokio::time::sleep(Duration::from_millis(rng.u64(..20))).await;
    } else {
        for client in clients {
            client.await.unwrap();
        }
    }
    lab.session.shutdown().await.unwrap();
    lab.until_idle().await;
    record.check(&lab);
}

async fn client(lab: Arc<Lab>, record: Arc<Record>, mut rng: Rng) {
    let mut held: Vec<StartedCell> = Vec::new();
    for _ in 0..20 {
        let cell = CellId::from_number(1 + rng.u64(..12));
        match rng.u64(..8) {
            0..=2 => {
                let mut request = CellRequest::new(SOURCES[rng.usize(..SOURCES.len())]);
                request.yield_time = Some(Duration::from_millis(rng.u64(..3)));
                match lab.session.execute(Arc::clone(&lab.step), request).await {
                    Ok(started) => {
                        record.started.lock().unwrap().push(started.cell_id.clone());
                        held.push(started);
                    }
                    Err(SessionError::ShutDown) => return,
                    Err(error) => panic!("{error}"),
                }
            }
            3 if !held.is_empty() => {
                let started = held.swap_remove(rng.usize(..held.len()));
                let response = started.response.await.unwrap();
                response.hand_over(|response| record.responded(&response, true));
            }
            4 => drop(held.pop()),
            5 => {
                let wait = lab.session.wait(&cell, Duration::from_millis(rng.u64(..3)), None);
                match rng.u64(..3) {
                    0 => drop(wait),
                    _ => record.outcome(wait.await.map(|outcome| outcome.into_inner())),
                }
            }
            6 => {
                let end = lab.session.terminate(&cell, None);
                match rng.u64(..3) {
                    0 => drop(end),
                    _ => record.outcome(end.await.map(|outcome| outcome.into_inner())),
                }
            }
            _ => {
                for call in ["tool-1", "tool-2"] {
                    lab.desk.try_answer(&format!("{cell} {call}"), "1");
                }
                lab.session.yield_now(&cell);
            }
        }
    }
}

/// What the clients were told.
#[derive(Default)]
struct Record {
    started: Mutex<Vec<CellId>>,
    /// The kind of each cell's end.
    ends: Mutex<HashMap<CellId, &'static str>>,
    /// What each cell showed, in responses that were not given to two.
    shown: Mutex<HashMap<CellId, Vec<String>>>,
}

impl Record {
    fn outcome(&self, outcome: Result<WaitOutcome, SessionError>) {
        match outcome {
            Ok(WaitOutcome::LiveCell(response)) => self.responded(&response, false),
            Ok(WaitOutcome::MissingCell(RuntimeResponse::Result {
                cell_id, error_text, ..
            })) => {
                let text = error_text.unwrap();
                assert!(text.starts_with(&format!("exec cell {cell_id} not found: ")), "{text}");
            }
            Ok(WaitOutcome::MissingCell(other)) => panic!("{other:?}"),
            Err(SessionError::Observed(_) | SessionError::Terminating(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn responded(&self, response: &RuntimeResponse, _first: bool) {
        let kind = match response {
            RuntimeResponse::Yielded { .. } => None,
            RuntimeResponse::Result { error_text, .. } => {
                assert_eq!(*error_text, None);
                Some("result")
            }
            RuntimeResponse::Terminated { .. } => Some("terminated"),
        };
        let id = response.cell_id().clone();
        if let Some(kind) = kind {
            let before = self.ends.lock().unwrap().insert(id.clone(), kind);
            assert!(before.is_none_or(|before| before == kind), "{id} ended twice, by {kind} too");
        }
        let mut shown = self.shown.lock().unwrap();
        let shown = shown.entry(id).or_default();
        for item in response.content_items() {
            shown.push(format!("{item:?}"));
        }
    }

    fn check(&self, lab: &Lab) {
        let log = lab.desk.log();
        for id in self.started.lock().unwrap().iter() {
            let closed = format!("closed {id}");
            assert_eq!(log.iter().filter(|line| **line == closed).count(), 1, "{id}: {log:?}");
            let mine = [format!("call {id} "), format!("cancel {id} "), format!("notify {id} ")];
            let last = log.iter().rposition(|line| mine.iter().any(|m| line.starts_with(m)));
            let end = log.iter().position(|line| *line == closed);
            assert!(last < end, "{id} was heard of after it was closed: {log:?}");
            // Every cell shows distinct items. Only its end may be told twice, to who waits and to who ends it.
            if let Some(shown) = self.shown.lock().unwrap().get(id) {
                let distinct: HashSet<_> = shown.iter().collect();
                let repeated = shown.len() - distinct.len();
                assert!(repeated == 0 || self.ends.lock().unwrap().contains_key(id), "{shown:?}");
            }
        }
        assert_eq!(lab.session.live_cells(), []);
        assert_eq!(lab.session.unread_output_bytes(), 0);
    }
}

/// Cells that end in different ways, or not by themselves.
const SOURCES: [&str; 6] = [
    "text('a'); text('b')",
    "text('a'); await tools.slow_echo(1); text('b'); store('k', 1)",
    "text('a'); yield_control(); text('b'); await tools.ask(1); text('c'); yield_control(); text('d')",
    "text('a'); notify('n'); tools.ask(1); await tools.ask(2); text('b')",
    "text('a'); for (;;);",
    "text('a'); await new Promise(r => setTimeout(r, 1)); text('b'); exit()",
];

/// More rounds with `STRESS_ROUNDS=1000`.
fn rounds() -> u64 {
    std::env::var("STRESS_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(30)
}
