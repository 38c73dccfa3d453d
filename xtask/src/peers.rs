//! Programs of others that tests and the benchmark run: real ones, from npm and PyPI, at pinned versions.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    apt::{self, Need},
    error::Error,
    say,
    workspace::{Workspace, run},
};

/// What belongs together: a folder of `tests/` says in which versions, by `package.json`, its lock file and
/// `requirements.txt`.
pub(crate) struct Peers {
    name: &'static str,
    wanted_in: &'static str,
    /// In the target folder.
    installed_in: &'static str,
    what: &'static str,
}

impl Peers {
    /// What MCP's tests run.
    pub(crate) const MCP: Peers = Peers {
        name: "MCP",
        wanted_in: "mcp",
        installed_in: "mcp",
        what: "servers and clients for the tests",
    };

    /// What the benchmark compares with, beside the reference host.
    pub(crate) const BENCH: Peers = Peers {
        name: "bench",
        wanted_in: "bench",
        installed_in: "bench-peers",
        what: "other sandboxes to compare with",
    };
}

/// Installs them into their part of the target folder, unless they are there: `node_modules/` and `venv/`.
///
/// Nothing is installed anywhere else but Debian packages, and those only where we may and they are missing.
pub(crate) fn provide(workspace: &Workspace, peers: &Peers) -> Result<(), Error> {
    let wanted = workspace.root.join("tests").join(peers.wanted_in);
    let folder = workspace.target.join(peers.installed_in);
    let stamp = folder.join("stamp");
    let versions = versions(&wanted)?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == versions) {
        return Ok(());
    }
    apt::provide(&[
        Need::program("npm", "npm"),
        Need::program("python3", "python3"),
        Need::python_module("ensurepip", "python3-venv"),
    ])?;
    let Peers { name, what, .. } = peers;
    say::note(&format!("{name}: installing {what} from npm and PyPI"));
    fs::create_dir_all(&folder).map_err(|e| Error::file("create", &folder, &e))?;
    let _ = fs::remove_file(&stamp);
    for name in ["package.json", "package-lock.json"] {
        let (from, to) = (wanted.join(name), folder.join(name));
        fs::copy(&from, &to).map_err(|e| Error::file("copy", &from, &e))?;
    }
    // Nothing of what is installed runs before we run it.
    must(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder),
    )?;
    let venv = folder.join("venv");
    must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    must(
        Command::new(venv.join("bin").join("pip"))
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--requirement",
            ])
            .arg(wanted.join(REQUIREMENTS)),
    )?;
    fs::write(&stamp, versions).map_err(|e| Error::file("write", &stamp, &e))
}

/// What there has to be, as one text.
fn versions(wanted: &Path) -> Result<String, Error> {
    ["package-lock.json", REQUIREMENTS]
        .map(|name| -> Result<String, Error> {
            let path: PathBuf = wanted.join(name);
            fs::read_to_string(&path).map_err(|e| Error::file("read", &path, &e))
        })
        .into_iter()
        .collect()
}

fn must(command: &mut Command) -> Result<(), Error> {
    // Standard output belongs to what we run for the person, not to this.
    if run(command.stdout(std::io::stderr()))? {
        return Ok(());
    }
    let name = command.get_program().to_string_lossy().into_owned();
    Err(Error::new(format!("`{name}` could not install what `tests/` asks for"))
        .hint("it needs npm's and PyPI's registries; see what it says above"))
}

const REQUIREMENTS: &str = "requirements.txt";
