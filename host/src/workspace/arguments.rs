//! From the JSON that a cell passed to the arguments of a tool.

use codemode_host_protocol::{Json, ToolFailure};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::Outcome;
use crate::declarations;

/// The arguments of one tool. The doc comments of its fields are shown to models.
pub(super) trait Arguments: DeserializeOwned + JsonSchema + Send + 'static {
    /// The tool's name.
    const TOOL: &'static str;
    /// A call, for whoever called it wrongly.
    const EXAMPLE: &'static str;

    /// Reads the arguments; a call without any counts as one with `{}`.
    fn parse(input: Option<&Json>) -> Outcome<Self> {
        let text = input.map_or("{}", Json::text);
        let text = if text == "null" { "{}" } else { text };
        if !text.trim_start().starts_with('{') {
            return Err(refused::<Self>(&format!("got {} instead of one object", kind(text))));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let field = error.path().to_string();
            let rule = rule(&error.inner().to_string());
            match field.as_str() {
                "." => refused::<Self>(&rule),
                _ if rule.starts_with("unknown field") => refused::<Self>(&rule),
                field => refused::<Self>(&format!("field `{field}`: {rule}")),
            }
        })
    }
}

/// One string, or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
pub(super) enum OneOrMany {
    /// The one.
    One(String),
    /// All of them.
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

/// The schema of what a tool takes: an optional field is one that may be left out, not one that is null
/// (null is taken too, as cells may pass it, but needs no advertising).
pub(super) fn input_schema<A: Arguments>() -> Value {
    let mut schema = schema_value::<A>(SchemaSettings::draft2020_12());
    forget_null(&mut schema);
    schema
}

/// The schema of what a tool gives.
pub(super) fn output_schema<R: JsonSchema>() -> Value {
    let mut schema = schema_value::<R>(SchemaSettings::draft2020_12().for_serialize());
    forget_null(&mut schema);
    schema
}

fn schema_value<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("description");
    }
    tidy(&mut schema);
    schema
}

/// Drops what says nothing to a model: the names and the widths of Rust types.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // A property may itself be called "title" or "format": its schema is no string.
            for noise in ["title", "format"] {
                if object.get(noise).is_some_and(Value::is_string) {
                    object.remove(noise);
                }
            }
            // The lines of a doc comment are no lines to keep.
            if let Some(Value::String(description)) = object.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Turns "T or null" of a property that may be left out into T.
fn forget_null(schema: &mut Value) {
    let Value::Object(object) = schema else {
        if let Value::Array(items) = schema {
            items.iter_mut().for_each(forget_null);
        }
        return;
    };
    let required: Vec<String> = object
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            let Value::Object(property) = property else { continue };
            if required.contains(name) {
                continue;
            }
            if let Some(Value::Array(types)) = property.get_mut("type") {
                types.retain(|one| one != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    property.insert("type".to_owned(), one);
                }
            }
            if let Some(Value::Array(values)) = property.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            let Some(Value::Array(branches)) = property.get_mut("anyOf") else { continue };
            branches.retain(|branch| branch.get("type").is_none_or(|one| one != "null"));
            if let [Value::Object(only)] = branches.as_slice() {
                let only = only.clone();
                property.remove("anyOf");
                for (keyword, value) in only {
                    property.entry(keyword).or_insert(value);
                }
            }
        }
    }
    object.values_mut().for_each(forget_null);
}

fn refused<A: Arguments>(what: &str) -> ToolFailure {
    let takes = declarations::inline_type(&input_schema::<A>().into());
    ToolFailure::new(format!("{}: {what}. It takes {takes}, as in tools.{}", A::TOOL, A::EXAMPLE))
}

/// Says a serde message in the words of whoever writes JavaScript.
fn rule(message: &str) -> String {
    let message = match message.rfind(" at line ") {
        Some(end) => &message[..end],
        None => message,
    };
    let (got, expected) = match message.split_once(", expected ") {
        Some((got, expected)) if got.starts_with("invalid") => (got, expected),
        // The type that follows says it better.
        Some((got, _)) if got.starts_with("unknown field") => return got.to_owned(),
        _ => return message.to_owned(),
    };
    let got = got
        .replace("invalid type: ", "got ")
        .replace("invalid value: ", "got ")
        .replace("invalid length ", "got length ")
        .replace("floating point", "the number")
        .replace("integer", "the number")
        .replace("sequence", "an array")
        .replace("map", "an object");
    let expected = match expected {
        "a nonzero u64" | "nonzero u64" | "a nonzero usize" => "a whole number of at least 1",
        "u64" | "u32" | "usize" => "a whole number of at least 0",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!("{got}, expected {expected}")
}

/// What kind of JSON value `text` is, with its article.
fn kind(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use expect_test::{Expect, expect};

    use super::*;
    use crate::workspace::{edit::EditFile, read::ReadFile};

    fn check<A: Arguments>(input: &str, expected: &Expect) {
        let input = Json::parse(input).unwrap();
        let failure = A::parse(Some(&input)).err().expect("the arguments are wrong");
        expected.assert_eq(&failure.message);
    }

    #[test]
    fn wrong_arguments_are_named_with_the_rule_and_the_shape() {
        check::<ReadFile>(
            r#"{"path":"a","start_line":"3"}"#,
            &expect![[
                r#"read_file: field `start_line`: got string "3", expected a whole number of at least 1. It takes { path: string; end_line?: number; max_bytes?: number; start_line?: number }, as in tools.read_file({ path: "src/main.rs" })"#
            ]],
        );
        check::<ReadFile>(
            r#"{"path":"a","start_line":0}"#,
            &expect![[
                r#"read_file: field `start_line`: got the number `0`, expected a whole number of at least 1. It takes { path: string; end_line?: number; max_bytes?: number; start_line?: number }, as in tools.read_file({ path: "src/main.rs" })"#
            ]],
        );
        check::<ReadFile>(
            r#"{"path":"a","max_bytes":0}"#,
            &expect![[
                r#"read_file: field `max_bytes`: got the number `0`, expected a whole number of at least 1. It takes { path: string; end_line?: number; max_bytes?: number; start_line?: number }, as in tools.read_file({ path: "src/main.rs" })"#
            ]],
        );
        check::<ReadFile>(
            r#"{"path":"a","start_line":-1.5}"#,
            &expect![[
                r#"read_file: field `start_line`: got the number `-1.5`, expected a whole number of at least 1. It takes { path: string; end_line?: number; max_bytes?: number; start_line?: number }, as in tools.read_file({ path: "src/main.rs" })"#
            ]],
        );
        check::<ReadFile>(
            r#"{"file":"a"}"#,
            &expect![[
                r#"read_file: unknown field `file`. It takes { path: string; end_line?: number; max_bytes?: number; start_line?: number }, as in tools.read_file({ path: "src/main.rs" })"#
            ]],
        );
        check::<ReadFile>(
            "{}",
            &expect![[
                r#"read_file: missing field `path`. It takes { path: string; end_line?: number; max_bytes?: number; start_line?: number }, as in tools.read_file({ path: "src/main.rs" })"#
            ]],
        );
        check::<ReadFile>(
            r#""src/main.rs""#,
            &expect![[
                r#"read_file: got a string instead of one object. It takes { path: string; end_line?: number; max_bytes?: number; start_line?: number }, as in tools.read_file({ path: "src/main.rs" })"#
            ]],
        );
        check::<EditFile>(
            r#"{"path":"a","edits":[{"old_text":1}]}"#,
            &expect![[
                r#"edit_file: field `edits[0].old_text`: got the number `1`, expected a string. It takes { path: string; edits: { old_text: string; new_text: string; replace_all?: boolean }[] }, as in tools.edit_file({ path: "src/main.rs", edits: [{ old_text: "foo()", new_text: "bar()" }] })"#
            ]],
        );
        check::<EditFile>(
            r#"{"path":"a","edits":{"old_text":"a"}}"#,
            &expect![[
                r#"edit_file: field `edits`: got an object, expected an array. It takes { path: string; edits: { old_text: string; new_text: string; replace_all?: boolean }[] }, as in tools.edit_file({ path: "src/main.rs", edits: [{ old_text: "foo()", new_text: "bar()" }] })"#
            ]],
        );
    }

    #[test]
    fn null_counts_as_absent() {
        let input = Json::parse(r#"{"path":"a","start_line":null}"#).unwrap();
        assert!(ReadFile::parse(Some(&input)).unwrap().start_line.is_none());
    }
}
