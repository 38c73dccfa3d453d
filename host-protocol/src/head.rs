//! What can be read of a message that cannot be read.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer as _,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::decode::{Decode as _, Value};

/// What can be read of a message that is broken somewhere: as much as stands before the break.
pub(crate) struct Head {
    types: &'static [&'static str],
    /// An error when there is more than one, or one that is not known.
    pub(crate) message_type: Result<Option<&'static str>, ()>,
    /// An error when there is more than one, or one that is no i64.
    pub(crate) id: Result<Option<i64>, ()>,
}

impl Head {
    pub(crate) fn read(body: &[u8], types: &'static [&'static str]) -> Head {
        let mut head = Head { types, message_type: Ok(None), id: Ok(None) };
        // It fails at the break, having kept what stood before it.
        let _ = serde_json::Deserializer::from_slice(body).deserialize_map(&mut head);
        head
    }
}

impl<'de> Visitor<'de> for &mut Head {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                "id" => {
                    let raw = map.next_value::<&RawValue>()?;
                    self.id = match (self.id, i64::read(Value::alone(raw))) {
                        (Ok(None), Ok(id)) => Ok(Some(id)),
                        _ => Err(()),
                    };
                }
                "type" => {
                    let raw = map.next_value::<&RawValue>()?;
                    self.message_type =
                        match (self.message_type, Value::alone(raw).word(self.types)) {
                            (Ok(None), Ok(known)) => Ok(Some(known)),
                            _ => Err(()),
                        };
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}
