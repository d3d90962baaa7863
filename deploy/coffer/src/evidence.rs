//! A machine's evidence in one file (docs/attestation.md, "Evidence in one file").

use std::path::Path;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

use crate::judging::{FILE_LIMIT, Held, read};

/// The version of its form.
const VERSION: u32 = 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    version: u32,
    quote: Bytes,
    #[serde(default)]
    event_log: Option<Bytes>,
    #[serde(default)]
    runtime_log: Option<Bytes>,
}

/// Bytes in base64, with its padding.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(|error| serde::de::Error::custom(format!("not base64: {error}")))
    }
}

/// Reads one.
pub fn load(path: &Path) -> anyhow::Result<Held> {
    let not_evidence = || format!("{} is not evidence of a machine", path.display());
    let file: File = serde_json::from_slice(&read(path, FILE_LIMIT)?).with_context(not_evidence)?;
    ensure!(file.version == VERSION, "{} is of version {}, not {VERSION}", path.display(), file.version);
    let inner = |bytes: Option<Bytes>| bytes.map(|Bytes(bytes)| bytes);
    Ok(Held {
        source: path.to_owned(),
        quote: file.quote.0,
        event_log: inner(file.event_log),
        runtime_log: inner(file.runtime_log),
    })
}
