use std::{collections::HashMap, fs, path::PathBuf};

use crate::folder;

/// Each promise of `docs/security.md` names what holds it, and that is there.
#[test]
fn every_promise_names_a_test_that_is_there() {
    let checkout = folder().join("..");
    let page = fs::read_to_string(checkout.join("docs/security.md")).unwrap();
    let mut texts: HashMap<PathBuf, String> = HashMap::new();
    let mut promises = 0;
    for (number, line) in page.lines().enumerate() {
        let Some((promise, proofs)) =
            line.strip_prefix("| ").and_then(|line| line.trim_end_matches(" |").split_once(" | "))
        else {
            continue;
        };
        if ["Promise", "---"].contains(&promise) {
            continue;
        }
        promises += 1;
        let place = format!("docs/security.md:{}", number + 1);
        let proofs: Vec<&str> = proofs.split('`').skip(1).step_by(2).collect();
        assert!(!proofs.is_empty(), "{place}: nothing holds this promise");
        for proof in proofs {
            let (path, test) = proof.split_once('#').unwrap_or((proof, ""));
            let path = checkout.join(path);
            assert!(path.exists(), "{place}: there is no {proof}");
            if test.is_empty() {
                continue;
            }
            let text =
                texts.entry(path).or_insert_with_key(|path| fs::read_to_string(path).unwrap());
            let is_there = text.contains(&format!("fn {test}("));
            assert!(is_there, "{place}: there is no test {proof}");
        }
    }
    assert!(promises >= 20, "{promises}");
}
