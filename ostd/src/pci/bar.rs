//! Base address registers: what they claim, and which claims stand (PCI Local Bus Specification 3.0, 6.2.5.1).

use core::ops::Range;

use super::config::{BAR_0, COMMAND, COMMAND_IO, COMMAND_MEMORY, Config};

/// A memory BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// Physical address; 0 if none was assigned.
    pub(super) address: usize,
    /// Length in bytes: a power of two, at least 16.
    pub(super) len: usize,
    /// Whether the register is 64 bits wide.
    pub(super) is_wide: bool,
}

impl Bar {
    /// The bytes it covers; `None` if they wrap around.
    pub(super) fn range(&self) -> Option<Range<usize>> {
        Some(self.address..self.address.checked_add(self.len)?)
    }
}

/// No BAR is larger than what page tables can address.
const MAX_LEN: u64 = 1 << 46;

/// Reads and sizes the BARs of a function with a plain header. Nobody may be using it: decoding is off meanwhile.
pub(super) fn read_all(config: &impl Config) -> [Option<Bar>; 6] {
    let command = config.read_u16(COMMAND).claim();
    config.update_u16(COMMAND, |command| command & !(COMMAND_IO | COMMAND_MEMORY));
    let mut bars = [None; 6];
    let mut index = 0;
    while index < 6 {
        let low = config.read_u32(register(index)).claim();
        let is_memory = low & 1 == 0;
        let is_wide = is_memory && low & 6 == 4 && index < 5;
        if is_memory {
            bars[index] = read_memory(config, index, is_wide);
        }
        index += if is_wide { 2 } else { 1 };
    }
    config.update_u16(COMMAND, |_| command);
    bars
}

/// Assigns an address. Decoding is off, and `address` fits the register.
pub(super) fn assign(config: &impl Config, index: usize, bar: &mut Bar, address: usize) {
    config.write_u32(register(index), address as u32);
    if bar.is_wide {
        config.write_u32(register(index + 1), (address as u64 >> 32) as u32);
    }
    bar.address = address;
}

/// Turns decoding off and leaves it so.
pub(super) fn stop_decoding(config: &impl Config) {
    config.update_u16(COMMAND, |command| command & !(COMMAND_IO | COMMAND_MEMORY));
}

fn read_memory(config: &impl Config, index: usize, is_wide: bool) -> Option<Bar> {
    let (low, low_mask) = probe(config, register(index));
    let (high, high_mask) = if is_wide { probe(config, register(index + 1)) } else { (0, u32::MAX) };
    let mask = u64::from(high_mask) << 32 | u64::from(low_mask & !0xf);
    if low_mask & !0xf == 0 && (!is_wide || high_mask == 0) {
        return None;
    }
    // The lowest bit that can be written is the length; anything but ones above it is a broken claim, and this the smallest reading of it.
    let len = 1 << mask.trailing_zeros();
    let address = u64::from(high) << 32 | u64::from(low & !0xf);
    (len <= MAX_LEN).then_some(Bar { address: address as usize, len: len as usize, is_wide })
}

/// The register's value and which bits of it can be written.
fn probe(config: &impl Config, register: u16) -> (u32, u32) {
    let value = config.read_u32(register).claim();
    config.write_u32(register, u32::MAX);
    let mask = config.read_u32(register).claim();
    config.write_u32(register, value);
    (value, mask)
}

fn register(index: usize) -> u16 {
    BAR_0 + 4 * index as u16
}

/// The highest place below `limit` for `len` bytes, aligned to that, which `is_taken` does not object to.
pub(super) fn find_place(
    len: usize,
    limit: Range<usize>,
    is_taken: impl Fn(&Range<usize>) -> bool,
) -> Option<usize> {
    let mut start = limit.end.checked_sub(len)? & !(len - 1);
    while start >= limit.start {
        if !is_taken(&(start..start + len)) {
            return Some(start);
        }
        start = start.checked_sub(len)?;
    }
    None
}

/// Whether two ranges share a byte.
pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

#[cfg(test)]
mod tests {
    use super::{Bar, find_place, overlap, read_all};
    use crate::pci::config::Config;
    use crate::pci::config::tests::Fake;

    #[test]
    fn sizes_come_from_the_bits_that_can_be_written() {
        let mut config = Fake::new();
        config.set(4, 7, 0xffff);
        config.set(0x10, 0xfebd_1000, 0xffff_f000);
        config.set(0x14, 0xc001, 0xffff_ffe0);
        config.set(0x18, 0x0000_000c, 0xffff_c000);
        config.set(0x1c, 0x0000_0038, 0xffff_ffff);
        let bars = read_all(&config);
        assert_eq!(bars[0], Some(Bar { address: 0xfebd_1000, len: 0x1000, is_wide: false }));
        assert_eq!(bars[1], None, "an I/O BAR");
        assert_eq!(bars[2], Some(Bar { address: 0x38_0000_0000, len: 0x4000, is_wide: true }));
        assert_eq!(bars[3..], [None, None, None]);
        assert!(config.read_u16(4).is(7) && config.read_u32(0x10).is(0xfebd_1000), "all is as it was");
    }

    #[test]
    fn absurd_claims_are_dropped() {
        let mut config = Fake::new();
        // A 64-bit BAR in the last register, and one of 2^60 bytes.
        config.set(0x24, 4, 0xffff_f000);
        config.set(0x10, 4, 0);
        config.set(0x14, 0, 0xf000_0000);
        let bars = read_all(&config);
        assert_eq!(bars[0], None);
        assert_eq!(bars[5].map(|bar| bar.is_wide), Some(false));
        assert_eq!(Bar { address: usize::MAX, len: 16, is_wide: true }.range(), None);
    }

    #[test]
    fn places_avoid_what_is_taken() {
        let taken = 0xfd00_0000..0xfe00_0000;
        let place = |len| find_place(len, 0x8000_0000..0xfe00_0000, |range| overlap(range, &taken));
        assert_eq!(place(0x1000), Some(0xfcff_f000));
        assert_eq!(place(0x1000_0000), Some(0xe000_0000));
        assert_eq!(place(1 << 40), None);
    }
}
