//! [`Document`]: evidence as one JSON object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version of its form.
pub const VERSION: u32 = 1;

/// All that a machine shows. It is a claim until somebody has verified it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Document {
    /// [`VERSION`].
    pub version: u32,
    /// What vouches for the machine.
    #[serde(default)]
    pub hardware: Hardware,
    /// None without hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Bytes>,
    /// The firmware's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_log: Option<Bytes>,
    /// The runtime's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_log: Option<Bytes>,
    /// The digest of the manifest that describes the image, if the machine's configuration names one: where to look, and proof of nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// What vouches for a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hardware {
    /// Intel TDX: it is a trust domain.
    #[default]
    Tdx,
    /// Nothing: it is not a trust domain.
    None,
}

/// Bytes in base64, with its padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(|error| serde::de::Error::custom(format!("not base64: {error}")))
    }
}
