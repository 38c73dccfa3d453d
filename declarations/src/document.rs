//! Where the references of a schema lead.

use std::{cell::OnceCell, collections::HashMap, rc::Rc};

use crate::tree::{Object, Tree};

/// A schema with all that it can refer to: itself. What lies elsewhere is never fetched.
pub(crate) struct Document<'t> {
    root: &'t Tree,
    dialect: Dialect,
    /// Parts by their URI and by URI and anchor; filled in when a reference first asks for one.
    named: OnceCell<HashMap<String, Base<'t>>>,
}

/// What has changed between the drafts of JSON Schema, as far as it matters here.
struct Dialect {
    /// `id` in draft 4, `$id` after it.
    id: &'static str,
    /// Up to draft 7, `$ref` replaced the schema that it stood in.
    ref_stands_alone: bool,
}

/// What a reference is relative to.
#[derive(Clone)]
pub(crate) struct Base<'t> {
    /// What its pointers begin at.
    root: &'t Tree,
    uri: Rc<str>,
}

/// Where a reference leads.
pub(crate) struct Target<'t> {
    pub(crate) schema: &'t Tree,
    pub(crate) base: Base<'t>,
    /// What its author calls it; empty where that cannot be told.
    pub(crate) name: String,
}

impl<'t> Document<'t> {
    pub(crate) fn new(root: &'t Tree) -> Document<'t> {
        let dialect = root.as_object().and_then(|root| root.get("$schema")?.as_str()).unwrap_or("");
        let is = |draft: &str| dialect.contains(draft);
        let dialect = Dialect {
            id: if is("draft-03") || is("draft-04") { "id" } else { "$id" },
            ref_stands_alone: is("draft-03") || is("draft-04") || is("draft-06") || is("draft-07"),
        };
        Document { root, dialect, named: OnceCell::new() }
    }

    pub(crate) fn base(&self) -> Base<'t> {
        Base { root: self.root, uri: Rc::from("") }.within(self.root, &self.dialect)
    }

    /// The base of a schema that stands in a part with this base.
    pub(crate) fn base_within(&self, base: &Base<'t>, schema: &'t Tree) -> Base<'t> {
        base.clone().within(schema, &self.dialect)
    }

    /// The reference in a schema, and whether it is all that counts there.
    pub(crate) fn reference<'s>(&self, schema: &'s Object) -> Option<(&'s str, bool)> {
        let found = REFERENCES.iter().find_map(|keyword| schema.get(*keyword)?.as_str());
        found.map(|reference| (reference, self.dialect.ref_stands_alone))
    }

    pub(crate) fn resolve(&self, base: &Base<'t>, reference: &str) -> Option<Target<'t>> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = percent_decoded(fragment);
        let part = match uri {
            "" => base.clone(),
            uri => self.part(&joined(&base.uri, uri))?,
        };
        let (schema, base) = match fragment.as_str() {
            "" => (part.root, part),
            pointer if pointer.starts_with('/') => {
                // A schema that was put together from others may point from its own root all the same.
                match part.root.pointer(pointer) {
                    Some(schema) => (schema, part),
                    None if uri.is_empty() => (self.root.pointer(pointer)?, self.base()),
                    None => return None,
                }
            }
            anchor => {
                let part = self.part(&format!("{}#{anchor}", part.uri))?;
                (part.root, self.base_of(&part))
            }
        };
        let name = match fragment.as_str() {
            "" => {
                let file = uri.rsplit('/').next().unwrap_or_default();
                file.split('.').next().unwrap_or_default().to_owned()
            }
            pointer if pointer.starts_with('/') => name_in(pointer),
            anchor => anchor.to_owned(),
        };
        Some(Target { schema, base, name })
    }

    fn part(&self, uri: &str) -> Option<Base<'t>> {
        self.named.get_or_init(|| self.parts()).get(uri).cloned()
    }

    /// The base of what an anchor names, which is within the part that has the anchor's URI.
    fn base_of(&self, anchored: &Base<'t>) -> Base<'t> {
        let root = self.part(&anchored.uri).map_or(self.root, |part| part.root);
        Base { root, uri: Rc::clone(&anchored.uri) }
    }

    /// All parts that have a name, found in one walk.
    fn parts(&self) -> HashMap<String, Base<'t>> {
        let mut parts = HashMap::new();
        let base = Base { root: self.root, uri: Rc::from("") };
        parts.insert(String::new(), base.clone());
        // The last says whether it is a schema, rather than something that holds schemas by name.
        let mut left = vec![(self.root, base, true)];
        while let Some((tree, base, is_schema)) = left.pop() {
            match tree {
                Tree::Object(object) if is_schema => {
                    let base = base.within(tree, &self.dialect);
                    if std::ptr::eq(base.root, tree) {
                        parts.entry(base.uri.to_string()).or_insert_with(|| base.clone());
                    }
                    let old_anchor = object.get(self.dialect.id).and_then(Tree::as_str);
                    let anchors = ["$anchor", "$dynamicAnchor"]
                        .iter()
                        .filter_map(|keyword| object.get(*keyword)?.as_str())
                        .chain(old_anchor.and_then(|id| id.strip_prefix('#')));
                    for anchor in anchors {
                        let part = Base { root: tree, uri: Rc::clone(&base.uri) };
                        parts.entry(format!("{}#{anchor}", base.uri)).or_insert(part);
                    }
                    let schemas =
                        object.iter().filter(|(keyword, _)| !VALUES.contains(&keyword.as_str()));
                    left.extend(schemas.rev().map(|(keyword, tree)| {
                        (tree, base.clone(), !BY_NAME.contains(&keyword.as_str()))
                    }));
                }
                Tree::Object(object) => {
                    left.extend(object.values().rev().map(|tree| (tree, base.clone(), true)));
                }
                Tree::Array(items) => {
                    left.extend(items.iter().rev().map(|tree| (tree, base.clone(), true)));
                }
                _ => {}
            }
        }
        parts
    }
}

impl<'t> Base<'t> {
    /// That of `schema`, which stands here: its own where it has an id that is no mere anchor.
    fn within(self, schema: &'t Tree, dialect: &Dialect) -> Base<'t> {
        let id = schema.as_object().and_then(|schema| schema.get(dialect.id)?.as_str());
        match id.map(|id| id.trim_end_matches('#')) {
            None | Some("") => self,
            Some(id) if id.starts_with('#') => self,
            Some(id) => Base { root: schema, uri: Rc::from(joined(&self.uri, id)) },
        }
    }
}

/// `reference` as seen from `base`, without the finer points: both are names here, and no addresses.
fn joined(base: &str, reference: &str) -> String {
    let has_scheme = reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !scheme.contains('/')
    });
    if has_scheme {
        return reference.to_owned();
    }
    let authority = base.find("://").map_or(0, |at| at + 3);
    let path = authority + base[authority..].find('/').unwrap_or(base.len() - authority);
    if reference.starts_with('/') {
        return format!("{}{reference}", &base[..path]);
    }
    match base[path..].rfind('/') {
        Some(last) => format!("{}{reference}", &base[..=path + last]),
        None if authority > 0 => format!("{base}/{reference}"),
        None => reference.to_owned(),
    }
}

/// The last part of a pointer that is a name and no keyword: `Edit` in `#/$defs/Edit`, `edits` in `#/properties/edits/items`.
fn name_in(pointer: &str) -> String {
    let is_name = |token: &&str| {
        !KEYWORDS.contains(token) && !token.is_empty() && !token.bytes().all(|b| b.is_ascii_digit())
    };
    let tokens: Vec<&str> = pointer.split('/').skip(1).collect();
    // Behind a keyword that holds schemas by name, anything is a name.
    let by_name = tokens.windows(2).rposition(|pair| BY_NAME.contains(&pair[0]));
    let name = tokens.iter().rfind(|token| is_name(token)).or(by_name.map(|at| &tokens[at + 1]));
    name.unwrap_or(&"").replace("~1", "/").replace("~0", "~")
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

/// A reference whose target depends on who refers to the schema is taken for what it is on its own.
const REFERENCES: [&str; 3] = ["$ref", "$recursiveRef", "$dynamicRef"];

/// Keywords that hold schemas by name.
const BY_NAME: [&str; 6] =
    ["$defs", "definitions", "dependentSchemas", "dependencies", "patternProperties", "properties"];

/// Keywords that hold values, which may look like schemas.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

/// Parts of pointers that name nothing.
const KEYWORDS: [&str; 14] = [
    "$defs",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "definitions",
    "else",
    "if",
    "items",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "properties",
    "then",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use codemode_host_protocol::Json;

    use super::*;

    fn resolved(document: &str, reference: &str) -> String {
        let tree = Tree::read(&Json::parse(document).unwrap()).unwrap();
        let document = Document::new(&tree);
        match document.resolve(&document.base(), reference) {
            Some(target) => format!("{}: {}", target.name, target.schema),
            None => String::from("nothing"),
        }
    }

    #[test]
    fn references_lead_to_parts_of_the_document() {
        let document = r##"{
            "$id": "https://example.com/dir/root.json",
            "$defs": {
                "a/b": 1,
                "items": 2,
                "named": {"$anchor": "here", "x": 3},
                "dynamic": {"$dynamicAnchor": "there"},
                "part": {"$id": "part.json", "$defs": {"inner": {"$ref": "#/$defs/leaf"}, "leaf": 5,
                         "anchored": {"$anchor": "deep"}}},
                "urn": {"$id": "urn:example:u"}
            },
            "properties": {"list": {"items": {"$anchor": "item"}}, "$id": {"const": {"$anchor": "no"}}}
        }"##;
        for (reference, expected) in [
            ("#/$defs/a~1b", "a/b: 1"),
            ("#/%24defs/a~1b", "a/b: 1"),
            ("#/$defs/items", "items: 2"),
            ("#here", "named"),
            ("root.json#here", "named"),
            ("https://example.com/dir/root.json#/$defs/a~1b", "a/b: 1"),
            ("/dir/root.json#/$defs/a~1b", "a/b: 1"),
            ("#there", "there: {\"$dynamicAnchor\":\"there\"}"),
            ("part.json#/$defs/leaf", "leaf: 5"),
            ("part.json#deep", "deep: {\"$anchor\":\"deep\"}"),
            ("part.json#/$defs/a~1b", "nothing"),
            ("urn:example:u", "urn:example:u: {\"$id\":\"urn:example:u\"}"),
            ("#/properties/list/items", "list: {\"$anchor\":\"item\"}"),
            ("#no", "nothing"),
            ("#/$defs/none", "nothing"),
            ("elsewhere.json", "nothing"),
            ("https://example.com/other", "nothing"),
        ] {
            let found = resolved(document, reference);
            let expected =
                if expected == "named" { r#"here: {"$anchor":"here","x":3}"# } else { expected };
            assert_eq!(found, expected, "{reference}");
        }
        let old = r##"{"$schema": "http://json-schema.org/draft-04/schema#", "id": "http://x/y",
                      "definitions": {"a": {"id": "#anchor"}, "b": {"id": "z", "c": 1}}}"##;
        for (reference, expected) in [
            ("#anchor", r##"anchor: {"id":"#anchor"}"##),
            ("z#/c", "c: 1"),
            ("http://x/z", r#"z: {"id":"z","c":1}"#),
        ] {
            assert_eq!(resolved(old, reference), expected, "{reference}");
        }
    }

    #[test]
    fn references_are_relative() {
        for (base, reference, expected) in [
            ("", "a", "a"),
            ("a", "b", "b"),
            ("a/b", "c", "a/c"),
            ("http://h", "c", "http://h/c"),
            ("http://h/a/b", "c", "http://h/a/c"),
            ("http://h/a/b", "/c", "http://h/c"),
            ("http://h/a", "urn:x", "urn:x"),
        ] {
            assert_eq!(joined(base, reference), expected, "{base} {reference}");
        }
    }
}
