use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The names of a message's fields, in the order in which they were written: JSON values that were read do not know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fields {
    /// Neither an object nor an array, or not known.
    #[default]
    None,
    /// Those of each element.
    Array(Vec<Fields>),
    /// Each with those of its value.
    Object(Vec<(String, Fields)>),
}

impl Fields {
    /// Those of a text in JSON; none where it is something else.
    pub fn of(json: &str) -> Fields {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// Those of a field's value.
    pub(crate) fn field(&self, name: &str) -> &Fields {
        match self {
            Fields::Object(fields) => {
                fields.iter().find(|(own, _)| own == name).map_or(&Fields::None, |(_, value)| value)
            }
            _ => &Fields::None,
        }
    }

    /// Those of an element.
    pub(crate) fn element(&self, index: usize) -> &Fields {
        match self {
            Fields::Array(elements) => elements.get(index).unwrap_or(&Fields::None),
            _ => &Fields::None,
        }
    }

    /// The names that the other has, too.
    pub(crate) fn names_shared_with(&self, other: &Fields) -> Vec<&str> {
        let (Fields::Object(own), Fields::Object(other)) = (self, other) else { return Vec::new() };
        let is_shared = |name: &str| other.iter().any(|(theirs, _)| theirs == name);
        own.iter().map(|(name, _)| name.as_str()).filter(|name| is_shared(name)).collect()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fields, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Fields::Array(elements))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Fields, E> {
        Ok(Fields::None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fields, E> {
        Ok(Fields::None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Fields, E> {
        Ok(Fields::None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fields, E> {
        Ok(Fields::None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Fields, E> {
        Ok(Fields::None)
    }

    fn visit_unit<E>(self) -> Result<Fields, E> {
        Ok(Fields::None)
    }
}
