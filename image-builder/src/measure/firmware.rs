//! MRTD: the firmware of a trust domain, page by page, as the TDX module hashes what a virtual machine monitor adds before the domain's first
//! instruction. Which pages those are, and which of them are measured, the firmware says itself, in its TDX metadata (Intel's TDX virtual
//! firmware design guide). In which order they are hashed is the monitor's affair ([`Order`]): the same firmware has a value for each.

use std::iter::repeat;

use sha2::{Digest as _, Sha384};
use uuid::{Uuid, uuid};

use super::Measurement;
use crate::Error;

/// The table of what edk2 leaves at the end of its firmware, and the entry in it that says where TDX metadata are.
const TABLE: Uuid = uuid!("96b582de-1fb2-45f7-baea-a366c55a082d");
const TDX_METADATA: Uuid = uuid!("e47a6535-984a-4798-865e-4685a7bf8ec2");
/// What comes after the table: the reset vector.
const AFTER_TABLE: usize = 32;
/// An entry ends in its length and its identifier.
const ENTRY_END: usize = 18;

const SIGNATURE: &[u8] = b"TDVF";
const VERSION: u32 = 1;
const DESCRIPTOR_LEN: usize = 16;
const SECTION_LEN: usize = 32;
/// More sections than any firmware has.
const SECTIONS_LIMIT: u32 = 64;
/// And more memory than any of them: 64 MiB.
const SECTION_LIMIT: u64 = 64 << 20;

/// The section is measured.
const MR_EXTEND: u32 = 1 << 0;
/// Its pages are added later, by the domain itself.
const PAGE_AUG: u32 = 1 << 1;

const PAGE: usize = 4096;
const CHUNK: usize = 256;

/// Some memory, and what is in it at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Section {
    /// Where its contents are in the file, and how long they are; what follows is zero.
    data: (u32, u32),
    address: u64,
    len: u64,
    attributes: u32,
}

/// In which order a section's pages are added, and extended by their parts of 256 bytes if they are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Each page is added and then extended: Linux since 6.16.
    PageByPage,
    /// All are added, then all extended: distributors' kernels from before.
    SectionBySection,
}

impl Order {
    /// Both.
    pub const ALL: [Self; 2] = [Self::PageByPage, Self::SectionBySection];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PageByPage => "page-by-page",
            Self::SectionBySection => "section-by-section",
        }
    }
}

/// MRTD of a domain with this firmware.
///
/// # Errors
/// If the firmware has no TDX metadata, or they make no sense.
pub fn mrtd(firmware: &[u8], order: Order) -> Result<Measurement, Error> {
    let bad = |reason: &str| Error::input("the firmware", reason);
    let sections = sections(firmware).ok_or_else(|| bad("it has no TDX metadata"))?;
    let mut hash = Sha384::new();
    for section in sections.iter().filter(|section| section.attributes & PAGE_AUG == 0) {
        add(&mut hash, firmware, section, order)
            .ok_or_else(|| bad("a section of its TDX metadata is out of range"))?;
    }
    Ok(hash.finalize().into())
}

/// Adds a section's pages.
fn add(hash: &mut Sha384, firmware: &[u8], section: &Section, order: Order) -> Option<()> {
    let (start, len) = (usize::try_from(section.data.0).ok()?, usize::try_from(section.data.1).ok()?);
    let data = firmware.get(start..start.checked_add(len)?)?;
    let page_len = u64::try_from(PAGE).ok()?;
    let is_aligned = section.address.is_multiple_of(page_len) && section.len.is_multiple_of(page_len);
    if !is_aligned || section.len > SECTION_LIMIT || u64::try_from(len).ok()? > section.len {
        return None;
    }
    let end = section.address.checked_add(section.len)?;
    let is_measured = section.attributes & MR_EXTEND != 0;
    let pages = || (section.address..end).step_by(PAGE).zip(data.chunks(PAGE).chain(repeat(&[][..])));
    for (address, contents) in pages() {
        hash.update(record(b"MEM.PAGE.ADD", address));
        if is_measured && order == Order::PageByPage {
            extend(hash, address, contents)?;
        }
    }
    if is_measured && order == Order::SectionBySection {
        pages().try_for_each(|(address, contents)| extend(hash, address, contents))?;
    }
    Some(())
}

/// Extends by the parts of a page that begins with `contents` and goes on with zeros.
fn extend(hash: &mut Sha384, address: u64, contents: &[u8]) -> Option<()> {
    let mut page = [0; PAGE];
    page.get_mut(..contents.len())?.copy_from_slice(contents);
    for (address, chunk) in (address..).step_by(CHUNK).zip(page.chunks_exact(CHUNK)) {
        hash.update(record(b"MR.EXTEND", address));
        hash.update(chunk);
    }
    Some(())
}

/// What is hashed of an operation: its name and its address.
fn record(name: &[u8], address: u64) -> [u8; 128] {
    let mut record = [0; 128];
    record[..name.len()].copy_from_slice(name);
    record[16..24].copy_from_slice(&address.to_le_bytes());
    record
}

/// The sections of the metadata.
fn sections(firmware: &[u8]) -> Option<Vec<Section>> {
    let from_end = u32_at(entry(firmware, TDX_METADATA)?, 0)?;
    let start = firmware.len().checked_sub(usize::try_from(from_end).ok()?)?;
    let metadata = firmware.get(start..)?;
    let count = u32_at(metadata, 12)?;
    if !metadata.starts_with(SIGNATURE) || u32_at(metadata, 8)? != VERSION || count > SECTIONS_LIMIT {
        return None;
    }
    let sections = metadata.get(DESCRIPTOR_LEN..)?;
    (0..usize::try_from(count).ok()?)
        .map(|index| {
            let section = sections.get(index * SECTION_LEN..(index + 1) * SECTION_LEN)?;
            Some(Section {
                data: (u32_at(section, 0)?, u32_at(section, 4)?),
                address: u64_at(section, 8)?,
                len: u64_at(section, 16)?,
                attributes: u32_at(section, 28)?,
            })
        })
        .collect()
}

/// The data of an entry of the table, which is read from its end.
fn entry(firmware: &[u8], wanted: Uuid) -> Option<&[u8]> {
    let end = firmware.len().checked_sub(AFTER_TABLE)?;
    let (table, _) = firmware.split_at_checked(end)?;
    let (identifier, len) = entry_end(table)?;
    if identifier != TABLE {
        return None;
    }
    // The table's own entry has its whole length.
    let mut rest = table.get(end.checked_sub(len)?..end.checked_sub(ENTRY_END)?)?;
    while !rest.is_empty() {
        let (identifier, len) = entry_end(rest)?;
        let (before, entry) = rest.split_at_checked(rest.len().checked_sub(len)?)?;
        let data = entry.get(..entry.len().checked_sub(ENTRY_END)?)?;
        if identifier == wanted {
            return Some(data);
        }
        rest = before;
    }
    None
}

/// Identifier and length of the entry that ends where `bytes` do.
fn entry_end(bytes: &[u8]) -> Option<(Uuid, usize)> {
    let end = bytes.get(bytes.len().checked_sub(ENTRY_END)?..)?;
    let (len, identifier) = end.split_at(2);
    let len = u16::from_le_bytes(len.try_into().ok()?);
    Some((Uuid::from_bytes_le(identifier.try_into().ok()?), usize::from(len)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use sha2::{Digest as _, Sha384};

    use super::{MR_EXTEND, Order, PAGE, PAGE_AUG, TABLE, TDX_METADATA};
    use crate::Error;

    fn mrtd(firmware: &[u8]) -> Result<[u8; 48], Error> {
        super::mrtd(firmware, Order::PageByPage)
    }

    const LEN: usize = 0x4000;
    const METADATA_FROM_END: usize = 0x400;

    /// A firmware whose first page is measured, whose second is added without, and which asks for a page of memory.
    fn firmware() -> Vec<u8> {
        let mut firmware: Vec<u8> = (0..LEN).map(|index| (index % 251) as u8).collect();
        let mut metadata = b"TDVF".to_vec();
        metadata.extend([0; 4]);
        metadata.extend(1_u32.to_le_bytes());
        metadata.extend(4_u32.to_le_bytes());
        for (data, address, len, attributes) in [
            ((0, 0x1000), 0xffff_c000_u64, 0x1000_u64, MR_EXTEND),
            ((0x1000, 0x800), 0xffff_d000, 0x1000, 0),
            ((0, 0), 0x80_0000, 0x1000, 0),
            ((0, 0), 0x90_0000, 0x1000, PAGE_AUG),
        ] {
            let (start, data_len): (u32, u32) = data;
            metadata.extend([start.to_le_bytes(), data_len.to_le_bytes()].concat());
            metadata.extend([address.to_le_bytes(), len.to_le_bytes()].concat());
            metadata.extend([0_u32.to_le_bytes(), attributes.to_le_bytes()].concat());
        }
        let mut put = |from_end: usize, bytes: &[u8]| {
            let start = LEN - from_end;
            firmware[start..start + bytes.len()].copy_from_slice(bytes);
        };
        put(METADATA_FROM_END, &metadata);
        put(32 + 16, &TABLE.to_bytes_le());
        put(32 + 18, &40_u16.to_le_bytes());
        put(32 + 18 + 16, &TDX_METADATA.to_bytes_le());
        put(32 + 18 + 18, &22_u16.to_le_bytes());
        put(32 + 18 + 22, &(METADATA_FROM_END as u32).to_le_bytes());
        firmware
    }

    #[test]
    fn pages_are_added_and_measured_as_the_metadata_say() {
        let firmware = firmware();
        let mut stream = Vec::new();
        let mut record = |name: &str, address: u64, more: &[u8]| {
            let mut record = [0; 128];
            record[..name.len()].copy_from_slice(name.as_bytes());
            record[16..24].copy_from_slice(&address.to_le_bytes());
            stream.extend(record);
            stream.extend(more);
        };
        record("MEM.PAGE.ADD", 0xffff_c000, &[]);
        for index in 0..16 {
            let chunk = &firmware[index * 256..(index + 1) * 256];
            record("MR.EXTEND", 0xffff_c000 + index as u64 * 256, chunk);
        }
        record("MEM.PAGE.ADD", 0xffff_d000, &[]);
        record("MEM.PAGE.ADD", 0x80_0000, &[]);
        let expected: [u8; 48] = Sha384::digest(&stream).into();
        assert_eq!(mrtd(&firmware).unwrap(), expected);
        // The first section is of one page only.
        assert_eq!(super::mrtd(&firmware, Order::SectionBySection).unwrap(), expected);
    }

    #[test]
    fn orders_differ_where_a_measured_section_has_several_pages() {
        let mut firmware = firmware();
        let section = LEN - METADATA_FROM_END + 16;
        firmware[section + 4..section + 8].copy_from_slice(&0x2000_u32.to_le_bytes());
        firmware[section + 16..section + 24].copy_from_slice(&0x2000_u64.to_le_bytes());
        let [one, other] = Order::ALL.map(|order| super::mrtd(&firmware, order).unwrap());
        assert_ne!(one, other);
    }

    #[test]
    fn what_is_not_measured_does_not_matter_and_what_is_does() {
        let original = mrtd(&firmware()).unwrap();
        let mut changed = firmware();
        changed[PAGE + 5] ^= 1;
        assert_eq!(mrtd(&changed).unwrap(), original);
        changed[5] ^= 1;
        assert_ne!(mrtd(&changed).unwrap(), original);
    }

    #[test]
    fn a_firmware_without_tdx_is_refused() {
        let mut firmware = firmware();
        firmware[LEN - METADATA_FROM_END] = b'X';
        assert!(mrtd(&firmware).unwrap_err().to_string().contains("no TDX metadata"));
        assert!(mrtd(&[]).is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_firmware_is_read_or_refused(at in 1_usize..0x500, value in any::<u8>()) {
            let mut firmware = firmware();
            firmware[LEN - at] = value;
            let _ = mrtd(&firmware);
        }
    }
}
