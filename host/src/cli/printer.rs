//! What a cell does, on the way to stdout and stderr.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, StdoutLock, Write},
    path::PathBuf,
    sync::mpsc::{self, Receiver, Sender},
    thread::JoinHandle,
    time::Duration,
};

use codemode_cells::Ending;
use codemode_host_protocol::{ContentItem, Json, ToolFailure, ToolInvocation};
use codemode_runtime_js::{CellError, RuntimeCrash, Usage};
use serde::Serialize;
use tokio::sync::oneshot;

use super::{
    media::MediaFolder,
    progress::{Progress, question},
    report, stderr_is_terminal,
    terminal::Shown,
};
use crate::{mcp::Ask, workspace::OutputStream};

/// A thread that prints, so that neither the cell nor the signals wait for whoever reads.
pub(super) struct Printer {
    thread: JoinHandle<()>,
}

/// How to print.
pub(super) enum Style {
    /// Output on stdout, tool calls on stderr.
    People {
        /// Leave the tool calls out.
        quiet: bool,
        /// Where to save images and audio, if not in a new temporary folder.
        media: Option<PathBuf>,
    },
    /// Everything on stdout, one JSON object a line.
    Json,
}

/// One thing that a cell did.
pub(super) enum Happening {
    Output(ContentItem),
    CallStarted(ToolInvocation),
    /// `result` is `None` for a call that was cancelled.
    CallFinished {
        call: String,
        took: Duration,
        result: Option<Result<Json, ToolFailure>>,
    },
    /// A command printed something while it ran.
    CommandPrinted {
        call: String,
        stream: OutputStream,
        bytes: Vec<u8>,
    },
    Notified(String),
    Yielded,
    /// A call waits for a yes of the person at the terminal.
    Asked(Ask),
    /// It does not any more.
    Answered {
        call: String,
    },
    /// The last.
    Ended {
        ending: Ending,
        usage: Option<Usage>,
    },
}

impl Printer {
    /// Starts the thread. It prints what is sent until the cell has ended, or until stdout is closed, which it tells through
    /// the last part of what it returns.
    pub(super) fn start(
        style: Style,
    ) -> io::Result<(Printer, Sender<Happening>, oneshot::Receiver<()>)> {
        let (send, happenings) = mpsc::channel();
        let (broken, broken_pipe) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name(String::from("printer")).spawn(move || {
                if print_all(style, &happenings).is_err() {
                    let _ = broken.send(());
                }
            })?;
        Ok((Printer { thread }, send, broken_pipe))
    }

    /// Waits until all is printed.
    pub(super) fn join(self) {
        // A panic has been reported by the thread itself; what it printed is out.
        let _ = self.thread.join();
    }
}

/// Prints until the cell has ended. What is there at once is written at once.
fn print_all(style: Style, happenings: &Receiver<Happening>) -> io::Result<()> {
    let mut print: Box<dyn Print> = match style {
        Style::Json => Box::new(ForPrograms { shown: Shown::on_stdout() }),
        Style::People { quiet, media } => Box::new(ForPeople {
            progress: (!quiet).then(|| Progress::new(stderr_is_terminal())),
            media: MediaFolder::new(media),
            shown: Shown::on_stdout(),
        }),
    };
    let mut commands = CommandLines::default();
    let mut next = happenings.recv().ok();
    while let Some(happening) = next {
        let last = matches!(happening, Happening::Ended { .. });
        for happening in commands.by_line(happening) {
            print.print(happening)?;
        }
        if last {
            break;
        }
        next = match happenings.try_recv() {
            Ok(happening) => Some(happening),
            Err(_) => {
                io::stdout().flush()?;
                happenings.recv().ok()
            }
        };
    }
    io::stdout().flush()
}

/// What commands print, put together to whole lines: a chunk may end within a character.
#[derive(Default)]
struct CommandLines {
    partial: HashMap<(String, OutputStream), Vec<u8>>,
}

impl CommandLines {
    /// The happening; of what a command printed, the lines that are whole. Before a call is over come its last ones.
    fn by_line(&mut self, happening: Happening) -> Vec<Happening> {
        match happening {
            Happening::CommandPrinted { call, stream, bytes } => {
                let partial = self.partial.entry((call.clone(), stream)).or_default();
                partial.extend(bytes);
                let whole = partial.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
                if whole == 0 && partial.len() < MAX_PARTIAL_BYTES {
                    return Vec::new();
                }
                let rest = if whole == 0 { Vec::new() } else { partial.split_off(whole) };
                let bytes = std::mem::replace(partial, rest);
                vec![Happening::CommandPrinted { call, stream, bytes }]
            }
            Happening::CallFinished { call, took, result } => {
                let mut happenings = Vec::new();
                for stream in [OutputStream::Stdout, OutputStream::Stderr] {
                    if let Some(bytes) = self.partial.remove(&(call.clone(), stream))
                        && !bytes.is_empty()
                    {
                        let call = call.clone();
                        happenings.push(Happening::CommandPrinted { call, stream, bytes });
                    }
                }
                happenings.push(Happening::CallFinished { call, took, result });
                happenings
            }
            happening => vec![happening],
        }
    }
}

/// A line longer than this is printed in parts.
const MAX_PARTIAL_BYTES: usize = 64 << 10;

trait Print {
    fn print(&mut self, happening: Happening) -> io::Result<()>;
}

struct ForPeople {
    progress: Option<Progress>,
    media: MediaFolder,
    shown: Shown,
}

impl Print for ForPeople {
    fn print(&mut self, happening: Happening) -> io::Result<()> {
        let shown = self.shown;
        let Some(progress) = &self.progress else {
            return match happening {
                Happening::Output(item) => print_item(&mut self.media, shown, &item),
                Happening::Asked(ask) => {
                    question(&ask);
                    Ok(())
                }
                _ => Ok(()),
            };
        };
        match happening {
            Happening::Output(item) => {
                let media = &mut self.media;
                return progress.suspend(|| {
                    print_item(media, shown, &item)?;
                    io::stdout().flush()
                });
            }
            Happening::CallStarted(call) => progress.call_started(&call),
            Happening::CallFinished { call, took, result } => {
                progress.call_finished(&call, took, result.as_ref());
            }
            Happening::CommandPrinted { bytes, .. } => {
                progress.command_printed(&String::from_utf8_lossy(&bytes));
            }
            Happening::Notified(text) => progress.notified(&text),
            Happening::Yielded => {}
            Happening::Asked(ask) => progress.asked(&ask),
            Happening::Answered { .. } => progress.answered(),
            Happening::Ended { .. } => progress.clear(),
        }
        Ok(())
    }
}

fn print_item(media: &mut MediaFolder, shown: Shown, item: &ContentItem) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match item {
        ContentItem::InputText { text } => {
            stdout.write_all(shown.text(text).as_bytes())?;
            if !text.ends_with('\n') {
                stdout.write_all(b"\n")?;
            }
            Ok(())
        }
        ContentItem::InputImage { image_url, .. } => {
            print_medium(media, &mut stdout, "image", image_url)
        }
        ContentItem::InputAudio { audio_url } => {
            print_medium(media, &mut stdout, "audio", audio_url)
        }
    }
}

fn print_medium(
    media: &mut MediaFolder,
    stdout: &mut StdoutLock<'_>,
    stem: &str,
    url: &str,
) -> io::Result<()> {
    match media.save(stem, url) {
        Ok(path) => writeln!(stdout, "{}", path.display()),
        Err(error) => {
            report::note(&format!("an {stem} was not saved: {error}"));
            Ok(())
        }
    }
}

struct ForPrograms {
    shown: Shown,
}

impl Print for ForPrograms {
    fn print(&mut self, happening: Happening) -> io::Result<()> {
        if let Happening::Asked(ask) = &happening {
            question(ask);
        }
        let mut stdout = io::stdout().lock();
        let line = serde_json::to_string(&Line::of(&happening))?;
        stdout.write_all(self.shown.json(&line).as_bytes())?;
        stdout.write_all(b"\n")
    }
}

/// One line of `codemode run --json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Output {
        item: &'a ContentItem,
    },
    ToolCall {
        id: &'a str,
        tool: String,
        input: Option<&'a Json>,
    },
    ToolResult {
        id: &'a str,
        duration_ms: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a Json>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
        cancelled: bool,
    },
    ToolOutput {
        id: &'a str,
        stream: &'static str,
        text: Cow<'a, str>,
    },
    Notify {
        text: &'a str,
    },
    Yield,
    ApprovalAsked {
        id: &'a str,
        server: &'a str,
        tool: &'a str,
        arguments: &'a Json,
    },
    ApprovalOver {
        id: &'a str,
    },
    End {
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<ErrorLine<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<UsageLine>,
    },
}

impl Line<'_> {
    fn of(happening: &Happening) -> Line<'_> {
        match happening {
            Happening::Output(item) => Line::Output { item },
            Happening::CallStarted(call) => Line::ToolCall {
                id: &call.runtime_tool_call_id,
                tool: call.tool_name.to_string(),
                input: call.input.as_ref(),
            },
            Happening::CallFinished { call, took, result } => Line::ToolResult {
                id: call,
                duration_ms: took.as_secs_f64() * 1000.0,
                result: result.as_ref().and_then(|result| result.as_ref().ok()),
                error: result
                    .as_ref()
                    .and_then(|result| result.as_ref().err())
                    .map(|failure| failure.message.as_str()),
                cancelled: result.is_none(),
            },
            Happening::CommandPrinted { call, stream, bytes } => Line::ToolOutput {
                id: call,
                stream: match stream {
                    OutputStream::Stdout => "stdout",
                    OutputStream::Stderr => "stderr",
                },
                text: String::from_utf8_lossy(bytes),
            },
            Happening::Notified(text) => Line::Notify { text },
            Happening::Yielded => Line::Yield,
            Happening::Asked(ask) => Line::ApprovalAsked {
                id: &ask.runtime_tool_call_id,
                server: &ask.server,
                tool: &ask.tool,
                arguments: &ask.arguments,
            },
            Happening::Answered { call } => Line::ApprovalOver { id: call },
            Happening::Ended { ending, usage } => {
                let (outcome, error) = match ending {
                    Ending::Completed => ("completed", None),
                    Ending::Terminated => ("terminated", None),
                    Ending::Failed(error) => ("failed", Some(ErrorLine::of(error))),
                    Ending::LimitExceeded(limit) => {
                        ("limit_exceeded", Some(ErrorLine::of_code(limit.code(), limit)))
                    }
                    Ending::Crashed(crash) => {
                        ("crashed", Some(ErrorLine::of_code(RuntimeCrash::CODE, crash)))
                    }
                };
                Line::End { outcome, error, usage: usage.map(UsageLine::of) }
            }
        }
    }
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    /// The error's `name`, or the stable code of the limit.
    name: Option<&'a str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<PositionLine<'a>>,
    frames: Vec<FrameLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> ErrorLine<'a> {
    fn of(error: &'a CellError) -> ErrorLine<'a> {
        let position = error.position.as_ref().map(|position| PositionLine {
            file: &position.file,
            line: position.line,
            column: position.column,
            source_line: &position.source_line,
        });
        let frames = error.frames.iter().map(|frame| FrameLine {
            function: frame.function.as_deref(),
            file: &frame.file,
            line: frame.line,
            column: frame.column,
        });
        ErrorLine {
            name: error.name.as_deref(),
            message: error.message.clone(),
            position,
            frames: frames.collect(),
            hint: error.hint.as_deref(),
        }
    }

    fn of_code(code: &'static str, error: &dyn std::error::Error) -> ErrorLine<'static> {
        ErrorLine {
            name: Some(code),
            message: error.to_string(),
            position: None,
            frames: Vec::new(),
            hint: None,
        }
    }
}

#[derive(Serialize)]
struct PositionLine<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    source_line: &'a str,
}

#[derive(Serialize)]
struct FrameLine<'a> {
    function: Option<&'a str>,
    file: &'a str,
    line: u32,
    column: u32,
}

#[derive(Serialize)]
struct UsageLine {
    wall_ms: f64,
    cpu_ms: f64,
    heap_bytes: usize,
    buffer_bytes: usize,
    output_bytes: usize,
    output_items: usize,
    tool_calls: u64,
}

impl UsageLine {
    fn of(usage: Usage) -> UsageLine {
        UsageLine {
            wall_ms: usage.wall.as_secs_f64() * 1000.0,
            cpu_ms: usage.cpu.as_secs_f64() * 1000.0,
            heap_bytes: usage.heap_bytes,
            buffer_bytes: usage.buffer_bytes,
            output_bytes: usage.output_bytes,
            output_items: usage.output_items,
            tool_calls: usage.tool_calls,
        }
    }
}
