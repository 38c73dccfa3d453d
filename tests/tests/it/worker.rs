use std::{
    collections::{HashMap, HashSet},
    fs, thread,
    time::{Duration, Instant},
};

use codemode_tests::{Frames, HostCommand, HostProcess, codemode};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use serde_json::{Value, json};

/// The processes that run cells for a real host, seen from outside.
#[test]
fn workers_of_a_host_are_shut_off() {
    let host = host_with_a_cell();
    let root =
        fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let mut code = HashSet::new();
    let workers = locked_workers(&host);
    for &worker in &workers {
        let status = status(worker);
        let has = |name: &str, value: &str| assert_eq!(status[name], value, "{name} of {status:?}");
        has("NoNewPrivs", "1");
        has("CapEff", "0000000000000000");
        has("CapPrm", "0000000000000000");
        let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
        let limit = |name: &str| {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..].split_whitespace().next().unwrap().to_owned()
        };
        assert_eq!(limit("Max core file size"), "0");
        assert_eq!(limit("Max file size"), "0");
        assert_ne!(limit("Max data size"), "unlimited");
        // The rest is not for everybody to see.
        if root {
            has("Uid", "65534\t65534\t65534\t65534");
            let environment = fs::read_to_string(format!("/proc/{worker}/environ")).unwrap();
            // The C library takes its settings apart where they lie.
            let known = ["TZ=", "GLIBC_TUNABLES=", "glibc."];
            let is_known = |one: &str| known.iter().any(|known| one.starts_with(known));
            assert!(environment.split_terminator('\0').all(is_known), "{environment}");
            for target in descriptors(worker) {
                let known = ["socket:", "pipe:", "/dev/null"];
                assert!(known.iter().any(|known| target.starts_with(known)), "{target}");
            }
            // That of its standard error; the one to the zygote it closes before it reads a cell.
            let until = Instant::now() + PATIENCE;
            let is_pipe = |target: &String| target.starts_with("pipe:");
            while descriptors(worker).iter().filter(|target| is_pipe(target)).count() > 1 {
                assert!(Instant::now() < until, "{:?}", descriptors(worker));
                thread::yield_now();
            }
            let maps = fs::read_to_string(format!("/proc/{worker}/maps")).unwrap();
            code.extend(maps.lines().filter(|line| line.contains("rwxp")).map(str::to_owned));
        }
    }
    // Copies of one process, and still V8's compiled code is in another place in each.
    assert!(!root || code.len() >= workers.len(), "{workers:?} {code:#?}");
}

/// What the descriptors of a process are.
fn descriptors(process: u32) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    // One may be closed while we look.
    let targets = open.filter_map(|descriptor| fs::read_link(descriptor.unwrap().path()).ok());
    targets.map(|target| target.to_str().unwrap().to_owned()).collect()
}

/// Even by a death that leaves the host no time to say so.
#[test]
fn workers_end_with_their_host() {
    let host = host_with_a_cell();
    let children = locked_workers(&host).into_iter().chain(zygote(&host));
    let children: Vec<_> =
        children.map(|worker| pidfd_open(pid(worker), PidfdFlags::empty()).unwrap()).collect();
    kill_process(pid(host.id()), Signal::KILL).unwrap();
    for child in children {
        let mut ended = [PollFd::new(&child, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE).unwrap();
        assert_eq!(poll(&mut ended, Some(&patience)), Ok(1), "a worker lives on");
    }
}

/// The process that workers are copies of is none that anything depends on.
#[test]
fn workers_live_on_without_the_process_that_they_are_copies_of() {
    let mut host = host_with_a_cell();
    let workers = locked_workers(&host);
    let first = zygote(&host).unwrap();
    kill_process(pid(first), Signal::KILL).unwrap();
    // More than are ready.
    for session in 0..4 {
        run_in_new_session(&mut host, session);
    }
    assert_ne!(zygote(&host), Some(first));
    let serving = locked_workers(&host);
    assert!(workers.iter().any(|worker| serving.contains(worker)), "the first cell's has gone");
}

/// A client that takes its time finds it ready; one that is quick does not miss it.
#[test]
fn what_workers_are_copies_of_does_not_wait_for_the_client() {
    let mut host = silent_host();
    let until = Instant::now() + PATIENCE;
    let first = loop {
        assert!(Instant::now() < until, "there is none: {}", host.stderr());
        match children(&host)[..] {
            [] => thread::yield_now(),
            [child] if is_zygote(child) => break child,
            // It has its name only when it stands by.
            [_] => thread::yield_now(),
            ref more => panic!("the client has not been heard, and there are {more:?}"),
        }
    };
    kill_process(pid(first), Signal::KILL).unwrap();
    host.send(&hello());
    run_in_new_session(&mut host, 0);
    assert_ne!(zygote(&host), Some(first));
}

/// Who guesses at addresses in worker after worker shall not find them in the same place.
#[test]
fn after_a_worker_that_crashed_others_are_copies_of_another_process() {
    let mut host = host_with_a_cell();
    let first = zygote(&host).unwrap();
    let workers = locked_workers(&host);
    for &worker in &workers {
        // One that no handler is there for.
        kill_process(pid(worker), Signal::ILL).unwrap();
    }
    let until = Instant::now() + PATIENCE;
    let is_there = |worker: &u32| children(&host).contains(worker);
    while workers.iter().any(is_there) {
        assert!(Instant::now() < until, "a worker lives on: {}", host.stderr());
        thread::yield_now();
    }
    let mut session = 0;
    while zygote(&host) == Some(first) {
        assert!(Instant::now() < until, "there is no other: {}", host.stderr());
        run_in_new_session(&mut host, session);
        session += 1;
    }
}

fn run_in_new_session(host: &mut HostProcess, number: u32) {
    let id = 10 + 2 * number;
    let session = format!("s{number}");
    host.send(&json!({"type": "operation/request", "id": id,
        "request": {"method": "session/open", "sessionId": session}}));
    host.send(&json!({"type": "operation/request", "id": id + 1,
        "request": {"method": "session/execute", "sessionId": session, "request": {
            "tool_call_id": "call", "enabled_tools": [], "source": "text('here')",
            "yield_time_ms": null, "max_output_tokens": null}}}));
    // That of the first cell comes too, if it has ended.
    loop {
        let shown = initial_response(host);
        if shown["id"] == id + 1 {
            return assert!(shown.to_string().contains("here"), "{shown}");
        }
    }
}

/// A host with a session, and a cell that waits.
fn host_with_a_cell() -> HostProcess {
    let mut host = silent_host();
    host.send(&hello());
    let source = "await new Promise((done) => setTimeout(done, 600_000))";
    let requests = [
        json!({"method": "session/open", "sessionId": "s"}),
        json!({"method": "session/execute", "sessionId": "s", "request": {"tool_call_id": "call",
            "enabled_tools": [], "source": source, "yield_time_ms": 1, "max_output_tokens": null}}),
    ];
    for (id, request) in requests.into_iter().enumerate() {
        host.send(&json!({"type": "operation/request", "id": id, "request": request}));
    }
    initial_response(&mut host);
    host
}

/// A host whose client has said nothing.
fn silent_host() -> HostProcess {
    let mut command = HostCommand::codemode(codemode());
    command.arguments.extend(["--isolation".into(), "process".into()]);
    HostProcess::start(&command).unwrap()
}

fn hello() -> Value {
    json!({"type": "connection/hello", "supportedVersions": [1],
        "requiredCapabilities": [], "optionalCapabilities": []})
}

fn initial_response(host: &mut HostProcess) -> Value {
    loop {
        match host.receive(Instant::now() + PATIENCE) {
            Frames::Frame(frame) if frame.message["type"] == "execute/initialResponse" => {
                return frame.message;
            }
            Frames::Frame(_) => {}
            other => panic!("{other:?}\n{}", host.stderr()),
        }
    }
}

/// The workers of a host, once there are two and those that it starts ahead of need are as far as the one with the cell.
fn locked_workers(host: &HostProcess) -> Vec<u32> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut workers = children(host);
        workers.retain(|&child| !is_zygote(child));
        let locked = |worker: &u32| filters(*worker) > filters(host.id());
        if workers.len() > 1 && workers.iter().all(locked) {
            return workers;
        }
        assert!(Instant::now() < until, "no two workers are locked down: {}", host.stderr());
        // Nothing tells when another process has done so.
        thread::sleep(Duration::from_millis(10));
    }
}

/// The process that the workers are copies of.
fn zygote(host: &HostProcess) -> Option<u32> {
    children(host).into_iter().find(|&child| is_zygote(child))
}

fn is_zygote(process: u32) -> bool {
    status(process).get("Name").is_some_and(|name| name == "codemode-zygote")
}

fn children(host: &HostProcess) -> Vec<u32> {
    let mut all = Vec::new();
    for thread in fs::read_dir(format!("/proc/{}/task", host.id())).unwrap().flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    all
}

/// How many filters of system calls a process has: the host those of its container, if that has some, and a worker one more, which comes
/// last of all that it does to itself.
fn filters(process: u32) -> usize {
    status(process).get("Seccomp_filters").and_then(|count| count.parse().ok()).unwrap_or_default()
}

fn status(process: u32) -> HashMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(":\t"));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(process.try_into().unwrap()).unwrap()
}

const PATIENCE: Duration = Duration::from_secs(60);
