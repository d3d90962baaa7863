//! [`Certificate`]: an X.509 version 3 certificate (RFC 5280) with a key on P-256, and [`PublicKey`], that key.

use der::asn1::{BitStringRef, ContextSpecific, OctetStringRef, UintRef};
use der::oid::{AssociatedOid as _, ObjectIdentifier};
use der::{Decode as _, Reader, SliceReader, TagNumber};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::time::Validity;

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const PRIME256V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SGX_EXTENSIONS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A key on P-256: an uncompressed point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 65]);

impl PublicKey {
    /// From x and y.
    pub fn from_coordinates(coordinates: &[u8; 64]) -> Self {
        let mut point = [4; 65];
        point[1..].copy_from_slice(coordinates);
        Self(point)
    }

    /// Whether `signature`, in the DER form, is this key's over `message`.
    pub fn verify_asn1(&self, message: &[u8], signature: &[u8]) -> Result<(), String> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(message, signature)
            .map_err(|_| "its signature is not valid".to_owned())
    }

    /// Whether `signature`, r and s of 32 bytes, is this key's over `message`.
    pub fn verify_fixed(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), String> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0)
            .verify(message, signature)
            .map_err(|_| "its signature is not valid".to_owned())
    }
}

/// A certificate.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    /// All of it.
    pub der: &'a [u8],
    /// What is signed of it.
    to_be_signed: &'a [u8],
    signature: &'a [u8],
    /// Its number, of its issuer.
    pub serial: &'a [u8],
    /// The issuer's name, in DER.
    pub issuer: &'a [u8],
    /// The owner's name, in DER.
    pub subject: &'a [u8],
    validity: Validity,
    /// The owner's key.
    pub key: PublicKey,
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
    /// Intel's extension with what a platform is, in DER.
    pub sgx_extensions: Option<&'a [u8]>,
}

/// One extension.
pub struct Extension<'a> {
    id: ObjectIdentifier,
    is_critical: bool,
    value: &'a [u8],
}

impl Extension<'_> {
    /// For lists, of whose extensions none has to be understood.
    pub fn must_not_be_critical(&self) -> der::Result<()> {
        if self.is_critical { Err(unexpected()) } else { Ok(()) }
    }
}

impl<'a> Certificate<'a> {
    /// Reads a certificate; anything that is not of the profile is an error.
    pub fn parse(der: &'a [u8]) -> Result<Self, String> {
        Self::read(der).map_err(|error| format!("it is not a certificate of the profile: {error}"))
    }

    fn read(der: &'a [u8]) -> der::Result<Self> {
        let (to_be_signed, signature) = signed(der)?;
        let mut reader = SliceReader::new(to_be_signed)?;
        let certificate = reader.sequence(|reader| {
            let version = ContextSpecific::<u8>::decode_explicit(reader, TagNumber::N0)?;
            if version.is_none_or(|version| version.value != 2) {
                return Err(unexpected());
            }
            let serial = UintRef::decode(reader)?.as_bytes();
            require_ecdsa(reader)?;
            let issuer = reader.tlv_bytes()?;
            let validity = Validity::decode(reader)?;
            let subject = reader.tlv_bytes()?;
            let key = public_key(&SubjectPublicKeyInfoRef::decode(reader)?)?;
            let mut certificate = Self {
                der,
                to_be_signed,
                signature,
                serial,
                issuer,
                subject,
                validity,
                key,
                basic_constraints: None,
                key_usage: None,
                sgx_extensions: None,
            };
            explicit(reader, 3, |reader| extensions(reader, |extension| certificate.take(&extension)))?;
            Ok(certificate)
        })?;
        reader.finish(certificate)
    }

    fn take(&mut self, extension: &Extension<'a>) -> der::Result<()> {
        let is_new = match extension.id {
            BasicConstraints::OID => {
                self.basic_constraints.replace(BasicConstraints::from_der(extension.value)?).is_none()
            }
            KeyUsage::OID => self.key_usage.replace(KeyUsage::from_der(extension.value)?).is_none(),
            SGX_EXTENSIONS => self.sgx_extensions.replace(extension.value).is_none(),
            // What must be understood and is not is an error, by RFC 5280 section 4.2.
            _ => !extension.is_critical,
        };
        if is_new { Ok(()) } else { Err(unexpected()) }
    }

    /// The owner's common name.
    pub fn common_name(&self) -> Option<&'a str> {
        common_name(self.subject).ok().flatten()
    }

    /// Whether it is valid at `at`, in seconds since 1970.
    pub fn is_valid_at(&self, at: u64) -> Result<(), String> {
        let validity = self.validity;
        if at < validity.not_before.to_unix_duration().as_secs() {
            Err(format!("it is not valid before {}", validity.not_before))
        } else if at > validity.not_after.to_unix_duration().as_secs() {
            Err(format!("it has expired on {}", validity.not_after))
        } else {
            Ok(())
        }
    }

    /// Whether it may sign other certificates and revocation lists; with `below`, with that many authorities in between.
    pub fn is_authority(&self, below: Option<u8>) -> Result<(), String> {
        let constraints = self.basic_constraints.as_ref().filter(|constraints| constraints.ca);
        let constraints = constraints.ok_or("it is not an authority's")?;
        if let (Some(limit), Some(below)) = (constraints.path_len_constraint, below)
            && below > limit
        {
            return Err("there are more authorities below it than it allows".to_owned());
        }
        let usage = self.key_usage.ok_or("it does not say what its key is for")?;
        if usage.key_cert_sign() && usage.crl_sign() {
            Ok(())
        } else {
            Err("its key is not for certificates and revocation lists".to_owned())
        }
    }

    /// Whether its key is for signing something that is neither a certificate nor a revocation list.
    pub fn is_end_entity(&self) -> Result<(), String> {
        if self.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca) {
            return Err("it is an authority's, which cannot stand for itself".to_owned());
        }
        if self.key_usage.is_some_and(|usage| usage.digital_signature() && !usage.key_cert_sign()) {
            Ok(())
        } else {
            Err("its key is not for signatures".to_owned())
        }
    }

    /// Whether `key` signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> Result<(), String> {
        key.verify_asn1(self.to_be_signed, self.signature)
    }
}

/// Anything signed has three parts: what is signed, the algorithm and the signature.
pub fn signed(der: &[u8]) -> der::Result<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(der)?;
    let parts = reader.sequence(|reader| {
        let to_be_signed = reader.tlv_bytes()?;
        require_ecdsa(reader)?;
        let signature = BitStringRef::decode(reader)?.as_bytes().ok_or_else(unexpected)?;
        Ok((to_be_signed, signature))
    })?;
    reader.finish(parts)
}

/// The next field must be the identifier of ECDSA with SHA-256, which has no parameters.
pub fn require_ecdsa<'a>(reader: &mut impl Reader<'a>) -> der::Result<()> {
    let algorithm = AlgorithmIdentifierRef::decode(reader)?;
    if algorithm.oid == ECDSA_WITH_SHA256 && algorithm.parameters.is_none() {
        Ok(())
    } else {
        Err(unexpected())
    }
}

/// Reads what is in the explicitly tagged field `number`, which must be there.
pub fn explicit<'a, R: Reader<'a>, T>(
    reader: &mut R,
    number: u8,
    read: impl FnOnce(&mut der::NestedReader<'_, R>) -> der::Result<T>,
) -> der::Result<T> {
    let header = der::Header::decode(reader)?;
    let wanted = der::Tag::ContextSpecific { constructed: true, number: TagNumber::new(number) };
    header.tag.assert_eq(wanted)?;
    reader.read_nested(header.length, read)
}

/// Reads a sequence of extensions.
pub fn extensions<'a, 'r, R: Reader<'a>>(
    reader: &mut R,
    mut take: impl FnMut(Extension<'a>) -> der::Result<()>,
) -> der::Result<()>
where
    'a: 'r,
{
    reader.sequence(|reader| {
        while !reader.is_finished() {
            take(extension(reader)?)?;
        }
        Ok(())
    })
}

fn extension<'a>(reader: &mut impl Reader<'a>) -> der::Result<Extension<'a>> {
    reader.sequence(|reader| {
        let id = ObjectIdentifier::decode(reader)?;
        let is_critical = Option::<bool>::decode(reader)?.unwrap_or(false);
        let value = OctetStringRef::decode(reader)?.as_bytes();
        Ok(Extension { id, is_critical, value })
    })
}

fn public_key(info: &SubjectPublicKeyInfoRef<'_>) -> der::Result<PublicKey> {
    if info.algorithm.oid != EC_PUBLIC_KEY || info.algorithm.parameters_oid().ok() != Some(PRIME256V1) {
        return Err(unexpected());
    }
    let point = info.subject_public_key.as_bytes().and_then(|bytes| bytes.try_into().ok());
    point.filter(|point: &[u8; 65]| point[0] == 4).map(PublicKey).ok_or_else(unexpected)
}

/// The common name in a Name, if it has one and not several.
fn common_name(name: &[u8]) -> der::Result<Option<&str>> {
    let mut found = None;
    let mut reader = SliceReader::new(name)?;
    reader.sequence(|reader| {
        while !reader.is_finished() {
            let set = der::asn1::AnyRef::decode(reader)?;
            der::Tagged::tag(&set).assert_eq(der::Tag::Set)?;
            let mut attribute = SliceReader::new(set.value())?;
            let (kind, value) = attribute.sequence(|reader| {
                Ok((ObjectIdentifier::decode(reader)?, der::asn1::AnyRef::decode(reader)?))
            })?;
            attribute.finish(())?;
            if kind == COMMON_NAME {
                let text = core::str::from_utf8(value.value()).map_err(|_| unexpected())?;
                if found.replace(text).is_some() {
                    return Err(unexpected());
                }
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Something that the encoding allows and the profile does not.
pub fn unexpected() -> der::Error {
    der::ErrorKind::Failed.into()
}
