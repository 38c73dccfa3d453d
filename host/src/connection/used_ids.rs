//! Which request ids a connection has seen.

use std::collections::BTreeMap;

use codemode_host_protocol::RequestId;

/// Every id that was used, kept as ranges: a client that counts takes one of them, however long it lives.
#[derive(Debug, Default)]
pub(crate) struct UsedIds {
    /// From the first id of a range to its last.
    ranges: BTreeMap<i64, i64>,
}

impl UsedIds {
    /// Whether `id` was inserted before.
    pub(crate) fn contains(&self, id: RequestId) -> bool {
        self.ranges.range(..=id.0).next_back().is_some_and(|(_, last)| id.0 <= *last)
    }

    /// Marks `id` as used; `false` if it was before.
    pub(crate) fn insert(&mut self, RequestId(id): RequestId) -> bool {
        if self.contains(RequestId(id)) {
            return false;
        }
        let below = self.ranges.range(..id).next_back().map(|(first, last)| (*first, *last));
        let first = match below {
            Some((first, last)) if last.checked_add(1) == Some(id) => first,
            _ => id,
        };
        let last = id.checked_add(1).and_then(|next| self.ranges.remove(&next)).unwrap_or(id);
        self.ranges.insert(first, last);
        if self.ranges.len() > MAX_RANGES {
            self.ranges.pop_first();
        }
        true
    }
}

/// Some 24 MB. A client that picks ids at random gets here after a million requests; of those with the lowest
/// ids, reuse is not noticed then.
const MAX_RANGES: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_once_used_in_whatever_order() {
        let mut used = UsedIds::default();
        for id in [5, 3, 4, i64::MAX, i64::MIN, 0, -1, i64::MAX - 1, 7, 6] {
            assert!(used.insert(RequestId(id)), "{id} is new");
            assert!(!used.insert(RequestId(id)), "{id} is used");
        }
        for id in [1, 2, 8, -2, i64::MAX - 2, i64::MIN + 1] {
            assert!(!used.contains(RequestId(id)), "{id} is new");
        }
        let ranges: Vec<_> = used.ranges.into_iter().collect();
        assert_eq!(ranges, [(i64::MIN, i64::MIN), (-1, 0), (3, 7), (i64::MAX - 1, i64::MAX)]);
    }

    #[test]
    fn counting_takes_one_range() {
        let mut used = UsedIds::default();
        assert!((1..100_000).all(|id| used.insert(RequestId(id))));
        assert_eq!(used.ranges.len(), 1);
    }
}
