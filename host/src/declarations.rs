//! Tools as TypeScript declarations, which models read better than JSON Schema.
//!
//! What a schema says beyond TypeScript's types (ranges, patterns, formats) is left out; what it says in words
//! becomes a doc comment. A schema is never refused: what has no meaning here reads `unknown`.

use std::collections::HashMap;

use codemode_host_protocol::{Json, ToolDefinition, ToolKind};
use serde_json::{Map, Value};

/// Renders tools as the declaration of the object `tools` that a cell calls them on.
///
/// Names are those that a cell sees: of two tools with one name only the last is callable, and only it is
/// rendered. Schemas that refer to others (`$ref`) become named types, before the object.
pub fn render(definitions: &[ToolDefinition]) -> String {
    let mut renderer = Renderer::default();
    let mut methods: Vec<(String, String)> = Vec::new();
    for definition in definitions {
        let name = identifier(&definition.name);
        // A tool of that name becomes no property of the object.
        if name == "__proto__" {
            continue;
        }
        let method = renderer.method(&name, definition);
        methods.retain(|(taken, _)| *taken != name);
        methods.push((name, method));
    }
    let mut out = String::new();
    for (name, body) in &renderer.types {
        out.push_str(&format!("type {name} = {body};\n\n"));
    }
    out.push_str("declare const tools: {\n");
    for (index, (_, method)) in methods.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        out.push_str(method);
    }
    out.push_str("};\n");
    out
}

/// A schema as a type on one line, without comments.
pub(crate) fn inline_type(schema: &Value) -> String {
    let mut renderer = Renderer { inline: true, ..Renderer::default() };
    renderer.ty(At::top(schema, "Input", 0), schema).text
}

/// The name under which a cell finds a tool: what no JavaScript identifier takes becomes `_`.
fn identifier(name: &str) -> String {
    let mut identifier: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '$' { c } else { '_' })
        .collect();
    if identifier.is_empty() {
        identifier.push('_');
    }
    if identifier.starts_with(|c: char| c.is_ascii_digit()) {
        identifier.replace_range(..1, "_");
    }
    identifier
}

#[derive(Default)]
struct Renderer {
    /// On one line, without comments and named types.
    inline: bool,
    /// Named types in the order in which they were first met.
    types: Vec<(String, String)>,
    /// From the text of a schema and its surroundings to the name of its type.
    names: HashMap<String, String>,
    /// Named types that are being rendered with no object or array begun since: one that came to nothing but
    /// itself again would be refused by TypeScript.
    bare: Vec<String>,
}

/// Where a schema stands.
#[derive(Clone, Copy)]
struct At<'a> {
    /// The document that its references point into.
    root: &'a Value,
    /// What to name a type after that has no name of its own.
    name: &'a str,
    /// Indents.
    level: usize,
    /// Nested schemas.
    depth: usize,
}

impl<'a> At<'a> {
    fn top(root: &'a Value, name: &'a str, level: usize) -> At<'a> {
        At { root, name, level, depth: 0 }
    }

    fn deeper(self) -> At<'a> {
        At { depth: self.depth + 1, ..self }
    }

    fn indented(self) -> At<'a> {
        At { level: self.level + 1, ..self.deeper() }
    }
}

/// The text of a type, and what it needs around it.
struct Type {
    text: String,
    binds: Binds,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binds {
    Union,
    Intersection,
    Atom,
}

impl Renderer {
    fn method(&mut self, name: &str, definition: &ToolDefinition) -> String {
        let type_name = pascal_case(name);
        let read = |schema: Option<&Json>| schema.and_then(|schema| schema.read::<Value>().ok());
        let (input, output) =
            (read(definition.input_schema.as_ref()), read(definition.output_schema.as_ref()));
        let parameter = match (definition.kind, &input) {
            (ToolKind::Freeform, _) => "input: string".to_owned(),
            (ToolKind::Function, None) => "args?: unknown".to_owned(),
            (ToolKind::Function, Some(schema)) => {
                let name = format!("{type_name}Input");
                let ty = self.ty(At::top(schema, &name, 1), schema).text;
                let optional = if needs_nothing(schema) { "?" } else { "" };
                format!("args{optional}: {ty}")
            }
        };
        let result = match &output {
            None => "unknown".to_owned(),
            Some(schema) => self.ty(At::top(schema, &format!("{type_name}Output"), 1), schema).text,
        };
        format!(
            "{}  {name}({parameter}): Promise<{result}>;\n",
            comment(&[definition.description.as_str()], 1)
        )
    }

    fn ty(&mut self, at: At<'_>, schema: &Value) -> Type {
        let schema = match schema {
            Value::Bool(false) => return atom("never"),
            Value::Object(schema) if at.depth < MAX_DEPTH => schema,
            _ => return atom("unknown"),
        };
        let mut parts = Vec::new();
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            parts.push(self.reference(at, reference));
        }
        if let Some(value) = schema.get("const") {
            parts.push(self.literal(value, at.depth));
        } else if let Some(Value::Array(values)) = schema.get("enum") {
            let literals = values.iter().map(|value| self.literal(value, at.depth)).collect();
            parts.push(union(literals));
        } else {
            parts.extend(self.by_type(at, schema));
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(Value::Array(branches)) = schema.get(keyword) {
                let branches = branches.iter().map(|branch| self.ty(at.deeper(), branch)).collect();
                parts.push(union(branches));
            }
        }
        if let Some(Value::Array(all)) = schema.get("allOf") {
            for one in all {
                parts.push(self.ty(at.deeper(), one));
            }
        }
        let whole = intersection(parts);
        if schema.get("nullable") == Some(&Value::Bool(true)) {
            return union(vec![whole, atom("null")]);
        }
        whole
    }

    fn by_type(&mut self, at: At<'_>, schema: &Map<String, Value>) -> Option<Type> {
        let mut one = |name: &str| match name {
            "object" => self.within_braces(|this| this.object(at, schema)),
            "array" => self.within_braces(|this| this.array(at, schema)),
            "integer" | "number" => atom("number"),
            "string" | "boolean" | "null" => atom(name),
            _ => atom("unknown"),
        };
        match schema.get("type") {
            Some(Value::String(name)) => Some(one(name)),
            Some(Value::Array(names)) => {
                let names: Vec<Type> = names.iter().filter_map(Value::as_str).map(one).collect();
                Some(union(names))
            }
            _ if ["properties", "additionalProperties", "patternProperties", "required"]
                .iter()
                .any(|keyword| schema.contains_key(*keyword)) =>
            {
                Some(one("object"))
            }
            _ if schema.contains_key("items") || schema.contains_key("prefixItems") => {
                Some(one("array"))
            }
            _ => None,
        }
    }

    fn within_braces(&mut self, render: impl FnOnce(&mut Renderer) -> Type) -> Type {
        let bare = std::mem::take(&mut self.bare);
        let ty = render(self);
        self.bare = bare;
        ty
    }

    fn object(&mut self, at: At<'_>, schema: &Map<String, Value>) -> Type {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        // What is required first, in the order in which the schema requires it: a schema that was read has its
        // properties by name only.
        let optional =
            properties.keys().map(String::as_str).filter(|name| !required.contains(name));
        let mut members = Vec::new();
        for name in required.iter().copied().chain(optional) {
            let mark = if required.contains(&name) { "" } else { "?" };
            let (docs, ty) = match properties.get(name) {
                None => (String::new(), "unknown".to_owned()),
                Some(property) => {
                    let ty = self.ty(at.indented(), property).text;
                    let docs = match self.inline {
                        true => String::new(),
                        false => property_comment(property, at.level + 1),
                    };
                    (docs, ty)
                }
            };
            members.push((docs, format!("{}{mark}: {ty}", property_name(name))));
        }
        let others = self.other_properties(at, schema);
        match others {
            Some(others) if members.is_empty() => index(&others),
            // Beside named properties an index must take their types, too; only `unknown` always does.
            Some(others) if others.text == "unknown" => {
                members.push((String::new(), "[key: string]: unknown".to_owned()));
                self.braces(&members, at.level)
            }
            Some(others) => intersection(vec![self.braces(&members, at.level), index(&others)]),
            None if members.is_empty() => {
                let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
                atom(if closed { "Record<string, never>" } else { "Record<string, unknown>" })
            }
            None => self.braces(&members, at.level),
        }
    }

    /// What properties without a name of their own are, if the schema says so.
    fn other_properties(&mut self, at: At<'_>, schema: &Map<String, Value>) -> Option<Type> {
        let mut kinds = Vec::new();
        if let Some(Value::Object(patterns)) = schema.get("patternProperties") {
            for pattern in patterns.values() {
                kinds.push(self.ty(at.deeper(), pattern));
            }
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(false)) | None => {}
            Some(others) => kinds.push(self.ty(at.deeper(), others)),
        }
        (!kinds.is_empty()).then(|| union(kinds))
    }

    fn braces(&self, members: &[(String, String)], level: usize) -> Type {
        if self.inline {
            let members: Vec<&str> = members.iter().map(|(_, member)| member.as_str()).collect();
            return atom(format!("{{ {} }}", members.join("; ")));
        }
        let mut text = "{\n".to_owned();
        for (docs, member) in members {
            text.push_str(&format!("{docs}{}{member};\n", INDENT.repeat(level + 1)));
        }
        text.push_str(&INDENT.repeat(level));
        text.push('}');
        atom(text)
    }

    fn array(&mut self, at: At<'_>, schema: &Map<String, Value>) -> Type {
        // Before 2020 a tuple was an array in `items`, and `additionalItems` what followed it.
        let (first, rest) = match (schema.get("prefixItems"), schema.get("items")) {
            (Some(Value::Array(first)), rest) => (Some(first), rest),
            (_, Some(Value::Array(first))) => (Some(first), schema.get("additionalItems")),
            (_, rest) => (None, rest),
        };
        let Some(first) = first else {
            let items = match rest {
                Some(items) => self.ty(at.deeper(), items),
                None => atom("unknown"),
            };
            return atom(format!("{}[]", items.within(Binds::Atom)));
        };
        let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
        let required = bound("minItems").unwrap_or(0);
        let mut items: Vec<String> = Vec::new();
        for (index, item) in (0u64..).zip(first) {
            let item = self.ty(at.deeper(), item);
            items.push(match index < required {
                true => item.text,
                false => format!("{}?", item.within(Binds::Atom)),
            });
        }
        let closed = rest == Some(&Value::Bool(false))
            || bound("maxItems").is_some_and(|max| max <= first.len() as u64);
        if !closed {
            let rest = match rest {
                Some(rest) => self.ty(at.deeper(), rest).within(Binds::Atom),
                None => "unknown".to_owned(),
            };
            items.push(format!("...{rest}[]"));
        }
        atom(format!("[{}]", items.join(", ")))
    }

    /// The name of the type that `$ref` points to, which is rendered if it has not been yet.
    fn reference(&mut self, at: At<'_>, reference: &str) -> Type {
        let target = match reference.strip_prefix('#') {
            Some(pointer) => at.root.pointer(&percent_decoded(pointer)),
            None => None,
        };
        let Some(target) = target else { return atom("unknown") };
        if self.inline || !target.is_object() {
            // Only a schema of our own is rendered inline, and those have no references.
            return match target {
                Value::Bool(false) => atom("never"),
                _ => atom("unknown"),
            };
        }
        // The same words mean the same type only where what they refer to is the same.
        let around = at.root.get("$defs").or_else(|| at.root.get("definitions"));
        let key = format!("{target}{}", around.unwrap_or(at.root));
        if let Some(name) = self.names.get(&key) {
            return atom(if self.bare.contains(name) { "unknown" } else { name.as_str() });
        }
        let last = reference.rsplit('/').next().unwrap_or_default();
        let name = self.free_name(&pascal_case(last), at.name);
        self.names.insert(key, name.clone());
        let place = self.types.len();
        self.types.push((name.clone(), String::new()));
        self.bare.push(name.clone());
        self.types[place].1 = self.ty(At { level: 0, ..at.deeper() }, target).text;
        self.bare.pop();
        atom(name)
    }

    fn free_name(&self, wanted: &str, root: &str) -> String {
        let taken = |name: &str| {
            name.is_empty()
                || GLOBAL_TYPES.contains(&name)
                || self.types.iter().any(|(taken, _)| taken == name)
        };
        let candidates = [wanted.to_owned(), format!("{root}{wanted}")].into_iter();
        candidates
            .chain((2..).map(|number| format!("{root}{wanted}{number}")))
            .find(|name| !taken(name))
            .unwrap_or_default()
    }

    fn literal(&mut self, value: &Value, depth: usize) -> Type {
        match value {
            _ if depth >= MAX_DEPTH => atom("unknown"),
            Value::Array(items) => {
                let items: Vec<String> =
                    items.iter().map(|item| self.literal(item, depth + 1).text).collect();
                atom(format!("[{}]", items.join(", ")))
            }
            Value::Object(object) if object.is_empty() => atom("Record<string, never>"),
            Value::Object(object) => {
                let members: Vec<String> = object
                    .iter()
                    .map(|(name, value)| {
                        format!("{}: {}", property_name(name), self.literal(value, depth + 1).text)
                    })
                    .collect();
                atom(format!("{{ {} }}", members.join("; ")))
            }
            value => atom(value.to_string()),
        }
    }
}

impl Type {
    /// The text, in parentheses where something stands around it that binds as `outer` does.
    fn within(&self, outer: Binds) -> String {
        if self.binds < outer { format!("({})", self.text) } else { self.text.clone() }
    }
}

/// An object with properties of any name. Not `Record`, in which a type could not name itself.
fn index(of: &Type) -> Type {
    match of.text.as_str() {
        "unknown" => atom("Record<string, unknown>"),
        of => atom(format!("{{ [key: string]: {of} }}")),
    }
}

fn atom(text: impl Into<String>) -> Type {
    Type { text: text.into(), binds: Binds::Atom }
}

fn union(types: Vec<Type>) -> Type {
    // What is unknown stays so, whatever else it may be.
    if types.iter().any(|one| one.text == "unknown") {
        return atom("unknown");
    }
    joined(types, "never", " | ", Binds::Union)
}

fn intersection(types: Vec<Type>) -> Type {
    let known = types.into_iter().filter(|one| one.text != "unknown").collect();
    joined(known, "unknown", " & ", Binds::Intersection)
}

fn joined(types: Vec<Type>, none: &str, between: &str, binds: Binds) -> Type {
    let mut different: Vec<Type> = Vec::new();
    for one in types {
        if (between != " | " || one.text != "never")
            && !different.iter().any(|other| other.text == one.text)
        {
            different.push(one);
        }
    }
    if different.len() > 1 {
        let texts: Vec<String> = different.iter().map(|one| one.within(binds)).collect();
        return Type { text: texts.join(between), binds };
    }
    different.pop().unwrap_or_else(|| atom(none))
}

/// Whether a call without arguments is allowed.
fn needs_nothing(schema: &Value) -> bool {
    let requires = |schema: &Value| {
        schema.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty())
    };
    let Some(object) = schema.as_object() else { return true };
    let simple = !["$ref", "allOf", "anyOf", "oneOf", "const", "enum"]
        .iter()
        .any(|keyword| object.contains_key(*keyword));
    let takes_object = object.get("type").is_none_or(|kind| kind == "object");
    simple && takes_object && !requires(schema)
}

fn property_comment(property: &Value, level: usize) -> String {
    let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
    let default = match property.get("default") {
        Some(value) if !value.is_null() => format!("@default {value}"),
        _ => String::new(),
    };
    let deprecated = match property.get("deprecated") {
        Some(Value::Bool(true)) => "@deprecated",
        _ => "",
    };
    comment(&[description, &default, deprecated], level)
}

/// A doc comment of the paragraphs that are not empty; nothing if all are.
fn comment(paragraphs: &[&str], level: usize) -> String {
    let indent = INDENT.repeat(level);
    let text: Vec<String> = paragraphs
        .iter()
        .map(|paragraph| paragraph.trim())
        .filter(|paragraph| !paragraph.is_empty())
        .map(|paragraph| paragraph.replace("*/", "*\\/"))
        .collect();
    let text = text.join("\n");
    if text.is_empty() {
        return String::new();
    }
    let room = WIDTH.saturating_sub(indent.len() + " * ".len());
    let lines: Vec<String> = text.lines().flat_map(|line| wrapped(line, room)).collect();
    if let [line] = lines.as_slice() {
        return format!("{indent}/** {line} */\n");
    }
    let mut comment = format!("{indent}/**\n");
    for line in lines {
        comment.push_str(format!("{indent} * {line}").trim_end());
        comment.push('\n');
    }
    comment.push_str(&format!("{indent} */\n"));
    comment
}

/// `line` in lines of up to `room` characters, broken at spaces; one that is indented is code or a list and
/// stays as it is.
fn wrapped(line: &str, room: usize) -> Vec<String> {
    if line.chars().count() <= room || line.starts_with([' ', '\t']) {
        return vec![line.trim_end().to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.len() - 1;
        let current = &mut lines[last];
        if current.is_empty() {
            current.push_str(word);
        } else if current.chars().count() + 1 + word.chars().count() <= room {
            current.push(' ');
            current.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn property_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    if plain { name.to_owned() } else { Value::from(name).to_string() }
}

/// `read_file` and `mcp.Read-File` as `ReadFile` and `McpReadFile`.
fn pascal_case(name: &str) -> String {
    let mut result = String::new();
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let (first, rest) = word.split_at(1);
        result.push_str(&first.to_ascii_uppercase());
        result.push_str(rest);
    }
    if result.starts_with(|c: char| c.is_ascii_digit()) {
        result.insert(0, '_');
    }
    result
}

/// The pointer of a reference as it stood before it was put into a URI.
fn percent_decoded(pointer: &str) -> String {
    let bytes = pointer.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Types that a declaration of the same name would hide, and that are used here or likely to be by a cell.
const GLOBAL_TYPES: [&str; 12] = [
    "Array", "Boolean", "Date", "Error", "Function", "Map", "Number", "Object", "Promise",
    "Record", "Set", "String",
];

/// Schemas within schemas; beyond it reads `unknown`.
const MAX_DEPTH: usize = 64;

const INDENT: &str = "  ";

/// Columns of a comment.
const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use codemode_host_protocol::ToolName;
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn tool(name: &str, input: Option<Value>, output: Option<Value>) -> ToolDefinition {
        ToolDefinition {
            name: name.to_owned(),
            tool_name: ToolName::plain(name),
            description: String::new(),
            kind: ToolKind::Function,
            input_schema: input.map(Json::from),
            output_schema: output.map(Json::from),
        }
    }

    fn check(definitions: &[ToolDefinition], expected: &Expect) {
        expected.assert_eq(&render(definitions));
    }

    #[test]
    fn each_kind_of_schema_becomes_a_type() {
        let cases = [
            (json!(true), "unknown"),
            (json!(false), "never"),
            (json!({}), "unknown"),
            (json!(7), "unknown"),
            (json!({"type": "string"}), "string"),
            (json!({"type": "integer"}), "number"),
            (json!({"type": ["string", "null"]}), "string | null"),
            (json!({"type": "string", "nullable": true}), "string | null"),
            (json!({"type": "martian"}), "unknown"),
            (json!({"const": "a\"b\n"}), r#""a\"b\n""#),
            (json!({"const": null}), "null"),
            (
                json!({"type": "string", "enum": ["a", "b", 1, null, true]}),
                r#""a" | "b" | 1 | null | true"#,
            ),
            (
                json!({"enum": [[1, "x"], {"a-b": 2}, {}]}),
                r#"[1, "x"] | { "a-b": 2 } | Record<string, never>"#,
            ),
            (json!({"enum": []}), "never"),
            (json!({"type": "array"}), "unknown[]"),
            (json!({"type": "array", "items": {"type": "string"}}), "string[]"),
            (json!({"type": "array", "items": {"type": ["string", "null"]}}), "(string | null)[]"),
            (
                json!({"type": "array", "items": {"type": "array", "items": {"enum": [1, 2]}}}),
                "(1 | 2)[][]",
            ),
            (
                json!({"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}], "minItems": 2, "maxItems": 2}),
                "[number, string]",
            ),
            (
                json!({"prefixItems": [{"type": "number"}, {"type": ["string", "null"]}], "minItems": 1, "items": false}),
                "[number, (string | null)?]",
            ),
            (
                json!({"prefixItems": [{"type": "number"}], "minItems": 1, "items": {"enum": ["a", "b"]}}),
                r#"[number, ...("a" | "b")[]]"#,
            ),
            (
                json!({"type": "array", "items": [{"type": "number"}], "minItems": 1}),
                "[number, ...unknown[]]",
            ),
            (json!({"type": "object"}), "Record<string, unknown>"),
            (json!({"type": "object", "additionalProperties": false}), "Record<string, never>"),
            (json!({"additionalProperties": {"type": "number"}}), "{ [key: string]: number }"),
            (
                json!({"patternProperties": {"^x": {"type": "number"}, "^y": {"type": "string"}}}),
                "{ [key: string]: number | string }",
            ),
            (
                json!({"properties": {"b": {"type": "string"}, "a": {}}, "required": ["b"]}),
                "{ b: string; a?: unknown }",
            ),
            (json!({"properties": {"a": false}, "required": ["z"]}), "{ z: unknown; a?: never }"),
            (
                json!({"properties": {"a": {"type": "string"}}, "additionalProperties": true}),
                "{ a?: string; [key: string]: unknown }",
            ),
            (
                json!({"properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "number"}}),
                "{ a?: string } & { [key: string]: number }",
            ),
            (
                json!({"properties": {"a-b": {}, "1": {}, "é": {}, "": {}, "$ok": {}, "class": {}}}),
                r#"{ ""?: unknown; $ok?: unknown; "1"?: unknown; "a-b"?: unknown; class?: unknown; "é"?: unknown }"#,
            ),
            (
                json!({"anyOf": [{"type": "string"}, {"type": "string"}, {"type": "number"}]}),
                "string | number",
            ),
            (json!({"oneOf": [{"type": "string"}, {}]}), "unknown"),
            (json!({"anyOf": [false, {"type": "string"}]}), "string"),
            (
                json!({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}),
                "{ a?: unknown } & { b?: unknown }",
            ),
            (
                json!({"allOf": [{"type": ["string", "null"]}, {"type": "string"}]}),
                "(string | null) & string",
            ),
            (
                json!({"type": "array", "items": {"allOf": [{"required": ["a"]}, {"required": ["b"]}]}}),
                "({ a: unknown } & { b: unknown })[]",
            ),
            (
                json!({"type": "object", "properties": {"k": {"const": 1}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
                "{ k?: 1 } & ({ a: unknown } | { b: unknown })",
            ),
            (json!({"type": "string", "anyOf": [{"minLength": 3}, {"maxLength": 1}]}), "string"),
        ];
        for (schema, expected) in cases {
            assert_eq!(inline_type(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn references_become_named_types() {
        let tree = json!({
            "$ref": "#/$defs/tree-node",
            "$defs": {
                "tree-node": {
                    "type": "object",
                    "properties": {
                        "children": {"type": "array", "items": {"$ref": "#/$defs/tree-node"}},
                        "tag": {"$ref": "#/$defs/Tag"},
                        "far": {"$ref": "https://example.com/schema.json"},
                        "gone": {"$ref": "#/$defs/none"},
                        "any": {"$ref": "#/$defs/any"}
                    },
                    "required": ["children"]
                },
                "Tag": {"enum": ["a", "b"]},
                "any": true
            }
        });
        let list = json!({"type": "object", "properties": {"next": {"$ref": "#"}, "Tag": {"$ref": "#/definitions/Tag"}},
                          "definitions": {"Tag": {"type": "string"}}});
        let itself = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
        let two = json!({"$ref": "#/$defs/first", "$defs": {
            "first": {"anyOf": [{"$ref": "#/$defs/second"}, {"type": "null"}]},
            "second": {"anyOf": [{"$ref": "#/$defs/first"}, {"type": "string"}]}
        }});
        let json = json!({"$ref": "#/$defs/json", "$defs": {"json": {"anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"$ref": "#/$defs/json"}},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/json"}}
        ]}}});
        check(
            &[
                tool("grow", Some(tree.clone()), Some(tree)),
                tool("list", None, Some(list)),
                tool("itself", Some(itself), None),
                tool("two", Some(two), Some(json)),
            ],
            &expect![[r#"
                type TreeNode = {
                  children: TreeNode[];
                  any?: unknown;
                  far?: unknown;
                  gone?: unknown;
                  tag?: Tag;
                };

                type Tag = "a" | "b";

                type ListOutputTag = string;

                type ListOutput = {
                  Tag?: ListOutputTag;
                  next?: ListOutput;
                };

                type A = unknown;

                type First = Second | null;

                type Second = unknown;

                type Json = string | Json[] | { [key: string]: Json };

                declare const tools: {
                  grow(args: TreeNode): Promise<TreeNode>;

                  list(args?: unknown): Promise<{
                    Tag?: ListOutputTag;
                    next?: ListOutput;
                  }>;

                  itself(args: A): Promise<unknown>;

                  two(args: First): Promise<Json>;
                };
            "#]],
        );
    }

    #[test]
    fn names_and_words_are_those_that_a_cell_sees() {
        let mut freeform = tool("apply-patch", None, None);
        freeform.kind = ToolKind::Freeform;
        freeform.description = "Applies a patch. */ alert(1) /*\n\n  indented: keep\nThe line after that is so long that it has to be broken somewhere, as nobody reads on for ever.".to_owned();
        let described = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "description": "One line."},
                "b": {"type": "number", "description": "Two\r\nlines */", "default": 5, "deprecated": true},
                "c": {"type": "object", "properties": {"deep": {"description": "Deep.", "type": "string"}}}
            }
        });
        check(
            &[
                tool("1password", None, None),
                tool("a.b", Some(json!({"type": "object"})), None),
                tool("a_b", Some(described), Some(json!({"type": "string"}))),
                tool("__proto__", None, None),
                tool("", None, None),
                freeform,
            ],
            &expect![[r#"
                declare const tools: {
                  _password(args?: unknown): Promise<unknown>;

                  a_b(args?: {
                    /** One line. */
                    a?: string;
                    /**
                     * Two
                     * lines *\/
                     * @default 5
                     * @deprecated
                     */
                    b?: number;
                    c?: {
                      /** Deep. */
                      deep?: string;
                    };
                  }): Promise<string>;

                  _(args?: unknown): Promise<unknown>;

                  /**
                   * Applies a patch. *\/ alert(1) /*
                   *
                   *   indented: keep
                   * The line after that is so long that it has to be broken somewhere, as nobody reads on for ever.
                   */
                  apply_patch(input: string): Promise<unknown>;
                };
            "#]],
        );
        check(
            &[],
            &expect![[r#"
            declare const tools: {
            };
        "#]],
        );
    }

    #[test]
    fn hostile_schemas_stay_small() {
        let mut deep = json!({"type": "string"});
        for _ in 0..100 {
            deep = json!({"type": "array", "items": deep});
        }
        assert_eq!(inline_type(&deep), format!("unknown{}", "[]".repeat(64)));
        // Each refers to the next twice: inlined, this would be 2^40 types.
        let mut defs = Map::new();
        for n in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            defs.insert(
                format!("d{n}"),
                json!({"type": "object", "properties": {"l": next, "r": next}}),
            );
        }
        let bomb = json!({"$ref": "#/$defs/d0", "$defs": defs});
        let rendered = render(&[tool("bomb", Some(bomb), None)]);
        assert!(rendered.len() < 4000, "{} bytes", rendered.len());
    }
}
