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
        self.map = Some(map);
        Ok(generated.code)
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

#[cfg(test)]
mod tests {
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
}
