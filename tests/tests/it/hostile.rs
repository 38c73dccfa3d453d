use std::{
    collections::HashMap,
    env,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use codemode_tests::hostile::{Arena, Attack, Busy, HonestReport, Mode, attacks};
use tokio::{sync::Semaphore, time::timeout};

use crate::{ALONE, folder};

/// Every attack ends as its header says, thirty at once, and is not felt: neither by the next cell of its session nor by
/// an honest session beside it.
///
/// `HOSTILE=escape/call-site` runs only those whose names begin so, `HOSTILE_TIMES=1` prints how long each took.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attacks_come_to_nothing_in_this_process() {
    check(Mode::InProcess).await;
}

/// The same, and what no process can stop within itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attacks_come_to_nothing_in_worker_processes() {
    let _alone = ALONE.lock().await;
    check(Mode::Process).await;
}

async fn check(mode: Mode) {
    let arena = Arc::new(Arena::new(mode).await);
    let over = Arc::new(AtomicBool::new(false));
    let mut honest = arena.honest();
    let is_over = Arc::clone(&over);
    let beside = tokio::spawn(async move {
        while !is_over.load(Ordering::Relaxed) {
            assert_eq!(honest.work().await, HonestReport::Right);
        }
        honest.cells()
    });
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let only = env::var("HOSTILE").unwrap_or_default();
    let chosen = all().into_iter().filter(|attack| attack.name.starts_with(&only));
    let running: Vec<_> = chosen
        .filter(|attack| arena.takes(attack))
        .map(|attack| {
            let (arena, places) = (Arc::clone(&arena), Arc::clone(&places));
            tokio::spawn(async move {
                let _place = places.acquire().await.unwrap();
                let began = Instant::now();
                let wrong = match timeout(PATIENCE, arena.run(&attack)).await {
                    Ok(report) => report.wrong,
                    Err(_) => vec![format!("it is still running after {PATIENCE:?}")],
                };
                if env::var_os("HOSTILE_TIMES").is_some() {
                    let line = format!("{:>8} ms  {}\n", began.elapsed().as_millis(), attack.name);
                    let _ = std::io::stderr().write_all(line.as_bytes());
                }
                (attack.name, wrong)
            })
        })
        .collect();
    let mut report = String::new();
    for run in running {
        let (name, wrong) = run.await.unwrap();
        for what in wrong {
            report.push_str(&format!("{name}: {what}\n"));
        }
    }
    over.store(true, Ordering::Relaxed);
    let answered = beside.await.unwrap();
    assert!(report.is_empty(), "\n{report}");
    // It had its turns all the while: not a few in the beginning, and the rest when all was over.
    assert!(answered >= 10 || !only.is_empty(), "{answered} honest cells were answered");
}

/// Not one of thirty cells that never end has to end before an honest one is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_honest_session_does_not_wait_for_attacks_to_end() {
    let _alone = ALONE.lock().await;
    for mode in [Mode::InProcess, Mode::Process] {
        let arena = Arena::new(mode).await;
        let mut attacks = Vec::new();
        for number in 0..AT_ONCE {
            attacks.push(arena.busy(ENDLESS[number % ENDLESS.len()]).await.unwrap());
        }
        let mut honest = arena.honest();
        for _ in 0..5 {
            assert_eq!(honest.work().await, HonestReport::Right, "{mode:?}");
        }
        assert!(attacks.iter().all(Busy::runs), "{mode:?}");
        for attack in attacks {
            timeout(PATIENCE, attack.end()).await.unwrap().unwrap();
        }
    }
}

/// Each attack is one of its own.
#[test]
fn there_are_many_attacks_and_no_two_are_the_same() {
    let all = all();
    assert!(all.len() >= 150, "{}", all.len());
    let mut sources = HashMap::new();
    for attack in &all {
        let code: Vec<_> = attack
            .turns
            .iter()
            .flat_map(|turn| turn.source.lines())
            .filter(|line| !line.starts_with("// "))
            .flat_map(|line| line.split_whitespace())
            .collect();
        let same = sources.insert(code.concat(), &attack.name);
        assert_eq!(same, None, "{}", attack.name);
    }
}

fn all() -> Vec<Attack> {
    attacks(&folder().join("hostile")).unwrap()
}

const AT_ONCE: usize = 30;

/// What uses a processor, the collector, the compiler, the microtask queue, timers, and the host.
const ENDLESS: [&str; 6] = [
    "for (;;);",
    "for (;;) Array.from('x'.repeat(1000));",
    "for (let i = 0; ; i++) Function(`return ${i}`)();",
    "for (;;) await null;",
    "for (;;) await new Promise((done) => setTimeout(done, 0));",
    "for (;;) await tools.echo(1);",
];

/// Only an attack that cannot be ended needs it.
const PATIENCE: Duration = Duration::from_secs(100);
