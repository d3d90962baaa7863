//! PCI configuration by ports 0xCF8 and 0xCFC (PCI Local Bus Specification 3.0, 3.2.2.3.2), for machines without ECAM.

use x86_64::instructions::port::Port;

use crate::sync::SpinLock;

/// Both ports together are one access.
static PORTS: SpinLock<(Port<u32>, Port<u32>)> = SpinLock::new((Port::new(0xcf8), Port::new(0xcfc)));

/// Reads the aligned word at `offset` of [bus, device, function].
pub(crate) fn read(location: [u8; 3], offset: u8) -> u32 {
    let mut ports = PORTS.lock_irq();
    // SAFETY: selecting a register has no effect but on the next access to the data port, which the lock makes ours.
    unsafe { ports.0.write(address(location, offset)) };
    // SAFETY: reading configuration space does not touch memory.
    unsafe { ports.1.read() }
}

/// Writes the aligned word at `offset` of [bus, device, function].
pub(crate) fn write(location: [u8; 3], offset: u8, value: u32) {
    let mut ports = PORTS.lock_irq();
    // SAFETY: as for reads.
    unsafe { ports.0.write(address(location, offset)) };
    // SAFETY: ostd::pci only writes command, BARs and MSI-X control, and what these make a device do is the driver's to answer for.
    unsafe { ports.1.write(value) };
}

fn address([bus, device, function]: [u8; 3], offset: u8) -> u32 {
    1 << 31
        | u32::from(bus) << 16
        | u32::from(device & 31) << 11
        | u32::from(function & 7) << 8
        | u32::from(offset & !3)
}
