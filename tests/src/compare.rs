use std::{collections::HashMap, fmt};

use serde_json::{Map, Value, json};

use crate::{fields::Fields, play::Transcript};

/// One thing that a host says otherwise than the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The conversation's name.
    pub conversation: String,
    /// The operation or the message that it is about.
    pub about: String,
    /// The field in the message; empty for the message itself.
    pub path: String,
    /// What the reference says, as JSON; `-` is nothing.
    pub reference: String,
    /// What ours says.
    pub ours: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { conversation, about, path, reference, ours } = self;
        write!(f, "{conversation} | {about} | {path} | {reference} => {ours}")
    }
}

/// Compares two transcripts message by message and field by field, in order, and the order of the fields. Times are not
/// compared.
pub fn differences(
    conversation: &str,
    unordered: bool,
    reference: &Transcript,
    ours: &Transcript,
) -> Vec<Difference> {
    let same_ids = !unordered && requests(reference).count() == requests(ours).count();
    let [theirs, our] = [reference, ours].map(|transcript| {
        let names = request_names(transcript);
        let is_reference = std::ptr::eq(transcript, reference);
        let mut events: Vec<_> = transcript
            .events
            .iter()
            .enumerate()
            .filter(|(_, event)| !is_reference || !cancels_in_vain(event, transcript))
            .map(|(index, event)| {
                let mut masked = masked(event);
                if names.contains_key(&event["id"].as_i64()) && !same_ids {
                    mask_request_id(&mut masked);
                }
                Keyed {
                    key: key(event, reference, &names),
                    event: masked,
                    fields: transcript.fields.get(index).unwrap_or(&Fields::None),
                }
            })
            .collect();
        if unordered {
            events.sort_by_key(|keyed| (keyed.key.clone(), keyed.event.to_string()));
        }
        order_freely(&mut events);
        events
    });
    let mut found = Vec::new();
    let mut report = |about: &str, path: &str, reference: Option<&Value>, ours: Option<&Value>| {
        found.push(Difference {
            conversation: conversation.into(),
            about: about.into(),
            path: path.into(),
            reference: shown(reference),
            ours: shown(ours),
        });
    };
    for pair in aligned(&theirs, &our) {
        match pair {
            (Some(theirs), Some(ours)) => {
                let (their, our) = ((&theirs.event, theirs.fields), (&ours.event, ours.fields));
                compare(their, our, &mut String::new(), &mut |path, their, our| {
                    report(&theirs.key, path, their, our);
                });
            }
            (Some(their), None) => report(&their.key, "", Some(&their.event), None),
            (None, Some(our)) => report(&our.key, "", None, Some(&our.event)),
            (None, None) => {}
        }
    }
    found
}

/// A message, and what it is about.
struct Keyed<'a> {
    key: String,
    event: Value,
    fields: &'a Fields,
}

/// What a message is about: two messages with the same key are held against each other.
fn key(event: &Value, transcript: &Transcript, requests: &RequestNames) -> String {
    let kind = event["type"].as_str().unwrap_or("text");
    let id = event["id"].as_i64().unwrap_or_default();
    match kind {
        "operation/response" | "execute/initialResponse" => {
            let label = transcript.labels.get(&id).map(String::as_str).unwrap_or("unasked");
            // An execute has two answers, or one when it is refused.
            let is_start = event["result"]["value"]["type"] == "execution/started";
            let kind = match (kind, is_start) {
                (_, true) => "started",
                ("execute/initialResponse", _) => "first response",
                _ => "answer",
            };
            let label: Vec<_> = label.split_whitespace().collect();
            format!("{} ({kind})", elided(&label.join(" ")))
        }
        "delegate/request" | "delegate/cancel" => {
            let name = requests.get(&event["id"].as_i64()).map(String::as_str);
            format!("{kind} {}", name.unwrap_or_default())
        }
        "cell/closed" => format!(
            "{kind} {} {}",
            event["sessionId"].as_str().unwrap_or_default(),
            event["cellId"].as_str().unwrap_or_default()
        ),
        _ => match event["call_id"].as_str() {
            Some(call) => format!("{kind} {call}"),
            None => kind.to_owned(),
        },
    }
}

/// What delegate requests are about, by id.
type RequestNames = HashMap<Option<i64>, String>;

fn requests(transcript: &Transcript) -> impl Iterator<Item = &Value> {
    transcript.events.iter().filter(|event| event["type"] == "delegate/request")
}

fn request_names(transcript: &Transcript) -> RequestNames {
    let name = |event: &Value| {
        let request = &event["request"];
        let session = event["sessionId"].as_str().unwrap_or_default();
        let (cell, what, number) = match request.get("invocation") {
            Some(call) => {
                (&call["cell_id"], &call["tool_name"]["name"], &call["runtime_tool_call_id"])
            }
            None => (&request["cellId"], &request["type"], &Value::Null),
        };
        [cell, what, number]
            .into_iter()
            .filter_map(Value::as_str)
            .fold(session.to_owned(), |name, part| format!("{name} {part}"))
    };
    requests(transcript).map(|event| (event["id"].as_i64(), name(event))).collect()
}

/// Whether a message cancels a request that the client has answered, or was never sent. A cell that ends at once makes the reference do so now
/// and then; ours never does.
fn cancels_in_vain(event: &Value, transcript: &Transcript) -> bool {
    let id = event["id"].as_i64();
    event["type"] == "delegate/cancel"
        && (id.is_some_and(|id| transcript.answered.contains(&id))
            || requests(transcript).all(|request| request["id"].as_i64() != id))
}

/// Ids count up: where one host asks more than the other, all later ones would differ.
fn mask_request_id(event: &mut Value) {
    if event["type"] == "delegate/request" || event["type"] == "delegate/cancel" {
        event["id"] = json!("id");
    }
}

/// Undoes what hosts do in an order of their own: a cell's calls are cancelled in any, as soon as each was sent, and a
/// response that yields may go before or after what the cell asks meanwhile.
fn order_freely(events: &mut [Keyed<'_>]) {
    let rank = |keyed: &Keyed<'_>| match keyed.event["type"].as_str() {
        Some("delegate/request") => Some(1),
        Some("delegate/cancel") => Some(2),
        _ if yields(&keyed.event) => Some(3),
        _ => None,
    };
    for run in events.chunk_by_mut(|a, b| rank(a).is_some() && rank(b).is_some()) {
        // Requests keep the order of the program.
        run.sort_by_key(|keyed| match rank(keyed) {
            Some(2) => (2, keyed.key.clone()),
            rank => (rank.unwrap_or_default(), String::new()),
        });
    }
}

fn yields(event: &Value) -> bool {
    let value = &event["result"]["value"];
    value.get("Yielded").is_some() || value["outcome"]["LiveCell"].get("Yielded").is_some()
}

/// Puts events of the same key side by side, as many as keep their order.
fn aligned<'a>(
    theirs: &'a [Keyed<'a>],
    ours: &'a [Keyed<'a>],
) -> Vec<(Option<&'a Keyed<'a>>, Option<&'a Keyed<'a>>)> {
    let width = ours.len() + 1;
    let mut longest = vec![0_usize; (theirs.len() + 1) * width];
    for (i, their) in theirs.iter().enumerate().rev() {
        for (j, our) in ours.iter().enumerate().rev() {
            longest[i * width + j] = if their.key == our.key {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < theirs.len() || j < ours.len() {
        let both = i < theirs.len() && j < ours.len();
        if both && theirs[i].key == ours[j].key {
            pairs.push((Some(&theirs[i]), Some(&ours[j])));
            (i, j) = (i + 1, j + 1);
        } else if j == ours.len()
            || both && longest[(i + 1) * width + j] >= longest[i * width + j + 1]
        {
            pairs.push((Some(&theirs[i]), None));
            i += 1;
        } else {
            pairs.push((None, Some(&ours[j])));
            j += 1;
        }
    }
    pairs
}

fn compare(
    (theirs, their_fields): (&Value, &Fields),
    (ours, our_fields): (&Value, &Fields),
    path: &mut String,
    report: &mut impl FnMut(&str, Option<&Value>, Option<&Value>),
) {
    let length = path.len();
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let names = their_fields.names_shared_with(our_fields);
            let our_names = our_fields.names_shared_with(their_fields);
            if names != our_names {
                path.push_str(if length == 0 { "(order)" } else { " (order)" });
                report(path, Some(&json!(names)), Some(&json!(our_names)));
                path.truncate(length);
            }
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            for key in keys {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => {
                        let (a, b) = ((a, their_fields.field(key)), (b, our_fields.field(key)));
                        compare(a, b, path, report);
                    }
                    (a, b) => report(path, a, b),
                }
                path.truncate(length);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                path.push_str(&format!("[{index}]"));
                match (a.get(index), b.get(index)) {
                    (Some(a), Some(b)) => {
                        let (a, b) =
                            ((a, their_fields.element(index)), (b, our_fields.element(index)));
                        compare(a, b, path, report);
                    }
                    (a, b) => report(path, a, b),
                }
                path.truncate(length);
            }
        }
        _ if theirs == ours => {}
        _ => report(path, Some(theirs), Some(ours)),
    }
}

/// The event with what no two runs have in common replaced.
fn masked(event: &Value) -> Value {
    // Whoever gets a first response has waited for it.
    let is_first = event["type"] == "execute/initialResponse";
    without_times(event, is_first)
}

fn without_times(value: &Value, keeps_zero: bool) -> Value {
    match value {
        Value::Object(fields) => {
            // In alphabetical order, whether or not somebody has Cargo build maps that keep theirs.
            let mut fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| {
                    let value = match key.as_str() {
                        "code_mode_host_duration_ns" if value.is_u64() => json!("time"),
                        "result_buffered_for_ns" if value.as_u64() > Some(0) || !keeps_zero => {
                            json!("time")
                        }
                        _ => without_times(value, keeps_zero),
                    };
                    (key.clone(), value)
                })
                .collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            fields.into_iter().collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(|item| without_times(item, keeps_zero)).collect(),
        _ => value.clone(),
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "-".into(), |value| elided(&value.to_string()))
}

/// The text, without its middle if it is long.
fn elided(text: &str) -> String {
    let count = text.chars().count();
    if count <= MOST_SHOWN {
        return text.into();
    }
    let head: String = text.chars().take(MOST_SHOWN / 2).collect();
    let tail: String = text.chars().skip(count - MOST_SHOWN / 2).collect();
    format!("{head}…{count} characters…{tail}")
}

const MOST_SHOWN: usize = 240;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn transcript(events: Value) -> Transcript {
        let events = events.as_array().cloned().unwrap_or_default();
        let labels = HashMap::from([(1, "wait 1".to_owned())]);
        Transcript { events, labels, ..Transcript::default() }
    }

    #[test]
    fn differences_are_found_field_by_field() {
        let theirs = transcript(json!([
            {"type": "operation/response", "id": 1, "a": [1, 2], "code_mode_host_duration_ns": 5},
            {"type": "delegate/request", "id": 2, "sessionId": "s", "request": {"cellId": "1"}},
            {"type": "delegate/request", "id": 3, "sessionId": "s", "request": {"cellId": "2"}},
            {"type": "delegate/cancel", "id": 2}, {"type": "delegate/cancel", "id": 3},
            {"type": "exit", "code": 1}]));
        let ours = transcript(json!([
            {"type": "operation/response", "id": 1, "a": [1], "code_mode_host_duration_ns": 6},
            {"type": "delegate/request", "id": 2, "sessionId": "s", "request": {"cellId": "1"}},
            {"type": "delegate/request", "id": 3, "sessionId": "s", "request": {"cellId": "2"}},
            {"type": "delegate/cancel", "id": 3}, {"type": "delegate/cancel", "id": 2},
            {"type": "cell/closed", "sessionId": "s", "cellId": "1"}, {"type": "exit", "code": 0}]));
        let found: Vec<_> =
            differences("f/c", false, &theirs, &ours).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "f/c | wait 1 (answer) | a[1] | 2 => -",
                "f/c | cell/closed s 1 |  | - => {\"cellId\":\"1\",\"sessionId\":\"s\",\"type\":\"cell/closed\"}",
                "f/c | exit | code | 1 => 0",
            ]
        );
    }

    #[test]
    fn the_reference_alone_may_cancel_in_vain() {
        let plain = transcript(json!([{"type": "delegate/request", "id": 7}]));
        let cancelling = Transcript {
            answered: HashSet::from([7]),
            ..transcript(json!([
                {"type": "delegate/request", "id": 7}, {"type": "delegate/cancel", "id": 7},
            ]))
        };
        assert_eq!(differences("f/c", false, &cancelling, &plain).len(), 0);
        let never_sent = transcript(json!([
            {"type": "delegate/request", "id": 7}, {"type": "delegate/cancel", "id": 8},
        ]));
        assert_eq!(differences("f/c", false, &never_sent, &plain).len(), 0);
        assert_eq!(differences("f/c", false, &plain, &never_sent).len(), 1);
        assert_eq!(differences("f/c", false, &plain, &cancelling).len(), 1);
    }

    #[test]
    fn the_order_of_fields_is_compared() {
        let said = |text: &str| Transcript {
            fields: vec![Fields::of(text)],
            ..transcript(json!([serde_json::from_str::<Value>(text).unwrap_or_default()]))
        };
        let theirs = said(r#"{"type":"x","id":1,"a":[{"b":1,"c":2}],"d":{"e":1,"f":2}}"#);
        let ours = said(r#"{"id":1,"type":"x","a":[{"c":2,"b":1}],"d":{"e":1,"g":3,"f":2}}"#);
        let found: Vec<_> =
            differences("f/c", false, &theirs, &ours).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                r#"f/c | x | (order) | ["type","id","a","d"] => ["id","type","a","d"]"#,
                r#"f/c | x | a[0] (order) | ["b","c"] => ["c","b"]"#,
                "f/c | x | d.g | - => 3",
            ]
        );
    }
}
