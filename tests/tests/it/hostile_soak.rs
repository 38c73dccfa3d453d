use codemode_tests::hostile::{attacks, soak};

use crate::{ALONE, folder};

/// Random attacks, honest sessions, and workers killed at random: no honest cell is lost but those whose own worker was
/// killed, nothing is left behind, and memory does not grow. `cargo xtask soak --minutes 10` is the long one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_that_are_killed_at_random_cost_their_own_cells_alone() {
    let _alone = ALONE.lock().await;
    // Those that are over soon: here it is the killing that counts.
    let quick = attacks(&folder().join("hostile"))
        .unwrap()
        .into_iter()
        .filter(|attack| !attack.name.starts_with("exhaust/"))
        .collect();
    let report = soak(quick, 7, |attacks, _| attacks as f64 / 100.0).await.unwrap();
    assert!(report.wrong.is_empty(), "{report:#?}");
    assert!(report.attacks >= 100 && report.honest >= 20, "{report:#?}");
    assert!(report.killed >= 5 && report.crashed <= report.killed, "{report:#?}");
    assert!(report.left.is_empty(), "{report:#?}");
}
