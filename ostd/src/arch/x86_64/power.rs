//! The registers behind [`crate::power`] (ACPI 6.5, 4.8.3 and 16.1).

use crate::acpi::{Fadt, Register, Space};
use crate::arch::boot;
use crate::boot::command_line;
use crate::power::Exit;
use x86_64::instructions::port::Port;

const SLEEP_ENABLE: u16 = 1 << 13;
const HARDWARE_REDUCED_SLEEP_ENABLE: u8 = 1 << 5;

/// Powers the machine off.
pub fn off(exit: Exit) -> ! {
    x86_64::instructions::interrupts::disable();
    let port = command_line::value(boot::command_line(), "coffer.debug_exit").and_then(command_line::number);
    if let Some(port) = port.and_then(|port| u16::try_from(port).ok()) {
        // SAFETY: whoever wrote the command line says that QEMU's exit device is there.
        unsafe { Port::new(port).write(exit as u32) };
    }
    if let Some(fadt) = boot::platform().and_then(|platform| platform.fadt) {
        sleep(&fadt);
    }
    halt()
}

/// Enters S5.
fn sleep(fadt: &Fadt) {
    let (type_a, type_b) = fadt.sleep_types;
    if let Some(control) = fadt.sleep_control {
        write(control, type_a << 2 | HARDWARE_REDUCED_SLEEP_ENABLE);
    }
    for (port, sleep_type) in [(fadt.pm1a_control, type_a), (fadt.pm1b_control, type_b)] {
        if let Some(port) = port {
            // SAFETY: the FADT names it as the control register; the machine stops.
            unsafe { Port::new(port).write(u16::from(sleep_type) << 10 | SLEEP_ENABLE) };
        }
    }
}

/// Restarts the machine.
pub fn restart() -> ! {
    x86_64::instructions::interrupts::disable();
    if let Some((register, value)) = boot::platform().and_then(|platform| platform.fadt?.reset) {
        write(register, value);
    }
    // The chipset's reset control register, which all PCI machines have.
    write(Register { space: Space::Port, address: 0xcf9 }, 0x06);
    halt()
}

/// Writes a byte. Registers in memory are not mapped, and no machine that we know has them there: they are passed over.
fn write(register: Register, value: u8) {
    if let (Space::Port, Ok(port)) = (register.space, u16::try_from(register.address)) {
        // SAFETY: a power register, as the firmware or the chipset defines it.
        unsafe { Port::new(port).write(value) };
    }
}

fn halt() -> ! {
    loop {
        x86_64::instructions::hlt();
    }
}
