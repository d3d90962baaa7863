//! Into ring 3 and back: SYSCALL/SYSRET, IRET, and traps out of ring 3.
//!
//! [`enter`] works as a coroutine: it leaves its frame on the kernel stack, notes where in [`crate::cpu::local`], and comes back there
//! by whatever brings the CPU back from ring 3, with the registers stored in the thread's [`Regs`].

pub(crate) mod extended;

pub(crate) use extended::ExtendedState;

use crate::arch::gdt;
use crate::cpu::local::{KERNEL_RSP, SCRATCH, TSS_RSP0};
use crate::user::Regs;
use core::arch::{asm, naked_asm};
use core::mem::offset_of;

const MSR_EFER: u32 = 0xc000_0080;
const MSR_STAR: u32 = 0xc000_0081;
const MSR_LSTAR: u32 = 0xc000_0082;
const MSR_SFMASK: u32 = 0xc000_0084;
const EFER_SCE: u64 = 1;

/// What SYSCALL clears: TF, IF, DF, IOPL, NT, AC.
const SYSCALL_CLEARS: u64 = 0x100 | 0x200 | 0x400 | 0x3000 | 0x4000 | 0x4_0000;

/// The vector that [`enter`] returns for SYSCALL: no exception or interrupt has it.
pub(crate) const SYSCALL: u64 = 0x100;

/// Why ring 3 was left.
#[repr(C)]
pub(crate) struct Exit {
    /// Vector, or [`SYSCALL`].
    pub(crate) vector: u64,
    /// Error code, 0 where there is none.
    pub(crate) error_code: u64,
}

/// Prepares this CPU for ring 3. Call once on each, with interrupts off.
pub(crate) fn init_cpu() {
    extended::init_cpu();
    // SYSRET takes CS from bits 63:48 plus 16 and SS from them plus 8; SYSCALL takes CS from bits 47:32 and SS 8 above.
    let star = (u64::from(gdt::USER_CODE_32) << 48) | (u64::from(gdt::KERNEL_CODE) << 32);
    write_msr(MSR_STAR, star);
    write_msr(MSR_LSTAR, syscall_entry as *const () as u64);
    write_msr(MSR_SFMASK, SYSCALL_CLEARS);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
}

fn write_msr(msr: u32, value: u64) {
    // SAFETY: only the registers above are written, with values that fit this kernel's segments and entries.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32,
             options(nostack, preserves_flags));
    }
}

fn read_msr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading EFER has no effect.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nostack, preserves_flags, nomem));
    };
    u64::from(high) << 32 | u64::from(low)
}

/// Runs ring 3 with `regs` until it comes back; the registers are stored there.
///
/// # Safety
/// Interrupts are off; `regs` hold an `rip` and `rsp` in canonical form below the kernel, canonical segment bases, and flags with IF set and
/// none that ring 3 must not have. With `by_sysret`, `rcx` equals `rip` and `r11` equals `rflags`.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn enter(regs: *mut Regs, by_sysret: bool) -> Exit {
    naked_asm!(
        "push rbp", "push rbx", "push r12", "push r13", "push r14", "push r15",
        "push rdi",
        "mov gs:[{kernel_rsp}], rsp",
        "mov rax, gs:[{tss_rsp0}]",
        "mov [rax], rsp",
        // Segment bases. The user's GS base is put in place by hand, so the kernel's own goes back to its MSR first.
        "mov rax, [rdi + {fs_base}]",
        "wrfsbase rax",
        "mov rax, [rdi + {gs_base}]",
        "swapgs",
        "wrgsbase rax",
        "test sil, sil",
        "mov rbx, [rdi + {rbx}]",
        "mov rbp, [rdi + {rbp}]",
        "mov r8, [rdi + {r8}]",
        "mov r9, [rdi + {r9}]",
        "mov r10, [rdi + {r10}]",
        "mov r12, [rdi + {r12}]",
        "mov r13, [rdi + {r13}]",
        "mov r14, [rdi + {r14}]",
        "mov r15, [rdi + {r15}]",
        "mov rdx, [rdi + {rdx}]",
        "mov rsi, [rdi + {rsi}]",
        "mov rax, [rdi + {rax}]",
        "mov r11, [rdi + {rflags}]",
        "mov rcx, [rdi + {rip}]",
        "jz 2f",
        "mov rsp, [rdi + {rsp}]",
        "mov rdi, [rdi + {rdi}]",
        "sysretq",
        "2:",
        "push {user_data}",
        "push [rdi + {rsp}]",
        "push r11",
        "push {user_code}",
        "push rcx",
        "mov r11, [rdi + {r11}]",
        "mov rcx, [rdi + {rcx}]",
        "mov rdi, [rdi + {rdi}]",
        "iretq",
        kernel_rsp = const KERNEL_RSP,
        tss_rsp0 = const TSS_RSP0,
        user_data = const gdt::USER_DATA,
        user_code = const gdt::USER_CODE,
        fs_base = const offset_of!(Regs, fs_base),
        gs_base = const offset_of!(Regs, gs_base),
        rax = const offset_of!(Regs, rax),
        rbx = const offset_of!(Regs, rbx),
        rcx = const offset_of!(Regs, rcx),
        rdx = const offset_of!(Regs, rdx),
        rsi = const offset_of!(Regs, rsi),
        rdi = const offset_of!(Regs, rdi),
        rbp = const offset_of!(Regs, rbp),
        rsp = const offset_of!(Regs, rsp),
        r8 = const offset_of!(Regs, r8),
        r9 = const offset_of!(Regs, r9),
        r10 = const offset_of!(Regs, r10),
        r11 = const offset_of!(Regs, r11),
        r12 = const offset_of!(Regs, r12),
        r13 = const offset_of!(Regs, r13),
        r14 = const offset_of!(Regs, r14),
        r15 = const offset_of!(Regs, r15),
        rip = const offset_of!(Regs, rip),
        rflags = const offset_of!(Regs, rflags),
    )
}

/// Where SYSCALL lands: interrupts off, the user's stack and GS, `rip` in `rcx`, flags in `r11`.
///
/// # Safety
/// Only the instruction may come here.
#[unsafe(naked)]
unsafe extern "sysv64" fn syscall_entry() {
    naked_asm!(
        "swapgs",
        "mov gs:[{scratch}], rsp",
        "mov gs:[{scratch} + 8], rdi",
        "mov rsp, gs:[{kernel_rsp}]",
        "mov rdi, [rsp]",
        "mov [rdi + {rax}], rax",
        "mov [rdi + {rip}], rcx",
        "mov [rdi + {rflags}], r11",
        "mov [rdi + {rcx}], rcx",
        "mov [rdi + {r11}], r11",
        "mov rax, gs:[{scratch}]",
        "mov [rdi + {rsp}], rax",
        "mov rax, gs:[{scratch} + 8]",
        "mov [rdi + {rdi}], rax",
        "call {save}",
        "mov eax, {syscall}",
        "xor edx, edx",
        "pop rdi",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp",
        "ret",
        scratch = const SCRATCH,
        kernel_rsp = const KERNEL_RSP,
        syscall = const SYSCALL,
        save = sym save_rest,
        rax = const offset_of!(Regs, rax),
        rcx = const offset_of!(Regs, rcx),
        rdi = const offset_of!(Regs, rdi),
        rsp = const offset_of!(Regs, rsp),
        r11 = const offset_of!(Regs, r11),
        rip = const offset_of!(Regs, rip),
        rflags = const offset_of!(Regs, rflags),
    )
}

/// Where every trap out of ring 3 lands, from the stubs of `trap/entry.S`: interrupts off, the user's GS, and on the stack vector, error
/// code, rip, cs, rflags, rsp, ss, all below the frame of [`enter`], because the TSS points there.
///
/// # Safety
/// Only the stubs may come here.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn user_trap_return() {
    naked_asm!(
        "cld",
        "swapgs",
        "mov gs:[{scratch}], rdi",
        "mov rdi, gs:[{kernel_rsp}]",
        "mov rdi, [rdi]",
        "mov [rdi + {rax}], rax",
        "mov [rdi + {rcx}], rcx",
        "mov [rdi + {r11}], r11",
        "mov rax, gs:[{scratch}]",
        "mov [rdi + {rdi}], rax",
        "mov rax, [rsp + 16]",
        "mov [rdi + {rip}], rax",
        "mov rax, [rsp + 32]",
        "mov [rdi + {rflags}], rax",
        "mov rax, [rsp + 40]",
        "mov [rdi + {rsp}], rax",
        "call {save}",
        "mov rax, [rsp]",
        "mov rdx, [rsp + 8]",
        "mov rsp, gs:[{kernel_rsp}]",
        "pop rdi",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp",
        "ret",
        scratch = const SCRATCH,
        kernel_rsp = const KERNEL_RSP,
        save = sym save_rest,
        rax = const offset_of!(Regs, rax),
        rcx = const offset_of!(Regs, rcx),
        rdi = const offset_of!(Regs, rdi),
        rsp = const offset_of!(Regs, rsp),
        r11 = const offset_of!(Regs, r11),
        rip = const offset_of!(Regs, rip),
        rflags = const offset_of!(Regs, rflags),
    )
}

/// The registers that both ways out save alike; `rdi` holds the address of the `Regs`, `rax` is free, GS is the kernel's.
///
/// # Safety
/// Only the two entries above may call it.
#[unsafe(naked)]
unsafe extern "sysv64" fn save_rest() {
    naked_asm!(
        "mov [rdi + {rbx}], rbx",
        "mov [rdi + {rdx}], rdx",
        "mov [rdi + {rsi}], rsi",
        "mov [rdi + {rbp}], rbp",
        "mov [rdi + {r8}], r8",
        "mov [rdi + {r9}], r9",
        "mov [rdi + {r10}], r10",
        "mov [rdi + {r12}], r12",
        "mov [rdi + {r13}], r13",
        "mov [rdi + {r14}], r14",
        "mov [rdi + {r15}], r15",
        "rdfsbase rax",
        "mov [rdi + {fs_base}], rax",
        "swapgs",
        "rdgsbase rax",
        "swapgs",
        "mov [rdi + {gs_base}], rax",
        "ret",
        fs_base = const offset_of!(Regs, fs_base),
        gs_base = const offset_of!(Regs, gs_base),
        rbx = const offset_of!(Regs, rbx),
        rdx = const offset_of!(Regs, rdx),
        rsi = const offset_of!(Regs, rsi),
        rbp = const offset_of!(Regs, rbp),
        r8 = const offset_of!(Regs, r8),
        r9 = const offset_of!(Regs, r9),
        r10 = const offset_of!(Regs, r10),
        r12 = const offset_of!(Regs, r12),
        r13 = const offset_of!(Regs, r13),
        r14 = const offset_of!(Regs, r14),
        r15 = const offset_of!(Regs, r15),
    )
}
