//! The ports of QEMU's fw_cfg device (QEMU, docs/specs/fw_cfg).

use x86_64::instructions::port::{PortReadOnly, PortWriteOnly};

use super::cpuid;
use crate::sync::Mutex;

struct Ports {
    selector: PortWriteOnly<u16>,
    data: PortReadOnly<u8>,
}

/// Both ports together are one access.
static PORTS: Mutex<Ports> =
    Mutex::new(Ports { selector: PortWriteOnly::new(0x510), data: PortReadOnly::new(0x511) });

/// Reads the beginning of an item. False where no hypervisor is, so that there may be anything at these ports.
pub(crate) fn read(key: u16, buffer: &mut [u8]) -> bool {
    if !cpuid::has_hypervisor() {
        return false;
    }
    let mut ports = PORTS.lock();
    // SAFETY: selecting an item has no effect but on the next reads of the data port, which the lock makes ours.
    unsafe { ports.selector.write(key) };
    for byte in buffer {
        // SAFETY: reading an item does not touch memory.
        *byte = unsafe { ports.data.read() };
    }
    true
}
