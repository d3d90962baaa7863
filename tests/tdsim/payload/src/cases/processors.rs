//! The second processor.

use core::sync::atomic::{AtomicU32, Ordering};

use super::{Verdict, check};
use crate::machine::{acpi_table, enable_interrupts, interrupts, read, second_entry_address, tsc, write};
use crate::td;

static ARRIVED: AtomicU32 = AtomicU32::new(0);
const VECTOR: u8 = 0x60;

/// What the second processor does: waits for interrupts, for good.
pub fn second() -> ! {
    td::write_msr(0x80f, 0x1ff);
    enable_interrupts();
    ARRIVED.store(1 + td::leaf(1, [0; 3]).1.r9 as u32, Ordering::SeqCst);
    loop {
        td::vmcall(12, [0; 4]);
    }
}

/// It is woken by the mailbox, says which it is, and takes interrupts.
pub fn mailbox() -> Verdict {
    const WAKEUP: u16 = 1;
    const STRUCTURE: u8 = 0x10;
    let (_, r) = td::leaf(1, [0; 3]);
    if r.r8 as u32 == 1 {
        return Ok(());
    }
    let madt = acpi_table(*b"APIC").ok_or("there is no MADT")?;
    let end = madt + u64::from(read::<u32>(madt + 4));
    let mut at = madt + 44;
    while at < end && read::<u8>(at) != STRUCTURE {
        at += u64::from(read::<u8>(at + 1)).max(2);
    }
    check(at + 16 <= end, "the MADT has no mailbox")?;
    let mailbox: u64 = core::array::from_fn::<u8, 8, _>(|byte| read(at + 8 + byte as u64))
        .iter()
        .rev()
        .fold(0, |address, byte| address << 8 | u64::from(*byte));
    write(mailbox + 4, 1_u32);
    write(mailbox + 8, second_entry_address());
    write(mailbox, WAKEUP);
    wait_until(|| read::<u16>(mailbox) == 0, "the command is not taken")?;
    wait_until(|| ARRIVED.load(Ordering::SeqCst) != 0, "it does not come up")?;
    check(ARRIVED.load(Ordering::SeqCst) == 2, "it has another number")?;
    for number in 1..=200 {
        // To processor 1, fixed.
        td::write_msr(0x830, 1 << 32 | 1 << 14 | u64::from(VECTOR));
        wait_until(|| interrupts(VECTOR) >= number, "an interrupt is lost")?;
    }
    super::memory::convert_while_others_run()
}

fn wait_until(condition: impl Fn() -> bool, why: &'static str) -> Verdict {
    const TICKS: u64 = 20_000_000_000;
    let began = tsc();
    while !condition() {
        if tsc() - began > TICKS {
            return Err(why);
        }
    }
    Ok(())
}
