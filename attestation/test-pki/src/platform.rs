//! [`Platform`]: a machine with a certified key and a quoting enclave that has an attestation key.

use ring::digest::{SHA256, digest};
use time::OffsetDateTime;

use crate::authority::{Key, PkiError};
use crate::der::{SEQUENCE, attribute, enumerated, integer, octets, tagged};
use crate::quote::{BodyKind, EnclaveFields, Quote, TdFields};

/// What a platform's certificate says.
#[derive(Clone, Debug)]
pub struct PlatformFields {
    /// The certificate's number.
    pub serial: u64,
    /// The processor package.
    pub ppid: [u8; 16],
    /// The platform as it was set up last.
    pub platform_instance: Option<[u8; 16]>,
    /// The family of platforms.
    pub fmspc: [u8; 6],
    /// The provisioning certification enclave.
    pub pce_id: [u8; 2],
    /// Its version.
    pub pce_svn: u16,
    /// Versions of the processor's parts.
    pub cpu_svn: [u8; 16],
    /// From when to when the certificate is valid, if not as its authority's.
    pub validity: Option<(OffsetDateTime, OffsetDateTime)>,
}

impl Default for PlatformFields {
    fn default() -> Self {
        Self {
            serial: 100,
            ppid: *b"coffer-test-ppid",
            platform_instance: Some(*b"coffer-test-piid"),
            fmspc: [0x90, 0xc0, 0x6f, 0, 0, 0],
            pce_id: [0, 0],
            pce_svn: 13,
            cpu_svn: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            validity: None,
        }
    }
}

impl PlatformFields {
    /// Intel's extension of the certificate.
    pub(crate) fn extension(&self) -> Vec<u8> {
        let mut versions = Vec::new();
        for (arc, version) in (1..).zip(self.cpu_svn) {
            versions.extend(attribute(&[2, arc], &integer(version.into())));
        }
        versions.extend(attribute(&[2, 17], &integer(self.pce_svn)));
        versions.extend(attribute(&[2, 18], &octets(&self.cpu_svn)));
        let mut fields = attribute(&[1], &octets(&self.ppid));
        fields.extend(attribute(&[2], &tagged(SEQUENCE, &versions)));
        fields.extend(attribute(&[3], &octets(&self.pce_id)));
        fields.extend(attribute(&[4], &octets(&self.fmspc)));
        fields.extend(attribute(&[5], &enumerated(1)));
        if let Some(instance) = &self.platform_instance {
            fields.extend(attribute(&[6], &octets(instance)));
        }
        tagged(SEQUENCE, &fields)
    }
}

/// A certified machine.
#[derive(Debug)]
pub struct Platform {
    pck: Key,
    attestation: Key,
    /// What its certificate says.
    pub fields: PlatformFields,
    /// Its certificate, its authority's and the root.
    pub chain: String,
}

impl Platform {
    pub(crate) fn new(pck: Key, fields: PlatformFields, chain: String) -> Result<Self, PkiError> {
        Ok(Self { pck, attestation: Key::new()?, fields, chain })
    }

    /// Quotes a trust domain.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn quote(&self, kind: BodyKind, td: &TdFields) -> Result<Quote, PkiError> {
        self.quote_by(kind, td, &EnclaveFields::default())
    }

    /// Quotes a trust domain by an enclave other than the usual one.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn quote_by(
        &self,
        kind: BodyKind,
        td: &TdFields,
        enclave: &EnclaveFields,
    ) -> Result<Quote, PkiError> {
        let authentication = vec![0x5a; 32];
        let attestation_key = self.attestation.coordinates()?;
        let mut report_data = [0; 64];
        let vouched = digest(&SHA256, &[attestation_key.as_slice(), &authentication].concat());
        report_data[..32].copy_from_slice(vouched.as_ref());
        let mut quote = Quote {
            header: kind.header(),
            descriptor: kind.descriptor(),
            body: td.to_bytes(kind),
            signature: [0; 64],
            attestation_key,
            qe_report: enclave.report(&self.fields.cpu_svn, &report_data),
            qe_report_signature: [0; 64],
            authentication,
            certificates: self.chain.clone().into_bytes(),
            padding: Vec::new(),
        };
        self.sign_report(&mut quote)?;
        self.sign(&mut quote)?;
        Ok(quote)
    }

    /// Signs header and body again.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn sign(&self, quote: &mut Quote) -> Result<(), PkiError> {
        quote.signature = self.attestation.sign(&quote.signed())?;
        Ok(())
    }

    /// Signs the quoting enclave's report again.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn sign_report(&self, quote: &mut Quote) -> Result<(), PkiError> {
        quote.qe_report_signature = self.pck.sign(&quote.qe_report)?;
        Ok(())
    }
}
