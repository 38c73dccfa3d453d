//! A cell's source on its way to V8: Markdown fences taken off, types erased, positions kept.

use std::borrow::Cow;

use oxc_allocator::Allocator;
use oxc_codegen::{Codegen, CodegenOptions, IndentChar};
use oxc_parser::Parser;
use oxc_semantic::SemanticBuilder;
use oxc_span::SourceType;
use oxc_transformer::{TransformOptions, Transformer, TypeScriptOptions};

use crate::{CellError, Position};

/// What the model wrote, and how positions in what V8 runs lead back to it.
pub(crate) struct Source {
    file: String,
    text: String,
    map: Option<Vec<Mapping>>,
}

/// A place in the running code and the place in the source that it came from; lines and columns from 0, columns in
/// UTF-16 code units.
struct Mapping {
    running: (u32, u32),
    source: (u32, u32),
}

impl Source {
    pub(crate) fn new(file: String, text: String) -> Source {
        let text = match without_fences(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(stripped) => stripped,
        };
        Source { file, text, map: None }
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The source as JavaScript, if it is plain JavaScript.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The source as JavaScript, read as TypeScript: types erased, enums and namespaces compiled. From here on
    /// positions are mapped.
    ///
    /// # Errors
    /// A `SyntaxError` with its position, if it is no TypeScript either.
    pub(crate) fn compile_typescript(&mut self) -> Result<String, Box<CellError>> {
        if self.text.len() > MAX_UNCHECKED_BYTES && !is_shallow(&self.text) {
            return Err(Box::new(too_deep()));
        }
        // The compiler recurses as deep as the source nests, and would end the process where the stack does.
        let levels = self.text.len().min(MAX_CHAINED_TOKENS + MAX_BRACKETS);
        let stack = BASE_STACK_BYTES + levels * STACK_PER_LEVEL;
        let source = &*self;
        let compiled = std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name(String::from("codemode-typescript"))
                .stack_size(stack)
                .spawn_scoped(scope, || source.transform())
                .map(|thread| thread.join())
        });
        let (code, map) = match compiled {
            Ok(Ok(result)) => result?,
            Ok(Err(_panic)) => return Err(Box::new(not_compiled("the compiler stumbled over it"))),
            Err(error) => return Err(Box::new(not_compiled(&error.to_string()))),
        };
        self.map = Some(map);
        Ok(code)
    }

    fn transform(&self) -> Result<(String, Vec<Mapping>), Box<CellError>> {
        let allocator = Allocator::default();
        let source_type = SourceType::ts().with_module(true);
        let parsed = Parser::new(&allocator, &self.text, source_type).parse();
        if let Some(error) = parsed.diagnostics.first() {
            return Err(self.syntax_error(error));
        }
        let mut program = parsed.program;
        let checked = SemanticBuilder::new().with_enum_eval(true).build(&program);
        if let Some(error) = checked.diagnostics.first() {
            return Err(self.syntax_error(error));
        }
        let options = TransformOptions {
            // What is imported must be refused by name, used or not.
            typescript: TypeScriptOptions {
                only_remove_type_imports: true,
                ..TypeScriptOptions::default()
            },
            ..TransformOptions::default()
        };
        let path = std::path::Path::new("cell.ts");
        let transformed = Transformer::new(&allocator, path, &options)
            .build_with_scoping(checked.semantic.into_scoping(), &mut program);
        if let Some(error) = transformed.diagnostics.first() {
            return Err(self.syntax_error(error));
        }
        let options = CodegenOptions {
            source_map_path: Some(path.to_path_buf()),
            indent_char: IndentChar::Space,
            ..CodegenOptions::default()
        };
        let generated =
            Codegen::new().with_options(options).with_source_text(&self.text).build(&program);
        let mut map: Vec<Mapping> = generated
            .map
            .iter()
            .flat_map(|map| map.get_tokens())
            .map(|token| Mapping {
                running: (token.get_dst_line(), token.get_dst_col()),
                source: (token.get_src_line(), token.get_src_col()),
            })
            .collect();
        map.sort_by_key(|mapping| mapping.running);
        Ok((generated.code, map))
    }

    /// Where in the source `line` and `column` of the running code are; both from 1.
    pub(crate) fn original(&self, line: u32, column: u32) -> (u32, u32) {
        let Some(map) = &self.map else { return (line, column) };
        let running = (line.saturating_sub(1), column.saturating_sub(1));
        let after = map.partition_point(|mapping| mapping.running <= running);
        match after.checked_sub(1).and_then(|index| map.get(index)) {
            Some(mapping) => (mapping.source.0 + 1, mapping.source.1 + 1),
            None => (1, 1),
        }
    }

    /// A position for people, from `line` and `column` of the source; both from 1.
    pub(crate) fn position(&self, line: u32, column: u32) -> Position {
        let source_line =
            self.text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
        Position { file: self.file.clone(), line, column, source_line: source_line.to_owned() }
    }

    fn syntax_error(&self, diagnostic: &oxc_diagnostics::OxcDiagnostic) -> Box<CellError> {
        let offset = diagnostic.labels.first().map(|label| label.offset() as usize);
        let position = offset.map(|offset| {
            let (line, column) = line_and_column(&self.text, offset);
            self.position(line, column)
        });
        Box::new(CellError {
            name: Some(String::from("SyntaxError")),
            message: diagnostic.message.to_string(),
            position,
            hint: diagnostic.help.as_ref().map(ToString::to_string),
            ..CellError::default()
        })
    }
}

/// Whether the source, which is large, nests no deeper than a program that somebody wrote: neither in brackets nor in chains
/// of operators and words. Strings and comments count as if they were code, so that nothing can hide in what looks like one.
fn is_shallow(text: &str) -> bool {
    // For each open bracket, the tokens in its last statement or element; and all of these together.
    let mut chains = vec![0_usize];
    let mut depth = 0;
    let mut in_word = false;
    for byte in text.bytes() {
        let is_word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..);
        let starts_token = if is_word { !in_word } else { !byte.is_ascii_whitespace() };
        in_word = is_word;
        match byte {
            b'(' | b'[' | b'{' | b'<' => chains.push(0),
            b')' | b']' | b'}' | b'>' if chains.len() > 1 => depth -= chains.pop().unwrap_or(0),
            b';' | b',' => depth -= chains.last_mut().map(std::mem::take).unwrap_or(0),
            _ => {}
        }
        if starts_token && let Some(chain) = chains.last_mut() {
            *chain += 1;
            depth += 1;
        }
        if chains.len() > MAX_BRACKETS || depth > MAX_CHAINED_TOKENS {
            return false;
        }
    }
    true
}

fn too_deep() -> CellError {
    CellError {
        hint: Some(String::from(
            "split long expressions, keep large data out of the source, or write plain JavaScript",
        )),
        ..not_compiled("it is large, and nested too deeply")
    }
}

fn not_compiled(why: &str) -> CellError {
    CellError {
        name: Some(String::from("SyntaxError")),
        message: format!("the source cannot be read as TypeScript: {why}"),
        ..CellError::default()
    }
}

/// Models wrap code in Markdown. If the first line opens a fence and the last closes it, both become empty lines, so
/// that positions stay.
fn without_fences(text: &str) -> Cow<'_, str> {
    let body = text.trim();
    let Some(opened) = body.strip_prefix("```") else { return Cow::Borrowed(text) };
    let Some((language, rest)) = opened.split_once('\n') else { return Cow::Borrowed(text) };
    let is_language = language
        .trim()
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.'));
    let Some(code) = rest.strip_suffix("```") else { return Cow::Borrowed(text) };
    let closed_alone = code.is_empty() || code.ends_with('\n');
    if !is_language || !closed_alone {
        return Cow::Borrowed(text);
    }
    let lines_before = text[..text.len() - text.trim_start().len()].matches('\n').count();
    Cow::Owned(format!("{}{code}", "\n".repeat(lines_before + 1)))
}

/// Line and column, both from 1, of the byte `offset`.
fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].encode_utf16().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Up to this size the source may be as deep as it is long.
const MAX_UNCHECKED_BYTES: usize = 16 << 10;

/// What the compiler's stack takes for a level, which takes a byte of source at least, in a debug build: 100,000 `[` take
/// 1.1 GB. Address space only; memory is what is used of it.
const STACK_PER_LEVEL: usize = 16 << 10;

const BASE_STACK_BYTES: usize = 1 << 20;

const MAX_BRACKETS: usize = 500;

/// Long data has commas and long code semicolons. The compiler takes a second for as many arrow functions in a chain.
const MAX_CHAINED_TOKENS: usize = 20_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fences_come_off_and_lines_stay() {
        for (given, expected) in [
            ("```js\ntext(1)\n```", "\ntext(1)\n"),
            ("\n  ```\ntext(1)\n```\n", "\n\ntext(1)\n"),
            ("```typescript\n```", "\n"),
            ("text(1)", "text(1)"),
            ("```js\ntext(1)", "```js\ntext(1)"),
            ("```a b c\ntext(1)\n```", "```a b c\ntext(1)\n```"),
        ] {
            assert_eq!(without_fences(given), expected, "{given:?}");
        }
    }

    #[test]
    fn no_source_overflows_the_stack() {
        let size = 4 << 10;
        for (open, middle, close) in [
            ("(", "1", ")"),
            ("[", "", "]"),
            ("{", "", "}"),
            ("({a:", "1", "})"),
            ("!", "1", ""),
            ("- ", "1", ""),
            ("a=>", "1", ""),
            ("(a)=>", "1", ""),
            ("(a:b)=>", "1", ""),
            ("async()=>", "1", ""),
            ("()=>{", "", "}"),
            ("function f(){", "", "}"),
            ("class A{b(){", "", "}}"),
            ("a?b:", "c", ""),
            ("a?", "b", ":c"),
            ("1+", "1", ""),
            ("1**", "1", ""),
            ("a=", "1", ""),
            ("a.", "b", ""),
            ("f(", "", ")"),
            ("new ", "A", ""),
            ("`${", "1", "}`"),
            ("await ", "1", ""),
            ("if(1)", ";", ""),
            ("if(1);else ", ";", ""),
            ("for(;;)", ";", ""),
            ("a:", ";", ""),
            ("<T>", "1", ""),
            ("f<", "T", ">"),
            ("type A=(", "B", ")"),
            ("namespace A{", "", "}"),
            ("a?(", "b", "):c=>d"),
            ("a?(b):", "b", "=>d"),
            ("(a=", "1", ")=>1"),
            ("async(a=", "1", ")=>1"),
            ("<T>(a=", "1", ")=>1"),
            ("f<A,(", "1", ")=>1>(b)"),
            ("({a=", "1", "})=>1"),
            ("[a=", "1", "]"),
        ] {
            let count = size / (open.len() + close.len());
            let body = format!("{}{middle}{}", open.repeat(count), close.repeat(count));
            let mut source = Source::new(String::from("x"), format!("let x: number;\n{body}"));
            // Whether it is a program is not the question; that the process is still there is the answer.
            let _ = source.compile_typescript();
            let types = format!("type X = {}{middle}{}", open.repeat(count), close.repeat(count));
            let _ = Source::new(String::from("x"), types).compile_typescript();
        }
        for chunk in ["[", "!", "a.", "1+", "if(1)", "!!!(", "- \n"] {
            let text = format!("let x: number;\n{}", chunk.repeat(1 << 20));
            let error = Source::new(String::from("x"), text).compile_typescript().unwrap_err();
            assert!(error.message.contains("nested too deeply"), "{chunk}: {error}");
        }
        for (chunk, count) in [("[", MAX_BRACKETS - 2), ("!", MAX_CHAINED_TOKENS - 100)] {
            let deep = format!(
                "let x: number;{};{}",
                "1;".repeat(MAX_UNCHECKED_BYTES),
                chunk.repeat(count)
            );
            let error = Source::new(String::from("x"), deep).compile_typescript().unwrap_err();
            assert!(!error.message.contains("nested"), "{chunk}: {error}");
        }
        let data = format!(
            "const x: number[] = [{}]; const y: string = '{}'",
            "12345, ".repeat(1 << 16),
            "base64+/".repeat(1 << 10),
        );
        assert!(Source::new(String::from("x"), data).compile_typescript().is_ok());
    }
}
