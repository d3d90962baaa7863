//! The registers behind [`crate::power`] (ACPI 6.5, 4.8.3 and 16.1).

use crate::acpi::{Fadt, Register, Space};
use crate::arch::{boot, port};
use crate::boot::command_line;
use crate::power::Exit;
use crate::tdx;

const SLEEP_ENABLE: u16 = 1 << 13;
const HARDWARE_REDUCED_SLEEP_ENABLE: u8 = 1 << 5;

/// Powers the machine off.
pub fn off(exit: Exit) -> ! {
    x86_64::instructions::interrupts::disable();
    let exit_port =
        command_line::value(boot::command_line(), "coffer.debug_exit").and_then(command_line::number);
    if let Some(at) = exit_port.and_then(|at| u16::try_from(at).ok()) {
        // SAFETY: whoever wrote the command line says that QEMU's exit device is there.
        unsafe { port::write(at, exit as u32) };
    }
    if let Some(fadt) = boot::platform().and_then(|platform| platform.fadt) {
        sleep(&fadt);
    }
    halt()
}

/// As [`off`], after a panic: in a TD the host is told, since nothing else may reach it.
pub(crate) fn die(why: &[u8]) -> ! {
    x86_64::instructions::interrupts::disable();
    let has_exit = command_line::value(boot::command_line(), "coffer.debug_exit").is_some();
    if tdx::is_active() && !has_exit {
        tdx::host::report_fatal_error(why);
    }
    off(Exit::Panic)
}

/// Enters S5.
fn sleep(fadt: &Fadt) {
    let (type_a, type_b) = fadt.sleep_types;
    if let Some(control) = fadt.sleep_control {
        write(control, type_a << 2 | HARDWARE_REDUCED_SLEEP_ENABLE);
    }
    for (control, sleep_type) in [(fadt.pm1a_control, type_a), (fadt.pm1b_control, type_b)] {
        if let Some(at) = control {
            // SAFETY: the FADT names it as the control register; the machine stops.
            unsafe { port::write(at, u16::from(sleep_type) << 10 | SLEEP_ENABLE) };
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
    if let (Space::Port, Ok(at)) = (register.space, u16::try_from(register.address)) {
        // SAFETY: a power register, as the firmware or the chipset defines it.
        unsafe { port::write(at, value) };
    }
}

fn halt() -> ! {
    loop {
        x86_64::instructions::hlt();
    }
}
