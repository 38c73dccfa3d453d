//! A host as a child process, and its frames.

use std::{
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::fields::Fields;

/// How a host is started.
#[derive(Clone, Debug)]
pub struct HostCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl HostCommand {
    /// A program that serves stdio when it gets no arguments.
    pub fn bare(program: impl Into<PathBuf>) -> HostCommand {
        HostCommand { program: program.into(), arguments: Vec::new() }
    }

    /// `PROGRAM host`.
    pub fn codemode(program: impl Into<PathBuf>) -> HostCommand {
        HostCommand { program: program.into(), arguments: vec!["host".into()] }
    }
}

/// A host that runs, with nothing said yet.
pub struct HostProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    frames: Receiver<Frame>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

/// The next frame of a host, or why there is none.
#[derive(Debug)]
pub enum Frames {
    /// A frame.
    Frame(Frame),
    /// The host has closed its output.
    Closed,
    /// None came in time.
    Late,
}

/// The message in a frame.
#[derive(Debug)]
pub struct Frame {
    /// What it says. A body that is no JSON is a string.
    pub message: Value,
    /// In which order.
    pub fields: Fields,
}

impl HostProcess {
    /// Starts a host.
    ///
    /// # Errors
    /// Those of starting a program.
    pub fn start(command: &HostCommand) -> io::Result<HostProcess> {
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, frames) = channel();
        if let Some(mut stdout) = child.stdout.take() {
            thread::spawn(move || {
                while let Some(frame) = read_frame(&mut stdout) {
                    if sender.send(frame).is_err() {
                        return;
                    }
                }
            });
        }
        let stderr = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut pipe) = child.stderr.take() {
            let stderr = Arc::clone(&stderr);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    if let Ok(mut text) = stderr.lock() {
                        text.extend_from_slice(&buffer[..count]);
                    }
                }
            });
        }
        let stdin = child.stdin.take();
        Ok(HostProcess { child, stdin, frames, stderr })
    }

    /// Sends bytes as they are. A host that is gone does not read them.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
        }
    }

    /// Sends one frame.
    pub fn send_body(&mut self, body: &[u8]) {
        let mut frame = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        frame.extend_from_slice(body);
        self.send_bytes(&frame);
    }

    /// Sends one message.
    pub fn send(&mut self, message: &Value) {
        self.send_body(message.to_string().as_bytes());
    }

    /// Waits for the next frame.
    pub fn receive(&self, deadline: Instant) -> Frames {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.frames.recv_timeout(left) {
            Ok(frame) => Frames::Frame(frame),
            Err(RecvTimeoutError::Disconnected) => Frames::Closed,
            Err(RecvTimeoutError::Timeout) => Frames::Late,
        }
    }

    /// Closes the host's input.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard error, so far.
    pub fn stderr(&self) -> String {
        let text = self.stderr.lock().map(|text| text.clone()).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits for the process to exit, after its output was closed. `None`: it had to be killed.
    pub fn exit(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            // There is no way to wait for a child with a deadline without unsafe code; the state is polled.
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An exit as an event of a transcript.
pub(crate) fn exit_event(status: Option<ExitStatus>) -> Value {
    match status {
        Some(status) => json!({"type": "exit", "code": status.code(), "signal": status.signal()}),
        None => json!({"type": "does not exit"}),
    }
}

fn read_frame(stdout: &mut impl Read) -> Option<Frame> {
    let mut length = [0; 4];
    stdout.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    stdout.read_exact(&mut body).ok()?;
    let text = String::from_utf8_lossy(&body);
    let fields = Fields::of(&text);
    let message = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()));
    Some(Frame { message, fields })
}
