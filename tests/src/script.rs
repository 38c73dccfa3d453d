//! Conversations as they are written down. `tests/conversations/README.md` explains the language.

use std::{fs, path::Path};

use serde_json::{Value, json};

/// What a client says to a host, and what it waits for.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The file, without its extension, and the conversation's own name: `waits/a second observer`.
    pub name: String,
    /// In their order.
    pub actions: Vec<Action>,
    /// Whether the order between cells and operations is left open, and so not compared.
    pub unordered: bool,
}

/// One thing that a client does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Asks for an operation.
    Operation {
        /// The message.
        message: Value,
        /// What differences call it.
        label: String,
        /// Whether to go on only when it is answered.
        awaited: bool,
    },
    /// Sends a frame with this body, whatever it is.
    Frame(Vec<u8>),
    /// Sends these bytes, without a length before them.
    Bytes(Vec<u8>),
    /// From here on, answers notifications so.
    Notifications(Notifications),
    /// Goes on when this has happened, or the host has closed its output.
    Await(Await),
    /// Some message of the host must have had this in it by now.
    Expect(Value),
    /// Closes the host's input.
    Close,
}

/// How a client answers notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notifications {
    /// As delivered.
    Deliver,
    /// With an error.
    Deny,
    /// With a value that answers something else.
    Wrong,
    /// Not at all.
    Hold,
}

/// What a client waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Await {
    /// An answer to the hello.
    Hello,
    /// The last answer to an operation; of one that ends its cell, `cell/closed` as well.
    Answer(i64),
    /// `execution/started` of an execute, or an error.
    Started(i64),
    /// The delegate request with this id.
    Delegate(i64),
    /// The cancel of the delegate request with this id.
    Cancel(i64),
    /// `cell/closed` of a cell.
    Closed(String, String),
    /// The end of the host's output.
    End,
}

/// Why a conversation cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct ScriptError {
    file: String,
    line: usize,
    what: String,
}

/// All conversations of a folder, by file.
///
/// # Errors
/// When one cannot be read.
pub fn conversations(folder: &Path) -> Result<Vec<(String, Vec<Conversation>)>, ScriptError> {
    let error = |what: String| ScriptError { file: folder.display().to_string(), line: 0, what };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| error(e.to_string()))?.flatten() {
        let path = entry.path();
        let (Some(stem), Some("txt")) =
            (path.file_stem(), path.extension().and_then(|e| e.to_str()))
        else {
            continue;
        };
        let stem = stem.to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).map_err(|e| error(format!("{stem}: {e}")))?;
        let read = parse(&stem, &text)?;
        files.push((stem, read));
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}

fn parse(file: &str, text: &str) -> Result<Vec<Conversation>, ScriptError> {
    let mut read: Vec<Conversation> = Vec::new();
    let mut writer = Writer::default();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let mut line = line.to_owned();
        while let Some(more) = lines.peek().and_then(|(_, more)| more.strip_prefix("    ")) {
            line.push('\n');
            line.push_str(more);
            lines.next();
        }
        let error = |what| ScriptError { file: file.into(), line: number + 1, what };
        if let Some(name) = line.strip_prefix("== ") {
            let name = format!("{file}/{}", name.trim());
            read.push(Conversation { name, actions: Vec::new(), unordered: false });
            writer = Writer::default();
            continue;
        }
        if line.trim().is_empty() || line.starts_with("# ") || line == "#" {
            continue;
        }
        let Some(conversation) = read.last_mut() else {
            return Err(error("no conversation begins before this line".into()));
        };
        if line == "unordered" {
            conversation.unordered = true;
            continue;
        }
        let actions = &mut conversation.actions;
        writer.line(&line, actions).map_err(error)?;
    }
    Ok(read)
}

/// What later lines of a conversation take from earlier ones.
struct Writer {
    begun: bool,
    last_id: i64,
    tools: Vec<Value>,
}

impl Default for Writer {
    fn default() -> Writer {
        let tools = ["echo", "fail", "hang"].into_iter().map(tool).collect();
        Writer { begun: false, last_id: 0, tools }
    }
}

impl Writer {
    fn line(&mut self, line: &str, actions: &mut Vec<Action>) -> Result<(), String> {
        let (word, rest) = line.split_once([' ', '\n']).unwrap_or((line, ""));
        if word == "bare" {
            self.begun = true;
            return Ok(());
        }
        if !self.begun {
            self.begun = true;
            let capabilities = if word == "hello" { rest } else { "" };
            let capabilities: Vec<_> = capabilities.split_whitespace().collect();
            let hello = json!({"type": "connection/hello", "supportedVersions": [1],
                "requiredCapabilities": [], "optionalCapabilities": capabilities});
            actions.push(Action::Frame(hello.to_string().into_bytes()));
            actions.push(Action::Await(Await::Hello));
            if word == "hello" {
                return Ok(());
            }
            if word != "open" || rest.split(' ').next() != Some("s") {
                actions.push(self.open("s", json!({}), Options::default()));
            }
        }
        // The one that is answered must have been asked, but where an exclamation mark says that it never will be.
        let (word, is_asked) = match word.strip_suffix('!') {
            Some(word) => (word, false),
            None => (word, matches!(word, "answer" | "deny" | "deliver")),
        };
        if is_asked {
            let id = rest.split_once(' ').map_or(rest, |(id, _)| id);
            actions.push(Action::Await(Await::Delegate(number(id)?)));
        }
        let action = match word {
            "|" => self.execute(rest, Options::default()),
            "exec" => {
                let (options, source) = rest
                    .split_once(": ")
                    .or_else(|| rest.split_once(":\n"))
                    .ok_or("`exec OPTIONS: SOURCE`")?;
                self.execute(source, Options::parse(options)?.1)
            }
            "tools" => {
                self.tools = rest
                    .lines()
                    .flat_map(|line| match line.starts_with('{') {
                        true => vec![serde_json::from_str(line).map_err(|e| e.to_string())],
                        false => line.split_whitespace().map(|name| Ok(tool(name))).collect(),
                    })
                    .collect::<Result<_, String>>()?;
                return Ok(());
            }
            "open" => {
                let (session, fields) = rest.split_once(' ').unwrap_or((rest, "{}"));
                let (fields, options) = match fields.strip_suffix("nowait") {
                    Some(fields) => (fields, Options { awaited: false, ..Options::default() }),
                    None => (fields, Options::default()),
                };
                let fields = if fields.trim().is_empty() { "{}" } else { fields };
                let fields = serde_json::from_str(fields).map_err(|e| e.to_string())?;
                self.open(session, fields, options)
            }
            "wait" => {
                let (cell, options) = Options::parse(rest)?;
                let mut request = json!({"method": "session/wait", "sessionId": options.session,
                    "request": {"cell_id": cell, "yield_time_ms": options.yield_time.unwrap_or(10_000)}});
                options.add_budget(&mut request, "maxOutputTokens");
                self.operation(format!("wait {cell}"), request, options)
            }
            "terminate" => {
                let (cell, options) = Options::parse(rest)?;
                let mut request = json!({"method": "session/terminate", "sessionId": options.session,
                    "cellId": cell});
                options.add_budget(&mut request, "maxOutputTokens");
                self.operation(format!("terminate {cell}"), request, options)
            }
            "shutdown" => {
                let (session, options) = Options::parse(rest)?;
                let request = json!({"method": "session/shutdown", "sessionId": session});
                self.operation(format!("shutdown {session}"), request, options)
            }
            // Any request, as JSON.
            "request" => {
                let request = serde_json::from_str(rest).map_err(|e| e.to_string())?;
                self.operation(rest.into(), request, Options::default())
            }
            "cancel" => frame(&json!({"type": "operation/cancel", "id": number(rest)?})),
            "yield" => frame(&json!({"type": "operation/yield", "id": number(rest)?})),
            "answer" => {
                let (id, result) = rest.split_once(' ').ok_or("`answer ID JSON`")?;
                // As it is written: what JSON cannot say twice over must reach the host.
                Action::Frame(
                    format!(
                        r#"{{"type":"delegate/response","id":{},"result":{{"status":"ok","value":{{"type":"tool/result","result":{result}}}}}}}"#,
                        number(id)?
                    )
                    .into_bytes(),
                )
            }
            "deny" => {
                let (id, message) = rest.split_once(' ').unwrap_or((rest, ""));
                frame(&json!({"type": "delegate/response", "id": number(id)?,
                    "result": {"status": "error", "message": message}}))
            }
            "deliver" => frame(&json!({"type": "delegate/response", "id": number(rest)?,
                "result": {"status": "ok", "value": {"type": "notification/delivered"}}})),
            "notifications" => Action::Notifications(match rest {
                "deliver" => Notifications::Deliver,
                "deny" => Notifications::Deny,
                "wrong" => Notifications::Wrong,
                "hold" => Notifications::Hold,
                _ => return Err("deliver, deny, wrong or hold".into()),
            }),
            "frame" => Action::Frame(bytes_of(rest)?),
            "bytes" => Action::Bytes(bytes_of(rest)?),
            "await" => {
                let (what, which) = rest.split_once(' ').unwrap_or((rest, ""));
                Action::Await(match what {
                    "hello" => Await::Hello,
                    "answer" => Await::Answer(number(which)?),
                    "started" => Await::Started(number(which)?),
                    "delegate" => Await::Delegate(number(which)?),
                    "cancel" => Await::Cancel(number(which)?),
                    "closed" => {
                        let (session, cell) = which.split_once(' ').unwrap_or(("s", which));
                        Await::Closed(session.into(), cell.into())
                    }
                    "end" => Await::End,
                    _ => return Err(format!("cannot wait for `{what}`")),
                })
            }
            "expect" => Action::Expect(serde_json::from_str(rest).map_err(|e| e.to_string())?),
            "close" => Action::Close,
            _ => return Err(format!("`{word}` is no command")),
        };
        actions.push(action);
        Ok(())
    }

    fn open(&mut self, session: &str, fields: Value, options: Options) -> Action {
        let mut request = json!({"method": "session/open", "sessionId": session});
        if let (Some(request), Value::Object(fields)) = (request.as_object_mut(), fields) {
            request.extend(fields);
        }
        self.operation(format!("open {session}"), request, options)
    }

    fn execute(&mut self, source: &str, options: Options) -> Action {
        let request = json!({"method": "session/execute", "sessionId": options.session, "request": {
            "tool_call_id": options.call, "enabled_tools": self.tools, "source": source,
            "yield_time_ms": options.yield_time, "max_output_tokens": options.max}});
        self.operation(source.into(), request, options)
    }

    fn operation(&mut self, label: String, request: Value, options: Options) -> Action {
        let id = options.id.unwrap_or(self.last_id + 1);
        self.last_id = self.last_id.max(id);
        let message = json!({"type": "operation/request", "id": id, "request": request});
        Action::Operation { message, label, awaited: options.awaited }
    }
}

struct Options {
    session: String,
    call: String,
    id: Option<i64>,
    yield_time: Option<u64>,
    max: Option<Value>,
    awaited: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            session: "s".into(),
            call: "call-1".into(),
            id: None,
            yield_time: None,
            max: None,
            awaited: true,
        }
    }
}

impl Options {
    /// Splits `subject key=value …`; a first word that is no option is the subject.
    fn parse(text: &str) -> Result<(String, Options), String> {
        let mut options = Options::default();
        let mut subject = String::new();
        for (index, word) in text.split_whitespace().enumerate() {
            match word.split_once('=') {
                Some(("s", value)) => options.session = value.into(),
                Some(("call", value)) => options.call = value.into(),
                Some(("id", value)) => options.id = Some(number(value)?),
                Some(("y", value)) => {
                    options.yield_time = Some(value.parse().map_err(|_| "y= is a number")?);
                }
                Some(("max", value)) => {
                    options.max = Some(serde_json::from_str(value).map_err(|e| e.to_string())?);
                }
                None if word == "nowait" => options.awaited = false,
                _ if index == 0 => subject = word.replace("''", ""),
                _ => return Err(format!("`{word}` is no option")),
            }
        }
        Ok((subject, options))
    }

    fn add_budget(&self, request: &mut Value, field: &str) {
        if let (Some(max), Some(request)) = (&self.max, request.as_object_mut()) {
            request.insert(field.into(), max.clone());
        }
    }
}

/// A tool; `kind:name` is one of another kind, `space/name` one in a namespace.
fn tool(text: &str) -> Value {
    let (kind, text) = text.split_once(':').unwrap_or(("function", text));
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    json!({"name": name, "tool_name": {"name": name, "namespace": namespace},
        "description": format!("Does {name}."), "kind": kind,
        "input_schema": null, "output_schema": null})
}

fn frame(message: &Value) -> Action {
    Action::Frame(message.to_string().into_bytes())
}

fn number(text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is no id"))
}

/// A text in which `<ff>` stands for the byte of that value, and `<body*N>` for the body N times.
fn bytes_of(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (inner, after) = rest[at + 1..].split_once('>').ok_or("`<` without `>`")?;
        match inner.split_once('*') {
            Some((what, times)) => {
                let times = times.parse().map_err(|_| format!("`<{inner}>`"))?;
                bytes.extend_from_slice(what.repeat(times).as_bytes());
            }
            None => {
                bytes.push(u8::from_str_radix(inner, 16).map_err(|_| format!("`<{inner}>`"))?);
            }
        }
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text() {
        assert_eq!(bytes_of("a<ff><00>b<x*3>").unwrap_or_default(), b"a\xff\0bxxx");
        assert!(bytes_of("a<zz>").is_err());
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        for (text, expected) in [
            ("open s", "f:1: no conversation begins before this line"),
            ("== a\nopne s", "f:2: `opne` is no command"),
            ("== a\nwait 1 z=1", "f:2: `z=1` is no option"),
        ] {
            let error = parse("f", text).err().map(|e| e.to_string());
            assert_eq!(error.as_deref(), Some(expected));
        }
    }
}
