//! The processor: VMCB and VMRUN, model-specific registers, CPUID, interrupts let in for a moment.
//!
//! AMD64 Architecture Programmer's Manual, volume 2, chapter 15 and appendix B. QEMU's emulation has neither decode assists nor next-RIP
//! saving, and switches neither FPU nor FS, GS, TR and system call registers: those are simply the guest's, for the module needs none.

use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::memory;

/// A segment register.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Segment {
    /// Selector.
    pub selector: u16,
    /// Bits 8 to 15 and 20 to 23 of the descriptor's upper half, packed.
    pub attributes: u16,
    /// Limit.
    pub limit: u32,
    /// Base.
    pub base: u64,
}

/// The guest's control block: first half controls, second half state.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Vmcb {
    pub intercept_cr_read: u16,
    pub intercept_cr_write: u16,
    pub intercept_dr: u32,
    pub intercept_exceptions: u32,
    pub intercepts: u32,
    pub intercepts_2: u32,
    reserved_14: [u8; 0x2c],
    pub iopm_base: u64,
    pub msrpm_base: u64,
    pub tsc_offset: u64,
    pub asid: u32,
    pub tlb_control: u32,
    pub interrupt_control: u32,
    pub interrupt_vector: u32,
    pub interrupt_state: u64,
    pub exit_code: u64,
    pub exit_info_1: u64,
    pub exit_info_2: u64,
    pub exit_interrupt_info: u64,
    pub nested_paging: u64,
    reserved_98: [u8; 0x10],
    pub event_injection: u64,
    pub nested_cr3: u64,
    reserved_b8: [u8; 0x348],
    pub es: Segment,
    pub cs: Segment,
    pub ss: Segment,
    pub ds: Segment,
    pub fs: Segment,
    pub gs: Segment,
    pub gdtr: Segment,
    pub ldtr: Segment,
    pub idtr: Segment,
    pub tr: Segment,
    reserved_4a0: [u8; 0x2b],
    pub cpl: u8,
    reserved_4cc: u32,
    pub efer: u64,
    reserved_4d8: [u8; 0x70],
    pub cr4: u64,
    pub cr3: u64,
    pub cr0: u64,
    pub dr7: u64,
    pub dr6: u64,
    pub rflags: u64,
    pub rip: u64,
    reserved_580: [u8; 0x58],
    pub rsp: u64,
    reserved_5e0: [u8; 0x18],
    pub rax: u64,
    reserved_600: [u8; 0x40],
    pub cr2: u64,
    reserved_648: [u8; 0x20],
    pub pat: u64,
    reserved_670: [u8; 0x990],
}

const _: () = {
    assert!(size_of::<Vmcb>() == 4096);
    assert!(offset_of!(Vmcb, iopm_base) == 0x40);
    assert!(offset_of!(Vmcb, exit_code) == 0x70);
    assert!(offset_of!(Vmcb, event_injection) == 0xa8);
    assert!(offset_of!(Vmcb, es) == 0x400);
    assert!(offset_of!(Vmcb, cpl) == 0x4cb);
    assert!(offset_of!(Vmcb, cr4) == 0x548);
    assert!(offset_of!(Vmcb, rsp) == 0x5d8);
    assert!(offset_of!(Vmcb, rax) == 0x5f8);
    assert!(offset_of!(Vmcb, pat) == 0x668);
};

/// A blank control block.
pub fn new_vmcb() -> &'static mut Vmcb {
    // SAFETY: numbers only, a page long.
    unsafe { memory::carve_as() }
}

/// The guest's registers that a VMCB has no place for, in the order of `entry.S`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Registers {
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

unsafe extern "C" {
    fn svm_run(registers: *mut Registers, vmcb: u64);
    static interrupt_stubs: [u8; 0];
    static ap_trampoline: [u8; 0];
    static ap_trampoline_end: [u8; 0];
    static ap_number: [u8; 0];
}

/// Runs the guest until it exits.
pub fn run(vmcb: &mut Vmcb, registers: &mut Registers) {
    let address = memory::address_of(vmcb);
    // SAFETY: the guest reaches only what its nested page tables map, which is never what Rust owns; the registers are restored.
    unsafe { svm_run(registers, address) };
}

/// The first code of another processor, and where in it its number goes.
pub fn trampoline() -> (&'static [u8], usize) {
    let start = &raw const ap_trampoline;
    let len = (&raw const ap_trampoline_end) as usize - start as usize;
    // SAFETY: the code between two labels of `entry.S`, which nobody writes.
    let code = unsafe { core::slice::from_raw_parts(start.cast::<u8>(), len) };
    (code, (&raw const ap_number) as usize - start as usize)
}

const VM_HSAVE_PA: u32 = 0xC001_0117;

/// Makes this processor ready for VMRUN, with a carved page in which it keeps its own state meanwhile.
pub fn init_cpu(save_area: u64) {
    clear_global_interrupt_flag();
    write_msr(VM_HSAVE_PA, save_area);
}

fn clear_global_interrupt_flag() {
    // SAFETY: only keeps interrupts away.
    unsafe { asm!("clgi", options(nomem, nostack)) };
}

/// Reads a register that exists on this machine, or reads as 0.
pub fn read_msr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: QEMU reads unknown registers as 0; reading has no effect.
    unsafe { asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nomem, nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a register. The callers write those only that do not matter to the module: what the guest may have, and the save area.
pub fn write_msr(msr: u32, value: u64) {
    // SAFETY: see above.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32, options(nostack));
    }
}

/// Sets the features that XSAVE saves. The caller has checked the value; the module uses none of them.
pub fn write_xcr0(value: u64) {
    // SAFETY: see above; OSXSAVE is the guest's, and set, or XSETBV would not have come so far.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") value as u32, in("edx") (value >> 32) as u32, options(nostack));
    }
}

/// CPUID.
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let found = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [found.eax, found.ebx, found.ecx, found.edx]
}

/// The time stamp counter.
pub fn tsc() -> u64 {
    // SAFETY: every processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Waits for an interrupt. Gives its vector, which is in service from now on and not ended; `None` for an NMI.
pub fn wait() -> Option<u8> {
    let vector: u32;
    // SAFETY: the stubs change nothing but EAX, and the flags are as before afterwards.
    unsafe {
        asm!("mov eax, -1", "stgi", "sti", "hlt", "cli", "clgi", out("eax") vector);
    }
    u8::try_from(vector).ok()
}

/// Takes an interrupt that is there, if one is, and consumes an NMI.
pub fn poll() -> Option<u8> {
    let vector: u32;
    // SAFETY: as in `wait`.
    unsafe {
        asm!("mov eax, -1", "stgi", "sti", "nop", "nop", "cli", "clgi", out("eax") vector);
    }
    u8::try_from(vector).ok()
}

/// Consumes an NMI that made the guest exit.
pub fn take_nmi() {
    // SAFETY: as in `wait`; IF is clear, so nothing else comes.
    unsafe { asm!("stgi", "nop", "clgi") };
}

/// Random bytes.
pub fn random() -> [u8; 32] {
    core::array::from_fn(|_| {
        let value: u64;
        // SAFETY: QEMU's processor has it, and it never fails there.
        unsafe { asm!("rdrand {}", out(reg) value, options(nomem, nostack)) };
        value as u8
    })
}

/// An entry of the interrupt descriptor table.
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    low: u64,
    high: u64,
}

#[unsafe(no_mangle)]
static mut IDT: [Gate; 256] = [Gate { low: 0, high: 0 }; 256];

/// Fills the interrupt descriptor table, which `entry.S` has loaded already.
pub fn init_interrupts() {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    if IS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    let stubs = (&raw const interrupt_stubs) as u64;
    for vector in 0..256 {
        let target = stubs + vector * 32;
        // Selector 0x10, a present interrupt gate.
        let low = target & 0xffff | 0x10 << 16 | 0x8e00 << 32 | (target >> 16 & 0xffff) << 48;
        let gate = Gate { low, high: target >> 32 };
        let place = (&raw mut IDT).cast::<Gate>().wrapping_add(vector as usize);
        // SAFETY: one of the table's 256; one processor runs, with interrupts off, so nobody reads it.
        unsafe { place.write(gate) };
    }
}
