//! The MCP servers and clients that tests run: real ones, from npm and PyPI, at the versions in `tests/mcp/`.

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

/// Installs them into `mcp/` of the target folder, unless they are there: `node_modules/` and `venv/`.
///
/// Nothing is installed anywhere else but Debian packages, and those only where we may and they are missing.
pub(crate) fn provide(workspace: &Workspace) -> Result<(), Error> {
    let wanted = workspace.root.join("tests").join("mcp");
    let folder = workspace.target.join("mcp");
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
    say::note("MCP: installing servers and clients for the tests from npm and PyPI");
    fs::create_dir_all(&folder).map_err(|e| Error::file("create", &folder, &e))?;
    let _ = fs::remove_file(&stamp);
    for name in ["package.json", "package-lock.json"] {
        let (from, to) = (wanted.join(name), folder.join(name));
        fs::copy(&from, &to).map_err(|e| Error::file("copy", &from, &e))?;
    }
    // Nothing of what is installed runs before a test runs it.
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
    Err(Error::new(format!("`{name}` could not install the MCP servers and clients"))
        .hint("it needs npm's and PyPI's registries; see what it says above"))
}

const REQUIREMENTS: &str = "requirements.txt";
