//! MSI-X (PCI Local Bus Specification 3.0, 6.8.2): the table in a BAR whose entries tell a device what to write to raise an interrupt.

use alloc::vec::Vec;
use core::ops::Range;

use super::bar::Bar;
use super::config::Config;
use super::mmio::Mmio;
use crate::irq::IrqLine;
use crate::{Error, Result};

const ENTRY_LEN: usize = 16;
const CONTROL: u16 = 2;
const CONTROL_ENABLE: u16 = 1 << 15;
const CONTROL_MASK_ALL: u16 = 1 << 14;
const TABLE: u16 = 4;
/// Writes to here are interrupts; bits 12..20 are the APIC id (Intel SDM vol. 3, 10.11.1).
const MESSAGE_ADDRESS: u32 = 0xfee0_0000;
const MASKED: u32 = 1;

/// A function's MSI-X table.
#[derive(Debug)]
pub struct Msix {
    table: Mmio,
    lines: Vec<Option<IrqLine>>,
}

impl Msix {
    /// How many entries it has.
    pub fn len(&self) -> u16 {
        self.lines.len() as u16
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Points entry `index` at `line` on CPU 0 and unmasks it; the table keeps the line.
    ///
    /// # Errors
    /// [`Error::NoResource`] if there is no such entry.
    pub fn set(&mut self, index: u16, line: IrqLine) -> Result<()> {
        let entry = usize::from(index);
        let slot = self.lines.get_mut(entry).ok_or(Error::NoResource)?;
        let at = entry * ENTRY_LEN;
        // Masked while it is changed, so that no half of it is ever sent.
        self.table.write_u32(at + 12, MASKED);
        self.table.write_u32(at, MESSAGE_ADDRESS | boot_apic_id() << 12);
        self.table.write_u32(at + 4, 0);
        self.table.write_u32(at + 8, u32::from(line.vector()));
        self.table.write_u32(at + 12, 0);
        // The old line, if there was one, goes only now that nothing points at it.
        *slot = Some(line);
        Ok(())
    }

    pub(super) fn enable(config: &impl Config, capability: u16, place: &Place) -> Result<Self> {
        let table = Mmio::map(place.address, place.entries * ENTRY_LEN, 0..0)?;
        config.update_u16(capability + CONTROL, |control| control | CONTROL_ENABLE | CONTROL_MASK_ALL);
        let mut lines = Vec::new();
        for entry in 0..place.entries {
            table.write_u32(entry * ENTRY_LEN + 12, MASKED);
            lines.push(None);
        }
        config.update_u16(capability + CONTROL, |control| control & !CONTROL_MASK_ALL);
        Ok(Self { table, lines })
    }
}

impl Drop for Msix {
    fn drop(&mut self) {
        // The lines' vectors go to others after this.
        for entry in 0..self.lines.len() {
            self.table.write_u32(entry * ENTRY_LEN + 12, MASKED);
        }
    }
}

/// Where a table lies, checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    address: usize,
    entries: usize,
}

impl Place {
    /// Which bytes of a BAR the table takes.
    pub(super) fn within(&self, bar: &Bar) -> Range<usize> {
        let start = self.address.saturating_sub(bar.address).min(bar.len);
        let end = (self.address + self.entries * ENTRY_LEN).saturating_sub(bar.address).min(bar.len);
        start..end
    }

    pub(super) fn read(config: &impl Config, capability: u16, bars: &[Option<Bar>; 6]) -> Result<Self> {
        let entries = usize::from(config.read_u16(capability + CONTROL).claim() & 0x7ff) + 1;
        let table = config.read_u32(capability + TABLE).claim();
        let bar = bars.get((table & 7) as usize).copied().flatten().ok_or(Error::Device)?;
        let offset = (table & !7) as usize;
        let end = offset.checked_add(entries * ENTRY_LEN).ok_or(Error::Device)?;
        if end > bar.len {
            return Err(Error::Device);
        }
        Ok(Self { address: bar.address + offset, entries })
    }
}

fn boot_apic_id() -> u32 {
    #[cfg(target_os = "none")]
    {
        // Eight bits are all that a message without interrupt remapping carries; the boot CPU's id is below.
        crate::arch::apic::id_of(0) & 0xff
    }
    #[cfg(not(target_os = "none"))]
    0
}

#[cfg(test)]
mod tests {
    use super::Place;
    use crate::Error;
    use crate::pci::bar::Bar;
    use crate::pci::config::tests::Fake;

    const BARS: [Option<Bar>; 6] =
        [None, Some(Bar { address: 0xfe00_0000, len: 0x1000, is_wide: false }), None, None, None, None];

    fn place(control: u32, table: u32) -> Result<Place, Error> {
        let mut config = Fake::new();
        config.set(0x40, control << 16 | 0x11, 0);
        config.set(0x44, table, 0);
        Place::read(&config, 0x40, &BARS)
    }

    #[test]
    fn a_table_lies_in_its_bar() {
        assert_eq!(place(3, 0x801), Ok(Place { address: 0xfe00_0800, entries: 4 }));
        assert_eq!(place(0xff, 1), Ok(Place { address: 0xfe00_0000, entries: 256 }));
    }

    #[test]
    fn a_table_hides_its_part_of_its_bar_only() {
        let place = Place { address: 0xfe00_0800, entries: 4 };
        assert_eq!(place.within(&BARS[1].unwrap()), 0x800..0x840);
        let other = Bar { address: 0xfd00_0000, len: 0x1000, is_wide: false };
        assert!(place.within(&other).is_empty());
    }

    #[test]
    fn tables_outside_of_their_bar_are_refused() {
        for (control, table) in [(0x100, 1), (3, 0xfd1), (3, 0xffff_fff9), (3, 0), (3, 6), (3, 7)] {
            assert_eq!(place(control, table), Err(Error::Device), "{control:#x} {table:#x}");
        }
    }
}
