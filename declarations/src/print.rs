//! Types as text.

use crate::{
    docs::{INDENT, comment},
    share::{Declared, Shared},
    tree::quoted,
    types::{Member, Type, TypeId},
};

/// Writes types with the names that they have.
pub(crate) struct Printer<'s> {
    pub(crate) shared: &'s Shared,
    pub(crate) style: Style,
}

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// All of it: a line for each property, with what is to be said of it.
    Full,
    /// On one line, without comments. What is long, or deep, is only hinted at.
    Brief,
    /// On one line, without comments. What would need a name is `unknown`.
    Inline,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binds {
    Union,
    Intersection,
    Atom,
}

impl Printer<'_> {
    /// The declaration of a type that has a name.
    pub(crate) fn declaration(&self, declared: &Declared) -> String {
        let mut out = match (&declared.docs, self.style) {
            (Some(docs), Style::Full) => comment(docs, 0),
            _ => String::new(),
        };
        out.push_str(&format!("type {} = ", declared.name));
        self.structure(&mut out, declared.body, Place { level: 0, depth: 0 }, Binds::Union);
        out.push_str(";\n");
        out
    }

    /// A type that stands on a line of this level.
    pub(crate) fn text(&self, id: TypeId, level: usize) -> String {
        let mut out = String::new();
        self.write(&mut out, id, Place { level, depth: 0 }, Binds::Union);
        out
    }

    fn write(&self, out: &mut String, id: TypeId, place: Place, outer: Binds) {
        if let Some(name) = self.shared.name_of(id) {
            return out.push_str(name);
        }
        self.structure(out, id, place, outer);
    }

    fn structure(&self, out: &mut String, id: TypeId, place: Place, outer: Binds) {
        let joint = match self.shared.types.of(id) {
            Type::Name(name) => {
                let named = self.shared.types.name(*name);
                let is_known = self.style != Style::Inline || !named.is_definition;
                return match self.shared.name_of(id) {
                    Some(name) => out.push_str(name),
                    None if is_known => self.write(out, named.body, place, outer),
                    None => out.push_str("unknown"),
                };
            }
            Type::Keyword(word) => return out.push_str(word),
            Type::Literal(text) => return out.push_str(text),
            Type::Array(of) => {
                self.write(out, *of, place.deeper(), Binds::Atom);
                return out.push_str("[]");
            }
            Type::Tuple { items, rest } => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    let outer = if item.optional { Binds::Atom } else { Binds::Union };
                    self.write(out, item.of, place.deeper(), outer);
                    if item.optional {
                        out.push('?');
                    }
                }
                if let Some(rest) = rest {
                    out.push_str(if items.is_empty() { "..." } else { ", ..." });
                    self.write(out, *rest, place.deeper(), Binds::Atom);
                    out.push_str("[]");
                }
                return out.push(']');
            }
            Type::Object(members) => return self.object(out, members, place),
            Type::Index { keys, value } => return self.index(out, *keys, *value, place),
            Type::Union(of) => (of, " | ", Binds::Union),
            Type::Intersection(of) => (of, " & ", Binds::Intersection),
        };
        let (of, between, binds) = joint;
        if binds < outer {
            out.push('(');
        }
        if self.style == Style::Brief && binds == Binds::Union && of.len() > MAX_ALTERNATIVES {
            out.push_str(&self.alternatives(of));
        } else {
            for (index, id) in of.iter().enumerate() {
                if index > 0 {
                    out.push_str(between);
                }
                self.write(out, *id, place.deeper(), binds);
            }
        }
        if binds < outer {
            out.push(')');
        }
    }

    /// What the many parts of a union are, without saying each.
    fn alternatives(&self, of: &[TypeId]) -> String {
        let mut kinds: Vec<&str> = Vec::new();
        for id in of {
            let kind = match self.shared.types.of(*id) {
                Type::Literal(text) if text.starts_with('"') => "string",
                Type::Literal(text) if text.starts_with(['t', 'f']) => "boolean",
                Type::Literal(_) => "number",
                Type::Keyword(word) => word,
                _ => "object",
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.join(" | ")
    }

    fn object(&self, out: &mut String, members: &[Member], place: Place) {
        if self.style == Style::Brief && place.depth > MAX_BRIEF_DEPTH {
            return out.push_str("object");
        }
        let full = self.style == Style::Full;
        out.push_str(if full { "{\n" } else { "{ " });
        for (index, member) in members.iter().enumerate() {
            if full {
                if let Some(docs) = &member.docs {
                    out.push_str(&comment(docs, place.level + 1));
                }
                out.push_str(&INDENT.repeat(place.level + 1));
            } else if index > 0 {
                out.push_str("; ");
            }
            match &member.name {
                Some(name) => out.push_str(&property_name(name)),
                None => out.push_str("[key: string]"),
            }
            out.push_str(if member.optional { "?: " } else { ": " });
            self.write(out, member.of, place.indented(), Binds::Union);
            if full {
                out.push_str(";\n");
            }
        }
        if full {
            out.push_str(&INDENT.repeat(place.level));
        }
        out.push_str(if full { "}" } else { " }" });
    }

    /// Not `Record` where a type is in it, in which that could not name itself.
    fn index(&self, out: &mut String, keys: Option<TypeId>, value: TypeId, place: Place) {
        match (keys, self.shared.types.of(value)) {
            (None, Type::Keyword(word @ ("unknown" | "never"))) => {
                return out.push_str(&format!("Record<string, {word}>"));
            }
            (None, _) => out.push_str("{ [key: string]: "),
            (Some(keys), _) => {
                out.push_str("{ [key in ");
                self.write(out, keys, place.deeper(), Binds::Union);
                out.push_str("]?: ");
            }
        }
        self.write(out, value, place.deeper(), Binds::Union);
        out.push_str(" }");
    }
}

/// `name` as it is written in front of a colon.
pub(crate) fn property_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    if plain { name.to_owned() } else { quoted(name) }
}

#[derive(Clone, Copy)]
struct Place {
    /// Indents.
    level: usize,
    /// Types around it.
    depth: usize,
}

impl Place {
    fn deeper(self) -> Place {
        Place { depth: self.depth + 1, ..self }
    }

    fn indented(self) -> Place {
        Place { level: self.level + 1, ..self.deeper() }
    }
}

/// Alternatives that are listed where little room is.
const MAX_ALTERNATIVES: usize = 12;

/// Types within each other that are shown where little room is: those of the properties of what is in an array.
const MAX_BRIEF_DEPTH: usize = 3;
