//! PCI configuration by ports 0xCF8 and 0xCFC (PCI Local Bus Specification 3.0, 3.2.2.3.2), for machines without ECAM.

use super::port;
use crate::HostValue;
use crate::sync::SpinLock;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

/// Both ports together are one access.
static LOCK: SpinLock<()> = SpinLock::new(());

/// Reads the aligned word at `offset` of [bus, device, function].
pub(crate) fn read(location: [u8; 3], offset: u8) -> HostValue<u32> {
    let _lock = LOCK.lock_irq();
    // SAFETY: selecting a register has no effect but on the next access to the data port, which the lock makes ours.
    unsafe { port::write(ADDRESS, address(location, offset)) };
    // SAFETY: reading configuration space does not touch memory.
    unsafe { port::read(DATA) }
}

/// Writes the aligned word at `offset` of [bus, device, function].
pub(crate) fn write(location: [u8; 3], offset: u8, value: u32) {
    let _lock = LOCK.lock_irq();
    // SAFETY: as for reads.
    unsafe { port::write(ADDRESS, address(location, offset)) };
    // SAFETY: ostd::pci only writes command, BARs and MSI-X control, and what these make a device do is the driver's to answer for.
    unsafe { port::write(DATA, value) };
}

fn address([bus, device, function]: [u8; 3], offset: u8) -> u32 {
    1 << 31
        | u32::from(bus) << 16
        | u32::from(device & 31) << 11
        | u32::from(function & 7) << 8
        | u32::from(offset & !3)
}
