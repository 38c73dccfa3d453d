//! TypeScript's types, each kept once.

use std::{collections::HashMap, rc::Rc};

use indexmap::IndexSet;

/// Types that refer to each other. What is equal is the same, so that a schema costs what it takes to read it, however its
/// parts are repeated.
#[derive(Default)]
pub(crate) struct Types {
    /// What a type is made of comes before it.
    all: IndexSet<Type>,
    pub(crate) names: Vec<Named>,
    /// What to call a type that turns out to need a name.
    hints: HashMap<TypeId, Hint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TypeId(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NameId(pub(crate) u32);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    /// `string`, `unknown` and their like.
    Keyword(&'static str),
    /// A string, a number, `true` or `false`, as TypeScript writes it.
    Literal(Rc<str>),
    Array(TypeId),
    Tuple {
        items: Vec<TupleItem>,
        rest: Option<TypeId>,
    },
    Object(Vec<Member>),
    /// An object with properties of any name, or of those that are its keys.
    Index {
        keys: Option<TypeId>,
        value: TypeId,
    },
    /// Two at least, no union among them.
    Union(Vec<TypeId>),
    /// Two at least, no intersection among them.
    Intersection(Vec<TypeId>),
    Name(NameId),
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct TupleItem {
    pub(crate) of: TypeId,
    pub(crate) optional: bool,
}

/// A property of an object.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    /// `None` for all names that are not those of other members.
    pub(crate) name: Option<Rc<str>>,
    pub(crate) optional: bool,
    pub(crate) of: TypeId,
    pub(crate) docs: Option<Rc<str>>,
}

/// A type that has a name, or may have one.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) hint: Hint,
    pub(crate) body: TypeId,
    pub(crate) docs: Option<Rc<str>>,
    /// Whether it is a type of its own because its schema is referred to, rather than because it might be.
    pub(crate) is_definition: bool,
}

/// What to call a type.
#[derive(Clone)]
pub(crate) struct Hint {
    /// What its author called it, in any spelling; may be empty.
    pub(crate) own: Rc<str>,
    /// The type that it was first met in.
    pub(crate) context: Rc<str>,
}

impl Types {
    pub(crate) fn of(&self, id: TypeId) -> &Type {
        &self.all[id.0 as usize]
    }

    pub(crate) fn name(&self, id: NameId) -> &Named {
        &self.names[id.0 as usize]
    }

    pub(crate) fn hint(&self, id: TypeId) -> Option<&Hint> {
        self.hints.get(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// All types, each behind those that it is made of.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        (0..).map(TypeId).zip(&self.all)
    }

    pub(crate) fn add(&mut self, ty: Type) -> TypeId {
        let (index, _) = self.all.insert_full(ty);
        TypeId(u32::try_from(index).expect("a type takes more than a byte of some message"))
    }

    pub(crate) fn add_hinted(&mut self, ty: Type, hint: Hint) -> TypeId {
        let id = self.add(ty);
        self.hints.entry(id).or_insert(hint);
        id
    }

    pub(crate) fn keyword(&mut self, keyword: &'static str) -> TypeId {
        self.add(Type::Keyword(keyword))
    }

    pub(crate) fn unknown(&mut self) -> TypeId {
        self.keyword(UNKNOWN)
    }

    pub(crate) fn is_unknown(&self, id: TypeId) -> bool {
        matches!(self.of(id), Type::Keyword(UNKNOWN))
    }

    /// What is one of these. What is unknown stays so, whatever else it may be.
    pub(crate) fn union(&mut self, of: impl IntoIterator<Item = TypeId>) -> TypeId {
        let mut different = IndexSet::new();
        for id in of {
            match self.of(id) {
                Type::Keyword(UNKNOWN) => return id,
                Type::Keyword(NEVER) => {}
                Type::Union(parts) => different.extend(parts.iter().copied()),
                _ => drop(different.insert(id)),
            }
        }
        let literal = |types: &mut Types, text: &str| types.add(Type::Literal(Rc::from(text)));
        let (yes, no) = (literal(self, "true"), literal(self, "false"));
        if let (Some(first), Some(_)) = (different.get_index_of(&yes), different.get_index_of(&no))
        {
            let boolean = self.keyword("boolean");
            let at = first.min(different.get_index_of(&no).unwrap_or(first));
            different = different
                .iter()
                .enumerate()
                .filter(|(index, id)| *index == at || (**id != yes && **id != no))
                .map(|(index, id)| if index == at { boolean } else { *id })
                .collect();
        }
        match different.len() {
            0 => self.keyword(NEVER),
            1 => different[0],
            _ => self.add(Type::Union(different.into_iter().collect())),
        }
    }

    /// What is all of these. What is unknown says nothing.
    pub(crate) fn intersection(&mut self, of: impl IntoIterator<Item = TypeId>) -> TypeId {
        let mut different = IndexSet::new();
        for id in of {
            match self.of(id) {
                Type::Keyword(UNKNOWN) => {}
                Type::Intersection(parts) => different.extend(parts.iter().copied()),
                _ => drop(different.insert(id)),
            }
        }
        match different.len() {
            0 => self.unknown(),
            1 => different[0],
            _ => self.add(Type::Intersection(different.into_iter().collect())),
        }
    }

    /// The same types with something else in the place of each name. Returns where each is now.
    pub(crate) fn renamed(&self, name: impl Fn(NameId) -> Type) -> (Types, Vec<TypeId>) {
        let mut types = Types::default();
        let mut now: Vec<TypeId> = Vec::with_capacity(self.all.len());
        for (old, ty) in self.iter() {
            let at = |id: &TypeId| now[id.0 as usize];
            let new = match ty {
                Type::Keyword(_) | Type::Literal(_) => types.add(ty.clone()),
                Type::Array(of) => types.add(Type::Array(at(of))),
                Type::Tuple { items, rest } => {
                    let items = items.iter().map(|item| TupleItem { of: at(&item.of), ..*item });
                    types.add(Type::Tuple { items: items.collect(), rest: rest.as_ref().map(at) })
                }
                Type::Object(members) => {
                    let members = members
                        .iter()
                        .map(|member| Member { of: at(&member.of), ..member.clone() });
                    types.add(Type::Object(members.collect()))
                }
                Type::Index { keys, value } => {
                    types.add(Type::Index { keys: keys.as_ref().map(at), value: at(value) })
                }
                // Some may be the same now, or say nothing.
                Type::Union(of) => types.union(of.iter().map(at)),
                Type::Intersection(of) => types.intersection(of.iter().map(at)),
                Type::Name(id) => types.add(name(*id)),
            };
            now.push(new);
            types.inherit_hint(self, old, new);
        }
        (types, now)
    }

    fn inherit_hint(&mut self, from: &Types, old: TypeId, now: TypeId) {
        if let Some(hint) = from.hints.get(&old) {
            self.hints.entry(now).or_insert_with(|| hint.clone());
        }
    }
}

impl TypeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Type {
    /// Calls `each` with all types that this one is made of; a name is not made of what it names.
    pub(crate) fn for_parts(&self, mut each: impl FnMut(TypeId)) {
        match self {
            Type::Keyword(_) | Type::Literal(_) | Type::Name(_) => {}
            Type::Array(of) => each(*of),
            Type::Tuple { items, rest } => {
                items.iter().for_each(|item| each(item.of));
                rest.iter().for_each(|rest| each(*rest));
            }
            Type::Object(members) => members.iter().for_each(|member| each(member.of)),
            Type::Index { keys, value } => {
                keys.iter().for_each(|keys| each(*keys));
                each(*value);
            }
            Type::Union(of) | Type::Intersection(of) => of.iter().for_each(|of| each(*of)),
        }
    }
}

pub(crate) const UNKNOWN: &str = "unknown";

pub(crate) const NEVER: &str = "never";
