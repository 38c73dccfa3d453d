//! What became of the cells that cannot be waited for any more.

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    time::{Duration, Instant},
};

use codemode_host_protocol::ContentItem;

use crate::{Ending, SessionLimits};

/// The ends of a session's cells, latest last.
///
/// The last response of a cell is kept for those who ask again, within [`SessionLimits`]; that it ended,
/// and how, is remembered for the last [`REMEMBERED`] cells.
#[derive(Debug, Default)]
pub(crate) struct History {
    records: VecDeque<Record>,
    kept_results: usize,
    kept_bytes: usize,
}

/// The end of one cell.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) number: u64,
    pub(crate) ending: Ending,
    pub(crate) ended_at: Instant,
    /// When its result was handed out; `None` when nobody ever asked for it.
    pub(crate) read_at: Option<Instant>,
    /// What its last response showed, while it is kept.
    pub(crate) items: Option<Vec<ContentItem>>,
}

impl History {
    pub(crate) fn push(&mut self, mut record: Record, limits: &SessionLimits) {
        let bytes = record.bytes();
        if bytes > limits.kept_bytes || limits.kept_results == 0 {
            record.items = None;
        } else if record.items.is_some() {
            self.kept_results += 1;
            self.kept_bytes += bytes;
        }
        self.records.push_back(record);
        self.forget(limits);
    }

    /// The record of a cell, with what is kept of its result by now.
    pub(crate) fn find(&mut self, number: u64, limits: &SessionLimits) -> Option<&Record> {
        self.forget(limits);
        self.records.iter().rev().find(|record| record.number == number)
    }

    fn forget(&mut self, limits: &SessionLimits) {
        if self.records.len() > REMEMBERED
            && let Some(oldest) = self.records.pop_front()
            && oldest.items.is_some()
        {
            self.kept_results -= 1;
            self.kept_bytes -= oldest.bytes();
        }
        // Cells stand in the order in which they were read, not in that in which they ended.
        for record in &mut self.records {
            let crowded =
                self.kept_results > limits.kept_results || self.kept_bytes > limits.kept_bytes;
            let aged = record.ended_at.elapsed() > limits.kept_for;
            if !crowded && !aged {
                continue;
            }
            let bytes = record.bytes();
            if record.items.take().is_some() {
                self.kept_results -= 1;
                self.kept_bytes -= bytes;
            }
        }
    }
}

impl Record {
    /// Why the cell ended, if not of its own will.
    pub(crate) fn error_text(&self) -> Option<String> {
        self.ending.error_text()
    }

    fn bytes(&self) -> usize {
        let items = self.items.iter().flatten();
        items.map(|item| item.len_bytes() + size_of::<ContentItem>()).sum()
    }
}

/// What became of the cell, to follow "exec cell 7 not found: ".
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it {} {} ago", self.ending.verb(), ago(self.ended_at.elapsed()))?;
        let Some(read_at) = self.read_at else {
            return f.write_str(", nobody asked for its result, and it was dropped to make room");
        };
        write!(f, ", and its result was read {} ago", ago(read_at.elapsed()))?;
        match &self.items {
            Some(items) if items.is_empty() => f.write_str("; it showed nothing"),
            Some(_) => f.write_str("; what that showed is repeated here"),
            None => f.write_str("; what that showed is not kept any more"),
        }
    }
}

/// A span of time as one says it: `340 ms`, `12.3 s`, `4 min`, `3 h`.
fn ago(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{:.1} s", span.as_secs_f64()),
        60..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// Cell numbers in a row, some of them when there are many.
pub(crate) fn list(cells: impl ExactSizeIterator<Item = u64>) -> String {
    let more = cells.len().saturating_sub(LISTED);
    let mut text = String::new();
    for number in cells.take(LISTED) {
        let separator = if text.is_empty() { "" } else { ", " };
        write!(text, "{separator}{number}").expect("a String takes all that is written");
    }
    if more > 0 {
        write!(text, " and {more} more").expect("a String takes all that is written");
    }
    text
}

/// Ends that are remembered, some hundred bytes each.
const REMEMBERED: usize = 1_000;

/// Cells that are named in a text.
const LISTED: usize = 20;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// However cells end, and are asked for: what is kept is within count, bytes and age, the accounts are right, and the
        /// last result is there if it may be.
        #[test]
        fn what_is_kept_is_within_its_limits(
            ends in vec((0..3_000_usize, 0..120_u64, any::<bool>()), 0..60),
            kept_results in 0..6_usize,
            kept_bytes in 0..8_000_usize,
        ) {
            let kept_for = Duration::from_secs(60);
            let limits =
                SessionLimits { kept_results, kept_bytes, kept_for, ..SessionLimits::default() };
            let mut history = History::default();
            for (number, (bytes, age, has_items)) in (0..).zip(&ends) {
                let mut end = record(number, *bytes);
                // Not at the edge, so that the time that this takes plays no part.
                let age = Duration::from_secs(if *age < 60 { *age / 2 } else { *age + 30 });
                end.ended_at = Instant::now().checked_sub(age).unwrap();
                end.items = end.items.filter(|_| *has_items);
                let size = end.bytes();
                history.push(end, &limits);
                let may_stay = kept_results > 0 && size <= kept_bytes && age < kept_for && *has_items;
                prop_assert_eq!(history.find(number, &limits).unwrap().items.is_some(), may_stay);
                let kept: Vec<&Record> =
                    history.records.iter().filter(|record| record.items.is_some()).collect();
                prop_assert!(kept.iter().all(|record| record.ended_at.elapsed() < kept_for));
                let sizes: usize = kept.iter().map(|record| record.bytes()).sum();
                prop_assert_eq!((kept.len(), sizes), (history.kept_results, history.kept_bytes));
                prop_assert!(kept.len() <= kept_results && sizes <= kept_bytes);
            }
        }
    }

    #[test]
    fn results_are_kept_within_count_and_bytes() {
        let limits =
            SessionLimits { kept_results: 2, kept_bytes: 1_000, ..SessionLimits::default() };
        let mut history = History::default();
        let kept = |history: &mut History| -> Vec<u64> {
            (1..=6)
                .filter(|n| history.find(*n, &limits).is_some_and(|r| r.items.is_some()))
                .collect()
        };
        history.push(record(1, 10), &limits);
        history.push(record(2, 10), &limits);
        assert_eq!(kept(&mut history), [1, 2]);
        history.push(record(3, 10), &limits);
        assert_eq!(kept(&mut history), [2, 3]);
        history.push(record(4, 950), &limits);
        assert_eq!(kept(&mut history), [4]);
        history.push(record(5, 2_000), &limits);
        assert_eq!(kept(&mut history), [4]);
        assert!(history.find(1, &limits).unwrap().to_string().contains("is not kept any more"));
        assert!(history.find(6, &limits).is_none());
    }

    #[test]
    fn results_are_kept_for_a_time() {
        let limits =
            SessionLimits { kept_for: Duration::from_secs(60), ..SessionLimits::default() };
        let mut history = History::default();
        let mut old = record(1, 10);
        old.ended_at = Instant::now().checked_sub(Duration::from_secs(61)).unwrap();
        history.push(old, &limits);
        history.push(record(2, 10), &limits);
        assert!(history.find(1, &limits).unwrap().items.is_none());
        assert!(history.find(2, &limits).unwrap().items.is_some());
        assert_eq!((history.kept_results, history.kept_bytes), (1, record(2, 10).bytes()));
    }

    #[test]
    fn no_more_than_so_many_ends_are_remembered() {
        let limits = SessionLimits::default();
        let mut history = History::default();
        for number in 0..REMEMBERED as u64 + 10 {
            history.push(record(number, 1), &limits);
        }
        assert_eq!(history.records.len(), REMEMBERED);
        assert!(history.find(9, &limits).is_none());
        assert!(history.find(10, &limits).is_some());
    }

    #[test]
    fn spans_read_well() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (12_340, "12.3 s"),
            (60_000, "1 min"),
            (7_200_000, "2 h"),
        ] {
            assert_eq!(ago(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list([].into_iter()), "");
        assert_eq!(list([1, 2].into_iter()), "1, 2");
        let many: Vec<u64> = (1..=25).collect();
        assert!(list(many.into_iter()).ends_with("19, 20 and 5 more"));
    }

    fn record(number: u64, bytes: usize) -> Record {
        Record {
            number,
            ending: Ending::Completed,
            ended_at: Instant::now(),
            read_at: Some(Instant::now()),
            items: Some(vec![ContentItem::text("x".repeat(bytes))]),
        }
    }
}
