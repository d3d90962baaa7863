//! The values of a configuration that have a form of their own, checked when they are read.

use std::fmt;
use std::net::IpAddr;

use ipnet::Ipv4Net;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

/// A host name of one label (RFC 1123, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Hostname(String);

impl Default for Hostname {
    fn default() -> Self {
        Self("coffer".to_owned())
    }
}

impl TryFrom<String> for Hostname {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        if is_label(&text) { Ok(Self(text)) } else { Err(Malformed::Hostname(text)) }
    }
}

/// A domain name of one or more labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct DomainName(String);

impl TryFrom<String> for DomainName {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        if is_domain(&text) { Ok(Self(text)) } else { Err(Malformed::Domain(text)) }
    }
}

/// What a certificate may be valid for: a domain name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SubjectName(String);

impl TryFrom<String> for SubjectName {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let is_sound = text.parse::<IpAddr>().is_ok() || is_domain(&text);
        if is_sound { Ok(Self(text)) } else { Err(Malformed::Subject(text)) }
    }
}

/// `host` or `host:port`, as the names of images have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RegistryName(String);

impl TryFrom<String> for RegistryName {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().unwrap_or(0)),
            None => (text.as_str(), 443_u16),
        };
        if is_domain(host) && port != 0 { Ok(Self(text)) } else { Err(Malformed::Registry(text)) }
    }
}

/// `sha256:` and 64 hexadecimal digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ManifestDigest(String);

impl TryFrom<String> for ManifestDigest {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_sound = text
            .strip_prefix("sha256:")
            .is_some_and(|digits| digits.len() == 64 && digits.bytes().all(is_digit));
        if is_sound { Ok(Self(text)) } else { Err(Malformed::Digest(text)) }
    }
}

/// One or more certificates in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Certificates(String);

impl TryFrom<String> for Certificates {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        match all {
            Ok(certificates) if !certificates.is_empty() => Ok(Self(text)),
            Ok(_) => Err(Malformed::NoCertificate),
            Err(_) => Err(Malformed::Certificate),
        }
    }
}

impl Certificates {
    /// Each certificate's DER.
    pub fn der(&self) -> impl Iterator<Item = CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.0.as_bytes()).filter_map(Result::ok)
    }
}

/// Where the machine's address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// From a DHCP server.
    #[default]
    Dhcp,
    /// This address, in a network of this prefix length.
    Static(Ipv4Net),
}

impl TryFrom<String> for Address {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        if text == "dhcp" {
            return Ok(Self::Dhcp);
        }
        let network: Option<Ipv4Net> = text.parse().ok();
        let is_host = |network: &Ipv4Net| {
            let address = network.addr();
            !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
        };
        network.filter(is_host).map(Self::Static).ok_or(Malformed::Address(text))
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        match address {
            Address::Dhcp => "dhcp".to_owned(),
            Address::Static(network) => network.to_string(),
        }
    }
}

macro_rules! text {
    ($($name:ident),*) => {$(
        impl $name {
            /// As it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}

text!(Hostname, DomainName, SubjectName, RegistryName, ManifestDigest, Certificates);

/// What a value is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("`{0}` is not a host name: at most 63 letters, digits and inner hyphens")]
    Hostname(String),
    #[error("`{0}` is not a domain name")]
    Domain(String),
    #[error("`{0}` is neither a domain name nor an IP address")]
    Subject(String),
    #[error("`{0}` is not a registry: `host` or `host:port`, without a scheme or path")]
    Registry(String),
    #[error(
        "`{0}` is not an address: `dhcp`, or an IPv4 address with a prefix length such as `192.0.2.7/24`"
    )]
    Address(String),
    #[error("`{0}` is not a digest: `sha256:` and 64 hexadecimal digits")]
    Digest(String),
    #[error("no `BEGIN CERTIFICATE` in it: expected certificates in PEM")]
    NoCertificate,
    #[error("damaged PEM: expected certificates in PEM")]
    Certificate,
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}
