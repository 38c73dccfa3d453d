//! Why a cell failed, in the terms of its source.

use std::fmt;

use codemode_host_protocol::LimitExceeded;
use serde::{Deserialize, Serialize};

/// An exception that a cell did not catch, or a reason why its source is no cell.
///
/// Prints as JavaScript's consoles do: `Name: message`, then the hint, the source line with a caret, and the
/// cell's own frames.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellError {
    /// The error's `name`, such as `TypeError`; `None` where something else than an `Error` was thrown.
    pub name: Option<String>,
    /// Its `message`, or the thrown value rendered as text.
    pub message: String,
    /// Where it was thrown.
    pub position: Option<Position>,
    /// The cell's frames, innermost first.
    pub frames: Vec<Frame>,
    /// The error's `stack` as the cell would have read it, if it has one.
    pub stack: Option<String>,
    /// What to do about it, where we know.
    pub hint: Option<String>,
    /// The limit that the cell was told it is at, and let pass. The name is its code then.
    pub limit: Option<LimitExceeded>,
}

impl CellError {
    /// The first line: `Name: message`.
    pub fn headline(&self) -> String {
        match &self.name {
            Some(name) if self.message.is_empty() => name.clone(),
            Some(name) => format!("{name}: {}", self.message),
            None => self.message.clone(),
        }
    }
}

impl CellError {
    /// The error as the cell itself would print it: its `stack`, or its headline. A hint follows, and so does the
    /// source line where the stack has no place to show.
    pub fn stack_text(&self) -> String {
        let mut text = match &self.stack {
            Some(stack) if !stack.is_empty() => stack.clone(),
            _ => self.headline(),
        };
        if self.frames.is_empty()
            && let Some(position) = &self.position
        {
            text.push_str(&format!("\n{position}"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\nhint: {hint}"));
        }
        text
    }
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        if let Some(position) = &self.position {
            write!(f, "\n{position}")?;
        }
        for frame in &self.frames {
            write!(f, "\n    at {frame}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CellError {}

/// A place in a cell's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The name the source was given.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in UTF-16 code units, counted from 1.
    pub column: u32,
    /// The line's text.
    pub source_line: String,
}

impl Position {
    /// The part of the line worth showing, and how many characters before the caret in it.
    fn excerpt(&self) -> (String, usize) {
        let before: usize = {
            let mut units = self.column.saturating_sub(1) as usize;
            self.source_line
                .chars()
                .take_while(|c| {
                    let fits = units >= c.len_utf16();
                    units = units.saturating_sub(c.len_utf16());
                    fits
                })
                .count()
        };
        let from = before.saturating_sub(EXCERPT_CHARS / 2);
        let shown: String = self
            .source_line
            .chars()
            .skip(from)
            .take(EXCERPT_CHARS)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        (shown, before - from)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (shown, caret) = self.excerpt();
        writeln!(f, "{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
        write!(f, "{number} | {shown}\n{gutter} | {}^", " ".repeat(caret))
    }
}

/// One frame of a cell's own code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function's name, with `async` or `new` before it where it applies; `None` at the top level and for anonymous
    /// functions.
    pub function: Option<String>,
    /// The name the source was given.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column, counted from 1.
    pub column: u32,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Frame { function, file, line, column } = self;
        match function {
            Some(function) if function == "async" => write!(f, "async {file}:{line}:{column}"),
            Some(function) => write!(f, "{function} ({file}:{line}:{column})"),
            None => write!(f, "{file}:{line}:{column}"),
        }
    }
}

/// A minified line can be megabytes long; this much of it shows what stands at the caret.
const EXCERPT_CHARS: usize = 160;
