//! What the host hands over as files, by QEMU's fw_cfg device (QEMU, docs/specs/fw_cfg): a host's claim, like everything that it says.
//!
//! Only the plain interface is used, two ports, a byte at a time: it moves no memory, so that there is nothing to check but lengths. A trust
//! domain has none: nobody has measured what the host writes there.

use alloc::string::String;
use alloc::vec::Vec;

/// The most files that are listed; QEMU itself has some ten.
const MAX_FILES: u32 = 256;

/// Length of an entry of the list, and of the name at its end.
const ENTRY_LEN: usize = 64;
const NAME_LEN: usize = 56;

/// Items: the signature, and the list of files.
const SIGNATURE: u16 = 0x00;
const DIRECTORY: u16 = 0x19;

/// One file of the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, such as `opt/coffer/coffer.toml`.
    pub name: String,
    /// Its length in bytes.
    pub len: u32,
    /// Its number at the device.
    pub key: u16,
}

/// The files that the host has; none without such a device.
#[must_use]
pub fn files() -> Vec<File> {
    let mut signature = [0; 4];
    if !read(SIGNATURE, &mut signature) || signature != *b"QEMU" {
        return Vec::new();
    }
    let mut count = [0; 4];
    read(DIRECTORY, &mut count);
    let count = u32::from_be_bytes(count).min(MAX_FILES) as usize;
    let mut list = Vec::new();
    let len = count.saturating_mul(ENTRY_LEN).saturating_add(4);
    if list.try_reserve_exact(len).is_err() {
        return Vec::new();
    }
    list.resize(len, 0);
    read(DIRECTORY, &mut list);
    list.get(4..).unwrap_or_default().chunks_exact(ENTRY_LEN).filter_map(parse).collect()
}

/// One entry of the list. None for a name that is not text.
fn parse(entry: &[u8]) -> Option<File> {
    let (len, rest) = entry.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_first_chunk::<2>()?;
    // Two bytes are reserved.
    let name = rest.get(2..)?.get(..NAME_LEN)?;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_LEN);
    let name = core::str::from_utf8(name.get(..end)?).ok().filter(|name| !name.is_empty())?;
    Some(File { name: name.into(), len: u32::from_be_bytes(*len), key: u16::from_be_bytes(*key) })
}

/// Reads the beginning of an item; what it lacks is zeros. False, and nothing, where there can be no such device.
pub fn read(key: u16, buffer: &mut [u8]) -> bool {
    #[cfg(target_os = "none")]
    return !crate::tdx::is_active() && crate::arch::fw_cfg::read(key, buffer);
    #[cfg(not(target_os = "none"))]
    {
        let _ = (key, buffer);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_claims() {
        let mut entry = [0_u8; ENTRY_LEN];
        entry[..8].copy_from_slice(&[0, 0, 1, 2, 0, 0x20, 0xff, 0xff]);
        assert_eq!(parse(&entry), None);
        entry[8..14].copy_from_slice(b"opt/ab");
        let file = File { name: "opt/ab".into(), len: 0x102, key: 0x20 };
        assert_eq!(parse(&entry), Some(file));
        // A name that fills its place has no zero behind it.
        entry[8..].fill(b'x');
        assert_eq!(parse(&entry).unwrap().name.len(), NAME_LEN);
        entry[10] = 0xff;
        assert_eq!(parse(&entry), None);
        assert_eq!(parse(&entry[..20]), None);
    }
}
