use std::time::Duration;

use codemode_cells::{CellRequest, CodeModeSession, InProcessCodeModeSession};
use codemode_host_protocol::{ContentItem, RuntimeResponse};

use super::tools;

/// An honest session: runs one cell after another and knows what each must answer.
pub struct Honest {
    session: InProcessCodeModeSession,
    cells: u64,
}

/// What became of an honest cell.
#[derive(Debug, PartialEq, Eq)]
pub enum HonestReport {
    /// It answered what it had to.
    Right,
    /// Its process died; the next cell asks for the same again.
    Crashed,
    /// It did not, or is lost.
    Wrong(String),
}

impl Honest {
    /// Does its work in `session`, which nobody else uses.
    pub fn new(session: InProcessCodeModeSession) -> Honest {
        Honest { session, cells: 0 }
    }

    /// How many cells have answered.
    pub fn cells(&self) -> u64 {
        self.cells
    }

    /// Runs one cell: calls tools, waits for timers, computes, and goes on from what the last one stored.
    pub async fn work(&mut self) -> HonestReport {
        let number = self.cells;
        let source = SOURCE.replace("NUMBER", &number.to_string());
        let request =
            CellRequest { yield_time: Some(Duration::from_secs(600)), ..CellRequest::new(source) };
        let started = match self.session.execute(tools::step(), request).await {
            Ok(started) => started,
            Err(error) => return HonestReport::Wrong(error.to_string()),
        };
        let response = match started.response.await {
            Ok(response) => response.into_inner(),
            Err(error) => return HonestReport::Wrong(error.to_string()),
        };
        let expected = format!("{number} 5050 [1,2,3] {number}");
        let right = matches!(&response, RuntimeResponse::Result { error_text: None, content_items, .. }
            if *content_items == [ContentItem::text(expected)]);
        if matches!(&response, RuntimeResponse::Result { error_text: Some(error), .. } if error.starts_with(CRASHED))
        {
            return HonestReport::Crashed;
        }
        if !right {
            return HonestReport::Wrong(format!("cell {number}: {response:?}"));
        }
        self.cells += 1;
        HonestReport::Right
    }
}

/// With this begins the error of a cell whose process is gone.
pub(crate) const CRASHED: &str = "runtimeCrashed";

const SOURCE: &str = "
const before = load('count') ?? 0;
const list = await Promise.all([tools.echo(1), tools.later(2), tools.echo(3)]);
await new Promise((done) => setTimeout(done, 1));
let sum = 0;
for (let i = 1; i <= 100; i++) sum += i;
store('count', before + 1);
text(`${before} ${sum} ${JSON.stringify(list)} ${await tools.later(NUMBER)}`);
";
