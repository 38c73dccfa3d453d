//! From the bytes of a frame to a value of a type, in which everything has been checked.
//!
//! serde's derived decoders are not used for envelopes, because they cannot do what the wire asks for: an
//! internally tagged enum buffers its fields as a tree (five megabytes of tool result included, and a
//! `RawValue` not at all), arrays pass for objects, and errors do not say where. Here `serde_json` checks
//! the whole text once; then each object is split into the texts of its fields, of which only those are
//! built that a type asks for. A payload stays the text it came in.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    CellId, DecodeError, DelegateId, Json, RequestId, Rule, SessionId, ToolList,
    error::excerpt,
    fault::Fault,
    head::Head,
    outline::{Outline, value_end},
};

/// Reads one message from the body of a frame.
pub(crate) fn decode_message<T: Decode>(
    body: &[u8],
    types: &'static [&'static str],
) -> Result<T, DecodeError> {
    let result = checked(body).and_then(|text| {
        let outline = Outline::of(text.as_bytes())?;
        T::read(Value { text, at: 0, outline: &outline })
    });
    let fault = match result {
        Ok(message) => return Ok(message),
        Err(fault) => fault,
    };
    let head = Head::read(body, types);
    Err(DecodeError {
        message_type: head.message_type.ok().flatten(),
        id: head.id.ok().flatten(),
        path: fault.path(),
        rule: fault.rule,
    })
}

/// Reads one message in whose text the list of tools at `start` stands for `tools`. What is wrong with it is left to
/// whoever reads the message as it came.
pub(crate) fn decode_with_known<T: Decode>(
    body: &[u8],
    start: usize,
    tools: ToolList,
) -> Option<T> {
    let text = checked(body).ok()?;
    let outline = Outline::of(text.as_bytes()).ok()?.with_known(start, tools);
    T::read(Value { text, at: 0, outline: &outline }).ok()
}

/// A type that a JSON value of the wire can be read as.
pub(crate) trait Decode: Sized {
    fn read(value: Value<'_>) -> Result<Self, Fault>;
}

/// The text of one JSON value, known to be valid JSON that is nowhere nested deeper than [`crate::MAX_DEPTH`].
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    text: &'a str,
    /// Where in the message it starts.
    at: usize,
    outline: &'a Outline,
}

impl<'a> Value<'a> {
    /// A value on its own, outside a message.
    pub(crate) fn alone(raw: &'a RawValue) -> Value<'a> {
        Value { text: raw.get(), at: 0, outline: Outline::NONE }
    }

    /// The fields of an object that has no others than `names`, in the order of `names`.
    pub(crate) fn object<const N: usize>(
        self,
        names: [&'static str; N],
    ) -> Result<[Field<'a>; N], Fault> {
        self.split(None, names)
    }

    /// The same for an object that also has a tag, which [`Value::tag`] has read.
    pub(crate) fn tagged<const N: usize>(
        self,
        tag: &'static str,
        names: [&'static str; N],
    ) -> Result<[Field<'a>; N], Fault> {
        self.split(Some(tag), names)
    }

    /// The word in the field `tag`, wherever in the object it stands.
    pub(crate) fn tag(
        self,
        tag: &'static str,
        words: &[&'static str],
    ) -> Result<&'static str, Fault> {
        for (name, value) in self.entries()? {
            if name == tag {
                return value.word(words).map_err(|fault| fault.at(tag));
            }
        }
        Err(Fault::new(Rule::MissingField).at(tag))
    }

    /// The one field of an object that must have exactly one, with its name.
    pub(crate) fn only_field(
        self,
        names: &[&'static str],
    ) -> Result<(&'static str, Value<'a>), Fault> {
        let mut entries = self.entries()?;
        let (Some((name, value)), None) = (entries.next(), entries.next()) else {
            return Err(Fault::new(Rule::NotOneVariant { expected: names.to_vec() }));
        };
        match names.iter().find(|known| **known == name) {
            Some(name) => Ok((name, value)),
            None => Err(Fault::unknown_field(&name, names.to_vec())),
        }
    }

    /// A string that must be one of `words`.
    pub(crate) fn word(self, words: &[&'static str]) -> Result<&'static str, Fault> {
        let found = self.string()?;
        match words.iter().find(|word| **word == found) {
            Some(word) => Ok(word),
            None => Err(Fault::new(Rule::UnknownVariant {
                found: excerpt(&found),
                expected: words.to_vec(),
            })),
        }
    }

    /// A string.
    pub(crate) fn string(self) -> Result<String, Fault> {
        if !self.text.starts_with('"') {
            return Err(self.wrong_type("a string"));
        }
        // Valid JSON can fail here in one way only.
        serde_json::from_str(self.text).map_err(|_| Fault::new(Rule::LoneSurrogate))
    }

    /// The items of an array.
    pub(crate) fn items(self) -> Result<impl Iterator<Item = Value<'a>>, Fault> {
        let Some(inside) = self.text.strip_prefix('[') else {
            return Err(self.wrong_type("an array"));
        };
        let mut scan = Scan { text: inside, at: 0, base: self.at + 1, outline: self.outline };
        Ok(std::iter::from_fn(move || scan.more(b']').then(|| scan.value())))
    }

    /// An integer from `min` to `max`.
    pub(crate) fn integer(self, min: i64, max: u64) -> Result<i128, Fault> {
        let looks_right =
            self.text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        if !looks_right || self.text.contains(['.', 'e', 'E']) {
            return Err(self.wrong_type("an integer"));
        }
        match self.text.parse::<i128>() {
            Ok(number) if (i128::from(min)..=i128::from(max)).contains(&number) => Ok(number),
            // Valid JSON that does not parse has too many digits.
            Ok(_) | Err(_) => Err(Fault::new(Rule::OutOfRange { min, max })),
        }
    }

    /// The list of tools that stands here without its text.
    pub(crate) fn known_tools(self) -> Option<&'a ToolList> {
        self.outline.known(self.at)
    }

    pub(crate) fn is_null(self) -> bool {
        self.text == "null"
    }

    fn split<const N: usize>(
        self,
        tag: Option<&'static str>,
        names: [&'static str; N],
    ) -> Result<[Field<'a>; N], Fault> {
        let mut fields = names.map(|name| Field { name, value: None });
        let mut tag_seen = false;
        for (name, value) in self.entries()? {
            if tag.is_some_and(|tag| tag == name) {
                if tag_seen {
                    return Err(Fault::new(Rule::DuplicateField).at(tag.unwrap_or_default()));
                }
                tag_seen = true;
                continue;
            }
            let Some(field) = fields.iter_mut().find(|field| field.name == name) else {
                let expected = tag.into_iter().chain(names).collect();
                return Err(Fault::unknown_field(&name, expected));
            };
            if field.value.replace(value).is_some() {
                return Err(Fault::new(Rule::DuplicateField).at(field.name));
            }
        }
        Ok(fields)
    }

    /// The fields of an object as they stand, whatever their names.
    fn entries(self) -> Result<impl Iterator<Item = (Cow<'a, str>, Value<'a>)>, Fault> {
        let Some(inside) = self.text.strip_prefix('{') else {
            return Err(self.wrong_type("an object"));
        };
        let mut scan = Scan { text: inside, at: 0, base: self.at + 1, outline: self.outline };
        Ok(std::iter::from_fn(move || {
            scan.more(b'}').then(|| {
                let name = scan.value().text;
                scan.step_over(b':');
                (unquoted(name), scan.value())
            })
        }))
    }

    fn wrong_type(self, expected: &'static str) -> Fault {
        let found = match self.text.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ if self.text.contains(['.', 'e', 'E']) => "a number with a fraction or an exponent",
            _ => "a number",
        };
        Fault::new(Rule::WrongType { expected, found })
    }
}

/// A field of an object, there or not.
pub(crate) struct Field<'a> {
    name: &'static str,
    value: Option<Value<'a>>,
}

impl Field<'_> {
    /// The value of a field that must be there.
    pub(crate) fn required<T: Decode>(self) -> Result<T, Fault> {
        let result = match self.value {
            Some(value) => T::read(value),
            None => Err(Fault::new(Rule::MissingField)),
        };
        result.map_err(|fault| fault.at(self.name))
    }

    /// The value of a field that may be null or left out, which mean the same.
    pub(crate) fn optional<T: Decode>(self) -> Result<Option<T>, Fault> {
        match self.value {
            Some(value) if !value.is_null() => {
                T::read(value).map(Some).map_err(|fault| fault.at(self.name))
            }
            _ => Ok(None),
        }
    }
}

impl Decode for String {
    fn read(value: Value<'_>) -> Result<String, Fault> {
        value.string()
    }
}

impl Decode for u64 {
    fn read(value: Value<'_>) -> Result<u64, Fault> {
        value.integer(0, u64::MAX).map(|number| number as u64)
    }
}

impl Decode for i64 {
    fn read(value: Value<'_>) -> Result<i64, Fault> {
        value.integer(i64::MIN, i64::MAX as u64).map(|number| number as i64)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn read(value: Value<'_>) -> Result<Vec<T>, Fault> {
        let mut items = Vec::new();
        for (index, item) in value.items()?.enumerate() {
            items.push(T::read(item).map_err(|fault| fault.at_index(index))?);
        }
        Ok(items)
    }
}

impl Decode for Json {
    fn read(value: Value<'_>) -> Result<Json, Fault> {
        // Checked already: this cannot fail, and the error is handed on rather than unwrapped.
        serde_json::from_str(value.text)
            .map_err(|error| Fault::new(Rule::NotJson { message: error.to_string() }))
    }
}

impl Decode for SessionId {
    fn read(value: Value<'_>) -> Result<SessionId, Fault> {
        SessionId::new(value.string()?).map_err(|_| Fault::new(Rule::Blank))
    }
}

impl Decode for CellId {
    fn read(value: Value<'_>) -> Result<CellId, Fault> {
        value.string().map(CellId::new)
    }
}

impl Decode for RequestId {
    fn read(value: Value<'_>) -> Result<RequestId, Fault> {
        i64::read(value).map(RequestId)
    }
}

impl Decode for DelegateId {
    fn read(value: Value<'_>) -> Result<DelegateId, Fault> {
        i64::read(value).map(DelegateId)
    }
}

/// The whole body as one valid JSON value.
fn checked(body: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Fault::new(Rule::NotUtf8 { offset: error.valid_up_to() }))?;
    // Iterative inside `serde_json`, so that no depth of nesting reaches the stack.
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| Fault::new(Rule::NotJson { message: error.to_string() }))?;
    Ok(raw.get())
}

/// A place in the inside of an object or array that is valid JSON.
struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// Where in the message the text starts.
    base: usize,
    outline: &'a Outline,
}

impl<'a> Scan<'a> {
    /// Goes to the next entry, over a comma if need be. False at the end, which `close` marks.
    fn more(&mut self, close: u8) -> bool {
        self.skip_space();
        self.step_over(b',');
        self.text.as_bytes().get(self.at).is_some_and(|byte| *byte != close)
    }

    /// Takes the value that stands here.
    fn value(&mut self) -> Value<'a> {
        let start = self.at;
        self.at = match self.outline.end(self.base + start) {
            Some(end) => end - self.base,
            None => value_end(self.text.as_bytes(), start),
        };
        Value { text: &self.text[start..self.at], at: self.base + start, outline: self.outline }
    }

    /// Goes over `byte`, if it stands here, and the white space around it.
    fn step_over(&mut self, byte: u8) {
        self.skip_space();
        if self.text.as_bytes().get(self.at) == Some(&byte) {
            self.at += 1;
            self.skip_space();
        }
    }

    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }
}

/// The name that stands in quotes. One that is no Unicode keeps its escapes, and so equals no field.
fn unquoted(quoted: &str) -> Cow<'_, str> {
    if !quoted.contains('\\') {
        return Cow::Borrowed(quoted.trim_matches('"'));
    }
    serde_json::from_str(quoted).map_or(Cow::Borrowed(quoted), Cow::Owned)
}
