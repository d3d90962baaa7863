//! `cargo xtask clean`: removes the folder that everything is built into, assembled images included.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::workspace;

/// Removes the folder.
pub fn main() -> anyhow::Result<ExitCode> {
    let target = workspace::target();
    if target.exists() {
        let store = crate::reproduce::nix_store();
        if store.exists() {
            // Folders in a Nix store cannot be written to, not even by their owner.
            let status = Command::new("chmod").args(["-R", "u+w"]).arg(&store).status();
            status.context("cannot start chmod")?;
        }
        fs::remove_dir_all(&target).with_context(|| format!("cannot remove {}", target.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
