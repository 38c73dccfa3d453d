//! Where the values in a JSON text end.

use memchr::memchr2;

use crate::{Rule, ToolList, fault::Fault};

/// Where the long values of a message end that stand near its surface: splitting an object steps over its
/// fields, and each level of objects around a payload would otherwise walk through it once more. A result of
/// 5 MB of small objects takes 33 ms to decode rather than 53 (and 130 as a tree).
#[derive(Default)]
pub(crate) struct Outline {
    /// Start and end, in the order of the starts.
    long: Vec<(usize, usize)>,
    /// What stands for the value that starts at this place.
    known: Option<(usize, ToolList)>,
}

impl Outline {
    /// The outline of a text with nothing long in it.
    pub(crate) const NONE: &Outline = &Outline { long: Vec::new(), known: None };

    /// Walks through valid JSON once.
    pub(crate) fn of(json: &[u8]) -> Result<Outline, Fault> {
        let mut long = Vec::new();
        let mut open = Vec::new();
        let mut at = 0;
        while let Some(byte) = json.get(at) {
            let start = match byte {
                b'"' => {
                    let start = at;
                    at = string_end(json, at);
                    start
                }
                b'{' | b'[' => {
                    open.push(at);
                    if open.len() > MAX_DEPTH {
                        return Err(Fault::new(Rule::TooDeep { limit: MAX_DEPTH }));
                    }
                    at += 1;
                    continue;
                }
                b'}' | b']' => {
                    at += 1;
                    open.pop().unwrap_or_default()
                }
                _ => {
                    at += 1;
                    continue;
                }
            };
            if at - start >= LONG && open.len() < SURFACE {
                long.push((start, at));
            }
        }
        long.sort_unstable();
        Ok(Outline { long, known: None })
    }

    /// Where a list of tools starts at `start`, it is to be taken for `tools`.
    pub(crate) fn with_known(self, start: usize, tools: ToolList) -> Outline {
        Outline { known: Some((start, tools)), ..self }
    }

    /// What a list of tools that starts at `start` is to be taken for.
    pub(crate) fn known(&self, start: usize) -> Option<&ToolList> {
        self.known.as_ref().filter(|(place, _)| *place == start).map(|(_, tools)| tools)
    }

    /// Where the value ends that starts at `start`, if it is a long one.
    pub(crate) fn end(&self, start: usize) -> Option<usize> {
        let index = self.long.binary_search_by_key(&start, |(start, _)| *start).ok()?;
        self.long.get(index).map(|(_, end)| *end)
    }
}

/// Where the value ends that starts at `start` of valid JSON.
pub(crate) fn value_end(json: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0_usize;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = string_end(json, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            // The value is a number or a word, and this is what follows it.
            b'}' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// The place after the closing quote of the string that opens at `start` of valid JSON.
fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => match json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
                Some(offset) => at += offset,
                None => break,
            },
        }
    }
    json.len()
}

/// How deep objects and arrays may nest in one message, the message itself included: what the reference
/// host takes.
pub const MAX_DEPTH: usize = 127;

/// From how many bytes on a value is long: many fewer than that cost less to walk than to look up.
const LONG: usize = 1024;

/// How many levels of objects and arrays an outline goes into: as many as an envelope has of its own.
const SURFACE: usize = 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_value_ends_where_it_ends() {
        for value in
            ["1", "-1.5e3", "true", "null", r#""""#, r#""a\"]}\\""#, "[]", r#"{"a":[{"b":"}"}]}"#]
        {
            for after in ["", ",", "]", "}", " ", "\n"] {
                let text = format!("[{value}{after}");
                assert_eq!(value_end(text.as_bytes(), 1), 1 + value.len(), "{text}");
            }
        }
    }

    #[test]
    fn an_outline_knows_the_long_values_near_the_surface() {
        let long = "x".repeat(LONG);
        let text = format!(r#"{{"a":"{long}","b":[1,["{long}"]],"c":"short","d":"\\\"{long}"}}"#);
        let outline = Outline::of(text.as_bytes()).unwrap();
        let found: Vec<&str> =
            outline.long.iter().map(|(start, end)| &text[*start..*end]).collect();
        let string = format!("\"{long}\"");
        let expected = [
            &text,
            &string,
            &format!("[1,[{string}]]"),
            &format!("[{string}]"),
            &string,
            &format!(r#""\\\"{long}""#),
        ];
        assert!(found == expected, "they are too long to be shown");
        for (start, end) in &outline.long {
            assert_eq!(value_end(text.as_bytes(), *start), *end);
            assert_eq!(outline.end(*start), Some(*end));
        }

        let buried = "[".repeat(SURFACE) + &string + &"]".repeat(SURFACE);
        let outline = Outline::of(buried.as_bytes()).unwrap();
        assert_eq!(outline.long.len(), SURFACE, "the arrays, and not what is in the innermost");
    }
}
