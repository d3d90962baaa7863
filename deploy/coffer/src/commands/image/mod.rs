//! `coffer image`: what is in image files. The readers are image-builder's.

mod diff;
mod inspect;
mod measure;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
pub(super) use measure::mrtd_of;

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
    /// Compute what the registers of a trust domain hold that boots an image: RTMR1 and RTMR2 for each way of loading it, and MRTD of a
    /// firmware.
    Measure {
        /// coffer.efi, or the disk in any of its forms.
        file: PathBuf,
        /// The firmware, for MRTD.
        #[arg(long, value_name = "FILE")]
        firmware: Option<PathBuf>,
    },
}

pub fn main(verb: &Verb, output: Output) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Measure { file, firmware } => measure::main(file, firmware.as_deref(), output),
        Verb::Inspect { file } => inspect::main(file, output),
        Verb::Diff { one, other } => diff::main(one, other, output),
    }
}

pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
