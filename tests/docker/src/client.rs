//! Which docker clients there are: the user's own, and Debian's, which is unpacked for the tests and never installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::{env, fs};

use anyhow::{Context as _, ensure};

/// The package with Debian's client; it brings an engine as well, which is why it is not installed.
const PACKAGE: &str = "docker.io";

/// The `docker` on the PATH, if there is one.
#[must_use]
pub fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join("docker")).find(|program| program.is_file())
}

/// Debian's client, unpacked below `cache`.
///
/// # Errors
/// If the package cannot be downloaded or unpacked.
pub fn debian(cache: &Path) -> anyhow::Result<PathBuf> {
    static BUSY: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUSY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = cache.join(PACKAGE);
    let program = folder.join("usr/bin/docker");
    if program.exists() {
        return Ok(program.canonicalize()?);
    }
    // Made aside and renamed, so that an interrupted attempt is not taken for a client.
    let draft = cache.join(format!("{PACKAGE}.draft"));
    let _ = fs::remove_dir_all(&draft);
    fs::create_dir_all(draft.join("root")).with_context(|| format!("cannot make {}", draft.display()))?;
    command(Command::new("apt-get").args(["download", "-q", PACKAGE]).current_dir(&draft))?;
    let package = fs::read_dir(&draft)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get has downloaded nothing")?;
    command(Command::new("dpkg").arg("-x").arg(&package).arg(draft.join("root")))?;
    fs::rename(draft.join("root"), &folder)?;
    fs::remove_dir_all(&draft)?;
    Ok(program.canonicalize()?)
}

/// What a client calls itself: `Docker version 28.2.2, build e6534b4`.
///
/// # Errors
/// If it does not run.
pub fn version(program: &Path) -> anyhow::Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn command(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?}: {}", command.get_program(), words.trim());
    Ok(())
}
