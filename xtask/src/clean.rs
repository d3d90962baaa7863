//! `cargo xtask clean`: removes the folder that everything is built into, assembled images included.

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::workspace;

/// Removes the folder.
pub fn main() -> anyhow::Result<ExitCode> {
    let target = workspace::target();
    if target.exists() {
        fs::remove_dir_all(&target).with_context(|| format!("cannot remove {}", target.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
