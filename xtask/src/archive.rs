use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    error::Error,
    workspace::{Workspace, cargo_home, target},
};

/// The prebuilt archive that the build script of the `v8` crate asks for.
///
/// The rules are those of that script (`static_lib_url`, `prebuilt_features_suffix`); version and features come
/// from what Cargo resolved for this workspace, so that they are written down in one place only.
pub(crate) struct Archive {
    /// `librusty_v8_simdutf_release_x86_64-unknown-linux-gnu.a.gz`
    pub(crate) file_name: String,
    /// The version of the `v8` crate.
    pub(crate) version: String,
    /// Where its project publishes it.
    pub(crate) url: String,
    /// Where the build script looks before it downloads.
    pub(crate) cache: PathBuf,
}

impl Archive {
    pub(crate) fn of(workspace: &Workspace) -> Result<Self, Error> {
        let v8 = &workspace.v8;
        let file_name = file_name(&v8.features, &target()?);
        let base = env::var("RUSTY_V8_MIRROR").unwrap_or_else(|_| RELEASES.into());
        let url = format!("{base}/v{}/{file_name}", v8.version);
        let cache = cargo_home()?.join(".rusty_v8").join(escaped(&url));
        Ok(Self { file_name, version: v8.version.clone(), url, cache })
    }

    /// SHA-256 sums of archives of this version that are known to be good, with what is known about each.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let name = format!("v{}/{}", self.version, self.file_name);
        KNOWN.lines().filter(|line| !line.starts_with('#')).filter_map(move |line| {
            let mut words = line.splitn(3, char::is_whitespace);
            let (sum, path) = (words.next()?, words.next()?);
            (path == name).then_some((sum, words.next().unwrap_or_default()))
        })
    }
}

/// Where the sum of an archive is recorded, in the format of `sha256sum`: beside it.
pub(crate) fn sum_file(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(".sha256");
    name.into()
}

fn file_name(features: &[String], target: &str) -> String {
    let suffix: String = [
        ("v8_enable_pointer_compression", "_ptrcomp"),
        ("v8_enable_sandbox", "_sandbox"),
        ("simdutf", "_simdutf"),
    ]
    .into_iter()
    .filter(|(feature, _)| features.iter().any(|f| f == feature))
    .map(|(_, suffix)| suffix)
    .collect();
    format!("librusty_v8{suffix}_release_{target}.a.gz")
}

fn escaped(url: &str) -> String {
    url.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

const RELEASES: &str = "https://github.com/denoland/rusty_v8/releases/download";

const KNOWN: &str = include_str!("../v8/known.sha256");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_build_script() {
        let check = |features: &[&str], expected: &str| {
            let features: Vec<_> = features.iter().map(ToString::to_string).collect();
            assert_eq!(file_name(&features, "x86_64-unknown-linux-gnu"), expected);
        };
        check(
            &["default", "simdutf", "use_custom_libcxx"],
            "librusty_v8_simdutf_release_x86_64-unknown-linux-gnu.a.gz",
        );
        check(&[], "librusty_v8_release_x86_64-unknown-linux-gnu.a.gz");
        check(
            &["simdutf", "v8_enable_sandbox", "v8_enable_pointer_compression"],
            "librusty_v8_ptrcomp_sandbox_simdutf_release_x86_64-unknown-linux-gnu.a.gz",
        );
    }

    #[test]
    fn the_cache_is_keyed_as_the_build_script_keys_it() {
        assert_eq!(
            escaped("https://github.com/a/v150.4.0/librusty_v8.a.gz"),
            "https___github_com_a_v150_4_0_librusty_v8_a_gz"
        );
    }

    #[test]
    fn known_sums_are_well_formed() {
        for line in KNOWN.lines().filter(|line| !line.starts_with('#')) {
            let sum = line.split_whitespace().next().unwrap_or_default();
            assert!(sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
            assert_eq!(line.split_whitespace().nth(1).map(|p| p.starts_with('v')), Some(true));
        }
    }
}
