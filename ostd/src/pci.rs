//! PCI Express by ECAM (MCFG), or by ports 0xCF8/0xCFC where firmware has no MCFG: enumeration, BARs, MSI-X.
//!
//! A [`Function`] is owned by the driver that takes it. A driver is trusted for one thing: the DMA addresses that it tells its device
//! (see README.md, "what drivers owe").

use crate::Result;
use crate::irq::IrqLine;
use alloc::vec::Vec;

/// Bus, device and function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Bus.
    pub bus: u8,
    /// Device, below 32.
    pub device: u8,
    /// Function, below 8.
    pub function: u8,
}

/// One PCI function.
#[derive(Debug)]
pub struct Function {
    location: Location,
}

/// Takes all functions that are there; a second call gets none.
pub fn take_all() -> Vec<Function> {
    todo!()
}

impl Function {
    /// Where it is.
    pub fn location(&self) -> Location {
        self.location
    }

    /// Vendor id.
    pub fn vendor_id(&self) -> u16 {
        todo!()
    }

    /// Device id.
    pub fn device_id(&self) -> u16 {
        todo!()
    }

    /// Class, subclass, programming interface.
    pub fn class(&self) -> (u8, u8, u8) {
        todo!()
    }

    /// Reads a byte of configuration space.
    pub fn config_u8(&self, offset: u16) -> u8 {
        let _ = offset;
        todo!()
    }

    /// Reads a 16-bit word of configuration space (aligned).
    pub fn config_u16(&self, offset: u16) -> u16 {
        let _ = offset;
        todo!()
    }

    /// Reads a 32-bit word of configuration space (aligned).
    pub fn config_u32(&self, offset: u16) -> u32 {
        let _ = offset;
        todo!()
    }

    /// The offsets and ids of the capability list; bounded, so a looping list ends.
    pub fn capabilities(&self) -> Vec<(u8, u16)> {
        todo!()
    }

    /// Turns on memory decoding and bus mastering.
    pub fn enable(&self) {
        todo!()
    }

    /// Maps memory BAR `index` (0..6), uncached.
    ///
    /// # Errors
    /// [`crate::Error::NoResource`] if it is not a memory BAR, was taken, or lies over RAM.
    pub fn map_bar(&self, index: u8) -> Result<Mmio> {
        let _ = index;
        todo!()
    }

    /// Turns on MSI-X and gives its table.
    ///
    /// # Errors
    /// [`crate::Error::NoResource`] without the capability.
    pub fn enable_msix(&self) -> Result<Msix> {
        todo!()
    }
}

/// A BAR: registers, accessed by value at aligned offsets; what is read is the device's claim. Out of range panics.
#[derive(Debug)]
pub struct Mmio {
    _base: usize,
    _len: usize,
}

macro_rules! registers {
    ($($read:ident $write:ident $t:ty;)*) => {$(
        /// Reads a register.
        pub fn $read(&self, offset: usize) -> $t { let _ = offset; todo!() }
        /// Writes a register.
        pub fn $write(&self, offset: usize, value: $t) { let _ = (offset, value); todo!() }
    )*};
}

impl Mmio {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Never empty.
    pub fn is_empty(&self) -> bool {
        false
    }

    registers! { read_u8 write_u8 u8; read_u16 write_u16 u16; read_u32 write_u32 u32; read_u64 write_u64 u64; }
}

/// A function's MSI-X table.
#[derive(Debug)]
pub struct Msix {
    _entries: u16,
}

impl Msix {
    /// How many entries it has.
    pub fn len(&self) -> u16 {
        todo!()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Points entry `index` at `line` on CPU 0 and unmasks it; the table keeps the line.
    ///
    /// # Errors
    /// [`crate::Error::NoResource`] if there is no such entry.
    pub fn set(&mut self, index: u16, line: IrqLine) -> Result<()> {
        let _ = (index, line);
        todo!()
    }
}
