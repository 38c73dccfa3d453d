use std::{
    env, fs, mem,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use codemode_tests::{
    Action, Conversation, Difference, HostCommand, Order, Reference, Transcript, Unlisted,
    codemode, conversations, differences, play,
};

use crate::{ALONE, folder, listed};

/// Every conversation, with both hosts; what they say otherwise must be what is listed, no more and no less.
///
/// The reference does not always say the same: on a busy machine it cancels calls in vain, or falls silent. So what they say
/// otherwise is had again by both, with nothing beside it, and fails the test if they never agree. What our host must say
/// whatever the reference does, and its order, are not forgiven.
#[test]
fn our_host_speaks_as_the_reference_does() {
    let _alone = ALONE.blocking_lock();
    let only = env::var("CODEMODE_CONVERSATIONS").unwrap_or_default();
    let files = conversations(&folder().join("conversations")).unwrap();
    let all: Vec<_> = files
        .iter()
        .flat_map(|(_, conversations)| conversations)
        .filter(|conversation| conversation.name.starts_with(&only))
        .collect();
    let ours = ours();
    let reference = Reference::fetch().ok().map(|reference| HostCommand::bare(reference.host()));
    let listed = listed();
    let mut held: Vec<_> =
        in_parallel(&all, |conversation| hold(conversation, &ours, reference.as_ref()));
    let mut failures = Vec::new();
    let mut unlisted = Unlisted::default();
    for round in 0..=MORE_ROUNDS {
        failures.extend(held.iter_mut().flat_map(|held| mem::take(&mut held.broken)));
        if reference.is_some() {
            let found: Vec<_> = held.iter().flat_map(|held| held.differences.clone()).collect();
            unlisted = listed.check(&found, |line| !line.starts_with("turns/"));
            if !only.is_empty() {
                unlisted.vanished.clear();
            }
        }
        let again: Vec<_> = (0..all.len()).filter(|&i| unlisted.concerns(&all[i].name)).collect();
        if again.is_empty() || round == MORE_ROUNDS {
            break;
        }
        for i in again {
            held[i] = hold(all[i], &ours, reference.as_ref());
        }
    }
    failures.extend(unlisted.report().lines().map(str::to_owned));
    failures.extend(held.into_iter().flat_map(|held| held.shown));
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// Under the name by which clients of the reference start their host, it needs no arguments.
#[test]
fn our_host_stands_in_by_name() {
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("codex-code-mode-host");
    fs::hard_link(codemode(), &program)
        .or_else(|_| fs::copy(codemode(), &program).map(|_| ()))
        .unwrap();
    let files = conversations(&folder().join("conversations")).unwrap();
    let (_, handshake) = files.iter().find(|(file, _)| file == "handshake").unwrap();
    for conversation in handshake {
        let plain = play(conversation, &ours()).unwrap();
        let by_name = play(conversation, &HostCommand::bare(&program)).unwrap();
        let found = differences(&conversation.name, conversation.unordered, &plain, &by_name);
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// How a conversation went.
struct Held {
    /// The rules of order that our host broke, and what it was to say and did not.
    broken: Vec<String>,
    differences: Vec<Difference>,
    /// All that was said, where somebody wants to see it.
    shown: Vec<String>,
}

/// Has one conversation with both hosts.
fn hold(conversation: &Conversation, ours: &HostCommand, reference: Option<&HostCommand>) -> Held {
    let name = &conversation.name;
    let our = play(conversation, ours).unwrap();
    let told = |what: String| format!("{name}: {what}");
    let broken = rules(conversation, &our).into_iter().chain(our.unmet.clone()).map(told).collect();
    let (mut found, mut shown) = (Vec::new(), Vec::new());
    if let Some(reference) = reference {
        let their = play(conversation, reference).unwrap();
        found = differences(name, conversation.unordered, &their, &our);
        if env::var_os("CODEMODE_TRANSCRIPTS").is_some() {
            for (whose, transcript) in [("reference", &their), ("ours", &our)] {
                let events: Vec<_> = transcript.events.iter().map(ToString::to_string).collect();
                shown.push(format!(
                    "{name}, {whose}:\n  {}\n  stderr: {}",
                    events.join("\n  "),
                    transcript.stderr
                ));
            }
        }
    }
    Held { broken, differences: found, shown }
}

/// What `have` makes of each conversation, several at once.
fn in_parallel<T: Send>(all: &[&Conversation], have: impl Fn(&Conversation) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(conversation) = all.get(index) else { return };
                    let result = have(conversation);
                    results.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The rules of order that our host has broken.
fn rules(conversation: &Conversation, transcript: &Transcript) -> Vec<String> {
    let session_of = |id: i64| {
        conversation.actions.iter().find_map(|action| match action {
            Action::Operation { message, .. } if message["id"] == id => {
                message["request"]["sessionId"].as_str().map(str::to_owned)
            }
            _ => None,
        })
    };
    let mut order = Order::default();
    for event in &transcript.events {
        order.follow(event, &session_of);
    }
    order.broken().to_vec()
}

fn ours() -> HostCommand {
    // To find out what the conversations themselves leave to chance: the reference on both sides.
    match env::var_os("CODEMODE_AGAINST_ITSELF") {
        Some(_) => HostCommand::bare(Reference::fetch().unwrap().host()),
        None => HostCommand::codemode(codemode()),
    }
}

/// More than cores: mostly, hosts start or wait for time to pass.
const WORKERS: usize = 4;

/// How often more what does not fit is had again.
const MORE_ROUNDS: usize = 4;
