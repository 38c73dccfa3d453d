use std::{
    collections::{HashMap, HashSet},
    env, fs, thread,
    time::{Duration, Instant},
};

use codemode_tests::{Frames, HostCommand, HostProcess, Order, codemode};
use serde_json::{Value, json};

/// A thousand sessions on one host, ten cells each, half of them terminated somewhere in their life: every cell ends
/// once, and afterwards the process holds no more than before.
///
/// `CODEMODE_SOAK_SESSIONS` is another number of sessions.
#[test]
fn a_host_is_as_it_was_after_a_thousand_sessions() {
    let sessions =
        env::var("CODEMODE_SOAK_SESSIONS").map_or(SESSIONS, |number| number.parse().unwrap());
    let mut client = Client::start();
    // What a host keeps for good, such as a pool of isolates, it has after as many as are open at once.
    client.run(3 * AT_ONCE);
    client.wait_until_quiet(None);
    let before = Holds::of(client.host.id());
    client.run(sessions);
    client.wait_until_quiet(Some(&before));
    let cells = (3 * AT_ONCE + sessions) * CELLS;
    assert_eq!(client.ended.values().filter(|times| **times == 1).count(), cells);
    assert_eq!(client.closed, cells);
    assert!(client.order.broken().is_empty(), "{:#?}", client.order.broken());
    // Both kinds of end were seen, or this has shown less than it says.
    assert!(client.terminated > cells / 8, "{} of {cells} terminated", client.terminated);
    assert!(client.completed > cells / 8, "{} of {cells} completed", client.completed);
}

/// What a process holds.
#[derive(Debug)]
struct Holds {
    threads: usize,
    descriptors: usize,
    kibibytes: usize,
}

impl Holds {
    fn of(process: u32) -> Holds {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Holds {
            threads: fs::read_dir(format!("/proc/{process}/task")).unwrap().count(),
            descriptors: fs::read_dir(format!("/proc/{process}/fd")).unwrap().count(),
            kibibytes: resident.split_whitespace().next().unwrap().parse().unwrap(),
        }
    }

    fn is_back_at(&self, before: &Holds) -> bool {
        self.threads <= before.threads
            && self.descriptors <= before.descriptors
            && self.kibibytes <= before.kibibytes + SLACK_KIBIBYTES
    }
}

struct Client {
    host: HostProcess,
    chance: Chance,
    last_id: i64,
    opened: usize,
    /// By operation: the session, and what it is.
    operations: HashMap<i64, (String, &'static str)>,
    /// Cells that are open, by session.
    open: HashMap<String, HashSet<String>>,
    /// How often each cell has ended.
    ended: HashMap<(String, String), usize>,
    /// Cells that were told to end.
    ending: HashSet<(String, String)>,
    closed: usize,
    terminated: usize,
    completed: usize,
    order: Order,
}

impl Client {
    fn start() -> Client {
        let mut host = HostProcess::start(&HostCommand::codemode(codemode())).unwrap();
        host.send(&json!({"type": "connection/hello", "supportedVersions": [1],
            "requiredCapabilities": [], "optionalCapabilities": []}));
        Client {
            host,
            chance: Chance(0x9e37_79b9_7f4a_7c15),
            last_id: 0,
            opened: 0,
            operations: HashMap::new(),
            open: HashMap::new(),
            ended: HashMap::new(),
            ending: HashSet::new(),
            closed: 0,
            terminated: 0,
            completed: 0,
            order: Order::default(),
        }
    }

    /// Opens so many sessions, some at a time, and returns when all of them are shut down.
    fn run(&mut self, sessions: usize) {
        let last = self.opened + sessions;
        loop {
            while self.opened < last && self.open.len() < AT_ONCE {
                self.open_session();
            }
            if self.open.is_empty() && self.operations.is_empty() {
                return;
            }
            match self.host.receive(Instant::now() + PATIENCE) {
                Frames::Frame(frame) => self.take(&frame.message),
                other => panic!("{other:?} instead of a frame\n{}", self.host.stderr()),
            }
        }
    }

    fn open_session(&mut self) {
        self.opened += 1;
        let session = format!("session-{}", self.opened);
        self.ask("open", &session, json!({"method": "session/open", "sessionId": session}));
        let tool = json!({"name": "call", "tool_name": {"name": "call", "namespace": null},
            "description": "", "kind": "function", "input_schema": null, "output_schema": null});
        let mut cells = HashSet::new();
        for cell in 1..=CELLS {
            cells.insert(cell.to_string());
            let request = json!({"method": "session/execute", "sessionId": session, "request": {
                "tool_call_id": "call", "enabled_tools": [tool], "source": SOURCE,
                "yield_time_ms": 600_000, "max_output_tokens": null}});
            self.ask("execute", &session, request);
        }
        self.open.insert(session, cells);
    }

    fn ask(&mut self, what: &'static str, session: &str, request: Value) {
        self.last_id += 1;
        self.operations.insert(self.last_id, (session.to_owned(), what));
        self.host
            .send(&json!({"type": "operation/request", "id": self.last_id, "request": request}));
    }

    fn take(&mut self, frame: &Value) {
        let operations = &self.operations;
        self.order.follow(frame, &|id| operations.get(&id).map(|(session, _)| session.clone()));
        let id = frame["id"].as_i64().unwrap_or_default();
        assert_ne!(frame["result"]["status"], "error", "{frame}");
        match frame["type"].as_str().unwrap() {
            "connection/ready" | "delegate/cancel" => {}
            "operation/response" => {
                let value = &frame["result"]["value"];
                if value["type"] == "execution/started" {
                    let (session, _) = &self.operations[&id];
                    let session = session.clone();
                    if self.chance.one_in(8) {
                        self.terminate(&session, value["cellId"].as_str().unwrap());
                    }
                    return;
                }
                let (session, what) = self.operations.remove(&id).unwrap();
                if what == "shutdown" {
                    self.open.remove(&session);
                }
            }
            "execute/initialResponse" => {
                let (session, _) = self.operations.remove(&id).unwrap();
                let (kind, response) =
                    frame["result"]["value"].as_object().unwrap().iter().next().unwrap();
                let cell = response["cell_id"].as_str().unwrap();
                *self.ended.entry((session, cell.into())).or_default() += 1;
                match kind.as_str() {
                    "Terminated" => self.terminated += 1,
                    "Result" => {
                        assert_eq!(response["error_text"], Value::Null, "{frame}");
                        assert_eq!(response["content_items"][0]["text"], "[0,1,2]", "{frame}");
                        self.completed += 1;
                    }
                    _ => panic!("{frame}"),
                }
            }
            "delegate/request" => {
                let invocation = &frame["request"]["invocation"];
                let session = frame["sessionId"].as_str().unwrap();
                // Terminated with the call unanswered, or with the answer hard on its heels, or before it.
                let first = self.chance.one_in(2);
                if !first && self.chance.one_in(8) {
                    return self.terminate(session, invocation["cell_id"].as_str().unwrap());
                }
                if first && self.chance.one_in(6) {
                    self.terminate(session, invocation["cell_id"].as_str().unwrap());
                }
                self.host.send(&json!({"type": "delegate/response", "id": id, "result": {
                    "status": "ok",
                    "value": {"type": "tool/result", "result": invocation["input"]}}}));
                if !first && self.chance.one_in(6) {
                    self.terminate(session, invocation["cell_id"].as_str().unwrap());
                }
            }
            "cell/closed" => {
                self.closed += 1;
                let session = frame["sessionId"].as_str().unwrap().to_owned();
                let cells = self.open.get_mut(&session).unwrap();
                assert!(cells.remove(frame["cellId"].as_str().unwrap()), "closed twice: {frame}");
                if cells.is_empty() {
                    let request = json!({"method": "session/shutdown", "sessionId": session});
                    self.ask("shutdown", &session, request);
                }
            }
            _ => panic!("{frame}"),
        }
    }

    fn terminate(&mut self, session: &str, cell: &str) {
        // Once each: a second terminate at the same time would be an error.
        if self.ending.insert((session.into(), cell.into())) {
            let request =
                json!({"method": "session/terminate", "sessionId": session, "cellId": cell});
            self.ask("terminate", session, request);
        }
    }

    /// Waits until the process holds no more than before, or, without a before, holds the same twice in a row.
    fn wait_until_quiet(&self, before: Option<&Holds>) {
        let deadline = Instant::now() + PATIENCE;
        let mut last = Holds::of(self.host.id());
        loop {
            // Nothing tells when a process gives something back; the kernel's numbers are polled.
            thread::sleep(Duration::from_millis(200));
            let now = Holds::of(self.host.id());
            let is_quiet = match before {
                Some(before) => now.is_back_at(before),
                None => now.threads == last.threads && now.descriptors == last.descriptors,
            };
            if is_quiet {
                return;
            }
            assert!(Instant::now() < deadline, "{now:?}, and before: {before:?}");
            last = now;
        }
    }
}

/// A xorshift generator: the same numbers in every run.
struct Chance(u64);

impl Chance {
    fn one_in(&mut self, number: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33).is_multiple_of(number)
    }
}

const SOURCE: &str = "const all = [];
for (const n of [0, 1, 2]) all.push(await tools.call(n));
text(all)";

const SESSIONS: usize = 1_000;

const CELLS: usize = 10;

/// Sessions that are open at the same time.
const AT_ONCE: usize = 8;

/// What an allocator may keep to itself.
const SLACK_KIBIBYTES: usize = 48 << 10;

const PATIENCE: Duration = Duration::from_secs(60);
