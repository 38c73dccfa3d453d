use std::{
    env, fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use codemode_tests::{
    Action, Conversation, Difference, HostCommand, Order, Reference, Transcript, codemode,
    conversations, differences, play,
};

use crate::{ALONE, folder, listed};

/// Every conversation, with both hosts; what they say otherwise must be what is listed, no more and no less.
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
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(conversation) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let held = hold(conversation, &ours, reference.as_ref());
                    failures.lock().unwrap().extend(held.failures);
                    found.lock().unwrap().extend(held.differences);
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    if reference.is_some() {
        let unlisted =
            listed().check(&found.into_inner().unwrap(), |line| !line.starts_with("turns/"));
        failures.extend(unlisted.surprising.iter().map(|line| format!("not listed: {line}")));
        if only.is_empty() {
            failures.extend(unlisted.vanished.iter().map(|line| format!("vanished: {line}")));
        }
    }
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

struct Held {
    failures: Vec<String>,
    differences: Vec<Difference>,
}

/// Has one conversation with both hosts.
fn hold(conversation: &Conversation, ours: &HostCommand, reference: Option<&HostCommand>) -> Held {
    let name = &conversation.name;
    let start = Instant::now();
    let our = play(conversation, ours).unwrap();
    let mut failures: Vec<_> = rules(conversation, &our)
        .into_iter()
        .chain(our.unmet.iter().cloned())
        .map(|what| format!("{name}: {what}"))
        .collect();
    let mut found = Vec::new();
    if let Some(reference) = reference {
        let their = play(conversation, reference).unwrap();
        found = differences(name, conversation.unordered, &their, &our);
        if env::var_os("CODEMODE_TRANSCRIPTS").is_some() {
            for (whose, transcript) in [("reference", &their), ("ours", &our)] {
                let events: Vec<_> = transcript.events.iter().map(ToString::to_string).collect();
                failures.push(format!(
                    "{name}, {whose}:\n  {}\n  stderr: {}",
                    events.join("\n  "),
                    transcript.stderr
                ));
            }
        }
    }
    #[allow(clippy::print_stdout, reason = "shown by a failed test: which conversations are slow")]
    {
        println!("{:>8.1?} {name}", start.elapsed());
    }
    Held { failures, differences: found }
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
