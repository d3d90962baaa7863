//! [`Paths`]: chains of certificates up to the trusted root, at one time. What was found genuine once is not looked at again: the
//! same authorities stand in every chain of a bundle.

use std::cell::RefCell;

use super::{Certificate, TrustRoot, certificates};

/// Common names of the profile. A key certified for one purpose is never taken for another.
const ROOT: &str = "Intel SGX Root CA";
const PCK_AUTHORITIES: [&str; 2] = ["Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"];
const PCK: &str = "Intel SGX PCK Certificate";
const TCB_SIGNING: &str = "Intel SGX TCB Signing";

/// The certificates of a chain, in DER, as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<Vec<u8>>);

impl Path {
    /// Out of PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        certificates(pem).map(Self)
    }

    /// As many certificates as a chain must have, in DER.
    fn certificates<const N: usize>(&self) -> Result<&[Vec<u8>; N], String> {
        let count = self.0.len();
        self.0.as_slice().try_into().map_err(|_| format!("the chain has {count} certificates instead of {N}"))
    }
}

/// Chains up to one root, at one time.
#[derive(Debug)]
pub struct Paths<'a> {
    root: Certificate<'a>,
    at: u64,
    genuine: RefCell<Vec<Vec<u8>>>,
}

impl<'a> Paths<'a> {
    pub fn new(root: &'a TrustRoot, at: u64) -> Self {
        Self { root: root.certificate(), at, genuine: RefCell::default() }
    }

    pub const fn root(&self) -> &Certificate<'a> {
        &self.root
    }

    pub const fn at(&self) -> u64 {
        self.at
    }

    /// The platform's certificate and its authority's, of a chain that goes on to the root.
    pub fn pck<'p>(&self, path: &'p Path) -> Result<(Certificate<'p>, Certificate<'p>), String> {
        let [leaf, authority, root] = path.certificates()?;
        self.root_is(root)?;
        let authority = Certificate::parse(authority)?;
        self.authority(&authority)?;
        let leaf = Certificate::parse(leaf)?;
        self.end_entity(&leaf, &authority, &[PCK])?;
        Ok((leaf, authority))
    }

    /// The authority of platforms that a revocation list came with, of a chain that goes on to the root.
    pub fn pck_authority<'p>(&self, path: &'p Path) -> Result<Certificate<'p>, String> {
        let [authority, root] = path.certificates()?;
        self.root_is(root)?;
        let authority = Certificate::parse(authority)?;
        self.authority(&authority)?;
        Ok(authority)
    }

    /// The certificate that signs TCB information and identities, directly below the root.
    pub fn tcb_signing<'p>(&self, path: &'p Path) -> Result<Certificate<'p>, String> {
        let [leaf, root] = path.certificates()?;
        self.root_is(root)?;
        let leaf = Certificate::parse(leaf)?;
        self.end_entity(&leaf, &self.root, &[TCB_SIGNING])?;
        Ok(leaf)
    }

    /// The last of a chain must be the trusted root: the same certificate, not only the same name.
    fn root_is(&self, der: &[u8]) -> Result<(), String> {
        if der != self.root.der {
            return Err("the chain does not end in the trusted root".to_owned());
        }
        self.named(&self.root, &[ROOT])?;
        self.root.is_authority(Some(1)).and_then(|()| self.root.is_valid_at(self.at)).map_err(of(&self.root))
    }

    fn authority(&self, certificate: &Certificate<'_>) -> Result<(), String> {
        self.named(certificate, &PCK_AUTHORITIES)?;
        certificate.is_authority(Some(0)).map_err(of(certificate))?;
        self.issued(certificate, &self.root)
    }

    fn end_entity(
        &self,
        certificate: &Certificate<'_>,
        issuer: &Certificate<'_>,
        names: &[&str],
    ) -> Result<(), String> {
        self.named(certificate, names)?;
        certificate.is_end_entity().map_err(of(certificate))?;
        self.issued(certificate, issuer)
    }

    fn named(&self, certificate: &Certificate<'_>, names: &[&str]) -> Result<(), String> {
        match certificate.common_name() {
            Some(name) if names.contains(&name) => Ok(()),
            name => Err(format!(
                "a certificate is `{}`'s, expected `{}`",
                name.unwrap_or("nobody"),
                names.join("` or `")
            )),
        }
    }

    fn issued(&self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> Result<(), String> {
        certificate.is_valid_at(self.at).map_err(of(certificate))?;
        if certificate.issuer != issuer.subject {
            return Err(of(certificate)("another authority than the next of the chain issued it".to_owned()));
        }
        // The issuer's key is part of what makes a certificate genuine, so the pair is what is remembered.
        let pair = [certificate.der, issuer.der].concat();
        if self.genuine.borrow().contains(&pair) {
            return Ok(());
        }
        certificate.is_signed_by(&issuer.key).map_err(of(certificate))?;
        self.genuine.borrow_mut().push(pair);
        Ok(())
    }
}

/// Says whose certificate an error is about.
fn of(certificate: &Certificate<'_>) -> impl Fn(String) -> String {
    let name = certificate.common_name().unwrap_or("nobody").to_owned();
    move |error| format!("`{name}`: {error}")
}
