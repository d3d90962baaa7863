//! What each CPU keeps for itself, found through GS in the kernel.
//!
//! Fields that assembly touches have fixed offsets, asserted below. Counters are changed by single instructions on
//! GS-relative memory: an interrupt or a migration falls before or after them, never in between.

use super::{CpuId, MAX_CPUS};
use crate::task::Task;
use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;

/// One CPU's values. Only this CPU touches its own, through GS.
#[repr(C, align(128))]
struct CpuLocal {
    /// Its own address.
    this: usize,
    /// Stack pointer to come back to from ring 3; the word there is the address of the thread's `Regs`.
    kernel_rsp: usize,
    /// Two words for entries that have no register to spare.
    scratch: [usize; 2],
    /// Where the TSS keeps the stack for entries from ring 3.
    tss_rsp0: usize,
    /// The task that runs here.
    current: *const Task,
    /// This CPU's idle task.
    idle: *const Task,
    /// The task whose extended state is in the registers; an identity, never followed.
    fpu_owner: *const Task,
    id: u32,
    preempt_count: u32,
    irq_depth: u32,
    need_resched: u32,
    /// Whether the interrupt being served came from ring 3.
    from_user: u32,
}

pub(crate) const KERNEL_RSP: usize = offset_of!(CpuLocal, kernel_rsp);
pub(crate) const SCRATCH: usize = offset_of!(CpuLocal, scratch);
pub(crate) const TSS_RSP0: usize = offset_of!(CpuLocal, tss_rsp0);
const CURRENT: usize = offset_of!(CpuLocal, current);
const IDLE: usize = offset_of!(CpuLocal, idle);
const FPU_OWNER: usize = offset_of!(CpuLocal, fpu_owner);
const ID: usize = offset_of!(CpuLocal, id);
const PREEMPT_COUNT: usize = offset_of!(CpuLocal, preempt_count);
const IRQ_DEPTH: usize = offset_of!(CpuLocal, irq_depth);
const NEED_RESCHED: usize = offset_of!(CpuLocal, need_resched);
const FROM_USER: usize = offset_of!(CpuLocal, from_user);

struct Slot(UnsafeCell<CpuLocal>);

// SAFETY: after `init`, a CPU touches its own slot only.
unsafe impl Sync for Slot {}

static SLOTS: [Slot; MAX_CPUS] = [const {
    Slot(UnsafeCell::new(CpuLocal {
        this: 0,
        kernel_rsp: 0,
        scratch: [0; 2],
        tss_rsp0: 0,
        current: core::ptr::null(),
        idle: core::ptr::null(),
        fpu_owner: core::ptr::null(),
        id: 0,
        preempt_count: 0,
        irq_depth: 0,
        need_resched: 0,
        from_user: 0,
    }))
}; MAX_CPUS];

const MSR_GS_BASE: u32 = 0xc000_0101;

/// Gives this CPU, the `id`th, its values. First thing on every CPU, with interrupts off, once.
pub(crate) fn init(id: usize) {
    let slot = SLOTS[id].0.get();
    // SAFETY: nobody else uses this slot, and GS does not point there yet.
    let local = unsafe { &mut *slot };
    local.this = slot as usize;
    local.id = id as u32;
    let base = slot as u64;
    // SAFETY: the kernel reaches nothing else through GS, and the slot is static.
    unsafe {
        asm!("wrmsr", in("ecx") MSR_GS_BASE, in("eax") base as u32, in("edx") (base >> 32) as u32,
             options(nostack, preserves_flags));
    }
}

/// What GS holds in the kernel on the `id`th CPU.
pub(crate) fn address_of(id: usize) -> usize {
    SLOTS[id].0.get() as usize
}

macro_rules! word {
    ($(#[$doc:meta])* $get:ident $set:ident $offset:ident) => {
        $(#[$doc])*
        pub(crate) fn $get() -> usize {
            let value: usize;
            // SAFETY: GS points at this CPU's slot, and the offset is a word of it.
            unsafe { asm!("mov {}, gs:[{}]", out(reg) value, const $offset, options(nostack, preserves_flags, readonly)) };
            value
        }

        $(#[$doc])*
        pub(crate) fn $set(value: usize) {
            // SAFETY: as above.
            unsafe { asm!("mov gs:[{}], {}", const $offset, in(reg) value, options(nostack, preserves_flags)) };
        }
    };
}

word! {
    /// The current task's address.
    current set_current CURRENT
}
word! {
    /// The idle task's address.
    idle set_idle IDLE
}
word! {
    /// Whose extended state is in the registers.
    fpu_owner set_fpu_owner FPU_OWNER
}

/// Notes where the TSS keeps rsp0.
pub(crate) fn set_tss_rsp0(value: usize) {
    // SAFETY: GS points at this CPU's slot.
    unsafe { asm!("mov gs:[{}], {}", const TSS_RSP0, in(reg) value, options(nostack, preserves_flags)) };
}

/// Which CPU this is.
pub(crate) fn id() -> CpuId {
    let id: u32;
    // SAFETY: GS points at this CPU's slot.
    unsafe { asm!("mov {:e}, gs:[{}]", out(reg) id, const ID, options(nostack, preserves_flags, readonly)) };
    CpuId(id)
}

/// One more reason not to switch tasks.
pub(crate) fn preempt_off() {
    // SAFETY: GS points at this CPU's slot. Not `nomem`: what follows must stay behind it.
    unsafe { asm!("inc dword ptr gs:[{}]", const PREEMPT_COUNT, options(nostack)) };
}

/// One reason less; whether it was the last.
pub(crate) fn preempt_on() -> bool {
    let is_last: u8;
    // SAFETY: as above.
    unsafe {
        asm!("dec dword ptr gs:[{}]", "setz {}", const PREEMPT_COUNT, out(reg_byte) is_last, options(nostack));
    };
    is_last != 0
}

/// How many reasons there are not to switch tasks.
pub(crate) fn preempt_count() -> u32 {
    let count: u32;
    // SAFETY: GS points at this CPU's slot.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) count, const PREEMPT_COUNT, options(nostack, preserves_flags, readonly));
    };
    count
}

/// Enters an interrupt; `from_user` says out of which ring.
pub(crate) fn irq_enter(from_user: bool) {
    // SAFETY: GS points at this CPU's slot.
    unsafe { asm!("inc dword ptr gs:[{}]", const IRQ_DEPTH, options(nostack)) };
    // SAFETY: as above.
    unsafe {
        asm!("mov dword ptr gs:[{}], {:e}", const FROM_USER, in(reg) u32::from(from_user), options(nostack, preserves_flags));
    }
}

/// Leaves an interrupt; whether it was the outermost.
pub(crate) fn irq_leave() -> bool {
    let is_last: u8;
    // SAFETY: GS points at this CPU's slot.
    unsafe {
        asm!("dec dword ptr gs:[{}]", "setz {}", const IRQ_DEPTH, out(reg_byte) is_last, options(nostack));
    };
    is_last != 0
}

/// How deep in interrupts we are.
pub(crate) fn irq_depth() -> u32 {
    let depth: u32;
    // SAFETY: GS points at this CPU's slot.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) depth, const IRQ_DEPTH, options(nostack, preserves_flags, readonly));
    };
    depth
}

/// Whether the interrupt being served came out of ring 3.
pub(crate) fn irq_from_user() -> bool {
    let from_user: u32;
    // SAFETY: GS points at this CPU's slot.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) from_user, const FROM_USER, options(nostack, preserves_flags, readonly));
    };
    from_user != 0
}

/// Whether somebody wants this CPU to reconsider what it runs.
pub(crate) fn need_resched() -> bool {
    let need: u32;
    // SAFETY: GS points at this CPU's slot.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) need, const NEED_RESCHED, options(nostack, preserves_flags, readonly));
    };
    need != 0
}

/// Sets or takes back that wish.
pub(crate) fn set_need_resched(need: bool) {
    // SAFETY: GS points at this CPU's slot.
    unsafe {
        asm!("mov dword ptr gs:[{}], {:e}", const NEED_RESCHED, in(reg) u32::from(need), options(nostack, preserves_flags));
    }
}
