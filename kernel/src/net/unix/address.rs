//! `sockaddr_un`: no name, a path, or an abstract name.

use crate::error::{Errno, Error, Result};
use alloc::vec::Vec;
use coffer_abi_types::net::{AF_UNIX, AF_UNSPEC};

/// Bytes of `sun_family`.
const FAMILY_LEN: usize = 2;
/// Bytes of `sun_path`.
const PATH_LEN: usize = 108;

/// An address as a call gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// The family alone.
    Unnamed,
    /// A path, without NUL.
    Path(&'a [u8]),
    /// What follows the leading NUL, all of it.
    Abstract(&'a [u8]),
}

impl<'a> Address<'a> {
    /// From a `sockaddr`.
    ///
    /// # Errors
    /// EINVAL for a length or family that is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if family(bytes)? != AF_UNIX || bytes.len() > FAMILY_LEN + PATH_LEN {
            return Err(Errno::EINVAL.into());
        }
        Ok(match &bytes[FAMILY_LEN..] {
            [] => Self::Unnamed,
            [0, name @ ..] => Self::Abstract(name),
            path => Self::Path(path.split(|byte| *byte == 0).next().unwrap_or(path)),
        })
    }

    /// The `sockaddr`; a path gets its NUL.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::from(AF_UNIX.to_ne_bytes());
        match self {
            Self::Unnamed => {}
            Self::Path(path) => {
                bytes.extend_from_slice(path);
                bytes.push(0);
            }
            Self::Abstract(name) => {
                bytes.push(0);
                bytes.extend_from_slice(name);
            }
        }
        bytes
    }
}

/// Whether the address dissolves an association (AF_UNSPEC).
///
/// # Errors
/// EINVAL if it is too short for a family.
pub fn is_unspecified(bytes: &[u8]) -> Result<bool> {
    Ok(family(bytes)? == AF_UNSPEC)
}

fn family(bytes: &[u8]) -> Result<u16> {
    let family = bytes.first_chunk::<FAMILY_LEN>().ok_or(Error::new(Errno::EINVAL))?;
    Ok(u16::from_ne_bytes(*family))
}
