//! A stand-in for the Responses API: a model that says what a script tells it to.

use std::{
    io,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

/// What the model says in one response.
pub(crate) type Step = Vec<Call>;

/// One call of the model.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// Of `exec`, with this source.
    Exec(String),
    /// Of another tool. `$CELL` in the arguments is the id of the cell that was spoken of last.
    Function(String, String),
}

/// Serves on loopback until it is dropped.
pub(crate) struct ResponsesApi {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl ResponsesApi {
    pub(crate) fn serve(script: Vec<Step>) -> io::Result<ResponsesApi> {
        let server = Arc::new(Server::http("127.0.0.1:0").map_err(io::Error::other)?);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let thread = thread::spawn({
            let (server, requests) = (Arc::clone(&server), Arc::clone(&requests));
            move || {
                for request in server.incoming_requests() {
                    serve(request, &script, &requests);
                }
            }
        });
        Ok(ResponsesApi { server, thread: Some(thread), requests })
    }

    /// What to configure as the base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.server.server_addr())
    }

    /// The bodies of all requests so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.lock().map(|requests| requests.clone()).unwrap_or_default()
    }
}

impl Drop for ResponsesApi {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut request: Request, script: &[Step], requests: &Mutex<Vec<Value>>) {
    if *request.method() != Method::Post || !request.url().ends_with("/responses") {
        let _ = request.respond(Response::empty(404));
        return;
    }
    let mut body = String::new();
    let _ = request.as_reader().read_to_string(&mut body);
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let input = body["input"].to_string();
    let number = requests.lock().map_or(0, |mut requests| {
        requests.push(body);
        requests.len() - 1
    });
    let items = match script.get(number) {
        Some(step) => {
            step.iter().enumerate().map(|(index, call)| item(call, number, index, &input)).collect()
        }
        None => vec![json!({"type": "message", "id": format!("message_{number}"),
            "role": "assistant", "content": [{"type": "output_text", "text": "done"}]})],
    };
    let mut events =
        vec![json!({"type": "response.created", "response": {"id": format!("r{number}")}})];
    events.extend(items.into_iter().enumerate().map(|(index, item)| {
        json!({"type": "response.output_item.done", "output_index": index, "item": item})
    }));
    events.push(json!({"type": "response.completed", "response": {"id": format!("r{number}"),
        "usage": {"input_tokens": 1, "input_tokens_details": null, "output_tokens": 1,
            "output_tokens_details": null, "total_tokens": 2}}}));
    let text: String = events
        .iter()
        .map(|event| {
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
        })
        .collect();
    let mut response = Response::from_string(text);
    if let Ok(header) = Header::from_bytes("content-type", "text/event-stream") {
        response.add_header(header);
    }
    let _ = request.respond(response);
}

fn item(call: &Call, number: usize, index: usize, input: &str) -> Value {
    let call_id = format!("call_{number}_{index}");
    match call {
        Call::Exec(source) => {
            json!({"type": "custom_tool_call", "id": format!("ct_{number}_{index}"),
            "call_id": call_id, "name": "exec", "input": source})
        }
        Call::Function(name, arguments) => json!({"type": "function_call",
            "id": format!("fc_{number}_{index}"), "call_id": call_id, "name": name,
            "arguments": arguments.replace("$CELL", last_cell(input))}),
    }
}

/// The last cell id that the model was told.
fn last_cell(input: &str) -> &str {
    let Some((_, after)) = input.rsplit_once("running with cell ID ") else { return "1" };
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    &after[..end]
}
