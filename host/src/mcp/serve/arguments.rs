//! What a model passes to `exec` and `wait`.

use std::time::Duration;

use codemode_cells::Until;
use codemode_host_protocol::CellId;
use rmcp::model::JsonObject;
use serde_json::Value;

/// A cell to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExecArguments {
    pub(super) code: String,
    pub(super) yield_time: Option<Duration>,
    pub(super) max_output_tokens: Option<u64>,
}

impl ExecArguments {
    /// Reads the arguments, and what the first line of the code says beside them.
    ///
    /// # Errors
    /// In words for the model.
    pub(super) fn parse(arguments: Option<JsonObject>) -> Result<ExecArguments, String> {
        let mut fields = Fields(arguments.unwrap_or_default());
        let code = match (fields.string("code")?, fields.string("source")?) {
            (Some(code), None) | (None, Some(code)) => code,
            (Some(_), Some(_)) => {
                return Err(String::from("exec takes `code`, or `source`, and not both"));
            }
            (None, None) => {
                return Err(String::from(
                    "exec needs `code`, the source of the cell; pass {\"code\": \"text('hi')\"}",
                ));
            }
        };
        let yield_time = fields.milliseconds("yield_time_ms")?;
        let max_output_tokens = fields.count("max_output_tokens")?;
        // Which session it goes on with was found out before; here it only has to be of its type.
        fields.string("session")?;
        fields.finish(&["code", "yield_time_ms", "max_output_tokens"])?;
        let first_line = Pragma::of(&code)?;
        Ok(ExecArguments {
            yield_time: yield_time.or(first_line.yield_time),
            max_output_tokens: max_output_tokens.or(first_line.max_output_tokens),
            code,
        })
    }
}

/// What is to be done about a cell that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WaitArguments {
    pub(super) cell: CellId,
    pub(super) until: Until,
    pub(super) yield_time: Option<Duration>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) terminate: bool,
    /// Whether the calls that wait for a yes may be made.
    pub(super) approved: Option<bool>,
}

impl WaitArguments {
    /// Reads the arguments.
    ///
    /// # Errors
    /// In words for the model.
    pub(super) fn parse(arguments: Option<JsonObject>) -> Result<WaitArguments, String> {
        let mut fields = Fields(arguments.unwrap_or_default());
        let cell = match fields.0.remove("cell_id") {
            Some(Value::String(id)) => id,
            // A number is what many models make of "1".
            Some(Value::Number(id)) => id.to_string(),
            None | Some(Value::Null) => {
                return Err(String::from("wait needs `cell_id`, which exec told"));
            }
            Some(other) => return Err(wrong("cell_id", "a string that exec told", &other)),
        };
        let until = fields.word("until", &UNTIL)?.unwrap_or(Until::Yield);
        let yield_time = fields.milliseconds("yield_time_ms")?;
        let max_output_tokens = fields.count("max_output_tokens")?;
        let terminate = fields.boolean("terminate")?.unwrap_or(false);
        let approved = fields.word("decision", &[("approve", true), ("deny", false)])?;
        fields.finish(&[
            "cell_id",
            "until",
            "yield_time_ms",
            "max_output_tokens",
            "terminate",
            "decision",
        ])?;
        Ok(WaitArguments {
            cell: CellId::new(cell),
            until,
            yield_time,
            max_output_tokens,
            terminate,
            approved,
        })
    }
}

/// What the first line of a cell's code sets: `// @exec: {"yield_time_ms": 500}`.
#[derive(Debug, Default)]
struct Pragma {
    yield_time: Option<Duration>,
    max_output_tokens: Option<u64>,
}

impl Pragma {
    fn of(code: &str) -> Result<Pragma, String> {
        let first = code.lines().next().unwrap_or_default().trim();
        let body = first.strip_prefix("//").map(str::trim_start);
        let Some(body) = body.and_then(|body| body.strip_prefix("@exec:")) else {
            return Ok(Pragma::default());
        };
        let read = || {
            let object = serde_json::from_str::<JsonObject>(body)
                .map_err(|error| format!("what follows `// @exec:` is no JSON object: {error}"))?;
            let mut fields = Fields(object);
            let pragma = Pragma {
                yield_time: fields.milliseconds("yield_time_ms")?,
                max_output_tokens: fields.count("max_output_tokens")?,
            };
            fields.finish(&["yield_time_ms", "max_output_tokens"])?;
            Ok(pragma)
        };
        read().map_err(|error: String| {
            format!(
                "the first line of the code: {error}; write it like \
                 // @exec: {{\"yield_time_ms\": 1000, \"max_output_tokens\": 2000}}"
            )
        })
    }
}

/// Arguments that have not been looked at.
struct Fields(JsonObject);

impl Fields {
    /// The field's value; null is as good as none.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    fn string(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, "a string", &other)),
        }
    }

    fn boolean(&mut self, name: &str) -> Result<Option<bool>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(yes)) => Ok(Some(yes)),
            Some(other) => Err(wrong(name, "true or false", &other)),
        }
    }

    fn count(&mut self, name: &str) -> Result<Option<u64>, String> {
        self.whole(name, u64::MAX, "a whole number that is not negative")
    }

    fn milliseconds(&mut self, name: &str) -> Result<Option<Duration>, String> {
        let what = "a whole number of milliseconds from 0 to 3600000";
        Ok(self.whole(name, MAX_YIELD_TIME_MS, what)?.map(Duration::from_millis))
    }

    fn whole(&mut self, name: &str, most: u64, what: &str) -> Result<Option<u64>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        // Models write 1000.0 too.
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0);
        let number = value.as_u64().or_else(|| float.map(|float| float as u64));
        number.filter(|&number| number <= most).map(Some).ok_or_else(|| wrong(name, what, &value))
    }

    fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            wrong(name, &format!("one of {}", words.join(", ")), &value)
        })
    }

    /// Refuses what is left.
    fn finish(self, known: &[&str]) -> Result<(), String> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(format!(
                "there is no argument `{}`; there are {}",
                shortened(unknown, 40),
                known.join(", ")
            )),
        }
    }
}

fn wrong(name: &str, what: &str, value: &Value) -> String {
    format!("`{name}` must be {what}, and is {}", shortened(&value.to_string(), 80))
}

/// At most so many characters of `text`.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

const UNTIL: [(&str, Until); 3] =
    [("completion", Until::Completion), ("output", Until::Output), ("yield", Until::Yield)];

/// An hour: no client waits longer for a tool.
pub(super) const MAX_YIELD_TIME_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_exec_takes() {
        check_exec(r#"{"code": "1"}"#, "1 - -");
        check_exec(r#"{"source": "1"}"#, "1 - -");
        check_exec(r#"{"code": "", "yield_time_ms": 5, "max_output_tokens": null}"#, " 5 -");
        check_exec(r#"{"code": "1", "yield_time_ms": 5.0}"#, "1 5 -");
        check_exec(
            "{}",
            "exec needs `code`, the source of the cell; pass {\"code\": \"text('hi')\"}",
        );
        check_exec(r#"{"code": 1}"#, "`code` must be a string, and is 1");
        check_exec(r#"{"code": ["1"]}"#, "`code` must be a string, and is [\"1\"]");
        check_exec(
            r#"{"code": "1", "source": "2"}"#,
            "exec takes `code`, or `source`, and not both",
        );
        check_exec(
            r#"{"code": "1", "yield_time_ms": "soon"}"#,
            "`yield_time_ms` must be a whole number of milliseconds from 0 to 3600000, and is \"soon\"",
        );
        check_exec(
            r#"{"code": "1", "yield_time_ms": -1}"#,
            "`yield_time_ms` must be a whole number of milliseconds from 0 to 3600000, and is -1",
        );
        check_exec(
            r#"{"code": "1", "max_output_tokens": 1.5}"#,
            "`max_output_tokens` must be a whole number that is not negative, and is 1.5",
        );
        check_exec(
            r#"{"code": "1", "timeout": 1}"#,
            "there is no argument `timeout`; there are code, yield_time_ms, max_output_tokens",
        );
    }

    #[test]
    fn what_the_first_line_sets() {
        let line = r#"// @exec: {"yield_time_ms": 7, "max_output_tokens": 9}"#;
        let with = |line: &str, more: &str| {
            let code = Value::from(format!("{line}\nx"));
            let arguments = format!("{{\"code\": {code}{more}}}");
            let parsed = ExecArguments::parse(serde_json::from_str(&arguments).unwrap());
            parsed.map(|exec| numbers(&exec)).unwrap_or_else(|error| error)
        };
        assert_eq!(with(line, ""), "7 9");
        assert_eq!(with("//@exec:{}", ""), "- -");
        assert_eq!(with("// @execute", ""), "- -");
        // What the call itself says comes first.
        assert_eq!(with(line, r#", "yield_time_ms": 1"#), "1 9");
        let shape =
            "write it like // @exec: {\"yield_time_ms\": 1000, \"max_output_tokens\": 2000}";
        for (line, expected) in [
            (
                r#"// @exec: {"bad": 1}"#,
                "there is no argument `bad`; there are yield_time_ms, max_output_tokens",
            ),
            (
                r#"// @exec: {"yield_time_ms": true}"#,
                "`yield_time_ms` must be a whole number of milliseconds from 0 to 3600000, and is true",
            ),
            (
                "// @exec: now",
                "what follows `// @exec:` is no JSON object: expected ident at line 1 column 3",
            ),
        ] {
            assert_eq!(with(line, ""), format!("the first line of the code: {expected}; {shape}"));
        }
    }

    #[test]
    fn what_wait_takes() {
        check_wait(r#"{"cell_id": "1"}"#, "1 Yield - - false None");
        check_wait(r#"{"cell_id": 12, "until": "completion"}"#, "12 Completion - - false None");
        check_wait(
            r#"{"cell_id": "1", "until": "output", "yield_time_ms": 0, "terminate": true, "decision": "deny"}"#,
            "1 Output 0 - true Some(false)",
        );
        check_wait("{}", "wait needs `cell_id`, which exec told");
        check_wait(r#"{"cell_id": {}}"#, "`cell_id` must be a string that exec told, and is {}");
        check_wait(
            r#"{"cell_id": "1", "until": "done"}"#,
            r#"`until` must be one of "completion", "output", "yield", and is "done""#,
        );
        check_wait(
            r#"{"cell_id": "1", "terminate": "yes"}"#,
            r#"`terminate` must be true or false, and is "yes""#,
        );
        check_wait(
            r#"{"cell_id": "1", "decision": true}"#,
            r#"`decision` must be one of "approve", "deny", and is true"#,
        );
    }

    fn check_exec(arguments: &str, expected: &str) {
        let parsed = ExecArguments::parse(serde_json::from_str(arguments).unwrap());
        let found = parsed.map(|exec| format!("{} {}", exec.code, numbers(&exec)));
        assert_eq!(found.unwrap_or_else(|error| error), expected, "{arguments}");
    }

    fn numbers(exec: &ExecArguments) -> String {
        let time = exec.yield_time.map_or("-".to_owned(), |time| time.as_millis().to_string());
        let tokens = exec.max_output_tokens.map_or("-".to_owned(), |tokens| tokens.to_string());
        format!("{time} {tokens}")
    }

    fn check_wait(arguments: &str, expected: &str) {
        let parsed = WaitArguments::parse(serde_json::from_str(arguments).unwrap());
        let found = parsed.map(|wait| {
            let WaitArguments { cell, until, yield_time, max_output_tokens, terminate, approved } =
                wait;
            let time = yield_time.map_or("-".to_owned(), |time| time.as_millis().to_string());
            let tokens = max_output_tokens.map_or("-".to_owned(), |tokens| tokens.to_string());
            format!("{cell} {until:?} {time} {tokens} {terminate} {approved:?}")
        });
        assert_eq!(found.unwrap_or_else(|error| error), expected, "{arguments}");
    }
}
