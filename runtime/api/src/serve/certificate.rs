//! [`Identity`]: the server's key, made at the first start, and a certificate that vouches for itself.
//!
//! Nobody else could vouch for a key that exists only in this machine: the client compares the fingerprint with the one on the console (or, in
//! a TD, with the quote, which the certificate has in it as well: RA-TLS). The certificate is a trust anchor for itself, so that it can be a docker
//! context's `ca.pem`.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyIdMethod, KeyUsagePurpose, PublicKeyData, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ParsedCertificate;
use sha2::Digest as _;
use time::{Duration, OffsetDateTime};

use super::tls::Error;

/// How long before now the certificate is valid, for clients whose clock is behind.
const LEEWAY: Duration = Duration::days(1);

/// How long it is valid. It is made anew at every boot.
const VALIDITY: Duration = Duration::days(3650);

/// A quote about a key, none without hardware, or what is wrong.
pub type Vouched = Result<Option<Vec<u8>>, String>;

/// The extension for evidence, id-pe-cmw, and what is in it: a record of the RATS conceptual messages wrapper in JSON (draft-ietf-rats-msg-wrap).
const EVIDENCE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 35];
const EVIDENCE_TYPE: &str = "application/vnd.coffer.tdx-quote";

/// UTF8String in DER.
const UTF8_STRING: u8 = 0x0c;

fn evidence_extension(quote: &[u8]) -> CustomExtension {
    let text = format!(r#"["{EVIDENCE_TYPE}","{}"]"#, URL_SAFE_NO_PAD.encode(quote));
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    // The long form of a length, with four bytes: DER wants as few as will do, which a quote's kilobytes make two.
    let significant = length.iter().position(|byte| *byte != 0).unwrap_or(3);
    let length = length.get(significant..).unwrap_or_default();
    let count = u8::try_from(length.len()).unwrap_or_default();
    let content = [&[UTF8_STRING, 0x80 | count], length, text.as_bytes()].concat();
    CustomExtension::from_oid_content(EVIDENCE, content)
}

/// A key and its certificate.
#[derive(Debug)]
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// The identity that an earlier process has left in `folder`, or a new one, which is left there: clients that know this machine
    /// must know it still after the engine was started again. `vouch` gets a new key (its SubjectPublicKeyInfo) and makes a quote about it, if
    /// there is hardware that can.
    ///
    /// # Errors
    ///
    /// When there is none and none can be made or written.
    pub fn keep(
        folder: &Path,
        names: &[String],
        vouch: impl FnOnce(&[u8]) -> Vouched,
    ) -> Result<Self, Error> {
        let (certificate, key) = (folder.join("server.der"), folder.join("server-key.der"));
        // The certificate is written last, so where it is the key is, too.
        if let (Ok(certificate), Ok(key)) = (fs::read(&certificate), fs::read(&key)) {
            let key = PrivatePkcs8KeyDer::from(key).into();
            return Ok(Self { certificate: certificate.into(), key });
        }
        let write = |path: &Path, bytes: &[u8]| {
            let new = path.with_extension("new");
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        let failed = |source| Error::Keep { path: folder.display().to_string(), source };
        // The key is kept before anybody vouches for it: there can be one only, and an engine that ends in between begins again with it.
        let signer = match fs::read(&key) {
            Ok(bytes) => Signer::read(&bytes)?,
            Err(_) => {
                let signer = Signer::generate()?;
                let bytes = signer.pkcs8()?;
                fs::create_dir_all(folder).and_then(|()| write(&key, &bytes)).map_err(failed)?;
                signer
            }
        };
        let identity = Self::make(&signer, names, vouch)?;
        write(&certificate, &identity.certificate).map_err(failed)?;
        Ok(identity)
    }

    /// Makes a key, and a certificate for these names and addresses.
    ///
    /// # Errors
    ///
    /// When the machine has no random numbers, or a name cannot be in a certificate.
    pub fn generate(names: &[String]) -> Result<Self, Error> {
        Self::make(&Signer::generate()?, names, |_| Ok(None))
    }

    fn make(signer: &Signer, names: &[String], vouch: impl FnOnce(&[u8]) -> Vouched) -> Result<Self, Error> {
        let mut parameters = CertificateParams::new(names.to_vec())?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, "Coffer");
        parameters.not_before = OffsetDateTime::now_utc() - LEEWAY;
        parameters.not_after = OffsetDateTime::now_utc() + VALIDITY;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key_hash = sha2::Sha256::digest(signer.der_bytes());
        let identifier = key_hash.get(..20).unwrap_or_default().to_vec();
        parameters.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
        let mut serial = key_hash.get(..16).unwrap_or_default().to_vec();
        if let Some(first) = serial.first_mut() {
            // Positive, as RFC 5280 wants it.
            *first = (*first & 0x7f) | 0x40;
        }
        parameters.serial_number = Some(serial.into());

        if let Some(quote) = vouch(&signer.subject_public_key_info()).map_err(Error::Evidence)? {
            parameters.custom_extensions.push(evidence_extension(&quote));
        }
        let certificate = parameters.self_signed(signer)?;
        let key = PrivatePkcs8KeyDer::from(signer.pkcs8()?).into();
        Ok(Self { certificate: certificate.der().clone(), key })
    }

    /// The key that the certificate is about, as its SubjectPublicKeyInfo.
    ///
    /// # Errors
    ///
    /// When what was kept is no certificate.
    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        let certificate = ParsedCertificate::try_from(&self.certificate)?;
        Ok(certificate.subject_public_key_info().to_vec())
    }

    /// The SHA-256 of the certificate, in hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        sha2::Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// An ECDSA key over P-256, which every client knows. rcgen itself signs only with crates that have C in them.
struct Signer {
    key: SigningKey<P256>,
    public: Vec<u8>,
}

impl Signer {
    fn generate() -> Result<Self, Error> {
        SigningKey::generate().map(Self::from).map_err(Error::Key)
    }

    fn read(pkcs8: &[u8]) -> Result<Self, Error> {
        SigningKey::from_pkcs8_der(pkcs8).map(Self::from).map_err(Error::Key)
    }

    fn pkcs8(&self) -> Result<Vec<u8>, Error> {
        let mut buffer = [0; 512];
        self.key.to_pkcs8_der(&mut buffer).map(<[u8]>::to_vec).map_err(Error::Key)
    }
}

impl From<SigningKey<P256>> for Signer {
    fn from(key: SigningKey<P256>) -> Self {
        let public = key.private_key.public_key_uncompressed().to_vec();
        Self { key, public }
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut buffer = [0; 128];
        let signature = self.key.sign_asn1::<Sha256>(&[message], &mut buffer);
        signature.map(<[u8]>::to_vec).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// Names that every machine has, its own and those of the configuration, without repetition.
#[must_use]
pub fn subject_names(hostname: &str, addresses: &[IpAddr], configured: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].iter().map(ToString::to_string).collect();
    names.push(hostname.to_owned());
    names.extend(addresses.iter().map(ToString::to_string));
    names.extend(configured.iter().cloned());
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}
