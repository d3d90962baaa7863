//! TDCALL and calls to the VMM, by instructions that may fault like any other.

use crate::machine::Registers;

/// TDCALL.
pub const TDCALL: [u8; 4] = [0x66, 0x0f, 0x01, 0xcc];

/// What TDG.VP.VEINFO.GET tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ve {
    pub reason: u32,
    pub qualification: u64,
    pub gla: u64,
    pub gpa: u64,
    pub length: u32,
}

unsafe extern "C" {
    fn direct_call(registers: *mut Registers);
}

core::arch::global_asm!(
    ".global direct_call",
    "direct_call:",
    "push rbx; push rbp; push r12; push r13; push r14; push r15; push rdi",
    "mov rax, [rdi]; mov rcx, [rdi + 8]; mov rdx, [rdi + 16]; mov rbx, [rdi + 24]; mov rsi, [rdi + 32]",
    "mov r8, [rdi + 48]; mov r9, [rdi + 56]; mov r10, [rdi + 64]; mov r11, [rdi + 72]; mov r12, [rdi + 80]",
    "mov r13, [rdi + 88]; mov r14, [rdi + 96]; mov r15, [rdi + 104]; mov rdi, [rdi + 40]",
    ".byte 0x66, 0x0f, 0x01, 0xcc",
    "xchg rdi, [rsp]",
    "mov [rdi], rax; mov [rdi + 8], rcx; mov [rdi + 16], rdx; mov [rdi + 24], rbx; mov [rdi + 32], rsi",
    "mov [rdi + 48], r8; mov [rdi + 56], r9; mov [rdi + 64], r10; mov [rdi + 72], r11; mov [rdi + 80], r12",
    "mov [rdi + 88], r13; mov [rdi + 96], r14; mov [rdi + 104], r15",
    "pop rax; mov [rdi + 40], rax",
    "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
    "ret",
);

/// TDCALL; gives the status.
pub fn call(registers: &mut Registers) -> u64 {
    // SAFETY: the module changes no other registers, and memory only where the caller says.
    unsafe { direct_call(registers) };
    registers.rax
}

/// A leaf with up to three operands: RCX, RDX, R8.
pub fn leaf(number: u64, operands: [u64; 3]) -> (u64, Registers) {
    let [rcx, rdx, r8] = operands;
    let mut registers = Registers { rax: number, rcx, rdx, r8, ..Registers::default() };
    (call(&mut registers), registers)
}

/// RDX, RBX, RSI, RDI, R8 to R15.
const EXPOSED: u64 = 0xffcc;

/// A standard call to the VMM: R11 the function, R12 to R15. Gives R10, and all.
pub fn vmcall(function: u64, operands: [u64; 4]) -> (u64, Registers) {
    let [r12, r13, r14, r15] = operands;
    let mut registers = Registers { rcx: EXPOSED, r11: function, r12, r13, r14, r15, ..Registers::default() };
    let status = call(&mut registers);
    assert!(status == 0, "a call to the VMM failed: {status:#x}");
    (registers.r10, registers)
}

/// Information on the last virtualisation exception.
pub fn ve_info() -> Option<Ve> {
    let (status, r) = leaf(3, [0; 3]);
    (status == 0).then_some(Ve {
        reason: r.rcx as u32,
        qualification: r.rdx,
        gla: r.r8,
        gpa: r.r9,
        length: r.r10 as u32,
    })
}

/// The bit that makes an address shared.
pub fn shared_bit() -> u64 {
    let (_, r) = leaf(1, [0; 3]);
    1 << ((r.rcx & 0x3f) - 1)
}

/// Writes a byte to a port.
pub fn port_write(port: u64, value: u64) {
    vmcall(30, [1, 1, port, value]);
}

/// Ends the machine.
pub fn exit(code: u8) -> ! {
    loop {
        port_write(0xf4, u64::from(code));
    }
}

/// Ends the interrupt in service, by the register that does not exit on a real processor.
pub fn end_of_interrupt() {
    // SAFETY: it is ours to end.
    unsafe { core::arch::asm!("wrmsr", in("ecx") 0x80b, in("eax") 0, in("edx") 0, options(nostack)) };
}

/// Writes a register of the VMM.
pub fn write_msr(register: u64, value: u64) -> u64 {
    vmcall(32, [register, value, 0, 0]).0
}

/// Reads a register of the VMM.
pub fn read_msr(register: u64) -> u64 {
    vmcall(31, [register, 0, 0, 0]).1.r11
}
