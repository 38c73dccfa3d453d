use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// The `codemode` binary of the profile that this test was built in, brought up to date if need be.
///
/// `cargo test --workspace` has built it already: the crate that it belongs to has integration tests. Asking Cargo
/// every time would not do: for one package alone it may settle on other features, and build half of the world again.
///
/// # Panics
/// When it cannot be built.
pub fn codemode() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = env::var_os("CODEMODE_BIN") {
            return path.into();
        }
        let folder = profile_folder();
        let binary = folder.join("codemode");
        if !is_fresh(&binary) {
            build(&folder);
        }
        assert!(binary.is_file(), "there is no {}", binary.display());
        binary
    })
}

/// `target`, where this test was built.
pub(crate) fn target_folder() -> PathBuf {
    profile_folder().parent().map(Path::to_owned).unwrap_or_default()
}

/// `target/debug` or `target/release`.
fn profile_folder() -> PathBuf {
    let this = env::current_exe().unwrap_or_default();
    let folder = this.parent().unwrap_or(&this);
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    folder.to_owned()
}

/// Whether none of the files that it was made from, by the list that Cargo leaves beside it, is newer.
fn is_fresh(binary: &Path) -> bool {
    let check = || -> io::Result<bool> {
        let built = fs::metadata(binary)?.modified()?;
        let list = fs::read_to_string(binary.with_extension("d"))?;
        let sources = list.split_once(": ").map(|(_, sources)| sources).unwrap_or_default();
        // A space within a name is escaped; the file is missed then, and a missing file makes the binary stale.
        for source in sources.split_whitespace() {
            if fs::metadata(source)?.modified().unwrap_or(SystemTime::now()) > built {
                return Ok(false);
            }
        }
        Ok(true)
    };
    check().unwrap_or(false)
}

fn build(profile_folder: &Path) {
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--package=codemode-host", "--bin=codemode", "--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(
        status.as_ref().is_ok_and(|status| status.success()),
        "cannot build codemode: {status:?}"
    );
}
