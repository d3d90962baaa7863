//! PCI Express by ECAM (MCFG), or by ports 0xCF8/0xCFC where firmware has no MCFG: enumeration, BARs, MSI-X.
//!
//! A [`Function`] is owned by the driver that takes it. A driver is trusted for one thing: the DMA addresses that it tells its device
//! (see README.md, "what drivers owe"). Everything read from configuration space is the host's claim (D6): `capability` bounds its walk,
//! `bar` refuses stretches over RAM or over each other, `msix` checks that the table lies in its BAR.

mod bar;
mod capability;
mod config;
mod enumerate;
mod mmio;
mod msix;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

pub use self::mmio::Mmio;
pub use self::msix::Msix;

use self::bar::Bar;
use self::config::{Access, Config};
use crate::{Error, HostValue, Result};

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
    config: Access,
    bars: [Option<Bar>; 6],
    /// A bit for each BAR that was mapped.
    mapped: AtomicU8,
    has_msix: AtomicBool,
}

/// Takes all functions that are there and wanted; a second call gets none. `is_wanted` may look at configuration space only; what is not wanted is
/// not touched beyond that.
pub fn take_all(is_wanted: impl Fn(&Function) -> bool) -> Vec<Function> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) { Vec::new() } else { enumerate::all(&is_wanted) }
}

impl Function {
    /// Where it is.
    pub fn location(&self) -> Location {
        self.location
    }

    /// Vendor id.
    pub fn vendor_id(&self) -> HostValue<u16> {
        self.config.read_u16(config::VENDOR)
    }

    /// Device id.
    pub fn device_id(&self) -> HostValue<u16> {
        self.config.read_u16(config::DEVICE)
    }

    /// Class, subclass, programming interface.
    pub fn class(&self) -> HostValue<(u8, u8, u8)> {
        self.config.read_u32(config::CLASS).map(|word| {
            let [_, interface, subclass, class] = word.to_le_bytes();
            (class, subclass, interface)
        })
    }

    /// Reads a byte of configuration space; all ones beyond its end.
    pub fn config_u8(&self, offset: u16) -> HostValue<u8> {
        self.config.read_u8(offset)
    }

    /// Reads a 16-bit word of configuration space (aligned, else rounded down); all ones beyond its end.
    pub fn config_u16(&self, offset: u16) -> HostValue<u16> {
        self.config.read_u16(offset)
    }

    /// Reads a 32-bit word of configuration space (aligned, else rounded down); all ones beyond its end.
    pub fn config_u32(&self, offset: u16) -> HostValue<u32> {
        self.config.read_u32(offset)
    }

    /// The ids and offsets of the capability list; bounded, so a looping list ends.
    pub fn capabilities(&self) -> Vec<(u8, u16)> {
        capability::list(&self.config)
    }

    /// Turns on memory decoding and bus mastering; pin interrupts go off.
    pub fn enable(&self) {
        self.config.update_u16(config::COMMAND, |command| {
            command | config::COMMAND_MEMORY | config::COMMAND_BUS_MASTER | config::COMMAND_NO_PINS
        });
    }

    /// Maps memory BAR `index` (0..6), uncached. An MSI-X table in it is out of range: [`Self::enable_msix`] has it.
    ///
    /// # Errors
    /// [`Error::NoResource`] if it is not a memory BAR, was taken, or lies over RAM or another function's BAR;
    /// [`Error::NoMemory`] for page tables.
    pub fn map_bar(&self, index: u8) -> Result<Mmio> {
        let bar = self.bar(index)?;
        if self.mapped.fetch_or(1 << index, Ordering::Relaxed) & 1 << index != 0 {
            return Err(Error::NoResource);
        }
        let hidden = self.msix_place().map_or(0..0, |(_, place)| place.within(&bar));
        Mmio::map(bar.address, bar.len, hidden)
    }

    /// Turns on MSI-X and gives its table, with all entries masked.
    ///
    /// # Errors
    /// [`Error::NoResource`] without the capability or if it was taken; [`Error::Device`] if the table does not lie in its BAR.
    pub fn enable_msix(&self) -> Result<Msix> {
        let (capability, place) = self.msix_place()?;
        if self.has_msix.swap(true, Ordering::Relaxed) {
            return Err(Error::NoResource);
        }
        Msix::enable(&self.config, capability, &place)
    }

    fn msix_place(&self) -> Result<(u16, msix::Place)> {
        let capabilities = self.capabilities();
        let msix = capabilities.into_iter().find(|(id, _)| *id == capability::MSIX);
        let (_, capability) = msix.ok_or(Error::NoResource)?;
        Ok((capability, msix::Place::read(&self.config, capability, &self.bars)?))
    }

    fn bar(&self, index: u8) -> Result<Bar> {
        self.bars.get(usize::from(index)).copied().flatten().ok_or(Error::NoResource)
    }
}
