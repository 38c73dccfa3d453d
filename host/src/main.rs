//! The `codemode` command line.

fn main() {}
