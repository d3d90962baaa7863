//! What Coffer binds to its quotes: REPORTDATA is a SHA-512 digest with a tag of its own for each purpose, so that a quote made
//! for one can never serve as another (docs/attestation.md).

use sha2::{Digest as _, Sha512};

/// Tag of the quote inside of a machine's TLS certificate.
pub const CERTIFICATE_TAG: &[u8] = b"coffer.report-data.certificate.v1\0";
/// Tag of the quote that answers a nonce.
pub const FRESH_TAG: &[u8] = b"coffer.report-data.fresh.v1\0";

/// Tag of the quote that a container asked for.
pub const CONTAINER_TAG: &[u8] = b"coffer.report-data.container.v1\0";

/// Length of the nonce of a fresh quote: fixed, so that nonce and key cannot be shifted against each other.
pub const NONCE_LENGTH: usize = 32;

/// The most data that a container has bound to a quote.
pub const DATA_LIMIT: usize = 64;

/// REPORTDATA of the quote in a certificate for the key `spki` (a SubjectPublicKeyInfo in DER).
#[must_use]
pub fn certificate(spki: &[u8]) -> [u8; 64] {
    Sha512::new().chain_update(CERTIFICATE_TAG).chain_update(spki).finalize().into()
}

/// REPORTDATA of a quote made for `nonce`, over a connection whose server proved to have the key `spki`.
#[must_use]
pub fn fresh(nonce: &[u8; NONCE_LENGTH], spki: &[u8]) -> [u8; 64] {
    Sha512::new().chain_update(FRESH_TAG).chain_update(nonce).chain_update(spki).finalize().into()
}

/// REPORTDATA of a quote that the container with this id asked for, with data of its own: at most 64 bytes. What it runs, the runtime's log says by
/// the id.
///
/// `None` if there is more.
#[must_use]
pub fn container(id: &[u8; 32], data: &[u8]) -> Option<[u8; 64]> {
    let digest = Sha512::new().chain_update(CONTAINER_TAG).chain_update(id).chain_update(data).finalize();
    (data.len() <= DATA_LIMIT).then(|| digest.into())
}

/// REPORTDATA of tools that put a nonce in as it is: followed by zeros.
///
/// `None` if it is longer than the field, or all zero, as the field is when nobody asked for anything.
#[must_use]
pub fn plain(nonce: &[u8]) -> Option<[u8; 64]> {
    let mut data = [0; 64];
    data.get_mut(..nonce.len())?.copy_from_slice(nonce);
    (data != [0; 64]).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::{certificate, container, fresh, plain};

    #[test]
    fn purposes_never_meet() {
        assert_ne!(certificate(b"key"), fresh(&[0; 32], b"key"));
        assert_ne!(fresh(&[0; 32], b"key"), fresh(&[1; 32], b"key"));
        assert_ne!(fresh(&[0; 32], b"key"), fresh(&[0; 32], b"other key"));
        assert_ne!(container(&[0; 32], b"key"), Some(fresh(&[0; 32], b"key")));
        assert_ne!(container(&[0; 32], b"key"), container(&[1; 32], b"key"));
        assert_ne!(container(&[0; 32], b""), container(&[0; 32], b"\0"));
        assert_eq!(container(&[0; 32], &[0; 65]), None);
    }

    #[test]
    fn a_plain_nonce_of_zeros_is_none() {
        assert_eq!(plain(&[0; 32]), None);
        assert_eq!(plain(&[1; 65]), None);
        assert_eq!(plain(&[1; 2]).map(|data| (data[1], data[2])), Some((1, 0)));
    }
}
