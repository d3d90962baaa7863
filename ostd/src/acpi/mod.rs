//! What we take from the firmware's ACPI tables: CPUs, interrupt controllers, PCI's configuration space, fixed power registers.
//!
//! Written by hand rather than with the `acpi` crate: that reads the tables in place through mappings and trusts the
//! lengths in them, while here they are the host's claims (D6). This is safe code over byte slices, tested on the host;
//! it runs before there is a heap, and keeps fixed-size copies only. There is no AML interpreter. References: ACPI 6.5, chapter 5.

mod fadt;
mod madt;

use crate::boot::loader::ReadPhysical;
use crate::cpu::MAX_CPUS;
pub(crate) use fadt::{Fadt, Register, Space};

/// A fixed-size list; what does not fit is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<T, const N: usize> {
    items: [T; N],
    len: usize,
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self { items: [T::default(); N], len: 0 }
    }
}

impl<T: Copy, const N: usize> List<T, N> {
    /// Adds an item if there is room.
    pub(crate) fn push(&mut self, item: T) {
        if let Some(slot) = self.items.get_mut(self.len) {
            *slot = item;
            self.len += 1;
        }
    }

    /// The items.
    pub(crate) fn as_slice(&self) -> &[T] {
        &self.items[..self.len]
    }
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IoApic {
    /// Physical address of its registers.
    pub address: u32,
    /// The first global interrupt that it serves.
    pub first_gsi: u32,
}

/// Where an ISA interrupt arrives, if not at the global interrupt of the same number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IsaOverride {
    /// ISA interrupt.
    pub isa: u8,
    /// Global interrupt.
    pub gsi: u32,
    /// MPS INTI flags: bits 0-1 polarity, 2-3 trigger mode.
    pub flags: u16,
}

/// A stretch of PCI Express configuration space (MCFG).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ecam {
    /// Physical address of bus 0's configuration space, also where the first bus is not 0.
    pub address: u64,
    /// PCI segment.
    pub segment: u16,
    /// First bus.
    pub first_bus: u8,
    /// Last bus.
    pub last_bus: u8,
}

/// Where the firmware of a TD keeps its event log (CCEL; ACPI 6.5, 5.2.34).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ccel {
    /// The table as it stands, for whoever wants to see it.
    pub table: [u8; CCEL_LEN],
    /// Physical address of the log.
    pub log_address: u64,
    /// Bytes that the log may take.
    pub log_len: u64,
}

const CCEL_LEN: usize = 56;

/// All that we keep.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Platform {
    /// APIC ids of the CPUs that are enabled, in the firmware's order.
    pub apic_ids: List<u32, MAX_CPUS>,
    /// I/O APICs.
    pub io_apics: List<IoApic, 8>,
    /// ISA interrupts that arrive elsewhere.
    pub isa_overrides: List<IsaOverride, 16>,
    /// PCI configuration spaces.
    pub ecam: List<Ecam, 8>,
    /// Fixed registers, if there is a FADT.
    pub fadt: Option<Fadt>,
    /// Physical address of the mailbox that CPUs wait at, where there is no other way to start them.
    pub mailbox: Option<u64>,
    /// The event log, if there is one.
    pub ccel: Option<Ccel>,
}

const RSDP_SIGNATURE: &[u8; 8] = b"RSD PTR ";
const HEADER_LEN: usize = 36;
/// No table that we read is longer; a length past this is a lie.
const MAX_TABLE_LEN: usize = 8 << 20;

/// Reads the tables below `rsdp`, or below the one found in the BIOS area.
///
/// # Errors
/// Names what is missing or broken; a broken table other than the root is left out instead.
pub(crate) fn read(rsdp: Option<u64>, physical: ReadPhysical<'_>) -> Result<Platform, &'static str> {
    let root = match rsdp {
        Some(address) => physical(address, 36).and_then(check_rsdp),
        None => search_rsdp(physical),
    };
    let (root, entry_len) = root.ok_or("no valid RSDP")?;
    let root = table(root, physical).ok_or("the RSDT or XSDT is broken")?;

    let mut platform = Platform::default();
    for entry in root[HEADER_LEN..].chunks_exact(entry_len) {
        let Some(body) = table(little_endian(entry), physical) else { continue };
        match &body[..4] {
            b"APIC" => madt::read(body, &mut platform),
            b"FACP" => platform.fadt = fadt::read(body, physical),
            b"MCFG" => read_mcfg(body, &mut platform),
            b"CCEL" => platform.ccel = read_ccel(body),
            _ => {}
        }
    }
    Ok(platform)
}

/// The root table's address and the length of its entries, if the RSDP is whole.
fn check_rsdp(rsdp: &[u8]) -> Option<(u64, usize)> {
    if rsdp.get(..8)? != RSDP_SIGNATURE || !sums_to_zero(rsdp.get(..20)?) {
        return None;
    }
    if rsdp[15] >= 2 && sums_to_zero(rsdp.get(..36)?) {
        Some((little_endian(&rsdp[24..32]), 8))
    } else {
        Some((little_endian(&rsdp[16..20]), 4))
    }
}

/// ACPI 5.2.5.1: on 16-byte boundaries of the BIOS read-only area.
fn search_rsdp(physical: ReadPhysical<'_>) -> Option<(u64, usize)> {
    let area = physical(0xe_0000, 0x2_0000)?;
    area.windows(36).step_by(16).find_map(check_rsdp)
}

/// A table with its header, if its length is sound and its bytes sum to zero.
fn table(address: u64, physical: ReadPhysical<'_>) -> Option<&'static [u8]> {
    if address == 0 {
        return None;
    }
    let len = little_endian(&physical(address, HEADER_LEN)?[4..8]) as usize;
    if !(HEADER_LEN..=MAX_TABLE_LEN).contains(&len) {
        return None;
    }
    physical(address, len).filter(|t| sums_to_zero(t))
}

fn read_mcfg(body: &[u8], platform: &mut Platform) {
    for entry in body.get(44..).unwrap_or(&[]).chunks_exact(16) {
        platform.ecam.push(Ecam {
            address: little_endian(&entry[..8]),
            segment: little_endian(&entry[8..10]) as u16,
            first_bus: entry[10],
            last_bus: entry[11],
        });
    }
}

fn read_ccel(body: &[u8]) -> Option<Ccel> {
    let table = *body.first_chunk::<CCEL_LEN>()?;
    let (log_len, log_address) = (little_endian(&table[40..48]), little_endian(&table[48..]));
    Some(Ccel { table, log_address, log_len })
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0_u8, |sum, b| sum.wrapping_add(*b)) == 0
}

/// Up to eight bytes as a number.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
