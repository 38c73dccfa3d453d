use codemode_tests::{Reference, codemode, differences, run_turn, turns};

use crate::{folder, listed};

/// The Codex command line does whole turns with our host in place of its own; the model must be told the same.
#[test]
fn the_codex_command_line_works_with_our_host() {
    let Ok(reference) = Reference::fetch() else { return };
    let place = tempfile::tempdir_in(reference.folder.ancestors().nth(3).unwrap()).unwrap();
    let ours = reference.with_host(codemode(), place.path()).unwrap();
    let (mut all, mut stderr) = (Vec::new(), String::new());
    for turn in turns(&folder().join("turns/turns.txt")).unwrap() {
        let their = run_turn(&turn, reference).unwrap();
        let our = run_turn(&turn, &ours).unwrap();
        let found = differences(&turn.name, false, &their, &our);
        if !found.is_empty() {
            stderr.push_str(&format!("{}, with our host: {}\n", turn.name, our.stderr));
        }
        all.extend(found);
        assert!(
            their.events.len() > 1,
            "{}: the model was told nothing\n{}",
            turn.name,
            their.stderr
        );
    }
    let report = listed().check(&all, |line| line.starts_with("turns/")).report();
    assert!(report.is_empty(), "{report}{stderr}");
}
