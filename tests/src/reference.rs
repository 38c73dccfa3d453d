use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha512};

use crate::binary::target_folder;

/// The reference host, and the Codex command line that it belongs to, from npm.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The folder that the package brings for this machine.
    pub folder: PathBuf,
}

/// Why there is no reference to compare with.
#[derive(Clone, Debug, thiserror::Error)]
#[error("nothing is compared with the reference host: {0}")]
pub struct Unavailable(String);

impl Reference {
    /// The reference, downloaded into `target/reference` the first time.
    ///
    /// `CODEMODE_REFERENCE` names a folder to take instead, or is `required`: then it fails where the reference
    /// cannot be had, instead of going on without.
    ///
    /// # Errors
    /// Where npm or the platform is out of reach. This is said on standard error, once.
    ///
    /// # Panics
    /// When npm delivers something else than expected, or the reference is required.
    pub fn fetch() -> Result<&'static Reference, Unavailable> {
        static REFERENCE: OnceLock<Result<Reference, Unavailable>> = OnceLock::new();
        let reference = REFERENCE.get_or_init(|| {
            let wish = env::var("CODEMODE_REFERENCE").unwrap_or_default();
            let fetched = match wish.as_str() {
                "" | "required" => fetch(&target_folder().join("reference")),
                folder => Ok(Reference { folder: folder.into() }),
            };
            if let Err(unavailable) = &fetched {
                assert!(wish != "required", "{unavailable}");
                notice(&unavailable.to_string());
            }
            fetched
        });
        reference.as_ref().map_err(Clone::clone)
    }

    /// The host.
    pub fn host(&self) -> PathBuf {
        self.folder.join("bin").join(HOST)
    }

    /// A copy of the package's folder with another host in place of the reference.
    ///
    /// # Errors
    /// Those of files.
    pub fn with_host(&self, host: &Path, copy: &Path) -> io::Result<Reference> {
        fs::create_dir_all(copy.join("bin"))?;
        for entry in fs::read_dir(&self.folder)?.flatten() {
            if entry.file_name() != "bin" {
                std::os::unix::fs::symlink(entry.path(), copy.join(entry.file_name()))?;
            }
        }
        // The command line finds its host beside itself, through symbolic links: hence no link to `codex`.
        link_or_copy(&self.folder.join("bin/codex"), &copy.join("bin/codex"))?;
        link_or_copy(host, &copy.join("bin").join(HOST))?;
        Ok(Reference { folder: copy.to_owned() })
    }
}

/// Says something that is seen although the test passes: the test harness keeps back only what is printed.
fn notice(text: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), format!("notice: {text}\n").as_bytes());
}

fn fetch(cache: &Path) -> Result<Reference, Unavailable> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Unavailable("its package is for Linux on x86-64".into()));
    }
    let failed = |what: &str, error: io::Error| Unavailable(format!("{what}: {error}"));
    let package = cache.join(VERSION);
    let folder = package.join("package/vendor/x86_64-unknown-linux-musl");
    fs::create_dir_all(cache).map_err(|e| failed("cannot make target/reference", e))?;
    // Another test may be at it.
    let lock = File::create(cache.join("lock")).map_err(|e| failed("cannot lock", e))?;
    lock.lock().map_err(|e| failed("cannot lock", e))?;
    if folder.exists() {
        return Ok(Reference { folder });
    }
    let scratch = tempfile::tempdir_in(cache).map_err(|e| failed("cannot make a folder", e))?;
    let archive = download(scratch.path())?;
    let bytes = fs::read(&archive).map_err(|e| failed("cannot read what npm brought", e))?;
    let sum = format!("sha512-{}", STANDARD.encode(Sha512::digest(&bytes)));
    assert_eq!(sum, INTEGRITY, "{PACKAGE} is not what it was");
    let unpacked =
        Command::new("tar").arg("-xzf").arg(&archive).current_dir(scratch.path()).status();
    if !unpacked.is_ok_and(|status| status.success()) {
        return Err(Unavailable("tar cannot unpack it".into()));
    }
    fs::remove_file(archive).map_err(|e| failed("cannot remove the archive", e))?;
    // Complete or not there at all.
    fs::rename(scratch.keep(), package).map_err(|e| failed("cannot put it in place", e))?;
    Ok(Reference { folder })
}

fn download(folder: &Path) -> Result<PathBuf, Unavailable> {
    let output = Command::new("npm")
        .args(["pack", PACKAGE, "--loglevel=error", "--fetch-retries=1", "--pack-destination"])
        .arg(folder)
        .current_dir(folder)
        .output()
        .map_err(|e| Unavailable(format!("cannot run npm: {e}")))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(Unavailable(format!("npm cannot download {PACKAGE}: {}", error.trim())));
    }
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| Unavailable("npm brought no archive".into()))
}

fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

const VERSION: &str = "0.169.0";

const PACKAGE: &str = "@openai/codex@0.169.0-linux-x64";

/// Of the archive, as npm has it.
const INTEGRITY: &str = "sha512-o05NyAOCDygSPRo1yinzxvkRSdmsZyBD9E7mbpmjRanSfM8lypqWtQgEo4XfNkwhuCR2aFu8mlGOsQGFXVbVww==";

const HOST: &str = "codex-code-mode-host";
