//! The pack: one file in which the host side hands a trust domain over to the module.
//!
//! A header of 64-bit words ([`Header`]), a table of [`Region`]s, their bytes. All numbers are little-endian. The module reads
//! `gpaw` before it can run any Rust: its place is fixed ([`GPAW_OFFSET`]).

use crate::layout::Memory;

/// First word: "TDSIMPK1".
pub const MAGIC: u64 = u64::from_le_bytes(*b"TDSIMPK1");
/// Where the width of guest physical addresses is.
pub const GPAW_OFFSET: usize = 8;
/// What makes a host hostile that was friendly first.
pub const TURN_HOSTILE: u8 = b'!';
/// Length of the header.
pub const HEADER_LEN: usize = 1024;
/// Length of an entry of the table of regions.
pub const REGION_LEN: usize = 32;
/// The most regions.
pub const MAX_REGIONS: usize = 64;

const WORDS: usize = 40;
/// Measurements follow the words: MRTD, RTMR0 to RTMR3, MRCONFIGID, MROWNER, MROWNERCONFIG.
const MEASUREMENTS: usize = 8;
const MEASUREMENTS_OFFSET: usize = WORDS * 8;

/// What the module has to know of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width of guest physical addresses: 48 or 52. The uppermost bit says "shared".
    pub gpaw: u64,
    /// Number of virtual processors.
    pub cpus: u64,
    /// Its memory.
    pub memory: Memory,
    /// TD attributes.
    pub attributes: u64,
    /// Features that it may enable.
    pub xfam: u64,
    /// Where the first processor starts, in long mode.
    pub rip: u64,
    /// RSI there.
    pub rsi: u64,
    /// Page tables there.
    pub cr3: u64,
    /// A GDT with a code segment at 0x10 and a data segment at 0x18.
    pub gdt: u64,
    /// Where ACPI tables go, and how much room there is.
    pub acpi: (u64, u64),
    /// Where the address of the RSDP is to be written.
    pub rsdp_pointer: u64,
    /// The page of the MADT's mailbox.
    pub mailbox: u64,
    /// The event log: where, and how much room there is.
    pub log: (u64, u64),
    /// See [`Flags`].
    pub flags: u64,
    /// Each how manieth MapGPA is answered with RETRY; 0: none.
    pub retry_every: u64,
    /// Each how manieth large page is mapped in small ones; 0: none.
    pub split_every: u64,
    /// Seed of the hostile host; 0: a friendly one.
    pub seed: u64,
    /// Which faults it makes, by `hostile::Fault::bit`, and how rarely.
    pub faults: (u64, u64),
    /// Canaries: bytes that must not be in shared memory at the end. Offset in the pack, length.
    pub canaries: (u64, u64),
    /// Number of regions.
    pub regions: u64,
    /// MRTD, RTMR0 to RTMR3, MRCONFIGID, MROWNER, MROWNERCONFIG.
    pub measurements: [[u8; 48]; MEASUREMENTS],
}

/// Bits of [`Header::flags`].
#[derive(Clone, Copy, Debug)]
pub struct Flags;

impl Flags {
    /// Unknown registers of the VMM read as 0, and writing them does nothing.
    pub const RELAXED_MSRS: u64 = 1;
    /// An access to the shared alias of a page that is private converts it rather than ending the domain.
    pub const IMPLICIT_CONVERSION: u64 = 1 << 1;
    /// Each exit is traced.
    pub const TRACE: u64 = 1 << 2;
    /// A hostile host is a friendly one until it hears [`TURN_HOSTILE`] on the second serial port.
    pub const FRIENDLY_FIRST: u64 = 1 << 3;
}

/// Memory that is the domain's from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Guest address, of a page.
    pub gpa: u64,
    /// Length, whole pages.
    pub len: u64,
    /// Where its bytes are in the pack.
    pub offset: u64,
    /// How many there are; the rest is zero.
    pub filled: u64,
}

impl Header {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        for (word, place) in self.words().iter().zip(bytes.as_chunks_mut::<8>().0) {
            *place = word.to_le_bytes();
        }
        bytes[MEASUREMENTS_OFFSET..MEASUREMENTS_OFFSET + MEASUREMENTS * 48]
            .copy_from_slice(self.measurements.as_flattened());
        bytes
    }

    fn words(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        let all = [
            MAGIC,
            self.gpaw,
            self.cpus,
            self.memory.low_end,
            self.memory.high_end,
            self.attributes,
            self.xfam,
            self.rip,
            self.rsi,
            self.cr3,
            self.gdt,
            self.acpi.0,
            self.acpi.1,
            self.rsdp_pointer,
            self.mailbox,
            self.log.0,
            self.log.1,
            self.flags,
            self.retry_every,
            self.split_every,
            self.seed,
            self.canaries.0,
            self.canaries.1,
            self.regions,
            self.faults.0,
            self.faults.1,
        ];
        words[..all.len()].copy_from_slice(&all);
        words
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is too short or another file.
    pub fn parse(pack: &[u8]) -> Result<Self, &'static str> {
        let bytes: &[u8; HEADER_LEN] = pack.first_chunk().ok_or("the pack is too short")?;
        let words = bytes.as_chunks::<8>().0;
        let word = |number: usize| words.get(number).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if word(0) != MAGIC {
            return Err("the initial RAM disk is not a pack");
        }
        let mut measurements = [[0; 48]; MEASUREMENTS];
        let stored = bytes[MEASUREMENTS_OFFSET..].as_chunks::<48>().0;
        measurements.iter_mut().zip(stored).for_each(|(to, from)| *to = *from);
        Ok(Self {
            gpaw: word(1),
            cpus: word(2),
            memory: Memory { low_end: word(3), high_end: word(4) },
            attributes: word(5),
            xfam: word(6),
            rip: word(7),
            rsi: word(8),
            cr3: word(9),
            gdt: word(10),
            acpi: (word(11), word(12)),
            rsdp_pointer: word(13),
            mailbox: word(14),
            log: (word(15), word(16)),
            flags: word(17),
            retry_every: word(18),
            split_every: word(19),
            seed: word(20),
            canaries: (word(21), word(22)),
            regions: word(23),
            faults: (word(24), word(25)),
            measurements,
        })
    }
}

impl Region {
    /// Its entry of the table.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; REGION_LEN] {
        let mut bytes = [0; REGION_LEN];
        let words = [self.gpa, self.len, self.offset, self.filled];
        for (word, place) in words.iter().zip(bytes.as_chunks_mut::<8>().0) {
            *place = word.to_le_bytes();
        }
        bytes
    }
}

/// The regions of a pack, each with its bytes; one whose bytes are not there is left out.
pub fn regions<'a>(pack: &'a [u8], header: &Header) -> impl Iterator<Item = (Region, &'a [u8])> {
    let table = pack.get(HEADER_LEN..).unwrap_or_default().as_chunks::<REGION_LEN>().0;
    table.iter().take(header.regions.min(MAX_REGIONS as u64) as usize).filter_map(move |entry| {
        let words = entry.as_chunks::<8>().0;
        let word = |number: usize| words.get(number).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let region = Region { gpa: word(0), len: word(1), offset: word(2), filled: word(3) };
        let end = region.offset.checked_add(region.filled)?;
        let bytes = pack.get(usize::try_from(region.offset).ok()?..usize::try_from(end).ok()?)?;
        Some((region, bytes))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::{GPAW_OFFSET, HEADER_LEN, Header, Region, regions};
    use crate::layout::Memory;

    fn header() -> Header {
        Header {
            gpaw: 52,
            cpus: 2,
            memory: Memory::new(1 << 30),
            attributes: 1 << 28,
            xfam: 7,
            rip: 1,
            rsi: 2,
            cr3: 3,
            gdt: 4,
            acpi: (5, 6),
            rsdp_pointer: 7,
            mailbox: 8,
            log: (9, 10),
            flags: 11,
            retry_every: 12,
            split_every: 13,
            seed: 14,
            faults: (17, 18),
            canaries: (15, 16),
            regions: 2,
            measurements: [[7; 48]; 8],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = header().to_bytes();
        assert_eq!(Header::parse(&bytes), Ok(header()));
        assert_eq!(bytes[GPAW_OFFSET], 52);
        assert!(Header::parse(&bytes[1..]).is_err());
        assert!(Header::parse(&[0; HEADER_LEN]).is_err());
    }

    #[test]
    fn regions_without_their_bytes_are_left_out() {
        let good = Region { gpa: 0x1000, len: 0x1000, offset: HEADER_LEN as u64, filled: 3 };
        let bad = Region { offset: u64::MAX, ..good };
        let pack: Vec<u8> = [header().to_bytes().as_slice(), &good.to_bytes(), &bad.to_bytes()].concat();
        let found: Vec<_> = regions(&pack, &header()).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, good);
        assert_eq!(found[0].1.len(), 3);
    }
}
