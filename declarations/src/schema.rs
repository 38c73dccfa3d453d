//! From schemas to types.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
};

use indexmap::IndexSet;

use crate::{
    docs,
    document::{Base, Document},
    tree::{Object, Tree, quoted},
    types::{Hint, Member, NEVER, NameId, Named, TupleItem, Type, TypeId, Types},
};

/// The type of what a schema describes, and of all that it refers to. A schema is never refused: what has no meaning
/// here is `unknown`.
pub(crate) fn convert(types: &mut Types, schema: &Tree, name: &str) -> TypeId {
    let document = Document::new(schema);
    let mut converter = Converter {
        types,
        document: &document,
        context: Rc::from(name),
        names: HashMap::new(),
        left: VecDeque::new(),
    };
    let base = document.base();
    // The whole is a type of its own in case that it refers to itself, or that another is the same.
    let top = match schema {
        Tree::Object(_) => converter.named(schema, base, "", false),
        _ => converter.schema(&At { base, own: Rc::from(""), depth: 0 }, schema),
    };
    // One after the other, not one within the other: there may be any number of them in a row.
    while let Some((name, schema, base)) = converter.left.pop_front() {
        let own = Rc::clone(&converter.types.name(name).hint.own);
        let body = converter.schema(&At { base, own, depth: 0 }, schema);
        converter.types.names[name.0 as usize].body = body;
    }
    top
}

struct Converter<'c, 't> {
    types: &'c mut Types,
    document: &'c Document<'t>,
    context: Rc<str>,
    /// From the places of schemas to the names of their types.
    names: HashMap<*const Tree, NameId>,
    /// Names whose schemas have not been converted yet.
    left: VecDeque<(NameId, &'t Tree, Base<'t>)>,
}

/// Where a schema stands.
struct At<'t> {
    base: Base<'t>,
    /// What to call its type, if that needs a name.
    own: Rc<str>,
    /// Schemas around it.
    depth: usize,
}

impl<'t> At<'t> {
    fn deeper(&self) -> At<'t> {
        At { base: self.base.clone(), own: Rc::clone(&self.own), depth: self.depth + 1 }
    }

    fn of(&self, own: &str) -> At<'t> {
        At { own: Rc::from(own), ..self.deeper() }
    }
}

impl<'t> Converter<'_, 't> {
    fn schema(&mut self, at: &At<'t>, schema: &'t Tree) -> TypeId {
        let object = match schema {
            Tree::Bool(false) => return self.types.keyword(NEVER),
            Tree::Object(object) if at.depth < MAX_DEPTH => object,
            _ => return self.types.unknown(),
        };
        let own = object.get("title").and_then(Tree::as_str).filter(|_| at.own.is_empty());
        let at = &At {
            base: self.document.base_within(&at.base, schema),
            own: own.map_or_else(|| Rc::clone(&at.own), Rc::from),
            depth: at.depth,
        };
        let mut parts = Vec::new();
        if let Some((reference, stands_alone)) = self.document.reference(object) {
            let target = self.reference(at, reference);
            if stands_alone {
                return target;
            }
            parts.push(target);
        }
        parts.extend(self.values(at, object).or_else(|| self.by_type(at, object)));
        for keyword in ["oneOf", "anyOf"] {
            if let Some(branches) = object.get(keyword).and_then(Tree::as_array) {
                let branches = self.each(at, branches);
                parts.push(self.types.union(branches));
            }
        }
        if let Some(all) = object.get("allOf").and_then(Tree::as_array) {
            parts.extend(self.each(at, all));
        }
        let whole = self.all_of(at, parts);
        if object.get("nullable").is_some_and(|nullable| nullable.is(true)) {
            let null = self.types.keyword("null");
            return self.types.union([whole, null]);
        }
        whole
    }

    fn each(&mut self, at: &At<'t>, schemas: &'t [Tree]) -> Vec<TypeId> {
        schemas.iter().map(|schema| self.schema(&at.deeper(), schema)).collect()
    }

    /// The values that `const` and `enum` name.
    fn values(&mut self, at: &At<'t>, schema: &'t Object) -> Option<TypeId> {
        if let Some(value) = schema.get("const") {
            return Some(self.literal(value, at.depth));
        }
        let values = schema.get("enum")?.as_array()?;
        let literals: Vec<TypeId> =
            values.iter().map(|value| self.literal(value, at.depth)).collect();
        let union = self.types.union(literals);
        if let Type::Union(of) = self.types.of(union).clone() {
            return Some(self.types.add_hinted(Type::Union(of), self.hint(at)));
        }
        Some(union)
    }

    fn by_type(&mut self, at: &At<'t>, schema: &'t Object) -> Option<TypeId> {
        let has = |keywords: &[&str]| keywords.iter().any(|keyword| schema.contains_key(*keyword));
        match schema.get("type") {
            Some(Tree::String(name)) => Some(self.of_kind(at, schema, name)),
            Some(Tree::Array(names)) => {
                let kinds: Vec<TypeId> = names
                    .iter()
                    .map(|kind| match kind {
                        Tree::String(name) => self.of_kind(at, schema, name),
                        // Draft 3 had schemas among the names.
                        kind => self.schema(&at.deeper(), kind),
                    })
                    .collect();
                Some(self.types.union(kinds))
            }
            _ if has(&OF_OBJECTS) => Some(self.object(at, schema)),
            _ if has(&["items", "prefixItems"]) => Some(self.array(at, schema)),
            _ => None,
        }
    }

    fn of_kind(&mut self, at: &At<'t>, schema: &'t Object, name: &str) -> TypeId {
        match name {
            "object" => self.object(at, schema),
            "array" => self.array(at, schema),
            "integer" | "number" => self.types.keyword("number"),
            "string" => self.types.keyword("string"),
            "boolean" => self.types.keyword("boolean"),
            "null" => self.types.keyword("null"),
            _ => self.types.unknown(),
        }
    }

    fn object(&mut self, at: &At<'t>, schema: &'t Object) -> TypeId {
        let required: IndexSet<&str> = strings(schema.get("required")).collect();
        let properties = schema.get("properties").and_then(Tree::as_object);
        let property = |name: &str| properties.and_then(|properties| properties.get(name));
        // What must be given first, in the order in which it is demanded: the properties of a schema may have gone through
        // hands that sort them. Beyond that in the order in which they are.
        let optional = properties.into_iter().flat_map(Object::keys).map(String::as_str);
        let names =
            required.iter().copied().chain(optional.filter(|name| !required.contains(name)));
        let mut members: Vec<Member> = names
            .map(|name| {
                let property = property(name);
                Member {
                    name: Some(Rc::from(name)),
                    optional: !required.contains(name),
                    of: match property {
                        Some(property) => self.schema(&at.of(name), property),
                        None => self.types.unknown(),
                    },
                    docs: property.and_then(|property| docs::of_property(name, property)),
                }
            })
            .collect();
        let Some((keys, value)) = self.other_properties(at, schema) else {
            if !members.is_empty() {
                return self.braces(at, members);
            }
            let closed = ["additionalProperties", "unevaluatedProperties"]
                .iter()
                .any(|keyword| schema.get(*keyword).is_some_and(|others| others.is(false)));
            let value = if closed { self.types.keyword(NEVER) } else { self.types.unknown() };
            return self.types.add(Type::Index { keys: None, value });
        };
        if members.is_empty() {
            return self.types.add(Type::Index { keys, value });
        }
        // Beside named properties an index must take their types, too; only `unknown` always does.
        if self.types.is_unknown(value) {
            members.push(Member { name: None, optional: false, of: value, docs: None });
            return self.braces(at, members);
        }
        let named = self.braces(at, members);
        let index = self.types.add(Type::Index { keys, value });
        self.types.intersection([named, index])
    }

    fn braces(&mut self, at: &At<'t>, members: Vec<Member>) -> TypeId {
        let hint = self.hint(at);
        self.types.add_hinted(Type::Object(members), hint)
    }

    /// What properties without a name of their own are, if the schema says so, and what they may be called.
    fn other_properties(
        &mut self,
        at: &At<'t>,
        schema: &'t Object,
    ) -> Option<(Option<TypeId>, TypeId)> {
        let mut kinds = Vec::new();
        let patterns = schema.get("patternProperties").and_then(Tree::as_object);
        for pattern in patterns.into_iter().flat_map(Object::values) {
            kinds.push(self.schema(&at.deeper(), pattern));
        }
        let others = schema.get("additionalProperties").or(schema.get("unevaluatedProperties"));
        match others {
            None | Some(Tree::Bool(false)) => {}
            Some(others) => kinds.push(self.schema(&at.deeper(), others)),
        }
        if kinds.is_empty() {
            return None;
        }
        let keys = schema.get("propertyNames").and_then(Tree::as_object);
        let keys = keys.and_then(|names| names.get("enum")?.as_array());
        let keys = keys.filter(|names| names.iter().all(|name| name.as_str().is_some()));
        let keys = keys.filter(|names| !names.is_empty()).map(|names| {
            let literals: Vec<TypeId> =
                names.iter().map(|name| self.literal(name, at.depth)).collect();
            self.types.union(literals)
        });
        Some((keys, self.types.union(kinds)))
    }

    fn array(&mut self, at: &At<'t>, schema: &'t Object) -> TypeId {
        // Before 2020 a tuple was an array in `items`, and `additionalItems` what followed it.
        let (first, rest) = match (schema.get("prefixItems"), schema.get("items")) {
            (Some(Tree::Array(first)), rest) => (Some(first), rest),
            (_, Some(Tree::Array(first))) => (Some(first), schema.get("additionalItems")),
            (_, rest) => (None, rest),
        };
        let rest = rest.or(schema.get("unevaluatedItems"));
        let one = singular(&at.own);
        let Some(first) = first else {
            let items = match rest {
                Some(items) => self.schema(&at.of(&one), items),
                None => self.types.unknown(),
            };
            return self.types.add(Type::Array(items));
        };
        let bound = |keyword: &str| match schema.get(keyword) {
            Some(Tree::Number(number)) => number.as_u64(),
            _ => None,
        };
        let required = bound("minItems").unwrap_or(0);
        let mut items = Vec::new();
        for (index, item) in (0u64..).zip(first) {
            let of = self.schema(&at.of(&one), item);
            items.push(TupleItem { of, optional: index >= required });
        }
        let closed = rest.is_some_and(|rest| rest.is(false))
            || bound("maxItems").is_some_and(|max| max <= first.len() as u64);
        let rest = match (closed, rest) {
            (true, _) => None,
            (false, Some(rest)) => Some(self.schema(&at.of(&one), rest)),
            (false, None) => Some(self.types.unknown()),
        };
        self.types.add(Type::Tuple { items, rest })
    }

    fn reference(&mut self, at: &At<'t>, reference: &str) -> TypeId {
        let Some(target) = self.document.resolve(&at.base, reference) else {
            return self.types.unknown();
        };
        match target.schema {
            Tree::Bool(false) => self.types.keyword(NEVER),
            Tree::Object(_) => self.named(target.schema, target.base, &target.name, true),
            _ => self.types.unknown(),
        }
    }

    /// The name of the type of a schema, which is converted later if it has not been yet.
    fn named(
        &mut self,
        schema: &'t Tree,
        base: Base<'t>,
        own: &str,
        is_definition: bool,
    ) -> TypeId {
        let key: *const Tree = schema;
        let name = match self.names.get(&key) {
            Some(name) => {
                self.types.names[name.0 as usize].is_definition |= is_definition;
                *name
            }
            None => {
                let name = NameId(u32::try_from(self.types.names.len()).unwrap_or(u32::MAX));
                let hint = Hint { own: Rc::from(own), context: Rc::clone(&self.context) };
                // Until it has been converted.
                let body = self.types.unknown();
                let docs = schema.as_object().filter(|_| is_definition).and_then(docs::of_type);
                self.types.names.push(Named { hint, body, docs, is_definition });
                self.names.insert(key, name);
                self.left.push_back((name, schema, base));
                name
            }
        };
        self.types.add(Type::Name(name))
    }

    /// What is all of these; objects whose properties have nothing in common become one.
    fn all_of(&mut self, at: &At<'t>, parts: Vec<TypeId>) -> TypeId {
        let whole = self.types.intersection(parts);
        let Type::Intersection(parts) = self.types.of(whole) else { return whole };
        let (mut members, mut others) = (Vec::new(), Vec::new());
        let (mut names, mut objects) = (HashSet::new(), 0);
        for part in parts {
            match self.types.of(*part) {
                Type::Object(more)
                    if more.iter().all(|member| {
                        member.name.as_ref().is_some_and(|name| !names.contains(name))
                    }) =>
                {
                    names.extend(more.iter().filter_map(|member| member.name.clone()));
                    members.extend(more.iter().cloned());
                    objects += 1;
                }
                _ => others.push(*part),
            }
        }
        if objects < 2 {
            return whole;
        }
        members.sort_by_key(|member| member.optional);
        let together = self.braces(at, members);
        others.insert(0, together);
        self.types.intersection(others)
    }

    fn literal(&mut self, value: &Tree, depth: usize) -> TypeId {
        match value {
            _ if depth >= MAX_DEPTH => self.types.unknown(),
            Tree::Null => self.types.keyword("null"),
            Tree::String(text) => self.types.add(Type::Literal(Rc::from(quoted(text)))),
            Tree::Array(items) => {
                let items = items
                    .iter()
                    .map(|item| TupleItem { of: self.literal(item, depth + 1), optional: false })
                    .collect();
                self.types.add(Type::Tuple { items, rest: None })
            }
            Tree::Object(object) if object.is_empty() => {
                let value = self.types.keyword(NEVER);
                self.types.add(Type::Index { keys: None, value })
            }
            Tree::Object(object) => {
                let members = object
                    .iter()
                    .map(|(name, value)| Member {
                        name: Some(Rc::from(name.as_str())),
                        optional: false,
                        of: self.literal(value, depth + 1),
                        docs: None,
                    })
                    .collect();
                self.types.add(Type::Object(members))
            }
            value => self.types.add(Type::Literal(Rc::from(value.to_string()))),
        }
    }

    fn hint(&self, at: &At<'t>) -> Hint {
        Hint { own: Rc::clone(&at.own), context: Rc::clone(&self.context) }
    }
}

/// Whether a call without arguments is allowed.
pub(crate) fn needs_nothing(schema: &Tree) -> bool {
    let Some(object) = schema.as_object() else { return true };
    let simple = ["$ref", "allOf", "anyOf", "oneOf", "const", "enum"]
        .iter()
        .all(|keyword| !object.contains_key(*keyword));
    let takes_object = match object.get("type") {
        Some(kind) => kind.as_str() == Some("object"),
        None => true,
    };
    simple && takes_object && strings(object.get("required")).next().is_none()
}

fn strings(list: Option<&Tree>) -> impl Iterator<Item = &str> {
    list.and_then(Tree::as_array).into_iter().flatten().filter_map(Tree::as_str)
}

/// What to call one of many, which are called so.
fn singular(many: &str) -> String {
    let one = match many {
        many if many.ends_with("ss") || many.len() < 4 => many,
        many if many.ends_with("ies") => return format!("{}y", &many[..many.len() - 3]),
        many => many.strip_suffix('s').unwrap_or(many),
    };
    one.to_owned()
}

/// Keywords that say that something is an object, where `type` does not.
const OF_OBJECTS: [&str; 5] =
    ["properties", "additionalProperties", "patternProperties", "required", "propertyNames"];

/// Schemas within schemas; beyond it is `unknown`.
const MAX_DEPTH: usize = 64;
