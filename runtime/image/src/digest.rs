//! Hashing while reading, and comparing with the digest that was promised.
//!
//! The type of a digest is oci-spec's [`Digest`]; it can name any algorithm, so what we cannot compute is refused here.

use std::io::{self, Read};

use oci_spec::image::{Digest, DigestAlgorithm};
use sha2::{Digest as _, Sha256, Sha512};

use crate::Error;

/// A running hash of the algorithm that some expected digest names.
#[derive(Clone, Debug)]
pub enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher whose result can be compared with `digest`.
    ///
    /// # Errors
    ///
    /// [`Error::Algorithm`] when it is neither sha256 nor sha512.
    pub fn of(digest: &Digest) -> Result<Self, Error> {
        match digest.algorithm() {
            DigestAlgorithm::Sha256 => Ok(Self::Sha256(Sha256::new())),
            DigestAlgorithm::Sha512 => Ok(Self::Sha512(Sha512::new())),
            _ => Err(Error::Algorithm(digest.to_string())),
        }
    }

    /// A sha256.
    #[must_use]
    pub fn sha256() -> Self {
        Self::Sha256(Sha256::new())
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// Compares with what was promised for `what` (a few words for the error line).
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] with both digests.
    pub fn verify(self, what: impl Into<String>, expected: &Digest) -> Result<(), Error> {
        let actual = self.finish();
        if &actual == expected {
            Ok(())
        } else {
            Err(Error::Mismatch { what: what.into(), expected: expected.clone(), actual })
        }
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        let text = match self {
            Self::Sha256(hash) => format!("sha256:{}", hex(&hash.finalize())),
            Self::Sha512(hash) => format!("sha512:{}", hex(&hash.finalize())),
        };
        text.parse().expect("algorithm and length of the hex form agree")
    }
}

/// The sha256 digest of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::sha256();
    hasher.update(bytes);
    hasher.finish()
}

/// Hashes everything that is read through it, or lets it pass unhashed.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Option<Hasher>,
    length: u64,
}

impl<R: Read> HashingReader<R> {
    /// Starts with an empty hash of the kind that `hasher` is, if any is wanted.
    pub fn new(inner: R, hasher: Option<Hasher>) -> Self {
        Self { inner, hasher, length: 0 }
    }

    /// Reads to the end, so that the hash covers everything, and gives the hash and the number of bytes.
    ///
    /// # Errors
    ///
    /// What reading the rest returns.
    pub fn into_hash(mut self) -> io::Result<(Option<Hasher>, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((self.hasher, self.length))
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(buffer.get(..count).unwrap_or_default());
        }
        self.length += count as u64;
        Ok(count)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_abc_is_the_standards() {
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc").to_string(), expected);
    }

    #[test]
    fn a_mismatch_names_both_digests() {
        let expected = sha256(b"abc");
        let reader = HashingReader::new(&b"abd"[..], Some(Hasher::of(&expected).unwrap()));
        let error = reader.into_hash().unwrap().0.unwrap().verify("blob", &expected).unwrap_err().to_string();
        assert!(error.contains(expected.as_ref()) && error.contains(sha256(b"abd").as_ref()), "{error}");
    }

    #[test]
    fn algorithms_we_cannot_compute_are_refused() {
        let digest = "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8".parse().unwrap();
        assert!(matches!(Hasher::of(&digest), Err(Error::Algorithm(_))));
    }
}
