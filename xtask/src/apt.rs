//! System packages: named, and installed where we may.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{error::Error, say, workspace::run};

/// A thing that must be on the machine, and the Debian package that brings it.
pub(crate) struct Need {
    probe: Probe,
    package: &'static str,
}

enum Probe {
    Program(&'static str),
    File(PathBuf),
    PythonModule(&'static str),
}

impl Need {
    pub(crate) fn program(name: &'static str, package: &'static str) -> Self {
        Self { probe: Probe::Program(name), package }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, package: &'static str) -> Self {
        Self { probe: Probe::File(path.into()), package }
    }

    pub(crate) fn python_module(name: &'static str, package: &'static str) -> Self {
        Self { probe: Probe::PythonModule(name), package }
    }

    fn is_met(&self) -> bool {
        match &self.probe {
            Probe::Program(name) => is_on_path(name),
            Probe::File(path) => path.exists(),
            Probe::PythonModule(name) => Command::new("python3")
                .args(["-c", &format!("import {name}")])
                .output()
                .is_ok_and(|output| output.status.success()),
        }
    }
}

/// Installs the packages of the needs that are not met, as root on Debian; elsewhere the error is the command to type.
pub(crate) fn provide(needs: &[Need]) -> Result<(), Error> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    if !is_on_path("apt-get") {
        return Err(Error::new(format!(
            "these are missing, by their Debian names: {}",
            missing.join(" ")
        ))
        .hint("install them the way this system does, then run the same command again"));
    }
    if !is_root() {
        return Err(Error::new(format!("missing: {}", missing.join(" "))).hint(format!(
            "sudo apt-get update && sudo apt-get install --yes --no-install-recommends {}",
            missing.join(" ")
        )));
    }
    say::note(&format!("installing Debian packages: {}", missing.join(" ")));
    run(apt_get().args(["--quiet=2", "update"]))?;
    let install = ["--quiet=2", "--yes", "--no-install-recommends", "install"];
    let installed = run(apt_get().args(install).args(&missing))?;
    let still: Vec<_> = self::missing(needs);
    if !installed || !still.is_empty() {
        return Err(Error::new(format!("apt-get did not provide: {}", still.join(" "))));
    }
    Ok(())
}

pub(crate) fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn missing(needs: &[Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        needs.iter().filter(|need| !need.is_met()).map(|need| need.package).collect();
    packages.dedup();
    packages
}

fn is_root() -> bool {
    // The owner of our own entry in /proc is our effective user.
    fs::metadata(Path::new("/proc/self")).is_ok_and(|metadata| metadata.uid() == 0)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    // Standard output belongs to what we run for the person, not to this.
    command.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::io::stderr());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_asked_for_and_once() {
        let needs = [
            Need::file("/", "base-files"),
            Need::file("/no/such/file", "one"),
            Need::file("/no/such/other", "one"),
            Need::program("no-such-program", "two"),
        ];
        assert_eq!(missing(&needs), ["one", "two"]);
    }
}
