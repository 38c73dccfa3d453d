//! How `codemode` is linked: so that it starts fast. `docs/performance.md` has the figures.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if !is_for_this_machine() {
        return;
    }
    if c_library() >= Some((2, 36)) {
        // V8's tables hold 55,000 addresses, and 30,000 more are ours, which are put right whenever the program starts. Packed, the list
        // of them takes 20 KB instead of 2 MB to read: a tenth of the time from start to the first answer.
        link("-Wl,-z,pack-relative-relocs");
    }
    if has_static_unwinder() {
        // What unwinds the stack for a panic: 50 KB. As a library of its own it takes a twentieth of the start to find, to map,
        // and to ask the processor what it is. All of the archive, or what was linked before it would have the library.
        link("-Wl,--push-state,-Bstatic,--whole-archive,-lgcc_eh,--pop-state");
    }
    if links_with_lld() {
        // Functions and tables that are the same become one: 5 MB less, and a tenth of the pages with addresses.
        link("-Wl,--icf=all");
        // What a start runs lies together: in 40 of the pieces that the kernel maps at a time, and not in 240. `cargo xtask bench --order`
        // tells how much of the list holds; of a name that is not there, nothing needs to be said.
        println!("cargo::rerun-if-changed={ORDER}");
        link("-Wl,--no-warn-symbol-ordering");
        link("-Xlinker");
        link(&format!("--symbol-ordering-file={}", folder().join(ORDER).display()));
    }
}

fn link(argument: &str) {
    println!("cargo::rustc-link-arg-bins={argument}");
}

/// Whether the program will run where it is built, on Linux with the GNU C library.
fn is_for_this_machine() -> bool {
    let is_gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu")
        && env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    is_gnu && env::var_os("HOST") == env::var_os("TARGET")
}

/// The version of its C library, as `glibc 2.36` has it.
fn c_library() -> Option<(u32, u32)> {
    let text = output(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    let (major, minor) = text.strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// Whether the compiler that links has GCC's unwinder as an archive. It prints the bare name of what it has not.
fn has_static_unwinder() -> bool {
    output(Command::new("cc").arg("-print-file-name=libgcc_eh.a"))
        .is_some_and(|path| Path::new(&path).is_absolute())
}

/// Whether rustc links with the `lld` that it ships, as it does on x86-64 unless told otherwise. GNU ld refuses what it does not know.
fn links_with_lld() -> bool {
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let told_otherwise = env::var_os("RUSTC_LINKER").is_some()
        || env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link"));
    let Ok(target) = env::var("TARGET") else { return false };
    let is_default = target.starts_with("x86_64-") && !told_otherwise;
    is_default
        && sysroot().is_some_and(|root| {
            root.join("lib/rustlib").join(target).join("bin/gcc-ld/ld.lld").exists()
        })
}

fn sysroot() -> Option<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    output(Command::new(rustc).args(["--print", "sysroot"])).map(PathBuf::from)
}

/// That of this package.
fn folder() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default()
}

/// What a command prints, if it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text =
        output.status.success().then(|| String::from_utf8(output.stdout)).and_then(Result::ok)?;
    Some(text.trim().to_owned())
}

/// The functions that are needed first, by the names that the linker knows them by.
const ORDER: &str = "link-order.txt";
