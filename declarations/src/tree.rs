//! A schema as it was written: names in their order, and no deeper than can be walked.

use std::{borrow::Cow, fmt};

use codemode_host_protocol::Json;
use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;

/// A JSON value whose objects keep the order of their members: a schema's author puts first what matters most.
#[derive(Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Tree>),
    Object(Object),
}

pub(crate) type Object = IndexMap<String, Tree>;

impl Tree {
    /// Reads `json`; what lies too deep in it reads `true`, the schema of anything. `None` for what
    /// has no value here, such as a number beyond all bounds.
    pub(crate) fn read(json: &Json) -> Option<Tree> {
        serde_json::from_str(&pruned(json.text())).ok()
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        match self {
            Tree::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Tree]> {
        match self {
            Tree::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Tree::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is(&self, value: bool) -> bool {
        matches!(self, Tree::Bool(this) if *this == value)
    }

    /// What a JSON pointer points to.
    pub(crate) fn pointer(&self, pointer: &str) -> Option<&Tree> {
        let mut tree = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            tree = match tree {
                Tree::Object(object) => object.get(&token)?,
                Tree::Array(items) => items.get(token.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(tree)
    }
}

/// As compact JSON.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Null => f.write_str("null"),
            Tree::Bool(value) => write!(f, "{value}"),
            Tree::Number(number) => write!(f, "{number}"),
            Tree::String(text) => f.write_str(&quoted(text)),
            Tree::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "[" } else { "," })?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Tree::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{}:{value}", if index == 0 { "{" } else { "," }, quoted(name))?;
                }
                f.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Number::from_f64(value).map_or(Tree::Null, Tree::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Tree::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut members = Object::new();
        while let Some((name, value)) = from.next_entry()? {
            members.insert(name, value);
        }
        Ok(Tree::Object(members))
    }
}

/// `text` as a JSON string that shows everything: what no reader would see, or what changes the order in which the rest is
/// shown, is escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unseen(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Characters that have no look of their own, or change that of others: controls, line separators, marks of direction, and
/// the tags with which text is smuggled past a person's eyes.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// JSON text in which what is nested deeper than [`MAX_DEPTH`] is replaced by `true`. The readers of JSON call themselves for
/// each level, so that they refuse the whole for it.
fn pruned(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    // Where in the text is what has not been copied yet, and where what is left out begins.
    let (mut copied, mut omitted) = (0, 0);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth == MAX_DEPTH + 1 {
                    omitted = at;
                }
            }
            b'}' | b']' if !in_string => {
                if depth == MAX_DEPTH + 1 {
                    out.push_str(&text[copied..omitted]);
                    out.push_str("true");
                    copied = at + 1;
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Arrays and objects within each other. `serde_json` reads 127.
const MAX_DEPTH: usize = 120;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> String {
        Tree::read(&Json::parse(text).unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_tree_is_what_was_written() {
        for text in [
            r#"{"b":[1,-2.5,1e+300,"x\ty"],"a":{},"c":[],"":[null,true]}"#,
            r#""\u0000\u202e\udb40\udc41é""#,
        ] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read(r#"{"a":1,"b":2,"a":3}"#), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn what_is_too_deep_is_left_out() {
        for (levels, expected) in [(120, "0"), (121, "true"), (100_000, "true")] {
            let deep =
                format!(r#"["]","\"[",{}0{}]"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
            let kept = levels.min(120) - 1;
            let expected =
                format!(r#"["]","\"[",{}{expected}{}]"#, "[".repeat(kept), "]".repeat(kept));
            assert_eq!(read(&deep), expected, "{levels}");
        }
    }

    #[test]
    fn pointers_point() {
        let tree = Tree::read(&Json::parse(r#"{"a/b":{"~":[5,{"":6}]}}"#).unwrap()).unwrap();
        let at = |pointer: &str| tree.pointer(pointer).map(ToString::to_string);
        assert_eq!(at("/a~1b/~0/0").as_deref(), Some("5"));
        assert_eq!(at("/a~1b/~0/1/").as_deref(), Some("6"));
        assert_eq!(at("/a/b"), None);
        assert_eq!(at("/a~1b/~0/2"), None);
    }
}
