//! Faults that user accesses of the kernel take, and who serves them.

use spin::Once;

use crate::mm::Vaddr;

/// A page fault taken by the kernel itself on a user address, inside of a user access.
#[derive(Clone, Copy, Debug)]
pub struct UserFault {
    /// The faulting address.
    pub address: Vaddr,
    /// Whether it was a write.
    pub is_write: bool,
}

static HANDLER: Once<fn(UserFault) -> bool> = Once::new();

/// Registers who serves faults of user accesses: called in the context of the task that made the access, with interrupts on; it may sleep.
/// `true` means that the access is worth a retry. Only the first call counts.
pub fn set_fault_handler(handler: fn(UserFault) -> bool) {
    HANDLER.call_once(|| handler);
}

/// A page fault of the kernel at `*rip`; `had_interrupts` says whether they were on there. `false` if the kernel does not expect faults at that
/// instruction; else the fault is served, or `*rip` is moved to where the access gives up. Called with interrupts off.
#[cfg(target_os = "none")]
pub(crate) fn handle_kernel_fault(
    address: Vaddr,
    error_code: u32,
    rip: &mut u64,
    had_interrupts: bool,
) -> bool {
    use crate::cpu::local;
    use crate::mm::{USER_END, machine};
    use crate::user::page_fault;

    let Some(fixup) = machine::find_fixup(*rip as usize) else { return false };
    let can_sleep = had_interrupts && local::preempt_count() == 0 && local::irq_depth() == 0;
    if address < USER_END
        && can_sleep
        && let Some(handler) = HANDLER.get()
    {
        let fault = UserFault { address, is_write: error_code & page_fault::WRITE != 0 };
        // The handler may have taken the task's address space away: what is loaded then is somebody else's.
        if machine::with_interrupts_on(|| handler(fault)) && machine::has_user_space() {
            return true;
        }
    }
    *rip = fixup as u64;
    true
}
