//! [`RevocationList`]: an X.509 version 2 CRL (RFC 5280 section 5). Complete lists only: one that is limited to a part of the
//! certificates says so in a critical extension, and is refused.

use der::asn1::{AnyRef, UintRef};
use der::{Decode as _, Reader, SliceReader, Tag, Tagged as _};
use x509_cert::time::Time;

use super::certificate::{explicit, extensions, require_ecdsa, signed, unexpected};
use super::{Certificate, PublicKey};

/// A list of revoked certificates.
#[derive(Clone, Copy, Debug)]
pub struct RevocationList<'a> {
    to_be_signed: &'a [u8],
    signature: &'a [u8],
    issuer: &'a [u8],
    this_update: Time,
    next_update: Time,
    /// The entries, one after the other.
    revoked: &'a [u8],
}

impl<'a> RevocationList<'a> {
    /// Reads a list; its entries are read when a certificate is looked for.
    pub fn parse(der: &'a [u8]) -> Result<Self, String> {
        Self::read(der).map_err(|error| format!("it is not a revocation list: {error}"))
    }

    fn read(der: &'a [u8]) -> der::Result<Self> {
        let (to_be_signed, signature) = signed(der)?;
        let mut reader = SliceReader::new(to_be_signed)?;
        let list = reader.sequence(|reader| {
            if u8::decode(reader)? != 1 {
                return Err(unexpected());
            }
            require_ecdsa(reader)?;
            let issuer = reader.tlv_bytes()?;
            let this_update = Time::decode(reader)?;
            let next_update = Time::decode(reader)?;
            let revoked = if !reader.is_finished() && reader.peek_tag()? == Tag::Sequence {
                AnyRef::decode(reader)?.value()
            } else {
                &[]
            };
            explicit(reader, 0, |reader| extensions(reader, |extension| extension.must_not_be_critical()))?;
            Ok(Self { to_be_signed, signature, issuer, this_update, next_update, revoked })
        })?;
        reader.finish(list)
    }

    /// Whether `issuer` made it, and it is current at `at`, in seconds since 1970.
    pub fn is_current(&self, issuer: &Certificate<'_>, at: u64) -> Result<(), String> {
        if self.issuer != issuer.subject {
            return Err("the revocation list is another authority's".to_owned());
        }
        self.is_signed_by(&issuer.key)
            .map_err(|error| format!("the revocation list is not genuine: {error}"))?;
        if at < self.this_update.to_unix_duration().as_secs() {
            Err(format!("the revocation list is of the future: it was made on {}", self.this_update))
        } else if at > self.next_update.to_unix_duration().as_secs() {
            Err(format!("the revocation list has expired on {}", self.next_update))
        } else {
            Ok(())
        }
    }

    /// Until when it is current.
    pub fn next_update(&self) -> u64 {
        self.next_update.to_unix_duration().as_secs()
    }

    /// Refuses a certificate that is on the list.
    pub fn check(&self, certificate: &Certificate<'_>) -> Result<(), String> {
        match self.revokes(certificate.serial) {
            Ok(false) => Ok(()),
            Ok(true) => Err("it is revoked".to_owned()),
            Err(error) => Err(format!("an entry of the revocation list is broken: {error}")),
        }
    }

    fn is_signed_by(&self, key: &PublicKey) -> Result<(), String> {
        key.verify_asn1(self.to_be_signed, self.signature)
    }

    /// Whether the certificate with this number is on it. All entries are read, whatever comes before.
    fn revokes(&self, serial: &[u8]) -> der::Result<bool> {
        let mut reader = SliceReader::new(self.revoked)?;
        let mut is_revoked = false;
        while !reader.is_finished() {
            let entry = reader.sequence(|reader| {
                let serial = UintRef::decode(reader)?.as_bytes();
                // When it was revoked makes no difference.
                let date = AnyRef::decode(reader)?;
                if !matches!(date.tag(), Tag::UtcTime | Tag::GeneralizedTime) {
                    return Err(unexpected());
                }
                if !reader.is_finished() {
                    extensions(reader, |extension| extension.must_not_be_critical())?;
                }
                Ok(serial)
            })?;
            is_revoked |= entry == serial;
        }
        Ok(is_revoked)
    }
}
