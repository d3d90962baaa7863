//! Tells tests whether the genuine vectors are there, so that those that need them are counted as ignored where they are not: the
//! vectors are not ours to commit.
#![forbid(unsafe_code)]

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_tdx_vectors)");
    println!("cargo::rerun-if-env-changed=TDX_VECTORS");
    let beside = || {
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../../shared/data/tdx")
    };
    let folder = env::var_os("TDX_VECTORS").map_or_else(beside, PathBuf::from);
    // A path that is not there counts as changed each time, and all that stands on this crate would be compiled anew. Where the vectors come later,
    // TDX_VECTORS tells of them.
    let watched = if folder.is_dir() { folder.as_path() } else { Path::new("build.rs") };
    println!("cargo::rerun-if-changed={}", watched.display());
    if folder.join("quote-v4-uptodate.bin").is_file() {
        println!("cargo::rustc-cfg=has_tdx_vectors");
        println!("cargo::rustc-env=TDX_VECTORS={}", folder.display());
    }
}
