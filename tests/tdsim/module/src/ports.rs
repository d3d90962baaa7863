//! I/O ports.

use core::arch::asm;

/// Reads 1, 2 or 4 bytes.
pub fn read(port: u16, size: u64) -> u32 {
    match size {
        1 => {
            let value: u8;
            // SAFETY: a device on a port does nothing to memory that Rust owns: what it writes by DMA goes where the guest says.
            unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) };
            u32::from(value)
        }
        2 => {
            let value: u16;
            // SAFETY: as above.
            unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nomem, nostack)) };
            u32::from(value)
        }
        _ => {
            let value: u32;
            // SAFETY: as above.
            unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack)) };
            value
        }
    }
}

/// Writes 1, 2 or 4 bytes.
pub fn write(port: u16, size: u64, value: u32) {
    match size {
        // SAFETY: as for `read`.
        1 => unsafe { asm!("out dx, al", in("dx") port, in("al") value as u8, options(nomem, nostack)) },
        // SAFETY: as for `read`.
        2 => unsafe { asm!("out dx, ax", in("dx") port, in("ax") value as u16, options(nomem, nostack)) },
        // SAFETY: as for `read`.
        _ => unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack)) },
    }
}
