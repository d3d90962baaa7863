//! Where two images differ: the innermost part that does, and the first byte of it.

use std::fmt;

use crate::Error;
use crate::inspect::Parts;

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The part, as [`crate::inspect::Report::parts`] calls it; `file` if all parts are equal and only what holds them is not.
    pub part: String,
    /// Offset in that part of the first byte that differs, or where the shorter one ends.
    pub offset: u64,
    /// Sizes of the two, in bytes.
    pub sizes: [u64; 2],
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { part, offset, sizes: [one, other] } = self;
        let part = part.escape_debug();
        write!(formatter, "the part `{part}` differs from byte {offset} on")?;
        if one == other {
            write!(formatter, " ({one} bytes)")
        } else {
            write!(formatter, " ({one} and {other} bytes)")
        }
    }
}

/// Compares two images, in whatever form each is. `None`: they are the same, byte for byte; if their forms are different, their disks are.
///
/// # Errors
/// If one of them is no image.
pub fn diff(one: &[u8], other: &[u8]) -> Result<Option<Difference>, Error> {
    if one == other {
        return Ok(None);
    }
    let (first, second) = (Parts::of(one)?, Parts::of(other)?);
    for (name, bytes) in &first.parts {
        let Some((_, others)) = second.parts.iter().find(|(known, _)| known == name) else {
            // A UKI beside a disk: the disk's parts are compared as far as both have them.
            if name == "disk" {
                continue;
            }
            return Ok(Some(difference(name, bytes, &[])));
        };
        if bytes != others {
            return Ok(Some(difference(name, bytes, others)));
        }
    }
    let is_same_form = first.format() == second.format();
    Ok(is_same_form.then(|| difference("file", one, other)))
}

fn difference(part: &str, one: &[u8], other: &[u8]) -> Difference {
    let offset = one.iter().zip(other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
    Difference { part: part.to_owned(), offset: offset as u64, sizes: [one.len() as u64, other.len() as u64] }
}
