//! What holds for the order of every host's messages, whatever the conversation.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::play::ends_cell;

/// Follows a host's messages, and notes each rule of the protocol's order that they break.
#[derive(Debug, Default)]
pub struct Order {
    started: HashSet<Cell>,
    ended: HashSet<Cell>,
    closed: HashSet<Cell>,
    /// By operation.
    cells: HashMap<i64, Cell>,
    answered: HashSet<i64>,
    /// Delegate requests that were not cancelled; the client's answers are not known here.
    delegates: HashMap<i64, Cell>,
    broken: Vec<String>,
}

type Cell = (String, String);

impl Order {
    /// The rules that were broken so far.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    /// Takes the next message; `session_of` says which session an operation was for.
    pub fn follow(&mut self, event: &Value, session_of: &impl Fn(i64) -> Option<String>) {
        let id = event["id"].as_i64().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap_or_default() {
            "operation/response" => {
                if let Some(cell) = event["result"]["value"]["cellId"].as_str() {
                    let cell = (session_of(id).unwrap_or_default(), cell.to_owned());
                    self.cells.insert(id, cell.clone());
                    if !self.started.insert(cell.clone()) {
                        self.broken.push(format!("cell {cell:?} started twice"));
                    }
                } else {
                    self.answer(event, id, session_of);
                }
            }
            "execute/initialResponse" => {
                if !self.cells.contains_key(&id) {
                    self.broken
                        .push(format!("operation {id}: a response before execution/started"));
                }
                self.answer(event, id, session_of);
            }
            "delegate/request" => {
                let request = &event["request"];
                let cell = match request["invocation"]["cell_id"].as_str() {
                    Some(cell) => cell.to_owned(),
                    None => text(&request["cellId"]),
                };
                let cell = (text(&event["sessionId"]), cell);
                self.must_be_open(&cell, "a delegate request");
                if self.delegates.insert(id, cell).is_some() {
                    self.broken.push(format!("delegate request {id} was sent twice"));
                }
            }
            "delegate/cancel" => match self.delegates.remove(&id) {
                Some(cell) => self.must_be_open(&cell, "a cancel"),
                None => self.broken.push(format!("delegate request {id}: no cancel was due")),
            },
            "cell/closed" => {
                let cell = (text(&event["sessionId"]), text(&event["cellId"]));
                if !self.started.contains(&cell) {
                    self.broken.push(format!("cell {cell:?} closed and had not started"));
                }
                if !self.closed.insert(cell.clone()) {
                    self.broken.push(format!("cell {cell:?} closed twice"));
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, event: &Value, id: i64, session_of: &impl Fn(i64) -> Option<String>) {
        if !self.answered.insert(id) {
            self.broken.push(format!("operation {id} was answered twice"));
        }
        if let Some(cell) = ends_cell(event) {
            let cell = cell.as_str().unwrap_or_default().to_owned();
            let cell = (session_of(id).unwrap_or_default(), cell);
            if self.closed.contains(&cell) {
                self.broken.push(format!("cell {cell:?}: a last response after cell/closed"));
            }
            self.ended.insert(cell);
        }
    }

    fn must_be_open(&mut self, cell: &Cell, what: &str) {
        if !self.started.contains(cell) {
            self.broken.push(format!("cell {cell:?}: {what} before execution/started"));
        }
        if self.ended.contains(cell) {
            self.broken.push(format!("cell {cell:?}: {what} after its last response"));
        }
        if self.closed.contains(cell) {
            self.broken.push(format!("cell {cell:?}: {what} after cell/closed"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_out_of_order_is_told() {
        let events = [
            json!({"type": "delegate/request", "id": 1, "sessionId": "s",
                "request": {"type": "tool/invoke", "invocation": {"cell_id": "1"}}}),
            json!({"type": "operation/response", "id": 1, "result": {"status": "ok",
                "value": {"type": "execution/started", "cellId": "1"}}}),
            json!({"type": "execute/initialResponse", "id": 1, "result": {"status": "ok",
                "value": {"Result": {"cell_id": "1"}}}}),
            json!({"type": "delegate/cancel", "id": 1}),
            json!({"type": "delegate/cancel", "id": 1}),
            json!({"type": "cell/closed", "sessionId": "s", "cellId": "1"}),
            json!({"type": "cell/closed", "sessionId": "s", "cellId": "1"}),
        ];
        let mut order = Order::default();
        for event in &events {
            order.follow(event, &|_| Some("s".into()));
        }
        assert_eq!(
            order.broken(),
            [
                r#"cell ("s", "1"): a delegate request before execution/started"#,
                r#"cell ("s", "1"): a cancel after its last response"#,
                "delegate request 1: no cancel was due",
                r#"cell ("s", "1") closed twice"#,
            ]
        );
    }
}
