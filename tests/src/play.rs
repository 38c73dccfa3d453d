use std::{
    collections::{HashMap, HashSet},
    io,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    fields::Fields,
    script::{Action, Await, Conversation, Notifications},
    side::{Frames, HostCommand, HostProcess, exit_event},
};

/// What a host said in a conversation.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// Its messages in order, and then how it exited.
    pub events: Vec<Value>,
    /// In which order each message has its fields; shorter where that is not known.
    pub fields: Vec<Fields>,
    /// What the operations with these ids were.
    pub labels: HashMap<i64, String>,
    /// The delegate requests, by id, that the client answered as soon as they came.
    pub answered: HashSet<i64>,
    /// What went otherwise than the conversation expects of any host.
    pub unmet: Vec<String>,
    /// What the host wrote to standard error.
    pub stderr: String,
}

/// Has a conversation with a new host.
///
/// # Errors
/// When the host cannot be started.
pub fn play(conversation: &Conversation, command: &HostCommand) -> io::Result<Transcript> {
    let mut player = Player {
        host: HostProcess::start(command)?,
        events: Vec::new(),
        fields: Vec::new(),
        labels: HashMap::new(),
        answered: HashSet::new(),
        sessions: HashMap::new(),
        unmet: Vec::new(),
        notifications: Notifications::Deliver,
        over: false,
    };
    for action in &conversation.actions {
        player.act(action);
    }
    player.host.close();
    player.wait_for(&Await::End);
    let exit = player.host.exit(Instant::now() + PATIENCE);
    player.events.push(exit_event(exit));
    let Player { host, events, fields, labels, answered, unmet, .. } = player;
    Ok(Transcript { events, fields, labels, answered, unmet, stderr: host.stderr() })
}

struct Player {
    host: HostProcess,
    events: Vec<Value>,
    fields: Vec<Fields>,
    labels: HashMap<i64, String>,
    answered: HashSet<i64>,
    sessions: HashMap<i64, Value>,
    unmet: Vec<String>,
    notifications: Notifications,
    over: bool,
}

impl Player {
    fn act(&mut self, action: &Action) {
        match action {
            Action::Operation { message, label, awaited } => {
                let id = message["id"].as_i64().unwrap_or_default();
                self.labels.entry(id).or_insert_with(|| label.clone());
                self.sessions.entry(id).or_insert_with(|| message["request"]["sessionId"].clone());
                self.host.send(message);
                if *awaited {
                    self.wait_for(&Await::Answer(id));
                }
            }
            Action::Frame(body) => self.host.send_body(body),
            Action::Bytes(bytes) => self.host.send_bytes(bytes),
            Action::Notifications(how) => self.notifications = *how,
            Action::Await(what) => self.wait_for(what),
            Action::Expect(expected) => {
                if !self.events.iter().any(|event| contains(event, expected)) {
                    self.unmet.push(format!("no message has {expected} in it"));
                }
            }
            Action::Close => self.host.close(),
        }
    }

    fn wait_for(&mut self, what: &Await) {
        let deadline = Instant::now() + PATIENCE;
        while !self.over && !self.has_happened(what) {
            match self.host.receive(deadline) {
                Frames::Frame(frame) => {
                    self.answer(&frame.message);
                    self.events.push(frame.message);
                    self.fields.push(frame.fields);
                }
                Frames::Closed => self.over = true,
                Frames::Late => {
                    self.events.push(json!({"type": "silence", "instead": format!("{what:?}")}));
                    self.over = true;
                }
            }
        }
    }

    fn has_happened(&self, what: &Await) -> bool {
        let any = |test: &dyn Fn(&Value) -> bool| self.events.iter().any(test);
        let is = |event: &Value, kind: &str, id: i64| event["type"] == kind && event["id"] == id;
        match what {
            Await::Hello => any(&|event| {
                event["type"] == "connection/ready" || event["type"] == "connection/rejected"
            }),
            Await::Started(id) => any(&|event| is(event, "operation/response", *id)),
            Await::Delegate(id) => any(&|event| is(event, "delegate/request", *id)),
            Await::Cancel(id) => any(&|event| is(event, "delegate/cancel", *id)),
            Await::Closed(session, cell) => any(&|event| {
                event["type"] == "cell/closed"
                    && event["sessionId"] == *session
                    && event["cellId"] == *cell
            }),
            Await::End => false,
            Await::Answer(id) => {
                let answer = self.events.iter().find(|event| {
                    is(event, "execute/initialResponse", *id)
                        || is(event, "operation/response", *id)
                            && event["result"]["value"]["type"] != "execution/started"
                });
                answer.is_some_and(|answer| match (ends_cell(answer), self.sessions.get(id)) {
                    (Some(cell), Some(session)) => any(&|event| {
                        event["type"] == "cell/closed"
                            && event["sessionId"] == *session
                            && event["cellId"] == *cell
                    }),
                    _ => true,
                })
            }
        }
    }

    fn answer(&mut self, frame: &Value) {
        if frame["type"] != "delegate/request" {
            return;
        }
        let result = |value: Value| json!({"status": "ok", "value": value});
        let error = |message: &str| json!({"status": "error", "message": message});
        let delivered = json!({"type": "notification/delivered"});
        let request = &frame["request"];
        let answer = if request["type"] == "notification/send" {
            match self.notifications {
                Notifications::Deliver => result(delivered),
                Notifications::Deny => error("nobody listens"),
                Notifications::Wrong => result(json!({"type": "tool/result", "result": 1})),
                Notifications::Hold => return,
            }
        } else {
            let invocation = &request["invocation"];
            match invocation["tool_name"]["name"].as_str().unwrap_or_default() {
                "fail" => error("denied"),
                "hang" => return,
                "wrong" => result(delivered),
                _ => result(json!({"type": "tool/result", "result": invocation["input"]})),
            }
        };
        self.answered.extend(frame["id"].as_i64());
        self.host.send(&json!({"type": "delegate/response", "id": frame["id"], "result": answer}));
    }
}

/// The cell that a message gives the last response of.
pub(crate) fn ends_cell(event: &Value) -> Option<&Value> {
    let value = &event["result"]["value"];
    let response = match event["type"].as_str()? {
        "execute/initialResponse" => value,
        "operation/response" => &value["outcome"]["LiveCell"],
        _ => return None,
    };
    let last = response.get("Result").or_else(|| response.get("Terminated"))?;
    last.get("cell_id")
}

/// Whether all that `expected` says is so in `value`.
fn contains(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => expected
            .iter()
            .all(|(key, expected)| value.get(key).is_some_and(|value| contains(value, expected))),
        (Value::Array(value), Value::Array(expected)) => {
            value.len() == expected.len()
                && value.iter().zip(expected).all(|(value, expected)| contains(value, expected))
        }
        _ => value == expected,
    }
}

/// How long a host may be silent while something is awaited of it. Only a host that fails needs it.
const PATIENCE: Duration = Duration::from_secs(30);
