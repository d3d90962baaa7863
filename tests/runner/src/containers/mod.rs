//! Real images on machines of every shape.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use coffer_harness::Artifacts;
use coffer_harness::control::Run;
use coffer_harness::images::Recipe;
use coffer_images::{Image, debian, small};

use crate::machine::{self, Outcome, Setting};
use crate::programs;
use crate::suite::Suite;

mod images;
mod options;
mod python;
mod shapes;
mod shell;
mod streams;

/// What is tested on one machine.
struct Test {
    name: &'static str,
    image: Picture,
    setting: Setting,
    expect: fn(&Outcome) -> anyhow::Result<()>,
}

/// Which image a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Picture {
    Busybox,
    BusyboxArchive,
    Layered,
    Debian,
    Python,
}

/// A setting that runs this command.
fn command(words: &[&str]) -> Setting {
    let args = Some(words.iter().map(|word| (*word).to_owned()).collect());
    Setting { run: Run { args, ..Run::default() }, ..Setting::default() }
}

/// Adds every test of a container.
pub fn add(suite: &mut Suite, artifacts: &Artifacts) -> anyhow::Result<()> {
    let tests = streams::tests()
        .into_iter()
        .chain(options::tests())
        .chain(images::tests())
        .chain(shapes::tests())
        .chain(shell::tests())
        .chain(python::tests());
    for test in tests {
        let name = format!("container/{}", test.name);
        if !suite.is_selected(&name) {
            continue;
        }
        let artifacts = artifacts.clone();
        suite.add(&name, move || {
            let folder = tempfile::tempdir()?;
            let archive = test.image.archive(folder.path())?;
            let outcome = machine::run(&artifacts, &archive, &test.setting)?;
            (test.expect)(&outcome)
        });
    }
    Ok(())
}

impl Picture {
    fn archive(self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("image.tar");
        let write_layout = |image: Image| image.layout()?.write_tar(&path);
        match self {
            Self::Busybox => write_layout(small::busybox()?)?,
            Self::Layered => write_layout(small::layered()?)?,
            Self::BusyboxArchive => small::busybox()?.docker_archive().write_tar(&path)?,
            Self::Debian => return cached(&debian::DEBIAN),
            Self::Python => return cached(&debian::PYTHON),
        }
        Ok(path)
    }
}

/// Where images are kept from run to run.
fn cache() -> PathBuf {
    programs::root().join("target/images")
}

/// One at a time: two machines' tests may want the same image.
fn cached(recipe: &Recipe) -> anyhow::Result<PathBuf> {
    static ASSEMBLING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ASSEMBLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    debian::archive(recipe, &cache())
}

/// A shell script in the busybox image.
fn busybox(
    name: &'static str,
    script: &str,
    change: fn(&mut Setting),
    expect: fn(&Outcome) -> anyhow::Result<()>,
) -> Test {
    let mut setting = command(&["sh", "-c", script]);
    change(&mut setting);
    Test { name, image: Picture::Busybox, setting, expect }
}

/// Changes nothing.
fn usual(_: &mut Setting) {}

/// The result that the host has for the image's tree, read once.
fn last_checksum() -> anyhow::Result<Arc<str>> {
    debian::last_checksum(&debian::DEBIAN, &cache()).map(Into::into)
}
