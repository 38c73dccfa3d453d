//! What a schema says in words, and beyond what types can say.

use std::rc::Rc;

use crate::tree::{Object, Tree, is_unseen};

/// What to say of a property: what its schema describes, then tags for what it demands.
pub(crate) fn of_property(name: &str, schema: &Tree) -> Option<Rc<str>> {
    let schema = schema.as_object()?;
    let mut lines = vec![description(schema).unwrap_or_else(|| title(name, schema))];
    lines.extend(alternatives(schema));
    lines.push(tags(schema).join(" "));
    lines.retain(|line| !line.is_empty());
    (!lines.is_empty()).then(|| Rc::from(lines.join("\n")))
}

/// What to say of a type that has a name.
pub(crate) fn of_type(schema: &Object) -> Option<Rc<str>> {
    let mut lines: Vec<String> = description(schema).into_iter().collect();
    lines.extend(alternatives(schema));
    lines.retain(|line| !line.is_empty());
    (!lines.is_empty()).then(|| Rc::from(lines.join("\n")))
}

/// Words from outside as they can stand in a comment: they neither end it nor show what is not there.
pub(crate) fn readable(text: &str) -> String {
    let text: String = text
        .replace("\r\n", "\n")
        .chars()
        .map(|c| if c == '\r' || c == '\u{2028}' || c == '\u{2029}' { '\n' } else { c })
        .filter(|c| *c == '\n' || *c == '\t' || !is_unseen(*c))
        .collect();
    text.trim().replace("*/", "*\\/")
}

/// `text` as a comment in front of what stands at this level.
pub(crate) fn comment(text: &str, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let room = WIDTH.saturating_sub(indent.len() + " * ".len());
    let lines: Vec<String> = text.lines().flat_map(|line| wrapped(line, room)).collect();
    match lines.as_slice() {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        lines => {
            let mut comment = format!("{indent}/**\n");
            for line in lines {
                comment.push_str(format!("{indent} * {line}").trim_end());
                comment.push('\n');
            }
            comment.push_str(&format!("{indent} */\n"));
            comment
        }
    }
}

fn description(schema: &Object) -> Option<String> {
    let text = schema.get("description")?.as_str().map(readable)?;
    (!text.is_empty()).then_some(text)
}

/// The title, where it says more than the name: generators make `Page Size` of `page_size`.
fn title(name: &str, schema: &Object) -> String {
    let letters = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let title = schema.get("title").and_then(Tree::as_str).map(readable).unwrap_or_default();
    if letters(&title) == letters(name) || !title.contains(' ') { String::new() } else { title }
}

/// A line for each described value of a choice between some.
fn alternatives(schema: &Object) -> Vec<String> {
    let branches = ["oneOf", "anyOf"].iter().filter_map(|keyword| schema.get(*keyword)?.as_array());
    let described = branches.flatten().filter_map(|branch| {
        let branch = branch.as_object()?;
        let value = match (branch.get("const"), branch.get("enum").and_then(Tree::as_array)) {
            (Some(value), _) => value,
            (None, Some([value])) => value,
            _ => return None,
        };
        let text = description(branch)?;
        Some(format!("- {}: {}", short(value)?, text.replace('\n', " ")))
    });
    described.collect()
}

fn tags(schema: &Object) -> Vec<String> {
    let mut tags = Vec::new();
    if let Some(value) =
        schema.get("default").filter(|value| !matches!(value, Tree::Null)).and_then(short)
    {
        tags.push(format!("@default {value}"));
    }
    if schema.get("deprecated").is_some_and(|deprecated| deprecated.is(true)) {
        tags.push(String::from("@deprecated"));
    }
    let is_number = |value: &Tree| matches!(value, Tree::Number(_));
    let numbers = NUMBERS.iter().filter(|keyword| schema.get(**keyword).is_some_and(is_number));
    let is_tuple = ["prefixItems", "items"]
        .iter()
        .any(|keyword| matches!(schema.get(*keyword), Some(Tree::Array(_))));
    for keyword in numbers {
        // A tuple shows how many there are.
        if is_tuple && keyword.ends_with("Items") {
            continue;
        }
        // Draft 4 says by `true` beside a bound that the bound itself is out of bounds.
        let exclusive = match *keyword {
            "minimum" => Some("exclusiveMinimum"),
            "maximum" => Some("exclusiveMaximum"),
            _ => None,
        };
        let tag = exclusive.filter(|other| schema.get(*other).is_some_and(|it| it.is(true)));
        tags.push(format!("@{} {}", tag.unwrap_or(keyword), schema[*keyword]));
    }
    if schema.get("uniqueItems").is_some_and(|unique| unique.is(true)) {
        tags.push(String::from("@uniqueItems"));
    }
    for keyword in ["format", "pattern", "contentEncoding", "contentMediaType"] {
        let Some(text) = schema.get(keyword).and_then(Tree::as_str).map(readable) else { continue };
        // Widths of numbers are no concern of JavaScript's.
        let says_nothing = NUMBER_FORMATS.contains(&text.as_str()) && keyword == "format";
        if !text.is_empty()
            && text.len() <= MAX_VALUE_BYTES
            && !text.contains('\n')
            && !says_nothing
        {
            tags.push(format!("@{keyword} {text}"));
        }
    }
    let example = schema.get("examples").and_then(Tree::as_array).and_then(<[Tree]>::first);
    if let Some(value) = example.or(schema.get("example")).and_then(short) {
        tags.push(format!("@example {value}"));
    }
    tags
}

/// A value, if it is short enough to be worth a place.
fn short(value: &Tree) -> Option<String> {
    // What is printed is not much longer than this.
    let fits = match value {
        Tree::String(text) => text.len() <= MAX_VALUE_BYTES,
        Tree::Array(items) => items.len() <= MAX_VALUE_BYTES / 2,
        Tree::Object(members) => members.len() <= MAX_VALUE_BYTES / 6,
        _ => true,
    };
    let text = fits.then(|| value.to_string()).filter(|text| text.len() <= MAX_VALUE_BYTES)?;
    Some(text.replace("*/", "*\\/"))
}

/// `line` in lines of up to `room` characters, broken at spaces; one that is indented is code or a list and
/// stays as it is.
fn wrapped(line: &str, room: usize) -> Vec<String> {
    if line.chars().count() <= room || line.starts_with([' ', '\t']) {
        return vec![line.trim_end().to_owned()];
    }
    let mut lines = Vec::new();
    let (mut current, mut taken) = (String::new(), 0);
    for word in line.split(' ') {
        let length = word.chars().count();
        if taken > 0 && taken + 1 + length > room {
            lines.push(std::mem::take(&mut current));
            taken = 0;
        }
        if taken > 0 {
            current.push(' ');
            taken += 1;
        }
        current.push_str(word);
        taken += length;
    }
    lines.push(current);
    lines
}

/// Bounds, in the order in which they are said.
const NUMBERS: [&str; 10] = [
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
];

const NUMBER_FORMATS: [&str; 12] = [
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "int", "uint",
    "float", "double",
];

/// A default or an example that is longer says more than it is worth.
const MAX_VALUE_BYTES: usize = 120;

pub(crate) const INDENT: &str = "  ";

/// Columns of a comment.
const WIDTH: usize = 100;
