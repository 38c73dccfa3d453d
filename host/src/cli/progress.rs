//! A cell's tool calls on stderr, as they happen.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use codemode_host_protocol::{Json, ToolFailure, ToolInvocation};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

use super::{report, terminal::Shown};
use crate::mcp::Ask;

/// Shows each call: when it began, how long it took, its name and arguments in short.
///
/// On a terminal the calls that are open stand below, each with its clock; when one is over it becomes a line above
/// them. Elsewhere there are only those lines.
pub(super) struct Progress {
    started: Instant,
    screen: Option<MultiProgress>,
    open: Mutex<HashMap<String, OpenCall>>,
}

struct OpenCall {
    began: Duration,
    label: String,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new(terminal: bool) -> Progress {
        Progress {
            started: Instant::now(),
            screen: terminal.then(MultiProgress::new),
            open: Mutex::default(),
        }
    }

    pub(super) fn call_started(&self, call: &ToolInvocation) {
        let label = label(&call.tool_name.to_string(), call.input.as_ref());
        let mut open = self.open.lock();
        let bar = match &self.screen {
            Some(screen) if open.len() < MAX_BARS => {
                let bar = screen.add(ProgressBar::new_spinner().with_style(bar_style()));
                bar.set_message(label.clone());
                bar.enable_steady_tick(TICK);
                Some(bar)
            }
            _ => None,
        };
        let began = self.started.elapsed();
        open.insert(call.runtime_tool_call_id.clone(), OpenCall { began, label, bar });
    }

    pub(super) fn call_finished(
        &self,
        call: &str,
        took: Duration,
        result: Option<&Result<Json, ToolFailure>>,
    ) {
        let Some(call) = self.open.lock().remove(call) else { return };
        if let Some(bar) = call.bar {
            bar.finish_and_clear();
        }
        let (mark, style, remark) = match result {
            Some(Ok(_)) => ("✓", GREEN, String::new()),
            Some(Err(failure)) => {
                ("✗", RED, format!(": {}", shorten(&failure.message, MAX_REMARK)))
            }
            None => ("–", YELLOW, String::from(": cancelled")),
        };
        let began = format!("+{}", time(call.began));
        let took = time(took);
        let label = call.label;
        self.line(&format!(
            "{DIM}{began:>8}{DIM:#} {style}{mark}{style:#} {took:>8}  {label}{remark}"
        ));
    }

    pub(super) fn notified(&self, text: &str) {
        self.line(&format!("{CYAN}notify{CYAN:#} {}", Shown::on_stderr().text(text)));
    }

    /// What a command printed, line by line.
    pub(super) fn command_printed(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("{DIM}  |{DIM:#} {}", shorten(line, MAX_LINE)));
        }
    }

    /// Asks the person, with the bars out of the way until the question is over.
    pub(super) fn asked(&self, ask: &Ask) {
        if let Some(screen) = &self.screen {
            self.clear();
            screen.set_draw_target(ProgressDrawTarget::hidden());
        }
        question(ask);
    }

    /// Shows the bars again.
    pub(super) fn answered(&self) {
        if let Some(screen) = &self.screen {
            screen.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Does something that prints to stdout, with the bars out of its way.
    pub(super) fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.screen {
            Some(screen) => screen.suspend(print),
            None => print(),
        }
    }

    /// Takes the bars away.
    pub(super) fn clear(&self) {
        if let Some(screen) = &self.screen {
            // A terminal that went away has nothing to clear.
            let _ = screen.clear();
        }
    }

    fn line(&self, line: &str) {
        self.suspend(|| report::line(line));
    }
}

/// Asks the person whether a call may be made. All that it would do is shown: what is cut could be what matters.
pub(super) fn question(ask: &Ask) {
    let arguments = match ask.arguments.read::<serde_json::Value>() {
        Ok(value) => format!("{value:#}"),
        Err(_) => ask.arguments.text().to_owned(),
    };
    let Ask { server, tool, .. } = ask;
    let tool = visible(&tool.to_string());
    report::line(&format!(
        "{YELLOW}?{YELLOW:#} May the cell call {tool} of the MCP server {server}? {}",
        visible(&arguments)
    ));
    report::line("  Type y and Enter for yes, anything else for no.");
}

/// `text` without what could change what a terminal shows.
fn visible(text: &str) -> String {
    let escape = |char: char| {
        let hidden = (char.is_control() && char != '\n')
            || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}');
        if hidden { char.escape_unicode().to_string() } else { char.to_string() }
    };
    text.chars().map(escape).collect()
}

/// A call in one line: `read_file path="src/lib.rs" start_line=3`.
fn label(tool: &str, input: Option<&Json>) -> String {
    let tool = shorten(tool, MAX_ARGUMENTS);
    let Some(input) = input else { return tool };
    let text = match input.read::<serde_json::Map<String, serde_json::Value>>() {
        Ok(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name}={}", shorten(&value.to_string(), MAX_ARGUMENT)))
            .collect::<Vec<_>>()
            .join(" "),
        Err(_) => input.text().to_owned(),
    };
    format!("{tool} {}", shorten(&text, MAX_ARGUMENTS))
}

/// At most `max` characters of `text`, on one line.
fn shorten(text: &str, max: usize) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = chars.by_ref().take(max).collect();
    if chars.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

fn time(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.1}ms"),
        ms if ms < 10_000.0 => format!("{ms:.0}ms"),
        ms => format!("{:.1}s", ms / 1000.0),
    }
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {elapsed:>6} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// More open calls than this would push the output off the screen.
const MAX_BARS: usize = 8;
const TICK: Duration = Duration::from_millis(100);
const MAX_ARGUMENT: usize = 60;
const MAX_ARGUMENTS: usize = 100;
const MAX_REMARK: usize = 200;
const MAX_LINE: usize = 400;

const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn calls_fit_on_a_line() {
        for (input, expected) in [
            (r#"{"path":"src/lib.rs","start_line":3}"#, r#"t path="src/lib.rs" start_line=3"#),
            (r#""free\nform""#, r#"t "free\nform""#),
            ("[1, 2]", "t [1, 2]"),
        ] {
            assert_eq!(label("t", Some(&Json::parse(input).unwrap())), expected);
        }
        assert_eq!(label("t", None), "t");
        let long = Json::parse(format!(r#"{{"a":"{}","b":"{0}"}}"#, "é".repeat(500))).unwrap();
        let line = label("t", Some(&long));
        assert!(line.chars().count() <= MAX_ARGUMENTS + 2 && line.ends_with('…'), "{line}");
    }
}
