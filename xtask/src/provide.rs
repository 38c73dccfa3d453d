//! Puts V8's archive where the `v8` crate's build script looks for it.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process,
};

use crate::{
    archive::{Archive, sum_file},
    digest, download,
    error::Error,
    say, source_build, target_dir,
    workspace::Workspace,
};

/// Takes the first archive there is, in the order in which the places are tried, and says which.
///
/// Several set-ups may run at once: one works, the others wait for it. An archive appears under its name only when
/// it is whole, so a build that runs meanwhile sees the old one or the new one.
pub(crate) fn provide(workspace: &Workspace, archive: &Archive) -> Result<(), Error> {
    let _lock = lock(archive)?;
    if !(from_variable(archive)?
        || from_cache(archive)?
        || from_shared_folder(workspace, archive)?
        || from_release_page(archive)?)
    {
        say::note("V8: no prebuilt archive is to be had; building it from its sources");
        build(workspace, archive)?;
    }
    target_dir::drop_other_archives(workspace, archive)
}

/// `cargo xtask v8 --from-source`
pub(crate) fn from_source(workspace: &Workspace, archive: &Archive) -> Result<(), Error> {
    let _lock = lock(archive)?;
    build(workspace, archive)?;
    target_dir::drop_other_archives(workspace, archive)
}

fn from_variable(archive: &Archive) -> Result<bool, Error> {
    let Some(place) = env::var_os("RUSTY_V8_ARCHIVE") else { return Ok(false) };
    let hint = "name a readable `.a.gz` by its absolute path, or unset the variable";
    if let Some(url) = place.to_str().filter(|place| place.starts_with("http")) {
        say::note(&format!("V8: taking RUSTY_V8_ARCHIVE, {url}"));
        let temporary = Temporary::beside(&archive.cache);
        download::download(url, &temporary.path)?;
        return take(temporary, archive).map(|()| true);
    }
    let path = Path::new(&place);
    if !path.is_absolute() {
        // The build script would look for it in the folder of the `v8` crate.
        return Err(Error::new(format!(
            "RUSTY_V8_ARCHIVE is not an absolute path: {}",
            path.display()
        ))
        .hint(hint));
    }
    let Ok(sum) = digest::sha256(path) else {
        return Err(Error::new(format!(
            "RUSTY_V8_ARCHIVE names {}, which cannot be read",
            path.display()
        ))
        .hint(hint));
    };
    if recorded(&archive.cache).as_ref() == Some(&sum)
        && digest::sha256(&archive.cache).ok().as_ref() == Some(&sum)
    {
        say::note("V8: RUSTY_V8_ARCHIVE, which is what Cargo's cache has");
        return Ok(true);
    }
    let temporary = Temporary::beside(&archive.cache);
    fs::copy(path, &temporary.path).map_err(|e| Error::file("read", path, &e))?;
    take(temporary, archive).map_err(|error| error.hint(hint))?;
    say::note(&format!("V8: took RUSTY_V8_ARCHIVE, {}", path.display()));
    Ok(true)
}

fn from_cache(archive: &Archive) -> Result<bool, Error> {
    let cache = &archive.cache;
    if !cache.exists() {
        return Ok(false);
    }
    let sum = digest::sha256(cache).map_err(|e| Error::file("read", cache, &e))?;
    let damage = match recorded(cache) {
        Some(record) if record == sum => None,
        Some(_) => Some("its checksum is not the recorded one".to_owned()),
        None if archive.known().any(|(known, _)| known == sum) => None,
        None => digest::check_gzip(cache).err().map(|error| error.to_string()),
    };
    if let Some(damage) = damage {
        say::note(&format!("V8: the archive in Cargo's cache is damaged ({damage}): replacing it"));
        return Ok(false);
    }
    record(cache, &sum)?;
    say::note("V8: the archive is in Cargo's cache");
    Ok(true)
}

/// The folder that a machine's keeper may put beside checkouts, for all of them.
fn from_shared_folder(workspace: &Workspace, archive: &Archive) -> Result<bool, Error> {
    let Some(beside) = workspace.root.parent() else { return Ok(false) };
    let path = beside.join("shared").join("v8").join(&archive.file_name);
    if !path.exists() {
        return Ok(false);
    }
    let temporary = Temporary::beside(&archive.cache);
    let sum = fs::copy(&path, &temporary.path)
        .and_then(|_| digest::sha256(&temporary.path))
        .map_err(|e| Error::file("copy", &path, &e))?;
    if recorded(&path).is_some_and(|record| record != sum) {
        say::note(&format!(
            "V8: passing over {}: its checksum is not that of the .sha256 file beside it",
            path.display()
        ));
        return Ok(false);
    }
    if let Err(error) = take(temporary, archive) {
        say::note(&format!("V8: passing over {}: {error}", path.display()));
        return Ok(false);
    }
    say::note(&format!("V8: took {}", path.display()));
    Ok(true)
}

fn from_release_page(archive: &Archive) -> Result<bool, Error> {
    say::note(&format!("V8: downloading {}", archive.url));
    let temporary = Temporary::beside(&archive.cache);
    if let Err(error) = download::download(&archive.url, &temporary.path) {
        if error.is_final() {
            return Err(error.into());
        }
        say::note(&format!("V8: {error}"));
        return Ok(false);
    }
    let sum =
        digest::sha256(&temporary.path).map_err(|e| Error::file("read", &temporary.path, &e))?;
    let releases: Vec<_> =
        archive.known().filter(|(_, origin)| origin.starts_with("release")).collect();
    if !releases.is_empty() && releases.iter().all(|(known, _)| *known != sum) {
        return Err(Error::new(format!(
            "the downloaded archive has the SHA-256 sum {sum}, which xtask/v8/known.sha256 does not list"
        ))
        .hint("do not use it before you know why; `cargo xtask v8 --from-source` builds one"));
    }
    take(temporary, archive).map_err(|error| {
        error.hint("try again; `cargo xtask v8 --from-source` does without the download")
    })?;
    say::note(&format!("V8: downloaded; SHA-256 {sum}, recorded beside it"));
    Ok(true)
}

fn build(workspace: &Workspace, archive: &Archive) -> Result<(), Error> {
    let temporary = Temporary::beside(&archive.cache);
    source_build::build(workspace, archive, &temporary.path)?;
    take(temporary, archive)
}

/// Makes a whole archive the one in the cache.
fn take(temporary: Temporary, archive: &Archive) -> Result<(), Error> {
    let path = &temporary.path;
    let failed = |error| Error::file("read", path, &error);
    let sum = digest::sha256(path).map_err(failed)?;
    if archive.known().all(|(known, _)| known != sum) {
        digest::check_gzip(path)
            .map_err(|error| Error::new(format!("the archive is damaged ({error})")))?;
    }
    let cache = &archive.cache;
    // No record is better than one of the previous archive, should we be ended between the two steps.
    let _ = fs::remove_file(sum_file(cache));
    File::open(path).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(path, cache).map_err(|e| Error::file("write", cache, &e))?;
    record(cache, &sum)
}

fn recorded(archive: &Path) -> Option<String> {
    let text = fs::read_to_string(sum_file(archive)).ok()?;
    text.split_whitespace().next().map(str::to_owned)
}

fn record(archive: &Path, sum: &str) -> Result<(), Error> {
    if recorded(archive).as_deref() == Some(sum) {
        return Ok(());
    }
    let path = sum_file(archive);
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    fs::write(&path, format!("{sum}  {name}\n")).map_err(|e| Error::file("write", &path, &e))
}

fn lock(archive: &Archive) -> Result<File, Error> {
    let folder = archive.cache.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, &e))?;
    let path = folder.join("codemode-setup.lock");
    let failed = |error| Error::file("lock", &path, &error);
    let file = File::create(&path).map_err(failed)?;
    if file.try_lock().is_err() {
        say::note("V8: another set-up is at work; waiting for it");
        file.lock().map_err(failed)?;
    }
    remove_unfinished(archive);
    Ok(file)
}

/// Removes what a set-up that was killed left behind; nobody else is at work while we hold the lock.
fn remove_unfinished(archive: &Archive) {
    let folder = archive.cache.parent().unwrap_or(Path::new("."));
    let name = archive.cache.file_name().unwrap_or_default().to_string_lossy();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.file_name();
        let other = other.to_string_lossy();
        if other.starts_with(&*name) && other.ends_with(TEMPORARY) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file of our own beside its destination, gone again unless it was renamed.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn beside(destination: &Path) -> Self {
        let mut name = destination.as_os_str().to_owned();
        name.push(format!(".{}{TEMPORARY}", process::id()));
        Self { path: name.into() }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

const TEMPORARY: &str = ".tmp";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use tempfile::TempDir;

    use crate::workspace::V8Crate;

    use super::*;

    /// A machine with one checkout, whose archive is called `v8.a.gz`.
    struct Machine {
        folder: TempDir,
        workspace: Workspace,
        archive: Archive,
    }

    fn machine() -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("checkout");
        let cache = folder.path().join("cargo").join("v8.a.gz");
        fs::create_dir_all(cache.parent().unwrap()).unwrap();
        let v8 = V8Crate { version: "1.0.0".into(), features: Vec::new(), source: "/".into() };
        let archive = Archive {
            file_name: "v8.a.gz".into(),
            version: v8.version.clone(),
            url: "http://127.0.0.1:9/v8.a.gz".into(),
            cache,
        };
        Machine { workspace: Workspace { target: root.join("target"), root, v8 }, archive, folder }
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_whole_archive_in_the_cache_is_taken_and_its_sum_recorded() {
        let Machine { archive, folder: _folder, .. } = machine();
        assert!(!from_cache(&archive).unwrap(), "nothing is there");
        fs::write(&archive.cache, gzip("objects")).unwrap();
        assert!(from_cache(&archive).unwrap());
        assert_eq!(recorded(&archive.cache), Some(digest::sha256(&archive.cache).unwrap()));
        assert!(from_cache(&archive).unwrap(), "by its record");
    }

    #[test]
    fn a_damaged_archive_in_the_cache_is_not_taken() {
        let Machine { archive, folder: _folder, .. } = machine();
        let whole = gzip("objects");
        // Without a record its own checksum tells.
        fs::write(&archive.cache, &whole[..whole.len() - 3]).unwrap();
        assert!(!from_cache(&archive).unwrap());
        // With one, another whole archive is not what was taken.
        fs::write(&archive.cache, &whole).unwrap();
        assert!(from_cache(&archive).unwrap());
        fs::write(&archive.cache, gzip("other objects")).unwrap();
        assert!(!from_cache(&archive).unwrap());
    }

    #[test]
    fn the_shared_folder_is_taken_if_its_sum_fits() {
        let Machine { archive, workspace, folder } = machine();
        assert!(!from_shared_folder(&workspace, &archive).unwrap(), "nothing is there");
        let shared = folder.path().join("shared").join("v8");
        fs::create_dir_all(&shared).unwrap();
        let path = shared.join("v8.a.gz");
        for (bytes, sum, expected) in [
            (gzip("objects"), "0000  v8.a.gz".to_owned(), false),
            (b"no archive".to_vec(), String::new(), false),
            (gzip("objects"), String::new(), true),
        ] {
            fs::write(&path, &bytes).unwrap();
            fs::write(sum_file(&path), sum).unwrap();
            assert_eq!(from_shared_folder(&workspace, &archive).unwrap(), expected);
            assert_eq!(archive.cache.exists(), expected);
        }
        let cached: Vec<_> = fs::read_dir(archive.cache.parent().unwrap()).unwrap().collect();
        assert_eq!(cached.len(), 2, "the archive and its sum, nothing unfinished: {cached:?}");
        assert!(from_cache(&archive).unwrap());
    }

    #[test]
    fn a_set_up_that_was_killed_leaves_nothing_for_long() {
        let Machine { archive, folder: _folder, .. } = machine();
        let unfinished = archive.cache.with_file_name("v8.a.gz.4711.tmp");
        let other = archive.cache.with_file_name("other.a.gz.4711.tmp");
        for path in [&unfinished, &other] {
            fs::write(path, "half").unwrap();
        }
        drop(lock(&archive).unwrap());
        assert!(!unfinished.exists() && other.exists());
    }
}
