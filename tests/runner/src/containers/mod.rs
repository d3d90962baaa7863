//! Real images on machines of every shape.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use coffer_harness::control::Run;
use coffer_harness::images::Recipe;
use coffer_harness::{Artifacts, DiskBus};
use coffer_images::{Image, debian, small};

use crate::machine::{self, Outcome, Setting};
use crate::programs;
use crate::suite::Suite;

mod escapes;
mod images;
mod network;
mod options;
mod python;
mod servers;
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
    /// The program of the ABI cases.
    Cases,
    /// One of [`debian`]'s.
    Packages(Recipe),
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
        .chain(python::tests())
        .chain(servers::tests())
        .chain(network::tests())
        .chain(escapes::tests());
    add_all(suite, artifacts, "container", tests);
    Ok(())
}

/// Adds those on busybox's image again, on trust domains; without firmware, and with disks of every kind.
pub fn add_as_trust_domains(suite: &mut Suite, artifacts: &Artifacts) {
    let tests = streams::tests()
        .into_iter()
        .chain(options::tests())
        .chain(images::tests())
        .chain(shapes::tests())
        .filter(|test| test.image.recipe().is_none())
        .filter(|test| !test.setting.is_uefi || test.setting.disk_bus != DiskBus::default())
        .map(|test| {
            let setting = Setting { is_trust_domain: true, is_uefi: false, ..test.setting };
            Test { name: test.name.trim_start_matches("uefi_"), setting, ..test }
        });
    add_all(suite, artifacts, "tdx/container", tests);
}

fn add_all(suite: &mut Suite, artifacts: &Artifacts, group: &str, tests: impl Iterator<Item = Test>) {
    let tests: Vec<(String, Test)> = tests
        .map(|test| (format!("{group}/{}", test.name), test))
        .filter(|(name, _)| suite.is_selected(name))
        .collect();
    assemble_ahead(&tests);
    for (name, test) in tests {
        let artifacts = artifacts.clone();
        suite.add(&name, move || {
            let folder = tempfile::tempdir()?;
            let archive = test.image.archive(folder.path())?;
            let outcome = machine::run(&artifacts, &archive, &test.setting)?;
            (test.expect)(&outcome)
        });
    }
}

/// Assembles what the tests will want while others run: most of that time is spent waiting for the network.
fn assemble_ahead(tests: &[(String, Test)]) {
    let mut recipes: Vec<Recipe> = Vec::new();
    for recipe in tests.iter().filter_map(|(_, test)| test.image.recipe()) {
        if !recipes.contains(&recipe) {
            recipes.push(recipe);
        }
    }
    std::thread::spawn(move || {
        if let Err(error) = debian::assemble_all(&recipes, &cache()) {
            // The tests that need it try again, and say so.
            eprintln!("{error:#}");
        }
    });
}

impl Picture {
    /// What it is assembled by, if it is made of packages.
    fn recipe(self) -> Option<Recipe> {
        match self {
            Self::Packages(recipe) => Some(recipe),
            _ => None,
        }
    }

    fn archive(self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("image.tar");
        let write_layout = |image: Image| image.layout()?.write_tar(&path);
        match self {
            Self::Busybox => write_layout(small::busybox()?)?,
            Self::Layered => write_layout(small::layered()?)?,
            Self::Cases => {
                let program = programs::build("coffer-abi")?;
                write_layout(small::program(&fs::read(program).context("cannot read the ABI program")?))?;
            }
            Self::BusyboxArchive => small::busybox()?.docker_archive().write_tar(&path)?,
            Self::Packages(recipe) => return cached(&recipe),
        }
        Ok(path)
    }
}

/// Where images are kept from run to run.
fn cache() -> PathBuf {
    programs::root().join("target/images")
}

fn cached(recipe: &Recipe) -> anyhow::Result<PathBuf> {
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
