use codemode_runtime_js::Outcome;

use crate::cell;

/// Any source runs or is refused, and what is said of an error is about a place that the source has.
pub fn source(data: &[u8]) {
    let source = String::from_utf8_lossy(data);
    let Outcome::Failed(error) = cell::run(&source).end.outcome else { return };
    assert!(!error.to_string().is_empty());
    if let Some(position) = &error.position {
        // A fence around the source is taken off, and adds none.
        let lines = source.split(['\n', '\r', '\u{2028}', '\u{2029}']).count() as u32;
        assert!((1..=lines).contains(&position.line), "{position:?} of {lines} lines");
        assert!(position.column >= 1, "{position:?}");
    }
}
