//! The machine's configuration: one TOML file, and the volume that brings it.
//!
//! [`Configuration`] is the file, [`value`] the checked types of its values, [`volume`] the NoCloud disk. docs/configuration.md
//! describes every key. The file comes from the host, which is not trusted: its size is limited, unknown keys are errors, and
//! whatever is wrong is named with its line.
#![forbid(unsafe_code)]

mod error;
pub mod value;
pub mod volume;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Spanned;

pub use error::Error;
use value::{Address, Certificates, DomainName, Hostname, ManifestDigest, RegistryName, SubjectName};

/// The longest file that is taken, in bytes.
pub const SIZE_LIMIT: usize = 256 << 10;

/// The file; what is absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Configuration {
    /// Who drives the machine.
    pub mode: Mode,
    /// The machine's own host name.
    pub hostname: Hostname,
    /// What a sealed machine runs: the text of a file in the compose format (docs/sealed.md).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<Spanned<String>>,
    pub log: Log,
    pub api: Api,
    pub evidence: Evidence,
    pub network: Network,
    /// Registries that need more than HTTPS with the usual certificate authorities.
    pub registries: Vec<Registry>,
}

/// Who drives the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Whoever holds a client certificate of the configured authority.
    #[default]
    Open,
    /// Nobody: it runs the workload that it was given.
    Sealed,
}

/// What is written to the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub level: Level,
}

/// The least severe messages that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// The Docker Engine API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Api {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whose certificates open it. Without, it stays closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<Certificates>,
    /// What else the server's certificate is valid for, besides the machine's host name and own addresses.
    pub names: Vec<SubjectName>,
}

impl Default for Api {
    fn default() -> Self {
        Self { address: (Ipv4Addr::UNSPECIFIED, 2376).into(), client_ca: None, names: Vec::new() }
    }
}

/// What the machine shows of itself to whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Evidence {
    /// Where it listens.
    pub address: SocketAddr,
    /// The digest of the manifest that describes the image, which is shown with the evidence: where to look, and proof of nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestDigest>,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { address: (Ipv4Addr::UNSPECIFIED, 2378).into(), manifest: None }
    }
}

/// The machine's own network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Which link; the first Ethernet link where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    pub address: Address,
    /// The default route's next hop, for a static address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Spanned<Ipv4Addr>>,
    /// Name servers. None: those that DHCP brings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Ipv4Addr>,
    /// Where names without a dot are looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<DomainName>,
}

/// What is known of one registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Its host, with the port where it is not 443, as image names have it.
    pub name: RegistryName,
    /// Authorities that its certificate may come from, besides the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Certificates>,
    /// Plain HTTP instead of HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Spanned<bool>>,
}

impl Registry {
    /// Whether plain HTTP is spoken with it.
    #[must_use]
    pub fn is_http(&self) -> bool {
        self.http.as_ref().is_some_and(|http| *http.get_ref())
    }
}

impl Configuration {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// If it cannot be read, or with the first line that is wrong.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&bytes)
    }

    /// Checks the bytes of a file.
    ///
    /// # Errors
    /// With the first line that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > SIZE_LIMIT {
            return Err(Error::TooLarge { limit: SIZE_LIMIT });
        }
        let text =
            str::from_utf8(bytes).map_err(|error| Error::at(bytes, error.valid_up_to(), "not UTF-8"))?;
        let configuration: Self = toml::from_str(text).map_err(|error| Error::syntax(text, &error))?;
        configuration.check(text)?;
        Ok(configuration)
    }

    /// Makes it one of a sealed machine that runs `workload`, a file's text.
    pub fn seal(&mut self, workload: String) {
        self.mode = Mode::Sealed;
        self.workload = Some(Spanned::new(0..0, workload));
        self.api.client_ca = None;
    }

    /// The file's text.
    ///
    /// # Errors
    /// If a value has no form in TOML, which none of ours is.
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string(self).map_err(Error::Encode)
    }

    /// What one value alone does not show.
    fn check(&self, text: &str) -> Result<(), Error> {
        let fault = |at: usize, message| Err(Error::at(text.as_bytes(), at, message));
        match (&self.network.gateway, self.network.address) {
            (Some(gateway), Address::Dhcp) => {
                return fault(
                    gateway.span().start,
                    "`gateway` is for a static `address`; DHCP brings its own",
                );
            }
            (Some(gateway), Address::Static(network)) if !network.contains(gateway.get_ref()) => {
                return fault(gateway.span().start, "`gateway` is not in the network of `address`");
            }
            _ => {}
        }
        match (self.mode, &self.workload) {
            (Mode::Sealed, None) => return fault(0, "a sealed machine needs a `workload`"),
            (Mode::Open, Some(workload)) => {
                return fault(workload.span().start, "a `workload` is for `mode = \"sealed\"`");
            }
            (Mode::Sealed, Some(_)) if self.api.client_ca.is_some() => {
                return fault(0, "a sealed machine has no API that `client-ca` could open");
            }
            _ => {}
        }
        for registry in &self.registries {
            if let (Some(http), Some(_), true) = (&registry.http, &registry.ca, registry.is_http()) {
                return fault(http.span().start, "`http` and `ca` exclude each other");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
