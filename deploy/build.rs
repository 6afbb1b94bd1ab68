//! Links the program so that it needs less memory, where the system can load it so.

use std::process::Command;

/// From this version on glibc reads relocations that are packed.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=deploy/build.rs");
    // What the loader reads at the start stays in memory: half a megabyte of relocations, or a few
    // kilobytes of packed ones. A program for another system is linked as always.
    if is_for_this_system() && libc_version().is_some_and(|version| version >= PACKED_SINCE) {
        println!("cargo::rustc-link-arg=-Wl,-z,pack-relative-relocs");
    }
}

fn is_for_this_system() -> bool {
    let is_same = variable("TARGET") == variable("HOST");
    is_same
        && variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_ENV") == "gnu"
}

/// The version of glibc; `None` where it cannot be told.
fn libc_version() -> Option<(u32, u32)> {
    let told = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is how cargo tells of the build"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
