//! The attribute `trusted.overlay.origin` of a copy: the inode number that the file had, and shall keep, in the overlay.
//!
//! Its frame is Linux's (version, magic, length, flags, type, file system id), so that Linux reads it as a file handle of a type that it
//! does not know and goes on without one. COMPAT: the handle is a number, because inodes are not found by handle here.

const VERSION: u8 = 0;
const MAGIC: u8 = 0xfb;
/// A handle type that no Linux file system uses.
const TYPE: u8 = 0xc0;
const HEADER_LEN: usize = 21;
const LEN: usize = HEADER_LEN + 8;

/// The attribute's value.
pub fn encode(ino: u64) -> [u8; LEN] {
    let mut value = [0; LEN];
    value[..5].copy_from_slice(&[VERSION, MAGIC, LEN as u8, 0, TYPE]);
    value[HEADER_LEN..].copy_from_slice(&ino.to_le_bytes());
    value
}

/// The inode number; `None` if another kernel wrote it.
pub fn decode(value: &[u8]) -> Option<u64> {
    let value: &[u8; LEN] = value.try_into().ok()?;
    if value[..5] != [VERSION, MAGIC, LEN as u8, 0, TYPE] {
        return None;
    }
    let (_, ino) = value.split_last_chunk::<8>()?;
    Some(u64::from_le_bytes(*ino))
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn numbers_survive() {
        for ino in [0, 1, u64::MAX] {
            assert_eq!(decode(&encode(ino)), Some(ino));
        }
    }

    #[test]
    fn handles_of_others_count_for_nothing() {
        let mut other = encode(7);
        other[4] = 1;
        assert_eq!(decode(&other), None);
        assert_eq!(decode(b""), None);
        assert_eq!(decode(&encode(7)[1..]), None);
    }
}
