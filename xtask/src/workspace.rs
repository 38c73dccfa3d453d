use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::error::Error;

/// This checkout, and what Cargo resolves for it.
pub(crate) struct Workspace {
    /// The folder that holds `Cargo.lock`.
    pub(crate) root: PathBuf,
    /// Where Cargo builds, `CARGO_TARGET_DIR` and configuration included.
    pub(crate) target: PathBuf,
    /// The `v8` crate as `Cargo.lock` has it, with the features that the whole workspace turns on.
    pub(crate) v8: V8Crate,
}

pub(crate) struct V8Crate {
    pub(crate) version: String,
    pub(crate) features: Vec<String>,
    /// The crate's sources, in the registry. Never written to.
    pub(crate) source: PathBuf,
}

impl Workspace {
    /// Asks Cargo, which downloads the crates that it does not have yet.
    pub(crate) fn load() -> Result<Self, Error> {
        let manifest_dir =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest_dir)
            .parent()
            .ok_or_else(|| Error::new("xtask is not inside a checkout"))?
            .to_owned();
        let metadata = metadata(&root, env::var_os("CI").is_some())?;
        let Some(v8) = metadata.packages.into_iter().find(|package| package.name == "v8") else {
            return Err(Error::new("Cargo.lock has no crate named `v8`"));
        };
        let features = metadata
            .resolve
            .nodes
            .into_iter()
            .find(|node| node.id == v8.id)
            .map(|node| node.features)
            .unwrap_or_default();
        let source = v8
            .manifest_path
            .parent()
            .ok_or_else(|| Error::new("the `v8` crate has no folder"))?
            .to_owned();
        let v8 = V8Crate { version: v8.version, features, source };
        Ok(Self { root, target: metadata.target_directory, v8 })
    }

    /// A Cargo command in this checkout: the Cargo that runs us, so that the toolchain is the same.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = cargo(&self.root);
        command.args(arguments);
        command
    }
}

/// Runs a command to its end, with our own standard streams.
pub(crate) fn run(command: &mut Command) -> Result<bool, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|e| Error::new(format!("cannot run `{name}`: {e}")))?;
    Ok(status.success())
}

/// Cargo's home folder, found as Cargo itself and `v8`'s build script find it.
pub(crate) fn cargo_home() -> Result<PathBuf, Error> {
    if let Some(home) = env::var_os("CARGO_HOME").filter(|home| !home.is_empty()) {
        return std::path::absolute(&home)
            .map_err(|e| Error::file("resolve", Path::new(&home), &e));
    }
    let home = env::home_dir().ok_or_else(|| {
        Error::new("cannot tell where Cargo's home folder is").hint("set HOME or CARGO_HOME")
    })?;
    Ok(home.join(".cargo"))
}

/// The packages that the manifest in `folder` resolves to, downloaded. `locked`: `Cargo.lock` must be up to date.
pub(crate) fn metadata(folder: &Path, locked: bool) -> Result<Metadata, Error> {
    let mut command = cargo(folder);
    command.args(["metadata", "--format-version=1", "--filter-platform", &target()?]);
    command.stderr(Stdio::inherit());
    if locked {
        command.arg("--locked");
    }
    let output =
        command.output().map_err(|e| Error::new(format!("cannot run `cargo metadata`: {e}")))?;
    if !output.status.success() {
        return Err(Error::new("Cargo cannot resolve the workspace, or cannot fetch its crates"));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|e| Error::new(format!("cannot read what `cargo metadata` says: {e}")))
}

/// The machine that is built for: this one, unless `CARGO_BUILD_TARGET` says otherwise.
pub(crate) fn target() -> Result<String, Error> {
    if let Ok(target) = env::var("CARGO_BUILD_TARGET") {
        return Ok(target);
    }
    let output = cargo(Path::new(".")).arg("-vV").output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| Error::new("`cargo -vV` does not say for which machine it builds"))
}

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    resolve: Resolve,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    version: String,
    pub(crate) manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    features: Vec<String>,
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    // `cargo xtask` runs us with the xtask package's variables, which are not those of what we run.
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command
}
