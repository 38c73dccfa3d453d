//! The process that workers are copies of.
//!
//! Most of what a program does before it can run a cell is the same each time: the kernel maps it, the linker puts right
//! tens of thousands of addresses, and each page of those is one more of its own. The zygote has done that, and waits. A
//! worker is a copy of it, which shares those pages.
//!
//! Its copies are children of its parent, the engine's process, which waits for them as if it had started them itself. So
//! a zygote may die: the workers do not notice, and the next one has another zygote. What no copy of a program has of its own is
//! where that lies; so after a worker that has died of a signal, as one does whose cell guesses at addresses, there is another zygote too.

use std::{
    io::{self, IoSlice, IoSliceMut, PipeReader, PipeWriter, Read as _, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::{
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
    process::{Pid, Signal},
    thread::set_name,
};

use super::{
    ProcessOptions,
    death::{LAST_WORDS_BYTES, ends_in_a_moment, how_it_ended},
    fork::{fork_sibling, move_mappings},
    lockdown::worker_environment,
    pool::Stock,
};
use crate::realm::{adopt_code, kept_code};

/// Makes workers, by way of a zygote. They end with the thread that has the first of them made.
pub(super) struct Nursery<'a> {
    options: &'a ProcessOptions,
    stock: &'a Stock,
    zygote: Option<Zygote>,
}

/// A worker that was just made.
pub(super) struct Newborn {
    pub(super) pid: Pid,
    /// The other end of its standard input.
    pub(super) socket: UnixStream,
    /// What it writes to its standard error. Does not block.
    pub(super) stderr: PipeReader,
}

impl<'a> Nursery<'a> {
    pub(super) fn new(options: &'a ProcessOptions, stock: &'a Stock) -> Nursery<'a> {
        Nursery { options, stock, zygote: None }
    }

    /// Starts the process that workers are copies of, if there is none, and does not wait for it.
    ///
    /// # Errors
    /// When the system lets it have no process.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        if self.zygote.is_none() {
            self.zygote = Some(Zygote::start(self.options)?);
        }
        Ok(())
    }

    /// A new worker. Waits until it is there, which takes some milliseconds when there is no zygote yet.
    ///
    /// # Errors
    /// When the system lets it have no process, or the program is none that makes workers.
    pub(super) fn fork(&mut self) -> io::Result<Newborn> {
        if self.stock.was_distrusted() {
            self.zygote = None;
        }
        loop {
            let was_there = self.zygote.is_some();
            let mut zygote = match self.zygote.take() {
                Some(zygote) => zygote,
                None => Zygote::start(self.options)?,
            };
            match zygote.fork() {
                Ok(forked) => {
                    self.zygote = Some(zygote);
                    return forked;
                }
                // It has been killed; this is the first that notices. If it had made a copy, that ends with its connection.
                Err(error)
                    if zygote.has_answered
                        || (was_there && error.kind() != io::ErrorKind::WouldBlock) => {}
                Err(error) => return Err(io::Error::other(zygote.obituary(&error))),
            }
        }
    }
}

/// A zygote as the engine sees it. Dropping it ends it.
struct Zygote {
    child: Child,
    socket: UnixStream,
    stderr: PipeReader,
    has_answered: bool,
}

impl Zygote {
    fn start(options: &ProcessOptions) -> io::Result<Zygote> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(LONG_PATIENCE))?;
        let (stderr, written) = quiet_pipe()?;
        let mut command = Command::new(&options.program);
        command.args(&options.arguments).env_clear().envs(worker_environment()).current_dir("/");
        let child =
            command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(written).spawn()?;
        Ok(Zygote { child, socket: ours, stderr, has_answered: false })
    }

    /// # Errors
    /// The outer when the zygote has ended, or does not answer; the inner when the system does not let it fork.
    fn fork(&mut self) -> io::Result<io::Result<Newborn>> {
        // New ones each time: a copy that nobody knows of may have the last.
        let (socket, stdin) = UnixStream::pair()?;
        let (stderr, written) = quiet_pipe()?;
        let descriptors = [stdin.as_fd(), written.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&self.socket, &[IoSlice::new(&[0])], &mut rights, SendFlags::NOSIGNAL)?;
        let mut answer = [0; 4];
        self.socket.read_exact(&mut answer)?;
        if !self.has_answered {
            // From here on it has nothing to do but to answer.
            self.socket.set_read_timeout(Some(PATIENCE))?;
            self.has_answered = true;
        }
        match i32::from_le_bytes(answer) {
            error @ ..0 => Ok(Err(io::Error::from_raw_os_error(-error))),
            pid => {
                let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
                Ok(Ok(Newborn { pid, socket, stderr }))
            }
        }
    }

    /// Ends it, and tells why it did not answer.
    fn obituary(mut self, error: &io::Error) -> String {
        // It closes the connection before it can be waited for.
        let ended = ends_in_a_moment(Pid::from_child(&self.child));
        let _ = self.child.kill();
        let status = self.child.wait().ok().filter(|_| ended);
        let mut words = [0; LAST_WORDS_BYTES];
        let said = (&self.stderr).read(&mut words).unwrap_or_default();
        let words = &words[..said];
        match status {
            Some(status) => how_it_ended("the program for workers", status, words),
            None => format!("the program for workers makes none: {error}"),
        }
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One that does not block who reads.
fn quiet_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader, writer))
}

/// What the zygote does: waits, and returns in each worker, which has its own standard input and error then. This process, whose standard
/// input is a socket to the engine, ends with that. It must have one thread.
///
/// # Errors
/// In the zygote, when the connection breaks; in a worker, when it cannot take its place.
pub(super) fn stand_by() -> io::Result<Option<CodeWish>> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // Only for people: what `ps` and `top` call them.
    let _ = set_name(c"codemode-zygote");
    let mut wished = None;
    loop {
        let Some([stdin, stderr]) = next_descriptors()? else { std::process::exit(0) };
        if let Some(wish) = &mut wished
            && let Some(granted) = received(wish)
        {
            wished = None;
            if let Some(code) = granted {
                adopt_code(code);
            }
        }
        let mut wish = None;
        if kept_code().is_none()
            && wished.is_none()
            && let Ok((reader, writer)) = quiet_pipe()
        {
            // A pipe may have room for less than the code, and nobody reads it soon.
            rustix::io::ioctl_fionbio(&writer, true)?;
            wished = Some(reader);
            wish = Some(CodeWish(writer));
        }
        let answer = match fork_sibling() {
            Ok(None) => {
                let _ = set_name(c"codemode-worker");
                move_mappings();
                rustix::stdio::dup2_stdin(stdin)?;
                rustix::stdio::dup2_stderr(stderr)?;
                return Ok(wish);
            }
            Ok(Some(pid)) => pid.as_raw_nonzero().get(),
            Err(error) => -error.raw_os_error(),
        };
        rustix::io::write(rustix::stdio::stdin(), &answer.to_le_bytes())?;
    }
}

/// That a worker tell the zygote what V8 has made of the bootstrap script, for those to come. It is granted before the worker has read a
/// cell, or not at all: from then on it has no way to the zygote.
pub(super) struct CodeWish(PipeWriter);

impl CodeWish {
    pub(super) fn grant(mut self) {
        let code = kept_code().and_then(|code| Some((u16::try_from(code.len()).ok()?, code)));
        if let Some((length, code)) = code {
            // The zygote may have gone, or the pipe be too small, which is nothing to a worker.
            let _ = self.0.write_all(&[&length.to_le_bytes()[..], code].concat());
        }
    }
}

/// What became of a wish, once that is clear: all of it, or nothing.
fn received(mut wish: &PipeReader) -> Option<Option<Vec<u8>>> {
    let mut said = Vec::new();
    match wish.read_to_end(&mut said) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && said.is_empty() => None,
        _ => Some(whole(&said).map(<[u8]>::to_vec)),
    }
}

/// The code in what was said, if that is all of it.
fn whole(said: &[u8]) -> Option<&[u8]> {
    let (length, code) = said.split_first_chunk::<2>()?;
    (usize::from(u16::from_le_bytes(*length)) == code.len()).then_some(code)
}

/// What the next worker gets; `None` when the engine has gone.
fn next_descriptors() -> io::Result<Option<[OwnedFd; DESCRIPTORS]>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let from = rustix::stdio::stdin();
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut rights, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let none = |_| io::Error::other("a worker was asked for without its descriptors");
    descriptors.try_into().map(Some).map_err(none)
}

/// Standard input and error.
const DESCRIPTORS: usize = 2;

/// To be copied, for which it waits for nothing but its turn on a processor. Who needs a process waits as long.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same, and to start.
const LONG_PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;

    #[test]
    fn code_is_taken_whole_or_not_at_all() {
        assert_eq!(whole(&[3, 0, 7, 8, 9]), Some(&[7, 8, 9][..]));
        for broken in [&[][..], &[3], &[3, 0, 7, 8], &[3, 0, 7, 8, 9, 10]] {
            assert_eq!(whole(broken), None, "{broken:?}");
        }
        let (reader, _writer) = quiet_pipe().unwrap();
        assert_eq!(received(&reader), None, "it may yet come");
    }

    #[test]
    fn a_wish_is_granted_with_the_code_that_is_kept() {
        crate::engine::initialize_v8();
        let new = || Arc::new(crate::limits::HeapGuard::new(64 << 20)).new_isolate();
        let mut isolate = new();
        crate::realm::Realm::new(&mut isolate).keep_code(&mut isolate);
        let (reader, writer) = quiet_pipe().unwrap();
        CodeWish(writer).grant();
        let code = received(&reader).flatten().unwrap();
        assert_eq!(Some(code.as_slice()), kept_code());
        // Compiled from that, it works; in a build like this one V8 would have been heard to refuse it.
        crate::realm::Realm::new(&mut isolate);
        let mut another = new();
        crate::realm::Realm::new(&mut another);
        let (reader, writer) = quiet_pipe().unwrap();
        drop(reader);
        CodeWish(writer).grant();
    }
}
