//! I/O APICs: everything masked, then single ISA lines pointed at vectors (Intel 82093AA datasheet). The legacy 8259s are shut.

use super::port;
use crate::acpi::Platform;
use crate::mm::kspace::mmio;
use crate::{Error, Result};
use spin::Once;

const SELECT: usize = 0;
const WINDOW: usize = 0x10;
const VERSION: u32 = 1;
const TABLE: u32 = 0x10;
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// An I/O APIC's registers, mapped.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    base: usize,
    first_gsi: u32,
    lines: u32,
}

static CONTROLLERS: Once<alloc::vec::Vec<Mapped>> = Once::new();

impl Mapped {
    /// Callers are serialised: boot only.
    fn read(self, register: u32) -> u32 {
        self.select(register);
        // SAFETY: the window register of the mapped controller.
        unsafe { mmio::read(self.base + WINDOW) }.claim()
    }

    fn write(self, register: u32, value: u32) {
        self.select(register);
        // SAFETY: the window register of the mapped controller; an entry only ever names vectors of ours.
        unsafe { mmio::write(self.base + WINDOW, value) }
    }

    fn select(self, register: u32) {
        // SAFETY: the select register of the mapped controller.
        unsafe { mmio::write(self.base + SELECT, register) }
    }
}

/// Maps the controllers and masks all of their lines.
///
/// # Errors
/// What mapping the registers says.
pub(crate) fn init(platform: &Platform) -> Result<()> {
    for mask in [0x21, 0xa1] {
        // SAFETY: the 8259s' mask registers; no memory is affected.
        unsafe { port::write(mask, 0xff_u8) };
    }
    let mut controllers = alloc::vec::Vec::new();
    for controller in platform.io_apics.as_slice() {
        let base = crate::mm::kspace::map_mmio(controller.address as usize, 0x1000)?;
        let mut mapped = Mapped { base, first_gsi: controller.first_gsi, lines: 0 };
        mapped.lines = (mapped.read(VERSION) >> 16 & 0xff) + 1;
        for line in 0..mapped.lines {
            mapped.write(TABLE + 2 * line, MASKED);
        }
        controllers.push(mapped);
    }
    CONTROLLERS.call_once(|| controllers);
    Ok(())
}

/// Sends ISA interrupt `isa` to `vector` on the CPU with `apic_id` (below 256). Call during boot only.
///
/// # Errors
/// [`Error::NoResource`] if no controller serves it, or the CPU is out of its reach.
pub(crate) fn route_isa(platform: &Platform, isa: u8, vector: u8, apic_id: u32) -> Result<()> {
    let (gsi, flags) = platform
        .isa_overrides
        .as_slice()
        .iter()
        .find(|o| o.isa == isa)
        .map_or((u32::from(isa), 0), |o| (o.gsi, o.flags));
    let controllers = CONTROLLERS.get().ok_or(Error::NoResource)?;
    let controller = controllers
        .iter()
        .find(|c| gsi.checked_sub(c.first_gsi).is_some_and(|line| line < c.lines))
        .ok_or(Error::NoResource)?;
    if apic_id > 0xff {
        return Err(Error::NoResource);
    }

    let mut low = u32::from(vector);
    if flags & 3 == 3 {
        low |= ACTIVE_LOW;
    }
    if flags >> 2 & 3 == 3 {
        low |= LEVEL;
    }
    let register = TABLE + 2 * (gsi - controller.first_gsi);
    controller.write(register + 1, apic_id << 24);
    controller.write(register, low);
    Ok(())
}
