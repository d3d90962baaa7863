//! The Authenticode hash of a PE file (Microsoft's "Windows Authenticode Portable Executable Signature Format"): what firmware measures into a
//! register when it starts a UKI, and what Secure Boot compares. It leaves out the checksum and a signature.

use authenticode::authenticode_digest;
use object::read::pe::PeFile64;
use sha2_for_authenticode::{Digest as _, Sha384};

use crate::Error;
use crate::identity::hex;

/// SHA-384, as TDVF extends it into RTMR1, in hexadecimal digits.
///
/// # Errors
/// If `file` is not a 64-bit PE file.
pub fn sha384(file: &[u8]) -> Result<String, Error> {
    digest(file).map(|digest| hex(&digest))
}

/// The same in bytes.
///
/// # Errors
/// If `file` is not a 64-bit PE file.
pub fn digest(file: &[u8]) -> Result<[u8; 48], Error> {
    let bad = |reason: &dyn ToString| Error::input("the unified kernel image", reason.to_string());
    let pe = PeFile64::parse(file).map_err(|error| bad(&error))?;
    let mut digest = Sha384::new();
    authenticode_digest(&pe, &mut digest).map_err(|error| bad(&error))?;
    Ok(digest.finalize().into())
}
