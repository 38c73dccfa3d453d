use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    archive::Archive,
    digest,
    error::Error,
    say,
    workspace::{Workspace, run},
};

/// Makes Cargo run the build script of `v8` again wherever it unpacked another archive than the one in the cache.
///
/// The script unpacks once and does not watch the cache: without this a replaced archive would change nothing.
pub(crate) fn drop_other_archives(workspace: &Workspace, archive: &Archive) -> Result<(), Error> {
    for (profile, library) in unpacked(&workspace.target) {
        if digest::is_unpacked_from(&library, &archive.cache).unwrap_or(false) {
            continue;
        }
        say::note(&format!("V8: {profile} builds hold another archive: cleaning `v8` there"));
        let package = format!("v8@{}", archive.version);
        let profile = if profile == "debug" { "dev" } else { &profile };
        run(&mut workspace.cargo([
            "clean",
            "--quiet",
            "--package",
            &package,
            "--profile",
            profile,
        ]))?;
        // The `.sum` says that nothing needs to be unpacked.
        for path in [library.with_extension("sum"), library] {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// The folders of a target folder's profiles, each with the library that was unpacked there.
fn unpacked(target: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    fs::read_dir(target).into_iter().flatten().flatten().filter_map(|entry| {
        let library = entry.path().join("gn_out").join("obj").join("librusty_v8.a");
        let profile = entry.file_name().into_string().ok()?;
        library.exists().then_some((profile, library))
    })
}
