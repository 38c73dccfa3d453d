//! `read_file`: text by lines, images as images.

use std::{
    io::{self, Read},
    num::{NonZeroU64, NonZeroUsize},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use codemode_host_protocol::ToolFailure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    arguments::Arguments,
    cancel::Cancel,
    folder::{Folder, WorkspacePath},
};

pub(super) const DESCRIPTION: &str = "Reads a file. Text comes as { type: \"text\", text, ... }: the exact text, \
    of the whole file or of the lines asked for. A PNG, JPEG, GIF or WebP comes as { type: \"image\", data, \
    mimeType }, to be shown with image(result). content(result) shows either. When `truncated` is true, `note` \
    says how to read on. Other binary files are an error.";

/// What `read_file` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadFile {
    /// The file, relative to the workspace.
    pub(super) path: String,
    /// The first line to read, counted from 1; 1 by default.
    pub(super) start_line: Option<NonZeroU64>,
    /// The last line to read; the file's last by default.
    pub(super) end_line: Option<NonZeroU64>,
    /// How many bytes of text to give at most: 1 MiB by default, 16 MiB at most.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub(super) max_bytes: Option<NonZeroUsize>,
}

impl Arguments for ReadFile {
    const TOOL: &'static str = "read_file";
    const EXAMPLE: &'static str = r#"read_file({ path: "src/main.rs" })"#;
}

/// What `read_file` gives: in the shapes of MCP's content blocks, which `content(…)` shows.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FileContent {
    /// Lines of text.
    Text(Text),
    /// A picture.
    Image {
        /// The file, base64.
        data: String,
        /// Such as "image/png".
        #[serde(rename = "mimeType")]
        mime_type: String,
    },
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Text {
    /// The text as it is in the file, line ends included.
    text: String,
    /// The number of the first line in `text`.
    start_line: u64,
    /// The number of the last line in `text`.
    end_line: u64,
    /// How many lines the file has.
    total_lines: u64,
    /// Whether `text` ends before the last line that was asked for.
    truncated: bool,
    /// How to read on, or what is unusual about the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(super) fn read_file(
    folder: &Folder,
    arguments: ReadFile,
    cancel: &Cancel,
) -> Outcome<FileContent> {
    let path = folder.path(&arguments.path)?;
    let (mut file, metadata) = folder.open_file(&path)?;
    let failed = |error: io::Error| folder.explain("read", &path, &error);
    let mut head = Vec::with_capacity(SNIFFED);
    (&mut file).take(SNIFFED as u64).read_to_end(&mut head).map_err(failed)?;

    match Encoding::of(&head) {
        Encoding::Image(mime_type) => {
            let size = metadata.len();
            if size > MAX_IMAGE {
                return Err(ToolFailure::new(format!(
                    "{path} is an image of {size} bytes; read_file gives images of up to {MAX_IMAGE}. Make a \
                     smaller one first"
                )));
            }
            let mut bytes = head;
            file.take(MAX_IMAGE).read_to_end(&mut bytes).map_err(failed)?;
            Ok(FileContent::Image { data: STANDARD.encode(bytes), mime_type: mime_type.to_owned() })
        }
        Encoding::Binary(kind) => Err(ToolFailure::new(format!(
            "{path} is a binary file ({kind}, {} bytes); read_file gives text, and images as PNG, JPEG, GIF or \
             WebP",
            metadata.len()
        ))),
        Encoding::Utf16 { big_endian } => {
            if metadata.len() > MAX_BYTES as u64 {
                return Err(ToolFailure::new(format!(
                    "{path} is UTF-16 text of {} bytes; read_file reads UTF-16 up to {MAX_BYTES} bytes. Convert \
                     it to UTF-8 first",
                    metadata.len()
                )));
            }
            let mut bytes = head;
            file.take(MAX_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
            let text = decode_utf16(&bytes, big_endian);
            let mut lines = Lines::asked_for(&arguments);
            lines.take(text.as_bytes());
            let mut text = lines.finish(&path)?;
            add_note(&mut text.note, "the file is UTF-16; this is its text in UTF-8");
            Ok(FileContent::Text(text))
        }
        Encoding::Text => {
            let mut lines = Lines::asked_for(&arguments);
            lines.take(&head);
            // As long as it was when it was opened: a log that grows all the time has an end, too. Files that the
            // system makes up as they are read (/proc) say that they are empty.
            let left = match metadata.len().checked_sub(head.len() as u64) {
                Some(left) => left,
                None => MAX_BYTES as u64,
            };
            let mut rest = file.take(left);
            let mut buffer = vec![0; BUFFER];
            loop {
                cancel.check()?;
                match rest.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => lines.take(&buffer[..count]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            lines.finish(&path).map(FileContent::Text)
        }
    }
}

/// What the first bytes of a file say it is.
pub(super) enum Encoding {
    Text,
    Utf16 { big_endian: bool },
    Image(&'static str),
    Binary(&'static str),
}

impl Encoding {
    /// `head` is the first [`SNIFFED`] bytes, or all that there are.
    pub(super) fn of(head: &[u8]) -> Encoding {
        if let Some(kind) = infer::get(head) {
            match kind.mime_type() {
                mime @ ("image/png" | "image/jpeg" | "image/gif" | "image/webp") => {
                    return Encoding::Image(mime);
                }
                mime if head.contains(&0) => return Encoding::Binary(mime),
                _ => {}
            }
        }
        match head {
            [0xff, 0xfe, ..] => Encoding::Utf16 { big_endian: false },
            [0xfe, 0xff, ..] => Encoding::Utf16 { big_endian: true },
            // As git has it: no text has a NUL near its beginning.
            _ if head.contains(&0) => Encoding::Binary("of no known kind"),
            _ => Encoding::Text,
        }
    }
}

/// Collects the lines that were asked for and counts all of them.
struct Lines {
    first: u64,
    last: u64,
    max_bytes: usize,
    /// Number of the line that the next byte belongs to.
    line: u64,
    /// Whether that line has a byte yet.
    begun: bool,
    text: Vec<u8>,
    /// Length of `text` up to the end of its last whole line.
    whole: usize,
    /// The limit was reached.
    full: bool,
    /// `text` ends within line `first`, which alone is longer than the limit.
    within_line: bool,
}

impl Lines {
    fn asked_for(arguments: &ReadFile) -> Lines {
        Lines {
            first: arguments.start_line.map_or(1, NonZeroU64::get),
            last: arguments.end_line.map_or(u64::MAX, NonZeroU64::get),
            max_bytes: arguments.max_bytes.map_or(DEFAULT_BYTES, NonZeroUsize::get).min(MAX_BYTES),
            line: 1,
            begun: false,
            text: Vec::new(),
            whole: 0,
            full: false,
            within_line: false,
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.full || self.line > self.last {
                // Nothing of what follows is wanted: count only, which is many times faster.
                let ends = memchr::memchr_iter(b'\n', bytes).count() as u64;
                self.line += ends;
                self.begun = bytes.last() != Some(&b'\n');
                return;
            }
            let end = memchr::memchr(b'\n', bytes);
            let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            if self.line >= self.first {
                self.keep(part, end.is_some());
            }
            match end {
                Some(_) => {
                    self.line += 1;
                    self.begun = false;
                }
                None => self.begun = true,
            }
            bytes = rest;
        }
    }

    fn keep(&mut self, part: &[u8], ends_line: bool) {
        let room = self.max_bytes - self.text.len();
        if part.len() > room {
            self.full = true;
            if self.whole > 0 {
                self.text.truncate(self.whole);
            } else {
                self.text.extend_from_slice(&part[..room]);
                self.within_line = true;
            }
            return;
        }
        self.text.extend_from_slice(part);
        if ends_line {
            self.whole = self.text.len();
        }
    }

    fn finish(mut self, path: &WorkspacePath) -> Outcome<Text> {
        let total_lines = self.line - u64::from(!self.begun);
        if self.first > total_lines.max(1) {
            return Err(ToolFailure::new(format!(
                "start_line is {}, but {path} has {total_lines} lines",
                self.first
            )));
        }
        if self.last < self.first {
            return Err(ToolFailure::new(format!(
                "end_line ({}) is before start_line ({})",
                self.last, self.first
            )));
        }
        if self.within_line {
            drop_cut_character(&mut self.text);
        }
        let kept = memchr::memchr_iter(b'\n', &self.text).count() as u64
            + u64::from(self.text.last().is_some_and(|last| *last != b'\n'));
        let end_line = self.first - 1 + kept;
        let mut note = None;
        if self.within_line {
            let on = match end_line < total_lines {
                true => format!(", or read on after it with start_line: {}", end_line + 1),
                false => String::new(),
            };
            add_note(
                &mut note,
                &format!(
                    "line {end_line} alone is longer than max_bytes ({}): its beginning is here. Raise max_bytes, \
                     up to {MAX_BYTES}{on}",
                    self.max_bytes
                ),
            );
        } else if self.full {
            add_note(
                &mut note,
                &format!(
                    "max_bytes ({}) was reached after line {end_line} of {total_lines}: read on with \
                     start_line: {}",
                    self.max_bytes,
                    end_line + 1
                ),
            );
        }
        let mut bytes = self.text;
        if self.first == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            add_note(
                &mut note,
                "the file is not valid UTF-8: what could not be decoded reads U+FFFD here, so don't write this \
                 text back (edit_file leaves all other bytes as they are)",
            );
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
        Ok(Text { text, start_line: self.first, end_line, total_lines, truncated: self.full, note })
    }
}

/// Drops the last bytes if they are the beginning of a UTF-8 character.
fn drop_cut_character(bytes: &mut Vec<u8>) {
    let Err(error) = std::str::from_utf8(bytes) else { return };
    if error.error_len().is_none() {
        bytes.truncate(error.valid_up_to());
    }
}

fn decode_utf16(bytes: &[u8], big_endian: bool) -> String {
    let units = bytes[2..].chunks(2).map(|pair| match *pair {
        [a, b] if big_endian => u16::from_be_bytes([a, b]),
        [a, b] => u16::from_le_bytes([a, b]),
        _ => u16::from(b'?'),
    });
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn add_note(note: &mut Option<String>, more: &str) {
    match note {
        Some(note) => {
            note.push_str("; ");
            note.push_str(more);
        }
        None => *note = Some(more.to_owned()),
    }
}

/// Bytes that decide what a file is; git's number.
pub(super) const SNIFFED: usize = 8000;

/// Bytes of text without asking for more. A cell counts and filters by itself, so this is far more than a
/// model wants to see; it keeps a forgotten log file from filling the cell's heap.
const DEFAULT_BYTES: usize = 1024 * 1024;

/// Bytes of text that can be asked for; a result is held in memory several times on its way to the cell.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of an image: more than models take.
const MAX_IMAGE: u64 = 10 * 1024 * 1024;

const BUFFER: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
