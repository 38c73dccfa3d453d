//! What the cells of a session store for each other.

use std::{collections::BTreeMap, sync::Arc};

use codemode_host_protocol::Json;

use crate::CellLimit;

/// The stored values of one session.
///
/// A cell reads the snapshot of its start. What it wrote is committed key by key when it ends, so that of
/// two cells that wrote the same key the one that ended last wins.
#[derive(Debug)]
pub(crate) struct Store {
    values: Arc<BTreeMap<String, Json>>,
    bytes: u64,
    max_bytes: u64,
    max_keys: u64,
}

impl Store {
    pub(crate) fn new(max_bytes: u64, max_keys: u64) -> Store {
        Store { values: Arc::default(), bytes: 0, max_bytes, max_keys }
    }

    /// All values as they are now. Shared, not copied: the next commit makes a copy if it must.
    pub(crate) fn snapshot(&self) -> Arc<BTreeMap<String, Json>> {
        Arc::clone(&self.values)
    }

    /// How many bytes and values there are.
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.bytes, self.values.len() as u64)
    }

    /// Takes what a cell wrote: all of it, or nothing when it does not fit.
    pub(crate) fn commit(&mut self, written: BTreeMap<String, Json>) -> Result<(), CellLimit> {
        if written.is_empty() {
            return Ok(());
        }
        let (mut bytes, mut keys) = (self.bytes, self.values.len() as u64);
        for (key, value) in &written {
            match self.values.get(key) {
                Some(old) => bytes -= size(key, old),
                None => keys += 1,
            }
            bytes += size(key, value);
        }
        let grows = bytes > self.bytes || keys > self.values.len() as u64;
        if grows && (bytes > self.max_bytes || keys > self.max_keys) {
            return Err(CellLimit::Stored {
                bytes,
                keys,
                max_bytes: self.max_bytes,
                max_keys: self.max_keys,
            });
        }
        Arc::make_mut(&mut self.values).extend(written);
        self.bytes = bytes;
        Ok(())
    }
}

/// What a value counts, with its key.
fn size(key: &str, value: &Json) -> u64 {
    (key.len() + value.text().len()) as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_merged_one_by_one() {
        let mut store = Store::new(100, 10);
        let before = store.snapshot();
        store.commit(written(&[("a", "1"), ("b", "1")])).unwrap();
        store.commit(written(&[("b", "2"), ("c", "2")])).unwrap();
        assert!(before.is_empty());
        assert_eq!(*store.snapshot(), written(&[("a", "1"), ("b", "2"), ("c", "2")]));
        assert_eq!(store.bytes, 6);
    }

    #[test]
    fn a_commit_that_does_not_fit_leaves_no_trace() {
        let mut store = Store::new(10, 2);
        store.commit(written(&[("a", "12345678")])).unwrap();
        let error = store.commit(written(&[("a", "1"), ("b", "123456789")])).unwrap_err();
        assert_eq!(error, CellLimit::Stored { bytes: 12, keys: 2, max_bytes: 10, max_keys: 2 });
        assert_eq!(error.code(), error.to_string().split(':').next().unwrap());
        assert_eq!(*store.snapshot(), written(&[("a", "12345678")]));
        store.commit(written(&[("a", "1"), ("b", "1")])).unwrap();
        store.commit(written(&[("c", "1")])).unwrap_err();
        store.commit(written(&[("b", "2")])).unwrap();
        assert_eq!(*store.snapshot(), written(&[("a", "1"), ("b", "2")]));
    }

    fn written(values: &[(&str, &str)]) -> BTreeMap<String, Json> {
        values.iter().map(|(k, v)| (k.to_string(), Json::parse(*v).unwrap())).collect()
    }
}
