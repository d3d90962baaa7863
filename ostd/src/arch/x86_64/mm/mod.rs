//! The machine half of memory management: control registers, TLB, bulk copies, access to user memory.

mod user;

use core::arch::asm;

use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags};

pub(crate) use user::{
    StringEnd, compare_exchange_user_u32, copy_user, copy_user_string, find_fixup, load_user_u32, zero_user,
};

use crate::arch::apic;
use crate::cpu::CpuId;
use crate::mm::kspace::DIRECT_MAP;
use crate::mm::{PAGE_SIZE, Paddr};

/// Sets what paging needs on this CPU: write protection, no-execute, global pages, and SMEP and SMAP where there are.
///
/// # Safety
/// The tables that are loaded live up to all of these.
pub(crate) unsafe fn init_cpu() {
    // SAFETY: by contract no kernel code writes to read-only pages.
    unsafe { Cr0::update(|flags| flags.insert(Cr0Flags::WRITE_PROTECT)) };
    // SAFETY: this enables a bit in page tables, and every x86-64 since 2004 has it.
    unsafe { Efer::update(|flags| flags.insert(EferFlags::NO_EXECUTE_ENABLE)) };
    let features = core::arch::x86_64::__cpuid_count(7, 0).ebx;
    let mut wanted = Cr4Flags::PAGE_GLOBAL;
    if features & 1 << 7 != 0 {
        wanted |= Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION;
    }
    if features & 1 << 20 != 0 {
        wanted |= Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION;
        user::enable_smap();
    }
    // SAFETY: the CPU has these (global pages: all x86-64), user memory is accessed through `user` only, and the kernel runs no user code.
    unsafe { Cr4::update(|flags| flags.insert(wanted)) };
}

/// Whether leaf entries may map 1 GiB (CPUID 0x8000_0001 EDX bit 26).
pub(crate) fn has_gigabyte_pages() -> bool {
    core::arch::x86_64::__cpuid(0x8000_0001).edx & 1 << 26 != 0
}

/// The direct map's byte for a physical address.
#[inline(always)]
pub(crate) fn phys_to_ptr(paddr: Paddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(DIRECT_MAP + paddr)
}

/// Whether the current task has a user space of its own.
#[inline]
pub(crate) fn has_user_space() -> bool {
    crate::mm::tlb::has_user_space()
}

/// Closes user pages (SMAP), on entries that leave the flag as the interrupted code had it.
#[inline]
pub(crate) fn close_user() {
    user::close();
}

/// Runs `f` with interrupts on and user pages closed (SMAP), where interrupts are off: inside of a fault. Both are as they were afterwards, since
/// the interrupted code's flags come back with its frame.
pub(crate) fn with_interrupts_on<R>(f: impl FnOnce() -> R) -> R {
    close_user();
    x86_64::instructions::interrupts::enable();
    let result = f();
    x86_64::instructions::interrupts::disable();
    result
}

/// Loads a root table; all translations that are not global are forgotten.
///
/// # Safety
/// The table maps the kernel as the present one does.
#[inline]
pub(crate) unsafe fn load_root(root: Paddr) {
    // SAFETY: by contract. The clobbered "memory" keeps accesses on their side of the switch.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Forgets the translation of one page, global or not.
#[inline]
pub(crate) fn flush_page(address: usize) {
    tlb::flush(x86_64::VirtAddr::new_truncate(address as u64));
}

/// Interrupts another CPU so that it looks at [`crate::mm::tlb`]'s questions.
pub(crate) fn send_flush_ipi(cpu: usize) {
    apic::send_ipi(CpuId(cpu as u32), apic::Ipi::FlushTlb);
}

/// How long CPUs are waited for.
#[derive(Debug)]
pub(crate) struct Patience {
    since: u64,
    rounds: u32,
}

impl Patience {
    /// From now on.
    pub(crate) fn new() -> Self {
        Self { since: cycles(), rounds: 0 }
    }

    /// Whether it is time to ask again: every 2^25 cycles, some ten milliseconds.
    ///
    /// # Panics
    /// If they have been asked too often: after half a minute in which this CPU ran and they did not. Time in which this one stood still, as in a
    /// machine that was paused, counts as one round.
    pub(crate) fn is_at_an_end(&mut self, waiting: u64) -> bool {
        const CYCLES: u64 = 1 << 25;
        const ROUNDS: u32 = 2500;
        let now = cycles();
        if now.wrapping_sub(self.since) < CYCLES {
            return false;
        }
        self.since = now;
        self.rounds += 1;
        assert!(self.rounds < ROUNDS, "CPUs do not answer: mask {waiting:#x}");
        true
    }
}

fn cycles() -> u64 {
    // SAFETY: every x86-64 CPU has a time stamp counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Forgets all translations that are not global.
pub(crate) fn flush_all_user() {
    tlb::flush_all();
}

/// Forgets all translations.
pub(crate) fn flush_all() {
    // Toggling the bit flushes global entries as well (Intel SDM vol. 3, 4.10.4.1).
    let flags = Cr4::read();
    // SAFETY: without global pages everything works as well.
    unsafe { Cr4::write(flags - Cr4Flags::PAGE_GLOBAL) };
    // SAFETY: this is what it was.
    unsafe { Cr4::write(flags) };
}

/// Zeroes a page. `rep stosq`: as fast as anything with fast strings, and under emulation one step for 8 bytes.
///
/// # Safety
/// `page` is a whole page, ours alone.
#[inline]
pub(crate) unsafe fn clear_page(page: *mut u8) {
    // SAFETY: by contract.
    unsafe {
        asm!("rep stosq", inout("rcx") PAGE_SIZE / 8 => _, inout("rdi") page => _, in("rax") 0, options(nostack, preserves_flags));
    }
}

/// Copies bytes that others may be changing at the same time: assembly, so that the compiler assumes nothing of them.
///
/// # Safety
/// `to` and `from` have `len` bytes; they are the same or do not overlap.
#[inline]
pub(crate) unsafe fn copy_untyped(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: by contract.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {tail:e}",
            "rep movsb",
            tail = in(reg) len & 7,
            inout("rcx") len / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Zeroes bytes that others may be changing at the same time.
///
/// # Safety
/// `to` has `len` bytes.
#[inline]
pub(crate) unsafe fn zero_untyped(to: *mut u8, len: usize) {
    // SAFETY: by contract.
    unsafe {
        asm!(
            "rep stosq",
            "mov ecx, {tail:e}",
            "rep stosb",
            tail = in(reg) len & 7,
            inout("rcx") len / 8 => _,
            inout("rdi") to => _,
            in("rax") 0,
            options(nostack, preserves_flags)
        );
    }
}
