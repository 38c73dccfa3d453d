//! Which types have names: those that are referred to, and those that would be written more than once.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use indexmap::{IndexMap, IndexSet};

use crate::types::{NEVER, NameId, Named, Type, TypeId, Types, UNKNOWN};

/// Types with names, as they are declared.
pub(crate) struct Shared {
    pub(crate) types: Types,
    /// Declared types in the order in which they are first needed.
    pub(crate) declared: IndexMap<Key, Declared>,
    /// The declared types that are the same as others which have no name of their own.
    bodies: HashMap<TypeId, usize>,
}

/// What a declared type is known by: the type itself, or the name that stands in its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Name(NameId),
    Type(TypeId),
}

pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) body: TypeId,
    pub(crate) docs: Option<Rc<str>>,
}

impl Shared {
    /// Finds what `roots` have in common, and gives it names. Changes `roots` to where their types are now.
    pub(crate) fn of(mut types: Types, roots: &mut [TypeId]) -> Shared {
        break_circles(&mut types);
        let types = merged(&without_plain_names(types, roots), roots);
        let sizes = sizes(&types);
        let needed = needed(&types, roots, &sizes);
        let mut shared = Shared { types, declared: IndexMap::new(), bodies: HashMap::new() };
        let mut taken: HashSet<String> = GLOBAL_TYPES.iter().map(ToString::to_string).collect();
        for key in needed {
            let (hint, body, docs) = match key {
                Key::Name(name) => {
                    let Named { hint, body, docs, .. } = shared.types.name(name);
                    // The whole of a schema has no name but its title, which its body knows.
                    let titled = shared.types.hint(*body).filter(|_| hint.own.is_empty());
                    (titled.or(Some(hint)), *body, docs.clone())
                }
                Key::Type(id) => (shared.types.hint(id), id, None),
            };
            let (own, context) = hint.map_or(("", ""), |hint| (&*hint.own, &*hint.context));
            let name = free_name(&mut taken, &pascal_case(own), context);
            let (place, _) = shared.declared.insert_full(key, Declared { name, body, docs });
            if sizes[body.index()] > NAME_COST {
                shared.bodies.entry(body).or_insert(place);
            }
        }
        shared
    }

    /// Types of which none has a name.
    pub(crate) fn undeclared(types: Types) -> Shared {
        Shared { types, declared: IndexMap::new(), bodies: HashMap::new() }
    }

    /// The name to write in place of a type, if it has one.
    pub(crate) fn name_of(&self, id: TypeId) -> Option<&str> {
        self.place_of(id).map(|place| self.declared[place].name.as_str())
    }

    fn place_of(&self, id: TypeId) -> Option<usize> {
        match self.types.of(id) {
            Type::Name(name) => self.declared.get_index_of(&Key::Name(*name)),
            _ => self.bodies.get(&id).copied(),
        }
    }

    /// The declared types that `root` needs, directly or not, by their places.
    pub(crate) fn reach(&self, root: TypeId) -> IndexSet<usize> {
        let mut found = IndexSet::new();
        let (mut seen, mut left) = (HashSet::new(), vec![root]);
        while let Some(id) = left.pop() {
            if !seen.insert(id) {
                continue;
            }
            found.extend(self.place_of(id));
            if let Type::Name(name) = self.types.of(id) {
                left.push(self.types.name(*name).body);
            }
            self.types.of(id).for_parts(|part| left.push(part));
        }
        found
    }
}

/// `read_file` and `mcp.Read-File` as `ReadFile` and `McpReadFile`.
pub(crate) fn pascal_case(name: &str) -> String {
    let mut result = String::new();
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let (first, rest) = word.split_at(1);
        result.push_str(&first.to_ascii_uppercase());
        result.push_str(rest);
    }
    if result.starts_with(|c: char| c.is_ascii_digit()) {
        result.insert(0, '_');
    }
    result.truncate(MAX_NAME_BYTES);
    result
}

fn free_name(taken: &mut HashSet<String>, own: &str, context: &str) -> String {
    let longer =
        if context.ends_with(own) { context.to_owned() } else { format!("{context}{own}") };
    let longer = if longer.is_empty() { String::from("Type") } else { longer };
    let candidates = [own.to_owned(), longer.clone()].into_iter();
    let name = candidates
        .chain((2..).map(|number| format!("{longer}{number}")))
        .find(|name| !name.is_empty() && !taken.contains(name))
        .unwrap_or_default();
    taken.insert(name.clone());
    name
}

/// TypeScript refuses a type that comes to nothing but itself, with no object or array between. The reference that closes
/// such a circle says nothing that is not said, and is left out.
fn break_circles(types: &mut Types) {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Open,
        Done,
    }
    let mut seen = vec![Seen::Not; types.names.len()];
    for first in 0..types.names.len() {
        if seen[first] != Seen::Not {
            continue;
        }
        seen[first] = Seen::Open;
        let mut open = vec![(first, bare_names(types, types.names[first].body))];
        while let Some((name, next)) = open.last_mut() {
            let name = *name;
            let Some(inner) = next.pop() else {
                seen[name] = Seen::Done;
                open.pop();
                continue;
            };
            let index = inner.0 as usize;
            match seen[index] {
                Seen::Done => {}
                Seen::Open => {
                    let body = types.names[name].body;
                    types.names[name].body = without(types, body, inner);
                }
                Seen::Not => {
                    seen[index] = Seen::Open;
                    open.push((index, bare_names(types, types.names[index].body)));
                }
            }
        }
    }
}

/// The names that a type comes to with nothing around them, last first.
fn bare_names(types: &Types, body: TypeId) -> Vec<NameId> {
    let (mut names, mut left) = (Vec::new(), vec![body]);
    while let Some(id) = left.pop() {
        match types.of(id) {
            Type::Name(name) => names.push(*name),
            Type::Union(of) | Type::Intersection(of) => left.extend(of.iter().rev()),
            _ => {}
        }
    }
    names.reverse();
    names
}

/// `body` without a name that it comes to with nothing around it.
fn without(types: &mut Types, body: TypeId, name: NameId) -> TypeId {
    match types.of(body).clone() {
        Type::Name(this) if this == name => types.unknown(),
        Type::Union(of) => {
            let is_it = |id: &TypeId| *types.of(*id) == Type::Name(name);
            let others: Vec<TypeId> = of.into_iter().filter(|id| !is_it(id)).collect();
            let of: Vec<TypeId> = others.iter().map(|of| without(types, *of, name)).collect();
            types.union(of)
        }
        Type::Intersection(of) => {
            let of: Vec<TypeId> = of.iter().map(|of| without(types, *of, name)).collect();
            types.intersection(of)
        }
        _ => body,
    }
}

/// The same types, in which names of what says nothing, or that nothing can be, have given way to that.
fn without_plain_names(mut types: Types, roots: &mut [TypeId]) -> Types {
    let mut known = 0;
    for _ in 0..MAX_ROUNDS {
        let plain: HashMap<NameId, &'static str> = (0..)
            .map(NameId)
            .zip(&types.names)
            .filter_map(|(id, name)| match types.of(name.body) {
                Type::Keyword(word @ (UNKNOWN | NEVER)) => Some((id, *word)),
                _ => None,
            })
            .collect();
        if plain.len() == known {
            break;
        }
        known = plain.len();
        types = replaced(&types, roots, |name| match plain.get(&name) {
            Some(word) => Type::Keyword(word),
            None => Type::Name(name),
        });
    }
    types
}

/// The same types with something else in the place of each name, and all that is known of names.
fn replaced(types: &Types, roots: &mut [TypeId], name: impl Fn(NameId) -> Type) -> Types {
    let (mut replaced, now) = types.renamed(name);
    replaced.names = types
        .names
        .iter()
        .map(|name| Named { body: now[name.body.index()], ..name.clone() })
        .collect();
    for root in roots {
        *root = now[root.index()];
    }
    replaced
}

/// The same types, in which names of the same are one.
///
/// Names are the same if they were given in the same words and what they name is the same where names stand for what they
/// name, which may be themselves. Hence by refinement: all are taken for the same at first, and told apart until nothing
/// changes any more.
fn merged(types: &Types, roots: &mut [TypeId]) -> Types {
    let count = types.names.len();
    let mut class: Vec<NameId> = vec![NameId(0); count];
    let mut classes = 1;
    let mut is_stable = false;
    for _ in 0..MAX_ROUNDS {
        let (_, now) = types.renamed(|name| Type::Name(class[name.0 as usize]));
        // By what they are, what they are called, and the first name of each kind.
        let mut first: HashMap<_, NameId> = HashMap::new();
        let mut refined = Vec::with_capacity(count);
        for (index, name) in (0..).map(NameId).zip(&types.names) {
            let own = name.is_definition.then(|| pascal_case(&name.hint.own));
            let key = (now[name.body.index()], own, name.docs.clone(), class[index.0 as usize]);
            refined.push(*first.entry(key).or_insert(index));
        }
        class = refined;
        is_stable = first.len() == classes;
        classes = first.len();
        if is_stable {
            break;
        }
    }
    if !is_stable {
        // Told apart by what lies deeper than anybody's schemas: they stay as they are.
        class = (0..).map(NameId).take(count).collect();
    }
    replaced(types, roots, |name| Type::Name(class[name.0 as usize]))
}

/// The types to declare, in the order in which they are first needed.
fn needed(types: &Types, roots: &[TypeId], sizes: &[usize]) -> Vec<Key> {
    let (order, mut uses) = uses(types, roots);
    let is_worth_it = |uses: usize, id: TypeId| {
        let size = sizes[id.index()];
        uses > 1 && (uses - 1).saturating_mul(size) > NAME_COST * (uses + 1)
    };
    let mut declared: HashSet<TypeId> = HashSet::new();
    let mut bodies: HashSet<TypeId> = HashSet::new();
    for id in &order {
        let Type::Name(name) = types.of(*id) else { continue };
        let named = types.name(*name);
        let is_declared = match types.of(named.body) {
            Type::Keyword(UNKNOWN | NEVER) => false,
            _ if named.is_definition => true,
            // Another name for a name.
            Type::Name(_) => false,
            _ => is_worth_it(uses[id.index()], named.body),
        };
        if is_declared {
            declared.insert(*id);
            bodies.insert(named.body);
        } else {
            uses[named.body.index()] += uses[id.index()];
        }
    }
    for id in &order {
        let may_have_name = matches!(
            types.of(*id),
            Type::Object(_) | Type::Union(_) | Type::Tuple { .. } | Type::Intersection(_)
        );
        if may_have_name && !bodies.contains(id) && is_worth_it(uses[id.index()], *id) {
            declared.insert(*id);
        }
    }
    let keys = order.iter().filter(|id| declared.contains(id)).map(|id| match types.of(*id) {
        Type::Name(name) => Key::Name(*name),
        _ => Key::Type(*id),
    });
    keys.collect()
}

/// All types that `roots` are made of, in the order in which they are met, and how often each would be written if each were
/// written once.
fn uses(types: &Types, roots: &[TypeId]) -> (Vec<TypeId>, Vec<usize>) {
    let mut uses = vec![0_usize; types.len()];
    let mut seen = vec![false; types.len()];
    let (mut order, mut left) = (Vec::new(), Vec::new());
    for root in roots {
        uses[root.index()] += 1;
        left.push(*root);
        while let Some(id) = left.pop() {
            if std::mem::replace(&mut seen[id.index()], true) {
                continue;
            }
            order.push(id);
            if let Type::Name(name) = types.of(id) {
                left.push(types.name(*name).body);
            }
            let first = left.len();
            types.of(id).for_parts(|part| {
                uses[part.index()] += 1;
                left.push(part);
            });
            left[first..].reverse();
        }
    }
    (order, uses)
}

/// About how many characters each type takes.
fn sizes(types: &Types) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::with_capacity(types.len());
    for (_, ty) in types.iter() {
        let mut size: usize = match ty {
            Type::Keyword(word) => word.len(),
            Type::Literal(text) => text.len(),
            Type::Object(members) => members
                .iter()
                .map(|member| {
                    let docs = member.docs.as_ref().map_or(0, |docs| docs.len() + 10);
                    member.name.as_ref().map_or(15, |name| name.len()) + 4 + docs
                })
                .sum(),
            Type::Name(_) => NAME_COST,
            _ => 2,
        };
        ty.for_parts(|part| size = size.saturating_add(sizes[part.index()] + 2));
        sizes.push(size.min(MAX_SIZE));
    }
    sizes
}

/// About what a name costs where it stands and where it is declared.
const NAME_COST: usize = 16;

/// Sizes are compared up to here: what is shared can stand for more than fits into any number.
const MAX_SIZE: usize = 1 << 30;

/// Names that differ only behind so many others are not worth telling apart.
const MAX_ROUNDS: usize = 24;

/// Longer names of types are cut.
const MAX_NAME_BYTES: usize = 80;

/// Types that a declaration of the same name would clash with.
const GLOBAL_TYPES: [&str; 94] = [
    "AggregateError",
    "Array",
    "ArrayBuffer",
    "ArrayBufferLike",
    "ArrayBufferView",
    "ArrayLike",
    "AsyncDisposable",
    "AsyncDisposableStack",
    "AsyncGenerator",
    "AsyncGeneratorFunction",
    "AsyncIterable",
    "AsyncIterableIterator",
    "AsyncIterator",
    "AsyncIteratorObject",
    "Atomics",
    "Awaited",
    "BigInt",
    "BigInt64Array",
    "BigUint64Array",
    "Boolean",
    "BufferSource",
    "CallableFunction",
    "Capitalize",
    "ClassDecorator",
    "ConcatArray",
    "ConstructorParameters",
    "ContentBlock",
    "DataView",
    "Date",
    "Disposable",
    "DisposableStack",
    "Error",
    "ErrorOptions",
    "EvalError",
    "Exclude",
    "Extract",
    "FinalizationRegistry",
    "Float16Array",
    "Float32Array",
    "Float64Array",
    "Function",
    "Generator",
    "GeneratorFunction",
    "IArguments",
    "Int16Array",
    "Int32Array",
    "Int8Array",
    "InstanceType",
    "Intl",
    "Iterable",
    "IterableIterator",
    "Iterator",
    "IteratorObject",
    "JSON",
    "Lowercase",
    "Map",
    "MapConstructor",
    "Math",
    "NewableFunction",
    "NoInfer",
    "NonNullable",
    "Number",
    "Object",
    "Omit",
    "Parameters",
    "Partial",
    "Pick",
    "Promise",
    "PromiseLike",
    "PropertyDescriptor",
    "PropertyKey",
    "Proxy",
    "Readonly",
    "ReadonlyArray",
    "ReadonlyMap",
    "ReadonlySet",
    "Record",
    "Reflect",
    "RegExp",
    "Required",
    "ReturnType",
    "Set",
    "String",
    "SuppressedError",
    "Symbol",
    "SyntaxError",
    "ToolError",
    "ToolSummary",
    "TypeError",
    "Uint8Array",
    "Uncapitalize",
    "Uppercase",
    "WeakMap",
    "WeakSet",
];
