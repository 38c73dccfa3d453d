//! Whole turns of the Codex command line, with some host beside it.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Reference, Transcript,
    responses_api::{Call, ResponsesApi, Step},
};

/// What a model says in one turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What differences call it.
    pub name: String,
    steps: Vec<Step>,
}

/// Why a turn could not be had.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// A script that cannot be read.
    #[error("{0}")]
    Script(String),
    /// A file or a process.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The turns of a file. Each line is a response of the model: `exec SOURCE` or `call TOOL ARGUMENTS`, or with `and`
/// in front one more call in the same response. Lines that are indented go on with the one above.
///
/// # Errors
/// When it cannot be read.
pub fn turns(file: &Path) -> Result<Vec<Turn>, TurnError> {
    let text = fs::read_to_string(file)?;
    let mut turns: Vec<Turn> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let mut line = line.to_owned();
        while let Some(more) = lines.peek().and_then(|more| more.strip_prefix("    ")) {
            line.push('\n');
            line.push_str(more);
            lines.next();
        }
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            turns.push(Turn { name: format!("turns/{name}"), steps: Vec::new() });
            continue;
        }
        let Some(turn) = turns.last_mut() else {
            return Err(TurnError::Script(format!("no turn begins before `{line}`")));
        };
        let (is_more, line) = match line.strip_prefix("and ") {
            Some(line) => (true, line),
            None => (false, line.as_str()),
        };
        let call = if let Some(source) = line.strip_prefix("exec ") {
            Call::Exec(source.into())
        } else if line == "exec" {
            Call::Exec(String::new())
        } else if let Some((name, arguments)) =
            line.strip_prefix("call ").and_then(|rest| rest.split_once(' '))
        {
            Call::Function(name.into(), arguments.into())
        } else {
            return Err(TurnError::Script(format!("`{line}` is neither exec nor call")));
        };
        match turn.steps.last_mut() {
            Some(step) if is_more => step.push(call),
            _ => turn.steps.push(vec![call]),
        }
    }
    Ok(turns)
}

/// Has the command line do a turn, and gives what the model was sent back: outputs of its calls, in order.
///
/// # Errors
/// When the command line cannot be run.
pub fn run_turn(turn: &Turn, codex: &Reference) -> Result<Transcript, TurnError> {
    let folder = tempfile::tempdir()?;
    let [home, workspace] = ["home", "workspace"].map(|name| folder.path().join(name));
    fs::create_dir_all(&home)?;
    fs::create_dir_all(&workspace)?;
    let api = ResponsesApi::serve(turn.steps.clone())?;
    fs::write(home.join("config.toml"), CONFIG.replace("$URL", &api.url()))?;
    let stderr = fs::File::create(folder.path().join("stderr"))?;
    let mut codex = Command::new(codex.folder.join("bin/codex"))
        .args(["exec", "--skip-git-repo-check", "go"])
        .current_dir(&workspace)
        .env("CODEX_HOME", &home)
        .env("HOME", &home)
        .env("LOCAL_KEY", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()?;
    let deadline = Instant::now() + PATIENCE;
    let exit = loop {
        if let Some(status) = codex.try_wait()? {
            break json!({"type": "exit", "code": status.code()});
        }
        if Instant::now() > deadline {
            codex.kill()?;
            codex.wait()?;
            break json!({"type": "does not exit"});
        }
        // Nothing tells when a child with a deadline exits, without unsafe code; its state is polled.
        thread::sleep(Duration::from_millis(10));
    };
    let mut events = outputs(&api.requests());
    events.push(exit);
    let stderr = fs::read_to_string(folder.path().join("stderr")).unwrap_or_default();
    Ok(Transcript { events, stderr, ..Transcript::default() })
}

/// What each request has that the one before it had not.
fn outputs(requests: &[Value]) -> Vec<Value> {
    let inputs: Vec<_> =
        requests.iter().filter_map(|request| request["input"].as_array()).collect();
    let mut seen = 0;
    let mut outputs = Vec::new();
    for input in inputs {
        for item in input.get(seen..).unwrap_or_default() {
            if item["type"].as_str().is_some_and(|kind| kind.ends_with("_output")) {
                let mut output = without_times(item);
                if let Some(output) = output.as_object_mut() {
                    // The command line's own, and another each time.
                    output.remove("id");
                }
                outputs.push(output);
            }
        }
        seen = input.len();
    }
    outputs
}

/// The command line says how long each call took.
fn without_times(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.split_once("Wall time ") {
            Some((head, tail)) if tail.contains(" seconds") => {
                let tail = tail.split_once(" seconds").map(|(_, tail)| tail).unwrap_or_default();
                format!("{head}Wall time _ seconds{tail}").into()
            }
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(without_times).collect(),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(key, value)| (key.clone(), without_times(value))).collect(),
        ),
        _ => value.clone(),
    }
}

/// How long a turn may take. Only one that fails needs it.
const PATIENCE: Duration = Duration::from_secs(120);

const CONFIG: &str = r#"
model = "gpt-5"
model_provider = "local"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.local]
name = "local"
base_url = "$URL"
wire_api = "responses"
env_key = "LOCAL_KEY"
[features]
code_mode = true
code_mode_only = true
code_mode_host_grpc = false
"#;
