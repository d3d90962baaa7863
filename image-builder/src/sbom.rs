//! The bill of materials of what ships, in CycloneDX 1.5 JSON (<https://cyclonedx.org/docs/1.5/json/>): each crate with its version, source and
//! checksum from Cargo.lock.
//!
//! The document is so small a part of the format that a handful of serde types say it all; the format's own library would bring an XML
//! writer along.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::identity::guid;

/// A crate of the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sbom {
    bom_format: String,
    spec_version: String,
    serial_number: String,
    version: u32,
    components: Vec<Component>,
}

/// A crate as the format has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Component {
    r#type: String,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    version: String,
    purl: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Hash {
    alg: String,
    content: String,
}

/// What is read of Cargo.lock.
#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Sbom {
    /// Describes the crates `shipped`, with the checksums that the text of Cargo.lock has for them. Crates of this workspace have none.
    ///
    /// # Errors
    /// If `lock` is not a Cargo.lock, or does not hold one of the crates.
    pub fn new(lock: &str, shipped: &BTreeSet<Crate>) -> Result<Self, Error> {
        let parsed: Lock = toml::from_str(lock).map_err(|error| Error::input("Cargo.lock", error))?;
        let components = shipped
            .iter()
            .map(|wanted| {
                let package = parsed
                    .package
                    .iter()
                    .find(|package| package.name == wanted.name && package.version == wanted.version)
                    .ok_or_else(|| {
                        Error::input("Cargo.lock", format!("no crate {} {}", wanted.name, wanted.version))
                    })?;
                Ok(Component::new(package))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            bom_format: "CycloneDX".to_owned(),
            spec_version: "1.5".to_owned(),
            serial_number: format!("urn:uuid:{}", guid("coffer sbom", lock.as_bytes())),
            version: 1,
            components,
        })
    }

    /// How many crates it lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.components.len()
    }

    /// Whether it lists none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }
}

impl Component {
    fn new(package: &Package) -> Self {
        let purl = format!("pkg:cargo/{}@{}", package.name, package.version);
        Self {
            r#type: "library".to_owned(),
            reference: purl.clone(),
            name: package.name.clone(),
            version: package.version.clone(),
            purl,
            hashes: package
                .checksum
                .iter()
                .map(|content| Hash { alg: "SHA-256".to_owned(), content: content.clone() })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Crate, Sbom};

    const LOCK: &str = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"00ff\"\n\
                        [[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";

    fn crate_of(name: &str, version: &str) -> Crate {
        Crate { name: name.to_owned(), version: version.to_owned() }
    }

    #[test]
    fn shipped_crates_are_listed_with_their_checksums() {
        let shipped = [crate_of("own", "0.1.0"), crate_of("a", "1.0.0")].into();
        let sbom = serde_json::to_value(Sbom::new(LOCK, &shipped).unwrap()).unwrap();
        assert_eq!(sbom["components"][0]["purl"], "pkg:cargo/a@1.0.0");
        assert_eq!(sbom["components"][0]["hashes"][0]["content"], "00ff");
        assert!(sbom["components"][1].get("hashes").is_none());
    }

    #[test]
    fn a_crate_that_the_lock_does_not_hold_is_an_error() {
        let error = Sbom::new(LOCK, &[crate_of("a", "2.0.0")].into()).unwrap_err().to_string();
        assert!(error.contains("no crate a 2.0.0"), "{error}");
    }
}
