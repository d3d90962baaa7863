//! [`Policy`]: the file (docs/attestation.md, "The policy"). A key that is not known is an error, as is a value that is not of its form: a
//! misspelt restriction must not be none.

use attestation_verify::TcbStatus;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

/// What is wanted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Policy {
    /// Whether a plain virtual machine will do, which has no hardware evidence. It says so in full on purpose.
    pub insecure_plain_vm: bool,
    /// How up to date the platform has to be.
    pub tcb: TcbPolicy,
    /// The TDX module.
    pub tdx_module: ModulePolicy,
    /// The trust domain.
    pub td: TdPolicy,
    /// What may have booted; empty if that is not this policy's concern.
    #[serde(rename = "image")]
    pub images: Vec<Image>,
    /// What the runtime may have measured.
    pub runtime: RuntimePolicy,
    /// Which logs must be there.
    pub logs: LogPolicy,
    /// Which machines.
    pub machine: MachinePolicy,
    /// How new the quote has to be.
    pub freshness: FreshnessPolicy,
}

/// How up to date the platform has to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TcbPolicy {
    /// Statuses that are accepted. A status other than `UpToDate` needs its advisories accepted too.
    pub accepted_statuses: Vec<AcceptedStatus>,
    /// Advisories of Intel's that are accepted, by id.
    pub accepted_advisories: Vec<String>,
    /// The least `tcbEvaluationDataNumber` of collateral, so that an old bundle cannot hide what is known since.
    pub evaluation_data_number: u32,
}

impl Default for TcbPolicy {
    fn default() -> Self {
        Self {
            accepted_statuses: vec![AcceptedStatus(TcbStatus::UpToDate)],
            accepted_advisories: Vec::new(),
            evaluation_data_number: 0,
        }
    }
}

/// A status that can be accepted: any but `Revoked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedStatus(pub TcbStatus);

/// The TDX module.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ModulePolicy {
    /// Measurements (MRSEAM) of modules that are accepted; empty for any that Intel signed.
    pub mrseam: Vec<Hex<48>>,
}

/// The trust domain.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TdPolicy {
    /// Whether it may be one that its host can look into.
    pub debug: bool,
    /// Attributes that it may have besides `sept-ve-disable`, which it must have.
    pub attributes: Vec<Attribute>,
    /// Whether it may lack `sept-ve-disable`.
    pub sept_ve_disable_optional: bool,
    /// Values of XFAM that are accepted; empty for any that the module allows.
    pub xfam: Vec<Hex<8>>,
    /// Values of MRSERVICETD that are accepted besides none.
    pub service_td: Vec<Hex<48>>,
    /// Values of MRCONFIGID that are accepted; empty for zero.
    pub config_id: Vec<Hex<48>>,
    /// Values of MROWNER that are accepted; empty for zero.
    pub owner: Vec<Hex<48>>,
    /// Values of MROWNERCONFIG that are accepted; empty for zero.
    pub owner_config: Vec<Hex<48>>,
}

/// An attribute of a trust domain that is not for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// Linear address space separation.
    Lass,
    /// It can be moved to another platform by a service domain.
    Migratable,
    /// Protection keys for supervisor pages.
    Pks,
    /// Key Locker.
    Kl,
    /// Performance counters, which let others on the platform be watched.
    Perfmon,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Lass, Self::Migratable, Self::Pks, Self::Kl, Self::Perfmon];

    /// Its bit, and as it is written.
    pub(crate) const fn bit(self) -> (u64, &'static str) {
        match self {
            Self::Lass => (1 << 27, "lass"),
            Self::Migratable => (1 << 29, "migratable"),
            Self::Pks => (1 << 30, "pks"),
            Self::Kl => (1 << 31, "kl"),
            Self::Perfmon => (1 << 63, "perfmon"),
        }
    }
}

/// What may have booted. MRTD and RTMR1 must be listed: without the firmware, no register means anything, and RTMR1 has the image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// For messages.
    pub name: String,
    /// The firmware.
    pub mrtd: Vec<Hex<48>>,
    /// The firmware's configuration, which differs between shapes of machines; any if it is not listed.
    #[serde(default)]
    pub rtmr0: Vec<Hex<48>>,
    /// The image.
    pub rtmr1: Vec<Hex<48>>,
    /// The command line, with loaders that measure it there; any if it is not listed.
    #[serde(default)]
    pub rtmr2: Vec<Hex<48>>,
}

/// What the runtime may have measured. Any list that is not empty asks for the runtime's log, and for an image: only what runs there
/// vouches for it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RuntimePolicy {
    /// Modes.
    pub modes: Vec<Mode>,
    /// Configurations: SHA-384 of the file.
    pub configurations: Vec<Hex<48>>,
    /// Authorities of the owner's clients: SHA-384 of the certificate in DER.
    pub client_authorities: Vec<Hex<48>>,
    /// Workload files: SHA-384 of the file.
    pub workloads: Vec<Hex<48>>,
    /// Images of containers, of which all that ever ran must be: ids as docker shows them, or digests of manifests (`sha256:…`).
    pub container_images: Vec<String>,
    /// Whether containers may have been given something of the machine: its folders, privileges, namespaces.
    pub exposed_containers: bool,
    /// Whether files may have been put into containers from outside (`docker cp`).
    pub modified_containers: bool,
}

impl RuntimePolicy {
    /// Whether it demands nothing.
    pub(crate) fn is_silent(&self) -> bool {
        let Self { modes, configurations, client_authorities, workloads, container_images, .. } = self;
        modes.is_empty()
            && configurations.is_empty()
            && client_authorities.is_empty()
            && workloads.is_empty()
            && container_images.is_empty()
    }
}

/// A mode of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Its owner drives it.
    Open,
    /// Nobody does.
    Sealed,
}

/// Which logs must be there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LogPolicy {
    /// The firmware's.
    pub event_log: bool,
    /// The runtime's.
    pub runtime_log: bool,
}

/// Which machines, against evidence that was relayed from another. Both lists are held where both are given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct MachinePolicy {
    /// PPIDs.
    pub ppid: Vec<Hex<16>>,
    /// Platform instances.
    pub platform_instance: Vec<Hex<16>>,
}

/// How new the quote has to be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FreshnessPolicy {
    /// Whether the quote must have been made for a nonce of the asker.
    pub nonce: bool,
    /// How old that nonce may be, in seconds. A quote has no date; it cannot be older than a nonce that it contains.
    pub max_quote_age_seconds: Option<u64>,
}

/// Why a file is not a policy.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// It is not TOML, or has a key or value that no policy has.
    #[error("line {line} is not of a policy: {reason}")]
    Toml {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// An image without firmware or without itself.
    #[error("image `{image}` lists no `{key}`, so it would accept any")]
    Image {
        /// Its name.
        image: String,
        /// What is missing.
        key: &'static str,
    },
    /// Demands on what the runtime measured, and none on what has measured it.
    #[error(
        "`runtime` says what must have been measured, and no `image` says by what: any kernel can write such a log"
    )]
    RuntimeOfAny,
    /// A digest that is not of OCI's form.
    #[error("`{0}` is not a digest of an image: `sha256:` or `sha512:` and lower-case hexadecimal")]
    Digest(String),
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// When it is not TOML, or has anything that no policy has.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let reason = error.message().lines().next().unwrap_or_default().to_owned();
            PolicyError::Toml { line: before.matches('\n').count() + 1, reason }
        })?;
        for image in &policy.images {
            for (list, key) in [(&image.mrtd, "mrtd"), (&image.rtmr1, "rtmr1")] {
                if list.is_empty() {
                    return Err(PolicyError::Image { image: image.name.clone(), key });
                }
            }
        }
        if policy.images.is_empty() && !policy.runtime.is_silent() {
            return Err(PolicyError::RuntimeOfAny);
        }
        if let Some(digest) = policy.runtime.container_images.iter().find(|digest| !is_digest(digest)) {
            return Err(PolicyError::Digest(digest.clone()));
        }
        Ok(policy)
    }
}

/// Whether it is a digest as the OCI image specification writes it.
fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, value)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return false,
        };
        value.len() == length && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// As many bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(&text, &mut bytes)
            .map_err(|_| D::Error::custom(format!("`{text}` is not {N} bytes in hexadecimal")))?;
        Ok(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for AcceptedStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let status = TcbStatus::ACCEPTABLE.into_iter().find(|status| status.as_str() == text);
        let expected = "a TCB status that can be accepted";
        status.map(Self).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &expected))
    }
}
