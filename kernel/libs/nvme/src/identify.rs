//! What a controller says of itself and its namespaces (Base Specification, 5.17; NVM Command Set, 4.1.5), bounded.

use alloc::vec::Vec;

use crate::controller::PAGE;

/// Bytes in a sector, the unit of the kernel's positions.
const SECTOR_SHIFT: u32 = 9;
/// The largest logical block: what lies within a page can be read by pages.
const LARGEST_BLOCK_SHIFT: u32 = 12;

/// A description as the controller has written it.
pub type Page = [u8; PAGE];

/// A controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The serial number: printable, without the padding.
    pub serial: Vec<u8>,
    /// Pages in one command at most; `None` if there is no limit.
    pub pages: Option<usize>,
    /// Whether it has a cache that a flush writes back.
    pub has_cache: bool,
}

/// A namespace with a form that this driver takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// log₂ of the bytes in a logical block, 9 to 12.
    pub block_shift: u32,
    /// Whether it refuses writes.
    pub is_read_only: bool,
}

/// Reads a description of a controller; `None` if its queue entries have sizes that this driver does not write.
pub fn controller(page: &Page) -> Option<Identity> {
    // SQES and CQES: the least size in the low half, the largest in the high one.
    let takes = |at: usize, shift: u8| {
        let sizes = page[at];
        sizes & 0xf <= shift && sizes >> 4 >= shift
    };
    if !takes(512, 6) || !takes(513, 4) {
        return None;
    }
    let serial: Vec<u8> = page[4..24].iter().copied().take_while(u8::is_ascii_graphic).collect();
    // MDTS: a power of two of pages; 0 is no limit, and so is what does not fit a number.
    let pages = match page[77] {
        0 => None,
        shift => 1_usize.checked_shl(u32::from(shift)).filter(|pages| *pages != 0),
    };
    Some(Identity { serial, pages, has_cache: page[525] & 1 != 0 })
}

/// Reads a description of a namespace; `None` if it is empty, has metadata in its blocks, or blocks that do not fit pages.
pub fn namespace(page: &Page) -> Option<Namespace> {
    let blocks = u64::from_le_bytes(*page.first_chunk()?);
    let format = usize::from(page[26] & 0xf);
    let [metadata_low, metadata_high, shift, _] = *page.get(128 + 4 * format..)?.first_chunk()?;
    let block_shift = u32::from(shift);
    let has_metadata = metadata_low != 0 || metadata_high != 0;
    if blocks == 0 || has_metadata || !(SECTOR_SHIFT..=LARGEST_BLOCK_SHIFT).contains(&block_shift) {
        return None;
    }
    let sectors = blocks.checked_mul(1 << (block_shift - SECTOR_SHIFT))?;
    // A disk's size in bytes is a number, too.
    sectors.checked_mul(1 << SECTOR_SHIFT)?;
    Some(Namespace { sectors, block_shift, is_read_only: page[99] & 1 != 0 })
}

/// Reads a list of namespaces: ascending, ended by a zero; at most `limit`.
pub fn namespaces(page: &Page, limit: usize) -> Vec<u32> {
    let (chunks, _) = page.as_chunks::<4>();
    let mut last = 0;
    chunks
        .iter()
        .map(|chunk| u32::from_le_bytes(*chunk))
        // What does not ascend would be a namespace twice.
        .take_while(|id| *id > core::mem::replace(&mut last, *id))
        .take(limit)
        .collect()
}

/// How many pairs of queues the answer to [`crate::Command::request_queues`] grants, from 1.
pub fn granted_queues(result: u32) -> u16 {
    let (submissions, completions) = (result as u16, (result >> 16) as u16);
    submissions.min(completions).saturating_add(1)
}
