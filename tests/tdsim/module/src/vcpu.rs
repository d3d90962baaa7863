//! A virtual processor: its control block, its registers, and what may be pending on it.

use coffer_tdsim_rules::ve::{self, Info};

use crate::svm::{Registers, Segment, Vmcb};

/// Double fault, general protection, invalid opcode, page fault.
pub const DOUBLE_FAULT: u8 = 8;
pub const GENERAL_PROTECTION: u8 = 13;
pub const INVALID_OPCODE: u8 = 6;

const TYPE_EXCEPTION: u64 = 3 << 8;
const HAS_ERROR_CODE: u64 = 1 << 11;
const IS_VALID: u64 = 1 << 31;
const RESUME_FLAG: u64 = 1 << 16;
/// Interrupts are on.
pub const INTERRUPT_FLAG: u64 = 1 << 9;

const V_IRQ: u32 = 1 << 8;
const V_IGNORE_PRIORITY: u32 = 1 << 20;

/// A virtual processor.
#[derive(Debug)]
pub struct Vcpu {
    /// Its number.
    pub index: usize,
    /// Its control block.
    pub vmcb: &'static mut Vmcb,
    /// Its registers.
    pub registers: Registers,
    /// What TDG.VP.VEINFO.GET will tell.
    pub ve: Option<Info>,
    /// Whether each CPUID raises one: in ring 0, in other rings (TDG.VP.CPUIDVE.SET).
    pub cpuid_ve: [bool; 2],
    /// Where the processor below keeps its own state.
    pub save_area: u64,
    /// Its timer, in the crystal's terms.
    pub timer: crate::apic::Timer,
}

impl Vcpu {
    /// As a TDX module starts it after a firmware has gone to long mode: at `rip`, with the loader's tables.
    pub fn start(&mut self, rip: u64, cr3: u64, gdt: u64) {
        let vmcb = &mut *self.vmcb;
        let data = Segment { selector: 0x18, attributes: 0xc93, limit: u32::MAX, base: 0 };
        vmcb.cs = Segment { selector: 0x10, attributes: 0xa9b, limit: u32::MAX, base: 0 };
        (vmcb.ds, vmcb.es, vmcb.ss) = (data, data, data);
        vmcb.gdtr = Segment { limit: 4 * 8 - 1, base: gdt, ..Segment::default() };
        vmcb.idtr = Segment::default();
        vmcb.rip = rip;
        vmcb.rflags = 2;
        vmcb.cr0 = CR0_START;
        vmcb.cr3 = cr3;
        vmcb.cr4 = CR4_START;
        vmcb.efer = EFER_START | EFER_SVME;
        vmcb.dr6 = 0xffff_0ff0;
        vmcb.dr7 = 0x400;
        vmcb.pat = 0x0007_0406_0007_0406;
    }

    /// Delivers an exception at the current instruction.
    pub fn inject(&mut self, vector: u8, error_code: Option<u32>) {
        let error = error_code.map_or(0, |code| HAS_ERROR_CODE | u64::from(code) << 32);
        self.vmcb.event_injection = u64::from(vector) | TYPE_EXCEPTION | IS_VALID | error;
    }

    /// A general protection fault.
    pub fn inject_gp(&mut self) {
        self.inject(GENERAL_PROTECTION, Some(0));
    }

    /// A virtualisation exception; a double fault, if the guest has not yet asked about the last one.
    pub fn inject_ve(&mut self, info: Info) {
        if self.ve.is_some() {
            self.inject(DOUBLE_FAULT, Some(0));
            return;
        }
        self.ve = Some(info);
        self.vmcb.rflags |= RESUME_FLAG;
        self.inject(ve::VECTOR, None);
    }

    /// Delivers an external interrupt as soon as the guest lets it in.
    pub fn inject_interrupt(&mut self, vector: u8) {
        self.vmcb.interrupt_control |= V_IRQ | V_IGNORE_PRIORITY;
        self.vmcb.interrupt_vector = u32::from(vector);
    }

    /// Whether an interrupt waits for the guest to let it in.
    pub fn has_interrupt(&self) -> bool {
        self.vmcb.interrupt_control & V_IRQ != 0
    }

    /// Goes on behind an instruction.
    pub fn advance(&mut self, length: u64) {
        self.vmcb.rip = self.vmcb.rip.wrapping_add(length);
        self.vmcb.rflags &= !RESUME_FLAG;
    }

    /// A general register by its number in instructions.
    pub fn general(&self, number: u8) -> u64 {
        let r = &self.registers;
        match number & 15 {
            0 => self.vmcb.rax,
            1 => r.rcx,
            2 => r.rdx,
            3 => r.rbx,
            4 => self.vmcb.rsp,
            5 => r.rbp,
            6 => r.rsi,
            7 => r.rdi,
            8 => r.r8,
            9 => r.r9,
            10 => r.r10,
            11 => r.r11,
            12 => r.r12,
            13 => r.r13,
            14 => r.r14,
            _ => r.r15,
        }
    }

    /// Sets a general register by its number in instructions.
    pub fn set_general(&mut self, number: u8, value: u64) {
        let r = &mut self.registers;
        *match number & 15 {
            0 => &mut self.vmcb.rax,
            1 => &mut r.rcx,
            2 => &mut r.rdx,
            3 => &mut r.rbx,
            4 => &mut self.vmcb.rsp,
            5 => &mut r.rbp,
            6 => &mut r.rsi,
            7 => &mut r.rdi,
            8 => &mut r.r8,
            9 => &mut r.r9,
            10 => &mut r.r10,
            11 => &mut r.r11,
            12 => &mut r.r12,
            13 => &mut r.r13,
            14 => &mut r.r14,
            _ => &mut r.r15,
        } = value;
    }

    /// EDX:EAX.
    pub fn edx_eax(&self) -> u64 {
        self.registers.rdx << 32 | self.vmcb.rax & 0xffff_ffff
    }

    /// Sets EDX:EAX, and clears the upper halves.
    pub fn set_edx_eax(&mut self, value: u64) {
        self.registers.rdx = value >> 32;
        self.vmcb.rax = value & 0xffff_ffff;
    }
}

/// PE, ET, NE, PG.
const CR0_START: u64 = 0x8000_0031;
/// PAE, MCE.
const CR4_START: u64 = 0x60;
/// LME, LMA, NXE.
const EFER_START: u64 = 0xd00;
/// What VMRUN wants and the guest does not see.
pub const EFER_SVME: u64 = 1 << 12;
