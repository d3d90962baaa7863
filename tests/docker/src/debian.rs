//! Programs of Debian packages that are not to be installed, since they bring a service along or would stand in the way of others: the
//! package is downloaded and unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};

/// The program `bin` of `package`, unpacked below `cache`.
///
/// # Errors
/// If the package cannot be downloaded or unpacked.
pub fn unpacked(package: &str, bin: &str, cache: &Path) -> anyhow::Result<PathBuf> {
    static BUSY: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = cache.join(package);
    let program = folder.join("usr/bin").join(bin);
    if program.exists() {
        return Ok(program.canonicalize()?);
    }
    // Made aside and renamed, so that an interrupted attempt is not taken for the whole.
    let draft = cache.join(format!("{package}.draft"));
    let _ = fs::remove_dir_all(&draft);
    fs::create_dir_all(draft.join("root")).with_context(|| format!("cannot make {}", draft.display()))?;
    command(Command::new("apt-get").args(["download", "-q", package]).current_dir(&draft))?;
    let file = fs::read_dir(&draft)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get has downloaded nothing")?;
    command(Command::new("dpkg").arg("-x").arg(&file).arg(draft.join("root")))?;
    fs::rename(draft.join("root"), &folder)?;
    fs::remove_dir_all(&draft)?;
    Ok(program.canonicalize()?)
}

/// Packages that need each other, unpacked into one folder below `cache`, which is returned.
///
/// # Errors
/// If one cannot be downloaded or unpacked.
pub fn unpacked_together(packages: &[&str], cache: &Path) -> anyhow::Result<PathBuf> {
    let name = packages.first().context("no package is named")?;
    let folder = cache.join(format!("{name}.together"));
    if folder.exists() {
        return Ok(folder.canonicalize()?);
    }
    let draft = cache.join(format!("{name}.together.draft"));
    let _ = fs::remove_dir_all(&draft);
    fs::create_dir_all(draft.join("root")).with_context(|| format!("cannot make {}", draft.display()))?;
    command(Command::new("apt-get").args(["download", "-q"]).args(packages).current_dir(&draft))?;
    for entry in fs::read_dir(&draft)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            command(Command::new("dpkg").arg("-x").arg(&file).arg(draft.join("root")))?;
        }
    }
    fs::rename(draft.join("root"), &folder)?;
    fs::remove_dir_all(&draft)?;
    Ok(folder.canonicalize()?)
}

/// Runs a program that must succeed.
pub(crate) fn command(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_owned();
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", program.display(), words.trim());
    Ok(())
}
