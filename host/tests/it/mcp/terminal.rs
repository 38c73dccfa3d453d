//! Calls that need a yes, and a person at a terminal who is asked.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
};

use super::support::*;

#[test]
fn who_says_yes_has_the_call_made_and_who_says_no_has_not() {
    let cell = "
        const said = await Promise.allSettled([1, 2, 3, 4].map(n => tools.bad.echo({ n })));
        for (const s of said) text(s.status == 'fulfilled' ? s.value.content[0].text : s.reason.message);
    ";
    let Some(mut person) = Person::at(cell, &[]) else { return };
    for (n, answer) in [(1, "y\n"), (2, "n\n"), (3, " YES \n"), (4, "\n")] {
        // One question at a time: the next one is not there before this one is answered.
        person.sees(&format!(
            "? May the cell call echo of the MCP server bad? {{\r\n  \"n\": {n}\r\n}}\r\n  \
             Type y and Enter for yes, anything else for no.\r\n"
        ));
        assert!(!person.seen.contains("May the cell"), "{}", person.seen);
        person.types(answer);
    }
    let (code, stdout) = person.leaves();
    assert_eq!(code, Some(0), "{}", person.seen);
    let no = "the call of echo was denied: the user said no\n";
    assert_eq!(stdout, format!("{{\"n\": 1}}\n{no}{{\"n\": 3}}\n{no}"));
}

#[test]
fn who_does_not_answer_in_time_has_said_no() {
    let cell = "
        try { await tools.bad.echo({}) } catch (error) { text(`${error.kind}: ${error.message}`) }
    ";
    let Some(mut person) = Person::at(cell, &["approval_timeout = \"300ms\""]) else { return };
    person.sees("Type y and Enter for yes");
    let (code, stdout) = person.leaves();
    assert_eq!(code, Some(0), "{}", person.seen);
    assert_eq!(stdout, "denied: the call of echo was denied: nobody answered within 300ms\n");
}

#[test]
fn what_was_typed_before_the_question_is_no_answer_to_it() {
    let cell = "
        notify('ready');
        while (!(await tools.glob({ pattern: 'typed' })).paths.length);
        await tools.bad.echo({}).catch(error => text(error.message));
    ";
    let Some(mut person) = Person::at(cell, &["approval_timeout = \"300ms\""]) else { return };
    person.sees("notify ready");
    person.types("y\n");
    // The terminal shows what it has taken in.
    person.sees("y\r\n");
    person.writes("typed");
    let (code, stdout) = person.leaves();
    assert_eq!(code, Some(0), "{}", person.seen);
    assert_eq!(stdout, "the call of echo was denied: nobody answered within 300ms\n");
}

#[test]
fn an_interrupt_ends_the_cell_while_it_asks() {
    let Some(mut person) = Person::at("await tools.bad.echo({}); text('made')", &[]) else {
        return;
    };
    person.sees("Type y and Enter for yes");
    person.types("\u{3}");
    assert_eq!(person.leaves(), (Some(130), String::new()), "{}", person.seen);
}

/// Somebody at a terminal of their own, in which a cell runs that can call `echo` of the server `bad` with a yes.
struct Person {
    folder: tempfile::TempDir,
    codemode: Child,
    terminal: File,
    /// What the terminal was sent, from what was awaited last on.
    seen: String,
}

impl Person {
    /// `None` where there are no servers to be had.
    fn at(cell: &str, config: &[&str]) -> Option<Person> {
        let peers = peers()?;
        let folder = tempfile::tempdir().unwrap();
        let bad = misbehaving(&peers, folder.path(), "");
        let text = format!(
            "{}\n[servers.bad]\ncommand = {:?}\nargs = {:?}\napprove = [\"echo\"]\n",
            config.join("\n"),
            bad.command,
            bad.args
        );
        std::fs::write(folder.path().join("codemode.toml"), text).unwrap();
        std::fs::write(folder.path().join("cell.js"), cell).unwrap();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let terminal = openpt(flags).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let theirs = ioctl_tiocgptpeer(&terminal, flags).unwrap();
        // With the terminal as its own: it is opened by its name, and sends signals.
        let mut command = Command::new("setsid");
        command.args(["--ctty", env!("CARGO_BIN_EXE_codemode"), "run", "--workspace", "."]);
        command.args(["--mcp-config", "codemode.toml", "cell.js"]);
        command.current_dir(folder.path()).env("NO_COLOR", "1").env("TERM", "xterm");
        command.stdin(theirs.try_clone().unwrap()).stdout(Stdio::piped()).stderr(theirs);
        let codemode = command.spawn().unwrap();
        Some(Person { folder, codemode, terminal: File::from(terminal), seen: String::new() })
    }

    /// Waits until the terminal shows `what`.
    fn sees(&mut self, what: &str) {
        loop {
            if let Some(at) = self.seen.find(what) {
                self.seen.drain(..at + what.len());
                return;
            }
            assert!(self.looks(), "{what:?} is not in {:?}", self.seen);
        }
    }

    fn types(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    fn writes(&self, name: &str) {
        std::fs::write(self.folder.path().join(name), "").unwrap();
    }

    /// Waits for the end. Returns the exit code, and standard output.
    fn leaves(&mut self) -> (Option<i32>, String) {
        while self.looks() {}
        let mut stdout = String::new();
        self.codemode.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        (self.codemode.wait().unwrap().code(), stdout)
    }

    /// Reads what there is; false when nobody has the other end any more.
    fn looks(&mut self) -> bool {
        let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&self.terminal, PollFlags::IN)], Some(&limit)).unwrap();
        assert_ne!(ready, 0, "nothing happens after {:?}", self.seen);
        let mut bytes = [0; 4096];
        let Ok(count @ 1..) = self.terminal.read(&mut bytes) else { return false };
        self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        true
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.codemode.kill();
        let _ = self.codemode.wait();
    }
}
