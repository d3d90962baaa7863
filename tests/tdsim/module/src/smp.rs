//! The other processors: how they come up, and how they are made to forget translations.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use spin::Once;

use crate::td::{MAX_CPUS, Td};
use crate::vcpu::Vcpu;
use crate::{apic, memory, svm};

/// The domain, for processors that come later.
pub static TD: Once<Td> = Once::new();

/// Whether a processor may be in the guest.
static IN_GUEST: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];
/// How often a processor has entered the guest.
static ENTRIES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// A processor that is about to run the guest. Whatever it had cached is gone: each VMRUN forgets.
pub fn enter(index: usize) {
    ENTRIES[index].fetch_add(1, Ordering::SeqCst);
    IN_GUEST[index].store(true, Ordering::SeqCst);
}

/// A processor that has left the guest.
pub fn leave(index: usize) {
    IN_GUEST[index].store(false, Ordering::SeqCst);
}

/// Makes all processors that are in the guest leave it, once: entries of the tables are gone. With the lock on the mapping held.
pub fn forget_translations(td: &Td) {
    let own = apic::id() as usize;
    for other in (0..td.header.cpus as usize).filter(|other| *other != own) {
        let entries = ENTRIES[other].load(Ordering::SeqCst);
        if !IN_GUEST[other].load(Ordering::SeqCst) {
            continue;
        }
        apic::send_nmi(other as u32);
        while IN_GUEST[other].load(Ordering::SeqCst) && ENTRIES[other].load(Ordering::SeqCst) == entries {
            core::hint::spin_loop();
        }
    }
}

/// Processors that have come in.
static ARRIVED: AtomicUsize = AtomicUsize::new(1);

/// Starts the other processors, one after the other (SDM vol. 3, 9.4.4). They wait for the domain, and then for its mailbox.
pub fn start_others(td: &Td) {
    const TRAMPOLINE: u64 = 0x8000;
    const INIT: u32 = 5 << 8 | 1 << 14;
    const STARTUP: u32 = 6 << 8 | 1 << 14 | (TRAMPOLINE >> 12) as u32;
    let (code, number_at) = svm::trampoline();
    for number in 1..td.header.cpus as usize {
        memory::write(TRAMPOLINE, code);
        memory::write(TRAMPOLINE + number_at as u64, &(number as u32).to_le_bytes());
        apic::send(number as u32, INIT);
        apic::send(number as u32, STARTUP);
        while ARRIVED.load(Ordering::Acquire) == number {
            core::hint::spin_loop();
        }
    }
    memory::zero(TRAMPOLINE, code.len() as u64);
}

/// Another processor's way in.
pub fn arrive(_: usize) -> &'static Td {
    let td = TD.wait();
    ARRIVED.fetch_add(1, Ordering::Release);
    td
}

/// Waits until the guest wakes this processor, by the multiprocessor wakeup mailbox of ACPI 6.5 (5.2.12.19).
pub fn wait_for_mailbox(td: &Td, vcpu: &mut Vcpu) {
    const POLL_NS: u32 = 1_000_000;
    const POLL_VECTOR: u8 = 0xf0;
    loop {
        if let Some(vector) = take_command(td, vcpu.index) {
            apic::stop_timer();
            while svm::poll().is_some() {
                apic::end_of_interrupt();
            }
            return vcpu.start(vector, td.header.cr3, td.header.gdt);
        }
        apic::start_timer(POLL_VECTOR, POLL_NS);
        if svm::wait().is_some() {
            apic::end_of_interrupt();
        }
    }
}

/// Where to start, if the mailbox has a wakeup for this processor. Commands that were taken are cleared.
fn take_command(td: &Td, index: usize) -> Option<u64> {
    const WAKEUP: u64 = 1;
    const TEST: u64 = 2;
    let mailbox = td.backing(td.header.mailbox)?;
    let word = memory::read_u64(mailbox);
    let (command, apic_id) = (word & 0xffff, word >> 32);
    if apic_id != index as u64 || !matches!(command, WAKEUP | TEST) {
        return None;
    }
    let vector = memory::read_u64(mailbox + 8);
    memory::write(mailbox, &[0, 0]);
    (command == WAKEUP).then_some(vector)
}
