//! JSON text that is passed on as it came.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One valid JSON value, kept as the text it arrived in.
///
/// Tool inputs, tool results and stored values go from the wire to the engine and back without being
/// built as a tree in between: key order, number spelling and size stay what the sender chose. A clone shares
/// the text.
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// The value `null`.
    pub fn null() -> Json {
        Json(RawValue::NULL.to_owned().into())
    }

    /// Checks that `text` is one JSON value and keeps it.
    ///
    /// # Errors
    /// What `serde_json` found wrong, with line and column.
    pub fn parse(text: impl Into<String>) -> Result<Json, serde_json::Error> {
        RawValue::from_string(text.into()).map(Json::from)
    }

    /// Serialises `value`.
    ///
    /// # Errors
    /// When `value`'s own `Serialize` fails, or a map key is not a string.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Json, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Json::from)
    }

    /// Reads the value as a `T`.
    ///
    /// # Errors
    /// When the value does not have `T`'s shape.
    pub fn read<'de, T: Deserialize<'de>>(&'de self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.text())
    }

    /// How many arrays and objects lie within each other at the deepest place; 0 for a string, a number, a
    /// boolean or null.
    pub fn depth(&self) -> usize {
        let (mut deepest, mut depth, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
        for byte in self.text().bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
        }
        deepest
    }

    /// The text, byte for byte as it was given.
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    /// Compares text, not meaning: `1.0` and `1` differ.
    fn eq(&self, other: &Json) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Json {
        RawValue::from_string(value.to_string()).expect("a Value prints as valid JSON").into()
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Json {
        Json(raw.into())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Json::from)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

#[cfg(test)]
impl ts_rs::TS for Json {
    type WithoutGenerics = Json;
    type OptionInnerType = Json;

    fn name(_: &ts_rs::Config) -> String {
        "unknown".to_owned()
    }

    fn inline(config: &ts_rs::Config) -> String {
        Json::name(config)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_text_is_kept_and_shared() {
        let json = Json::parse(r#"{ "b": 1.0, "a": 1e400 }"#).unwrap();
        assert_eq!(json.text(), r#"{ "b": 1.0, "a": 1e400 }"#);
        assert_eq!(json.clone().text().as_ptr(), json.text().as_ptr());
        assert_eq!(serde_json::to_string(&json).unwrap(), json.text());
    }
}
