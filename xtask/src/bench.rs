use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    error::Error,
    say,
    workspace::{self, Workspace},
};

/// Builds `codemode` and the benchmark with optimisations, fetches the reference host, and becomes the
/// benchmark. Returns only if something of that failed.
pub(crate) fn run(checkout: &Workspace, arguments: &[String]) -> Result<(), Error> {
    say::note("building the benchmark, in release mode: some minutes the first time");
    let built = workspace::run(&mut checkout.cargo([
        "build",
        "--release",
        "--package=codemode-host",
        "--bin=codemode",
        "--package=codemode-tests",
        "--bin=bench",
    ]))?;
    if !built {
        return Err(Error::new("the benchmark did not build"));
    }
    if let Err(error) = fetch_reference(&checkout.target) {
        say::note(&format!("no reference host: {error}"));
    }
    let program = checkout.target.join("release").join("bench");
    let error = Command::new(&program).current_dir(&checkout.root).args(arguments).exec();
    Err(Error::new(format!("cannot run {}: {error}", program.display())))
}

/// Puts the reference's package into `reference/` under the target folder, unless `CODEMODE_REFERENCE` names a host or
/// it is there already.
fn fetch_reference(target: &Path) -> Result<(), Error> {
    let folder = target.join("reference");
    if std::env::var_os("CODEMODE_REFERENCE").is_some() || folder.join("package").exists() {
        return Ok(());
    }
    say::note(&format!("fetching the reference host: npm pack {PACKAGE}"));
    fs::create_dir_all(&folder).map_err(|e| Error::file("create", &folder, &e))?;
    let packed = Command::new("npm")
        .args(["pack", "--silent", PACKAGE])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .output()
        .map_err(|e| Error::new(format!("cannot run `npm`: {e}")))?;
    let archive = String::from_utf8_lossy(&packed.stdout).trim().to_owned();
    if !packed.status.success() || archive.is_empty() {
        return Err(Error::new(format!("npm does not give {PACKAGE}")));
    }
    let mut tar = Command::new("tar");
    // Into a folder that gets its name when it is whole.
    let partial = folder.join("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).map_err(|e| Error::file("create", &partial, &e))?;
    tar.args(["-xzf", &archive, "-C", "partial", HOST]).current_dir(&folder);
    let unpacked = workspace::run(&mut tar)?;
    let _ = fs::remove_file(folder.join(&archive));
    if !unpacked {
        return Err(Error::new(format!("{archive} has no {HOST}")));
    }
    let package = folder.join("package");
    fs::rename(partial.join("package"), &package)
        .and_then(|()| fs::remove_dir(&partial))
        .map_err(|e| Error::file("create", &package, &e))
}

const PACKAGE: &str = "@openai/codex@0.169.0-linux-x64";

const HOST: &str = "package/vendor/x86_64-unknown-linux-musl/bin/codex-code-mode-host";
