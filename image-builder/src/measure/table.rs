//! The partition table, as firmware measures it: `UEFI_GPT_DATA` of the TCG's EFI platform specification, which is the table's header, the number
//! of partitions and their entries.

use crate::Error;

const SECTOR: usize = 512;
/// The header as UEFI defines it; the rest of its sector is reserved.
const HEADER_LEN: usize = 92;
/// Where the header has the first sector of the entries, their number and their length.
const ENTRIES_AT: usize = 72;
const COUNT_AT: usize = 80;
const LEN_AT: usize = 84;

/// The event's data for `disk`.
pub fn event(disk: &[u8]) -> Result<Vec<u8>, Error> {
    read(disk).ok_or_else(|| Error::input("the disk", "it has no partition table"))
}

fn read(disk: &[u8]) -> Option<Vec<u8>> {
    let header = disk.get(SECTOR..SECTOR + HEADER_LEN)?;
    if !header.starts_with(b"EFI PART") {
        return None;
    }
    let number = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let first = u64::from_le_bytes(header.get(ENTRIES_AT..ENTRIES_AT + 8)?.try_into().ok()?);
    let start = usize::try_from(first).ok()?.checked_mul(SECTOR)?;
    let (count, length) = (usize::try_from(number(COUNT_AT)?).ok()?, usize::try_from(number(LEN_AT)?).ok()?);
    let entries = disk.get(start..start.checked_add(count.checked_mul(length)?)?)?;
    // An entry without a type is free.
    let used = || {
        let entries = entries.chunks_exact(length.max(1));
        entries.filter(|entry| entry.get(..16).is_some_and(|kind| kind.iter().any(|byte| *byte != 0)))
    };
    let mut data = header.to_vec();
    data.extend_from_slice(&u64::try_from(used().count()).ok()?.to_le_bytes());
    used().for_each(|entry| data.extend_from_slice(entry));
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::{HEADER_LEN, event};
    use crate::sample;

    #[test]
    fn the_event_has_header_number_and_entries() {
        let disk = sample::image(b"init").unwrap().disk;
        let data = event(&disk).unwrap();
        assert_eq!(data.len(), HEADER_LEN + 8 + 128);
        assert_eq!(data[..HEADER_LEN], disk[512..512 + HEADER_LEN]);
        assert_eq!(data[HEADER_LEN..HEADER_LEN + 8], 1_u64.to_le_bytes());
        assert_eq!(data[HEADER_LEN + 8..], disk[1024..1024 + 128]);
    }

    #[test]
    fn a_damaged_table_is_refused() {
        let mut disk = sample::image(b"init").unwrap().disk;
        disk[512 + 72..512 + 80].fill(0xff);
        assert!(event(&disk).is_err());
        assert!(event(&disk[..600]).is_err() && event(&[0; 4096]).is_err());
    }
}
