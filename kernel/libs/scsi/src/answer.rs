//! What a unit answers, bounded.

use alloc::vec::Vec;

/// Bytes in a sector, the unit of the kernel's positions.
const SECTOR_SHIFT: u32 = 9;
/// The largest logical block: what lies within a page can be read by pages.
const LARGEST_BLOCK_SHIFT: u32 = 12;

/// Bytes that standard inquiry data is asked for in.
pub const INQUIRY_LEN: usize = 36;
/// Bytes of the answer to READ CAPACITY (16).
pub const CAPACITY_LEN: usize = 32;

/// Whether a unit that answered INQUIRY so is a disk that is there.
pub fn is_disk(inquiry: &[u8]) -> bool {
    // Peripheral qualifier 0 (connected) and device type 0 (direct access), SPC-4, 6.6.2.
    inquiry.len() >= 5 && inquiry[0] == 0
}

/// A disk's size and form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// log₂ of the bytes in a logical block, 9 to 12.
    pub block_shift: u32,
}

/// Reads the answer to READ CAPACITY (16), SBC-3, 5.16; `None` if the blocks do not fit pages, or the size is no number.
pub fn capacity(answer: &[u8]) -> Option<Capacity> {
    let last = u64::from_be_bytes(*answer.first_chunk()?);
    let block = u32::from_be_bytes(*answer.get(8..)?.first_chunk()?);
    let block_shift = block.checked_ilog2().filter(|shift| 1 << shift == block)?;
    if !(SECTOR_SHIFT..=LARGEST_BLOCK_SHIFT).contains(&block_shift) {
        return None;
    }
    let sectors = last.checked_add(1)?.checked_mul(1 << (block_shift - SECTOR_SHIFT))?;
    // A disk's size in bytes is a number, too.
    sectors.checked_mul(1 << SECTOR_SHIFT)?;
    Some(Capacity { sectors, block_shift })
}

/// The serial number in the vital product data page 0x80 (SPC-4, 7.8.15): printable, without padding; empty if there is none.
pub fn serial(answer: &[u8]) -> Vec<u8> {
    let len = answer.get(3).copied().map_or(0, usize::from);
    let text = answer.get(4..).unwrap_or_default();
    let text = text.get(..len).unwrap_or(text);
    text.iter().copied().skip_while(|byte| *byte == b' ').take_while(u8::is_ascii_graphic).collect()
}

/// Whether the header of the answer to MODE SENSE (6) says that the medium is protected (SBC-3, 6.4.1).
pub fn is_protected(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|parameter| parameter & 0x80 != 0)
}

/// The units in the answer to REPORT LUNS (SPC-4, 6.33): those of a single level, with numbers that [`crate::wire::address`] can say; at most
/// `limit`.
pub fn units(answer: &[u8], limit: usize) -> Vec<u16> {
    let Some(len) = answer.first_chunk().map(|len| u32::from_be_bytes(*len) as usize) else {
        return Vec::new();
    };
    let list = answer.get(8..).unwrap_or_default();
    let list = list.get(..len).unwrap_or(list);
    let (entries, _) = list.as_chunks::<8>();
    entries.iter().filter_map(unit).take(limit).collect()
}

/// SAM-5, 4.7: peripheral addressing on bus 0 or flat addressing, in the first level.
fn unit(entry: &[u8; 8]) -> Option<u16> {
    let [high, low, rest @ ..] = *entry;
    let is_single_level = rest == [0; 6];
    match high >> 6 {
        0 if high == 0 && is_single_level => Some(u16::from(low)),
        1 if is_single_level => Some(u16::from(high & 0x3f) << 8 | u16::from(low)),
        _ => None,
    }
}

/// Whether sense data says "unit attention": something has happened before, the command is to be sent again.
pub fn is_attention(sense: &[u8]) -> bool {
    const UNIT_ATTENTION: u8 = 6;
    // Fixed and descriptor form, SPC-4, 4.5.
    let key = match sense.first().map(|code| code & 0x7f) {
        Some(0x70 | 0x71) => sense.get(2),
        Some(0x72 | 0x73) => sense.get(1),
        _ => None,
    };
    key.is_some_and(|key| key & 0xf == UNIT_ATTENTION)
}
