//! `manifest.json`: what an image is made of and what its files must hash to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::sha256;
use crate::measure::{self, Registers};
use crate::sbom::Sbom;
use crate::{Error, authenticode};

/// The version of the form of this file.
pub const SCHEMA: u32 = 1;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of Coffer.
    pub version: String,
    /// The revision of the source that was built, 40 hexadecimal digits; with `-dirty` if files differ from it, and `unknown` outside of a
    /// repository.
    pub revision: String,
    /// What the kernel prints as `coffer.image`.
    pub image: String,
    /// The built-in command line.
    pub command_line: String,
    /// What the UKI holds: `stub`, `kernel`, `runtime`, `initramfs`.
    pub components: BTreeMap<String, File>,
    /// The files to boot from, by name.
    pub outputs: BTreeMap<String, File>,
    /// The Authenticode SHA-384 of `coffer.efi`.
    pub authenticode_sha384: String,
    /// RTMR1 and RTMR2 of trust domains that boot it, by the way of loading ([`measure::Loading`]).
    pub registers: BTreeMap<String, Registers>,
    /// The crates that ship.
    pub sbom: Sbom,
}

/// A file's size and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// In bytes.
    pub size: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// What a manifest cannot be computed from alone.
#[derive(Debug, Clone)]
pub struct Source {
    /// Version of Coffer.
    pub version: String,
    /// See [`Manifest::revision`].
    pub revision: String,
    /// The crates that ship.
    pub sbom: Sbom,
}

impl File {
    /// Describes `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

impl Manifest {
    /// Describes an image: its parts by name, and its files by name, `coffer.efi` among them.
    ///
    /// # Errors
    /// If there is no `coffer.efi`, or it is no PE file.
    pub fn new(
        source: Source,
        image: &crate::Image,
        components: &[(&str, &[u8])],
        outputs: &[(&str, &[u8])],
    ) -> Result<Self, Error> {
        let files = |parts: &[(&str, &[u8])]| {
            parts.iter().map(|(name, bytes)| ((*name).to_owned(), File::of(bytes))).collect()
        };
        Ok(Self {
            schema: SCHEMA,
            version: source.version,
            revision: source.revision,
            image: image.hash.clone(),
            command_line: image.command_line.clone(),
            components: files(components),
            outputs: files(outputs),
            authenticode_sha384: authenticode::sha384(&image.uki)?,
            registers: measure::registers(&image.disk)?,
            sbom: source.sbom,
        })
    }

    /// The file's text: keys in a fixed order, two spaces a level, a line feed at the end.
    ///
    /// # Errors
    /// If the encoder fails.
    pub fn to_json(&self) -> Result<String, Error> {
        let mut text =
            serde_json::to_string_pretty(self).map_err(|error| Error::input("the manifest", error))?;
        text.push('\n');
        Ok(text)
    }
}
