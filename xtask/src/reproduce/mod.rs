//! `cargo xtask reproduce`: builds the image here, in a hostile place and in Nix's sandbox, and compares every byte of every output.
//!
//! [`elsewhere`] and [`nix`] are the other places, [`verdict`] is the comparison.

mod elsewhere;
mod nix;
mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use crate::{image, packages, recipe, setup};

pub use nix::{build_host_cli, store as nix_store};
pub use verdict::{Outputs, Verdict};

/// Options of `cargo xtask reproduce`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only in this place; may be given more than once. Otherwise in all.
    #[arg(long = "in", value_name = "PLACE")]
    places: Vec<Place>,
}

/// A place to build in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// Another folder, user, umask, time zone, locale, home, toolchain folder and number of jobs; crates vendored.
    Elsewhere,
    /// Nix's sandbox.
    Nix,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Elsewhere, Self::Nix];

    fn title(self) -> &'static str {
        match self {
            Self::Elsewhere => "elsewhere",
            Self::Nix => "nix",
        }
    }

    /// Builds there.
    fn build(self) -> anyhow::Result<Outputs> {
        match self {
            Self::Elsewhere => elsewhere::build(),
            Self::Nix => nix::build(),
        }
    }
}

/// Builds and compares; fails if a byte differs.
pub fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let places = if arguments.places.is_empty() { &Place::ALL[..] } else { &arguments.places };
    setup::ensure_met(&[packages::NIX])?;
    let verdict = compare(places)?;
    println!("{verdict}");
    Ok(if verdict.is_reproduced() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the image here and in `places`.
pub fn compare(places: &[Place]) -> anyhow::Result<Verdict> {
    ensure!(!recipe::is_draft(), "a draft is nobody else's: unset COFFER_DRAFT");
    let (image, _) = image::publish()?;
    let here = read_outputs(image.folder())?;
    let mut others = Vec::new();
    for place in places {
        let outputs = place.build().with_context(|| format!("the build {} failed", place.title()))?;
        others.push((place.title(), outputs));
    }
    Ok(Verdict::new(here, others))
}

/// What a build has left in `folder`.
fn read_outputs(folder: &Path) -> anyhow::Result<Outputs> {
    let read = |name: &'static str| {
        let path = folder.join(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((name, bytes))
    };
    image::output_names().map(read).collect::<anyhow::Result<BTreeMap<_, _>>>()
}
