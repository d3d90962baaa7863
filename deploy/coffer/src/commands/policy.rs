//! `coffer policy`: what is wanted of a machine, as a file for `coffer verify` (docs/attestation.md).

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use attestation_policy::Policy;
use clap::ValueEnum;
use coffer_image_builder::manifest::Manifest;
use coffer_image_builder::measure::Loading;

use super::image::{mrtd_of, read};

use crate::output::say;

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Print a policy that accepts the one image that a manifest is about, on a firmware.
    Init(Init),
}

#[derive(Debug, clap::Args)]
pub struct Init {
    /// manifest.json of the image.
    manifest: PathBuf,
    /// The firmware that machines have.
    #[arg(long, value_name = "FILE", required_unless_present = "mrtd")]
    firmware: Option<PathBuf>,
    /// Its MRTD, where a provider says it and does not give the firmware away; may be given more than once.
    #[arg(long, value_name = "HEX")]
    mrtd: Vec<String>,
    /// How machines load the image; may be given more than once. As firmware of the TDVF kind does, if it is not given.
    #[arg(long, value_name = "WAY")]
    loading: Vec<Way>,
}

/// A way of loading an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// From its disk, by a firmware of the TDVF kind.
    Tdvf,
    /// The same by an older one.
    TdvfWithoutSeparator,
    /// By the simulated TDX module of Coffer's tests, which is no protection.
    Tdsim,
}

impl Way {
    const fn loading(self) -> Loading {
        match self {
            Self::Tdvf => Loading::Tdvf,
            Self::TdvfWithoutSeparator => Loading::TdvfWithoutSeparator,
            Self::Tdsim => Loading::Tdsim,
        }
    }
}

pub fn main(Verb::Init(arguments): &Verb) -> anyhow::Result<()> {
    let path = &arguments.manifest;
    let manifest: Manifest = serde_json::from_slice(&read(path)?)
        .with_context(|| format!("{} is not the manifest of an image", path.display()))?;
    let mut mrtd = arguments.mrtd.clone();
    if let Some(firmware) = &arguments.firmware {
        mrtd.extend(mrtd_of(firmware)?.into_values());
    }
    let ways = if arguments.loading.is_empty() {
        &[Way::Tdvf, Way::TdvfWithoutSeparator][..]
    } else {
        &arguments.loading
    };
    let text = policy(&manifest, &mrtd, ways)?;
    // What is printed is a policy, whatever was in the manifest.
    Policy::from_toml(&text)?;
    say(&text)
}

fn policy(manifest: &Manifest, mrtd: &[String], ways: &[Way]) -> anyhow::Result<String> {
    let mut text = String::from(
        "# What may run on a machine: one image, on one firmware. All else that can be asked for is in docs/attestation.md, \"The policy\".\n\n[logs]\nruntime-log = true\n",
    );
    for way in ways {
        let name = way.loading().name();
        let registers = manifest.registers.get(name);
        let registers = registers.with_context(|| format!("the manifest has no registers for `{name}`"))?;
        let title = format!("coffer {} ({}), loaded as {name}", manifest.version, manifest.revision);
        ensure!(
            !title.contains(['"', '\\']) && !title.contains(char::is_control),
            "the manifest's version is odd"
        );
        text.push_str(&format!(
            "\n[[image]]\nname = \"{title}\"\nmrtd = {}\nrtmr1 = {}\nrtmr2 = {}\n",
            list(mrtd)?,
            list(std::slice::from_ref(&registers.rtmr1))?,
            list(std::slice::from_ref(&registers.rtmr2))?,
        ));
    }
    Ok(text)
}

/// A list of registers; text that is none does not get into a file.
fn list(registers: &[String]) -> anyhow::Result<String> {
    let quoted = registers.iter().map(|register| {
        let is_register = register.len() == 96 && register.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(is_register, "`{}` is not a register: 96 hexadecimal digits", register.escape_default());
        Ok(format!("\"{}\"", register.to_ascii_lowercase()))
    });
    Ok(format!("[{}]", quoted.collect::<anyhow::Result<Vec<_>>>()?.join(", ")))
}
