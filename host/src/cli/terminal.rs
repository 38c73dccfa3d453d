//! What a terminal shows, and does not do.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal as _},
};

/// What cells and tools say, as it is written to one of our streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    to_terminal: bool,
}

impl Shown {
    pub(super) fn on_stdout() -> Shown {
        Shown { to_terminal: io::stdout().is_terminal() }
    }

    pub(super) fn on_stderr() -> Shown {
        Shown { to_terminal: io::stderr().is_terminal() }
    }

    /// The text. On its way to a terminal, what would make that do something is spelled instead: move the cursor, change the
    /// title, write to the clipboard, answer with keys. Colours are among it, because they can hide text, and last beyond it.
    pub(super) fn text(self, text: &str) -> Cow<'_, str> {
        self.spell(text, |c| match c {
            '\0'..='\u{7f}' => format!("\\x{:02x}", u32::from(c)),
            _ => format!("\\u{{{:x}}}", u32::from(c)),
        })
    }

    /// JSON that is written the way `serde_json` does, which leaves some control characters in texts as they are.
    pub(super) fn json(self, text: &str) -> Cow<'_, str> {
        self.spell(text, |c| format!("\\u{:04x}", u32::from(c)))
    }

    fn spell(self, text: &str, spelled: impl Fn(char) -> String) -> Cow<'_, str> {
        if !self.to_terminal || !text.chars().any(acts) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len() + 16);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            // The end of a line on other systems moves the cursor no further than the end of one here.
            if acts(c) && !(c == '\r' && chars.peek() == Some(&'\n')) {
                // A String takes all that is written.
                let _ = out.write_str(&spelled(c));
            } else {
                out.push(c);
            }
        }
        Cow::Owned(out)
    }
}

/// Whether a terminal does something when it is sent this: the control characters of ASCII and of Latin-1.
fn acts(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_do_is_spelled() {
        let terminal = Shown { to_terminal: true };
        for (text, shown) in [
            ("plain é \u{1f600}\n\tas it is", "plain é \u{1f600}\n\tas it is"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
            ("\u{9b}2J\x7f\0", "\\u{9b}2J\\x7f\\x00"),
            ("safe\rhidden\r\n", "safe\\x0dhidden\r\n"),
        ] {
            assert_eq!(terminal.text(text), shown);
            assert_eq!(Shown { to_terminal: false }.text(text), text);
        }
        assert_eq!(terminal.json("{\"a\":\"\u{9b}\x7f\"}"), "{\"a\":\"\\u009b\\u007f\"}");
    }
}
