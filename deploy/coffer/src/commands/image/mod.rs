//! `coffer image`: what is in image files. The readers are image-builder's.

mod diff;
mod inspect;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::output::Output;

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Say what is in an image: its parts, their hashes, the hash that firmware measures.
    Inspect {
        /// coffer.efi, or the disk in any of its forms.
        file: PathBuf,
    },
    /// Name the innermost part in which two images differ. Exits with 0 if they are the same, 1 if they differ, 2 on errors.
    Diff {
        /// An image; the two may be in different forms.
        one: PathBuf,
        /// The other one.
        other: PathBuf,
    },
}

pub fn main(verb: &Verb, output: Output) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Inspect { file } => inspect::main(file, output),
        Verb::Diff { one, other } => diff::main(one, other, output),
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
