//! How `codemode` is linked.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if understands_packed_relocations() {
        // V8's tables hold 55,000 addresses, and 30,000 more are ours, which are put right whenever the program starts. Packed, the list
        // of them takes 20 KB instead of 2 MB to read: a tenth of the time from start to the first answer.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the C library that the program will find does: that of this machine, from version 2.36 on.
fn understands_packed_relocations() -> bool {
    let is_gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu")
        && env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    is_gnu && env::var_os("HOST") == env::var_os("TARGET") && c_library() >= Some((2, 36))
}

/// Its version, as `glibc 2.36` has it.
fn c_library() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
