//! Configuration space: how a function's is reached, and the registers that we use (PCI Express Base Specification, 7.5).

use super::Location;
use crate::HostValue;
use crate::mm::Vaddr;
use crate::mm::kspace::mmio;

pub(super) const VENDOR: u16 = 0x00;
pub(super) const DEVICE: u16 = 0x02;
pub(super) const COMMAND: u16 = 0x04;
pub(super) const STATUS: u16 = 0x06;
/// Class, subclass and interface above the revision.
pub(super) const CLASS: u16 = 0x08;
pub(super) const HEADER_TYPE: u16 = 0x0e;
pub(super) const BAR_0: u16 = 0x10;
/// In a bridge's header.
pub(super) const SECONDARY_BUS: u16 = 0x19;
pub(super) const CAPABILITIES: u16 = 0x34;

pub(super) const COMMAND_IO: u16 = 1;
pub(super) const COMMAND_MEMORY: u16 = 1 << 1;
pub(super) const COMMAND_BUS_MASTER: u16 = 1 << 2;
/// No interrupts by pins.
pub(super) const COMMAND_NO_PINS: u16 = 1 << 10;
pub(super) const STATUS_CAPABILITIES: u16 = 1 << 4;

/// Aligned 32-bit access to one function's configuration space; all else is made of it.
pub(super) trait Config {
    /// Bytes that can be reached.
    fn len(&self) -> u16;
    /// `offset` is aligned and below `len`.
    fn read_word(&self, offset: u16) -> HostValue<u32>;
    /// As [`Self::read_word`].
    fn write_word(&self, offset: u16, value: u32);

    fn read_u32(&self, offset: u16) -> HostValue<u32> {
        let offset = offset & !3;
        if offset < self.len() { self.read_word(offset) } else { HostValue::new(u32::MAX) }
    }

    fn read_u16(&self, offset: u16) -> HostValue<u16> {
        self.read_u32(offset).map(|word| (word >> (8 * (offset & 2))) as u16)
    }

    fn read_u8(&self, offset: u16) -> HostValue<u8> {
        self.read_u32(offset).map(|word| (word >> (8 * (offset & 3))) as u8)
    }

    fn write_u32(&self, offset: u16, value: u32) {
        let offset = offset & !3;
        if offset < self.len() {
            self.write_word(offset, value);
        }
    }

    /// Changes a 16-bit register. The other half of the word is written as zeroes where writing ones would have an effect: above
    /// [`COMMAND`] are the status bits, which a one clears.
    fn update_u16(&self, offset: u16, change: impl FnOnce(u16) -> u16) {
        let word = self.read_u32(offset).claim();
        let shift = 8 * (offset & 2);
        let new = u32::from(change((word >> shift) as u16)) << shift;
        let other = if offset & !3 == COMMAND { 0 } else { word & !(0xffff << shift) };
        self.write_u32(offset, other | new);
    }
}

/// How to reach a function's configuration space on this machine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    /// Mapped (ECAM): 4 KiB from here on.
    Mapped(Vaddr),
    /// By ports: 256 bytes.
    Ports(Location),
}

impl Config for Access {
    fn len(&self) -> u16 {
        match self {
            Self::Mapped(_) => 4096,
            Self::Ports(_) => 256,
        }
    }

    fn read_word(&self, offset: u16) -> HostValue<u32> {
        match *self {
            // SAFETY: the page was mapped for good (`enumerate`), the offset is aligned and in it.
            Self::Mapped(base) => unsafe { mmio::read(base + usize::from(offset)) },
            #[cfg(target_os = "none")]
            Self::Ports(at) => crate::arch::pci_ports::read([at.bus, at.device, at.function], offset as u8),
            #[cfg(not(target_os = "none"))]
            Self::Ports(_) => HostValue::new(u32::MAX),
        }
    }

    fn write_word(&self, offset: u16, value: u32) {
        match *self {
            // SAFETY: as for reads; registers are not memory that Rust knows.
            Self::Mapped(base) => unsafe { mmio::write(base + usize::from(offset), value) },
            #[cfg(target_os = "none")]
            Self::Ports(at) => {
                crate::arch::pci_ports::write([at.bus, at.device, at.function], offset as u8, value);
            }
            #[cfg(not(target_os = "none"))]
            Self::Ports(_) => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use core::cell::RefCell;
    use std::vec::Vec;

    use super::{COMMAND, Config};
    use crate::HostValue;

    /// A function made of words, with masks of the bits that can be written.
    pub(in crate::pci) struct Fake {
        pub(in crate::pci) words: RefCell<Vec<u32>>,
        pub(in crate::pci) writable: Vec<u32>,
    }

    impl Fake {
        pub(in crate::pci) fn new() -> Self {
            Self { words: RefCell::new(vec![0; 64]), writable: vec![0; 64] }
        }

        pub(in crate::pci) fn set(&mut self, offset: usize, value: u32, writable: u32) {
            self.words.borrow_mut()[offset / 4] = value;
            self.writable[offset / 4] = writable;
        }
    }

    impl Config for Fake {
        fn len(&self) -> u16 {
            256
        }
        fn read_word(&self, offset: u16) -> HostValue<u32> {
            HostValue::new(self.words.borrow()[usize::from(offset) / 4])
        }
        fn write_word(&self, offset: u16, value: u32) {
            let index = usize::from(offset) / 4;
            let mask = self.writable[index];
            let word = &mut self.words.borrow_mut()[index];
            *word = (*word & !mask) | (value & mask);
        }
    }

    use std::vec;

    #[test]
    fn narrow_reads_pick_their_bytes_and_the_end_reads_ones() {
        let mut config = Fake::new();
        config.set(0x40, 0x4433_2211, 0);
        assert!(config.read_u8(0x42).is(0x33));
        assert!(config.read_u16(0x42).is(0x4433) && config.read_u32(0x41).is(0x4433_2211));
        assert!(config.read_u8(256).is(0xff) && config.read_u32(0xffff).is(u32::MAX));
    }

    #[test]
    fn changing_the_command_does_not_clear_status() {
        let mut config = Fake::new();
        config.set(4, 0xffff_0001, u32::MAX);
        config.update_u16(COMMAND, |command| command | 6);
        assert!(config.read_u32(4).is(7));
    }
}
