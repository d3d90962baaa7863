//! The other processors: how they come up, and how they are made to forget translations.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use spin::Once;

use crate::apic;
use crate::td::{MAX_CPUS, Td};
use crate::vcpu::Vcpu;

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

/// A processor that was woken while it waits for the guest's sake: nothing to do, it has cached nothing.
pub fn answer(_: usize) {}

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

/// Another processor's way in.
pub fn arrive(_: usize) -> &'static Td {
    TD.wait()
}

/// Waits until the guest wakes this processor.
pub fn wait_for_mailbox(_: &Td, _: &mut Vcpu) {}
