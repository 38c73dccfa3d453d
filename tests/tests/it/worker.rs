use std::{
    collections::HashMap,
    fs, thread,
    time::{Duration, Instant},
};

use codemode_tests::{Frames, HostCommand, HostProcess, codemode};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use serde_json::json;

/// The processes that run cells for a real host, seen from outside.
#[test]
fn workers_of_a_host_are_shut_off() {
    let host = host_with_a_cell();
    let root =
        fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    for worker in locked_workers(&host) {
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
            let variables = environment.split_terminator('\0');
            assert!(variables.clone().all(|one| one.starts_with("TZ=")), "{environment}");
            for descriptor in fs::read_dir(format!("/proc/{worker}/fd")).unwrap() {
                let target = fs::read_link(descriptor.unwrap().path()).unwrap();
                let target = target.to_str().unwrap();
                let known = ["socket:", "pipe:", "/dev/null"];
                assert!(known.iter().any(|known| target.starts_with(known)), "{target}");
            }
        }
    }
}

/// Even by a death that leaves the host no time to say so.
#[test]
fn workers_end_with_their_host() {
    let host = host_with_a_cell();
    let workers: Vec<_> = locked_workers(&host)
        .into_iter()
        .map(|worker| pidfd_open(pid(worker), PidfdFlags::empty()).unwrap())
        .collect();
    kill_process(pid(host.id()), Signal::KILL).unwrap();
    for worker in workers {
        let mut ended = [PollFd::new(&worker, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE).unwrap();
        assert_eq!(poll(&mut ended, Some(&patience)), Ok(1), "a worker lives on");
    }
}

/// A host with a session, and a cell that waits.
fn host_with_a_cell() -> HostProcess {
    let mut command = HostCommand::codemode(codemode());
    command.arguments.extend(["--isolation".into(), "process".into()]);
    let mut host = HostProcess::start(&command).unwrap();
    host.send(&json!({"type": "connection/hello", "supportedVersions": [1],
        "requiredCapabilities": [], "optionalCapabilities": []}));
    let source = "await new Promise((done) => setTimeout(done, 600_000))";
    let requests = [
        json!({"method": "session/open", "sessionId": "s"}),
        json!({"method": "session/execute", "sessionId": "s", "request": {"tool_call_id": "call",
            "enabled_tools": [], "source": source, "yield_time_ms": 1, "max_output_tokens": null}}),
    ];
    for (id, request) in requests.into_iter().enumerate() {
        host.send(&json!({"type": "operation/request", "id": id, "request": request}));
    }
    loop {
        match host.receive(Instant::now() + PATIENCE) {
            Frames::Frame(frame) if frame.message["type"] == "execute/initialResponse" => {
                return host;
            }
            Frames::Frame(_) => {}
            other => panic!("{other:?}\n{}", host.stderr()),
        }
    }
}

/// The workers of a host, once those that it starts ahead of need are as far as the one with the cell.
fn locked_workers(host: &HostProcess) -> Vec<u32> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut workers = Vec::new();
        for thread in fs::read_dir(format!("/proc/{}/task", host.id())).unwrap().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            workers.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        let locked = |worker: &u32| status(*worker).get("Seccomp").is_some_and(|mode| mode == "2");
        if !workers.is_empty() && workers.iter().all(locked) {
            return workers;
        }
        assert!(Instant::now() < until, "a worker is not locked down: {}", host.stderr());
        // Nothing tells when another process has done so.
        thread::sleep(Duration::from_millis(10));
    }
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
