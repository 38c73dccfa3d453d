//! Ways out of a worker. Each is tried, to see that it is closed.

use std::{
    fs::{self, File},
    io,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd as _, OwnedFd},
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixStream},
    },
    path::{Path, PathBuf},
};

use nix::sys::ptrace;
use rustix::{fs::CWD, io::fcntl_dupfd_cloexec, process::Pid};
use serde::{Deserialize, Serialize};

use super::lockdown::{Layer, inherited_variables};

/// One way out.
pub(super) struct Crossing {
    /// What it does, as in "a worker can …".
    pub(super) name: &'static str,
    /// Goes that way. `Ok` is bad news. What would do harm asks instead whether it could.
    pub(super) go: fn(&Outside) -> io::Result<()>,
    /// The layers that have to close it without help. With all of them up, it has to be closed in any case.
    pub(super) alone: &'static [Layer],
}

/// What lies outside of the worker, for it to reach for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outside {
    /// The host's process.
    pub(super) host: i32,
    /// A listener on loopback.
    pub(super) tcp: SocketAddr,
    /// The name of an abstract Unix listener.
    pub(super) unix: String,
    /// A folder of the host's, where everybody may write, with a file `file` in it.
    pub(super) folder: PathBuf,
}

impl Outside {
    /// Nothing to reach for.
    pub(super) fn nowhere() -> Outside {
        Outside {
            host: 0,
            tcp: SocketAddr::from(([0; 4], 0)),
            unix: String::new(),
            folder: PathBuf::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn pid(&self) -> io::Result<Pid> {
        Pid::from_raw(self.host).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

/// The way with this name.
pub(super) fn named(name: &str) -> Option<&'static Crossing> {
    ALL.iter().find(|crossing| crossing.name == name)
}

pub(super) const ALL: &[Crossing] = &[
    // Files.
    by("open a file", &[Files, SystemCalls], |out| File::open(out.path("file")).map(drop)),
    by("list a folder", &[Files, SystemCalls], |_| fs::read_dir("/").map(drop)),
    by("make a file", &[Files, SystemCalls], |out| File::create(out.path("new")).map(drop)),
    by("remove a file", &[Files, SystemCalls], |out| fs::remove_file(out.path("file"))),
    by("truncate a file", &[Files, SystemCalls], |out| {
        File::options().write(true).truncate(true).open(out.path("file")).map(drop)
    }),
    by("make a folder", &[Files, SystemCalls], |out| fs::create_dir(out.path("folder"))),
    by("make a symbolic link", &[Files, SystemCalls], |out| {
        std::os::unix::fs::symlink("/", out.path("link"))
    }),
    by("rename a file", &[Files, SystemCalls], |out| {
        fs::rename(out.path("file"), out.path("renamed"))
    }),
    by("make a named pipe", &[Files, SystemCalls], |out| {
        use rustix::fs::{FileType, Mode, mknodat};
        Ok(mknodat(CWD, out.path("pipe"), FileType::Fifo, Mode::RUSR, 0)?)
    }),
    by("read the host's memory as a file", &[Files, SystemCalls], |out| {
        File::open(format!("/proc/{}/mem", out.host)).map(drop)
    }),
    by("read the host's environment", &[Files, SystemCalls], |out| {
        fs::read(format!("/proc/{}/environ", out.host)).map(drop)
    }),
    by("share memory under a name", &[Files, SystemCalls], |_| {
        File::create(SHARED_MEMORY).map(drop)
    }),
    by("see whether a file is there", &[SystemCalls], |out| {
        fs::metadata(out.path("file")).map(drop)
    }),
    by("change a file's mode", &[SystemCalls], |out| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(out.path("file"), fs::Permissions::from_mode(0o777))
    }),
    by("change folders", &[SystemCalls], |_| std::env::set_current_dir("/")),
    by("watch files", &[SystemCalls], |_| {
        Ok(rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC).map(drop)?)
    }),
    // The network.
    by("connect over TCP", &[Network, SystemCalls], |out| TcpStream::connect(out.tcp).map(drop)),
    by("listen on TCP", &[Network, SystemCalls], |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    by("send over UDP", &[SystemCalls], |out| {
        UdpSocket::bind("127.0.0.1:0")?.send_to(b"out", out.tcp).map(drop)
    }),
    by("connect to an abstract socket", &[Scope, SystemCalls], |out| {
        UnixStream::connect_addr(&UnixAddr::from_abstract_name(&out.unix)?).map(drop)
    }),
    by("listen on a Unix socket", &[Files, SystemCalls], |out| {
        UnixDatagram::bind(out.path("socket")).map(drop)
    }),
    by("ask the kernel about the network", &[SystemCalls], |_| {
        use rustix::net::{AddressFamily, SocketType, socket};
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        Ok(socket(family, kind, None).map(drop)?)
    }),
    // Other processes and programs.
    by("run a program", &[Files, SystemCalls], |_| {
        nix::unistd::execv(c"/proc/self/exe", &[c"codemode", c"--version"])?;
        Ok(())
    }),
    by("fork", &[SystemCalls], |_| Ok(nix::unistd::daemon(true, true)?)),
    by("signal the host", &[Scope, SystemCalls], |out| {
        Ok(rustix::process::test_kill_process(out.pid()?)?)
    }),
    by("debug the host", &[Files, SystemCalls], |out| {
        let host = nix::unistd::Pid::from_raw(out.host);
        ptrace::seize(host, ptrace::Options::empty())?;
        Ok(())
    }),
    by("read the host's memory", &[Files, SystemCalls], |out| {
        use nix::sys::uio::{RemoteIoVec, process_vm_readv};
        // Whether there is anything at the address does not matter: who may not look is told so first.
        let host = nix::unistd::Pid::from_raw(out.host);
        let from = [RemoteIoVec { base: 8, len: 8 }];
        let mut into = [0; 8];
        match process_vm_readv(host, &mut [io::IoSliceMut::new(&mut into)], &from) {
            Ok(_) | Err(nix::Error::EFAULT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }),
    by("hold the host's process", &[SystemCalls], |out| {
        use rustix::process::{PidfdFlags, pidfd_open};
        Ok(pidfd_open(out.pid()?, PidfdFlags::empty()).map(drop)?)
    }),
    by("change the host's priority", &[SystemCalls], |out| {
        let now = rustix::process::getpriority_process(Some(out.pid()?))?;
        Ok(rustix::process::setpriority_process(Some(out.pid()?), now)?)
    }),
    by("change the host's limits", &[SystemCalls], |out| {
        use rustix::process::{Resource, Rlimit, prlimit};
        let none = Rlimit { current: None, maximum: None };
        // Setting what nobody uses any more.
        Ok(prlimit(Some(out.pid()?), Resource::Locks, none).map(drop)?)
    }),
    // The kernel.
    by("make memory into a file", &[SystemCalls], |_| {
        use rustix::fs::{MemfdFlags, memfd_create};
        Ok(memfd_create(c"crossing", MemfdFlags::CLOEXEC).map(drop)?)
    }),
    by("mount", &[Files, Privileges, SystemCalls], |out| {
        use rustix::mount::{MountFlags, mount};
        Ok(mount(c"none", &out.folder, c"tmpfs", MountFlags::empty(), None)?)
    }),
    by("make name spaces", &[SystemCalls], |_| {
        use nix::sched::{CloneFlags, unshare};
        // Shares what it has with nobody: harmless, and the same call.
        Ok(unshare(CloneFlags::CLONE_FILES)?)
    }),
    by("change the root", &[Privileges, SystemCalls], |_| Ok(rustix::process::chroot("/")?)),
    by("become root", &[Privileges, SystemCalls], |_| {
        let root = rustix::process::Uid::ROOT;
        Ok(rustix::thread::set_thread_res_uid(root, root, root)?)
    }),
    by("load a kernel module", &[Privileges, SystemCalls], |_| {
        // The kernel looks at who asks before it looks at what.
        match nix::kmod::init_module(b"none", c"") {
            Err(nix::Error::ENOEXEC) => Ok(()),
            other => Ok(other?),
        }
    }),
    by("change its personality", &[SystemCalls], |_| {
        use nix::sys::personality;
        Ok(personality::get().and_then(personality::set).map(drop)?)
    }),
    by("watch all files", &[Privileges, SystemCalls], |_| {
        use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags};
        // Of the class that asks for permission to open, which root alone may have.
        let class = InitFlags::FAN_CLASS_CONTENT;
        Ok(Fanotify::init(class, EventFFlags::O_RDONLY).map(drop)?)
    }),
    // What it could undo.
    by("outlive its host", &[SystemCalls], |_| {
        Ok(rustix::process::set_parent_process_death_signal(None)?)
    }),
    by("let itself be debugged", &[SystemCalls], |_| {
        let dumpable = rustix::process::DumpableBehavior::Dumpable;
        Ok(rustix::process::set_dumpable_behavior(dumpable)?)
    }),
    by("set its own limits", &[SystemCalls], |_| {
        use rustix::process::{Resource, getrlimit, setrlimit};
        Ok(setrlimit(Resource::Data, getrlimit(Resource::Data))?)
    }),
    by("find a descriptor of the host's", &[Descriptors], |_| {
        let mut found = 0;
        for entry in fs::read_dir("/proc/self/fd")? {
            let number: i32 = entry?.file_name().to_string_lossy().parse().unwrap_or(0);
            // One is the list itself.
            found += i32::from(number > 2);
        }
        if found > 1 { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }),
    by("read its host's variables", &[Environment], |_| {
        if inherited_variables() > 0 { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }),
    by("open descriptors without end", &[Resources], |_| {
        let stdin = io::stdin();
        let copies: Result<Vec<OwnedFd>, _> =
            (0..1000).map(|_| fcntl_dupfd_cloexec(stdin.as_fd(), 3)).collect();
        Ok(copies.map(drop)?)
    }),
    by("have its memory put down in a core", &[NotDumpable], |_| {
        match rustix::process::dumpable_behavior()? {
            rustix::process::DumpableBehavior::NotDumpable => {
                Err(io::ErrorKind::PermissionDenied.into())
            }
            _ => Ok(()),
        }
    }),
    by("start threads without end", &[Threads], |_| {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
        let threads: io::Result<Vec<_>> = (0..TOO_MANY_THREADS)
            .map(|_| {
                let wait = std::sync::Arc::clone(&wait);
                let idle = move || drop(wait.lock().map(|wait| wait.recv()));
                std::thread::Builder::new().stack_size(64 << 10).spawn(idle)
            })
            .collect();
        drop(done);
        threads.map(drop)
    }),
    by("take all memory", &[Memory], |_| {
        let mut all: Vec<u8> = Vec::new();
        let reserved = all.try_reserve_exact(TOO_MUCH_BYTES);
        // Not to be left out for not being used.
        std::hint::black_box(all.as_mut_ptr());
        Ok(reserved?)
    }),
];

const fn by(
    name: &'static str,
    alone: &'static [Layer],
    go: fn(&Outside) -> io::Result<()>,
) -> Crossing {
    Crossing { name, go, alone }
}

/// Makes what the ways lead to, in the folder at `path`.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir(path)?;
    // Nobody's, too: it shall not be the modes of files that close a way.
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    fs::write(path.join("file"), "outside")?;
    fs::set_permissions(path.join("file"), fs::Permissions::from_mode(0o666))
}

use Layer::{
    Descriptors, Environment, Files, Memory, Network, NotDumpable, Privileges, Resources, Scope,
    SystemCalls, Threads,
};

/// More than any limit that is tried here.
const TOO_MANY_THREADS: usize = 200;

/// What `shm_open` would make.
pub(super) const SHARED_MEMORY: &str = "/dev/shm/codemode-crossing";

/// More than any limit that is tried here.
const TOO_MUCH_BYTES: usize = 8 << 30;
