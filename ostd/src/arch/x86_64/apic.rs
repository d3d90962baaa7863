//! The local APIC: xAPIC by memory-mapped registers, x2APIC by MSRs, behind one interface (Intel SDM vol. 3, chapter 11).

use super::cpuid;
use crate::cpu::{CpuId, MAX_CPUS};
use crate::tdx::{self, host};
use crate::{Error, Result, irq};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use x86_64::registers::model_specific::Msr;

const MSR_APIC_BASE: u32 = 0x1b;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2APIC: u64 = 1 << 10;
const BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const MSR_X2APIC: u32 = 0x800;
const MSR_TSC_DEADLINE: u32 = 0x6e0;

const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const EOI: u32 = 0xb0;
const SPURIOUS: u32 = 0xf0;
const COMMAND_LOW: u32 = 0x300;
const COMMAND_HIGH: u32 = 0x310;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_LINT1: u32 = 0x360;
const LVT_ERROR: u32 = 0x370;
const TIMER_INITIAL: u32 = 0x380;
const TIMER_CURRENT: u32 = 0x390;
const TIMER_DIVIDE: u32 = 0x3e0;

const SOFTWARE_ENABLE: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const TIMER_TSC_DEADLINE: u32 = 2 << 17;
const DIVIDE_BY_1: u32 = 0xb;
const COMMAND_PENDING: u32 = 1 << 12;
const COMMAND_ASSERT: u32 = 1 << 14;
const DELIVER_NMI: u32 = 4 << 8;
const DELIVER_INIT: u32 = 5 << 8;
const DELIVER_STARTUP: u32 = 6 << 8;

/// Where the registers are mapped; 0 means x2APIC.
static REGISTERS: AtomicUsize = AtomicUsize::new(0);
/// Each CPU's APIC id.
static IDS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// The MSR that is a register in x2APIC mode.
fn x2apic(register: u32) -> u32 {
    MSR_X2APIC + (register >> 4)
}

fn read(register: u32) -> u32 {
    match REGISTERS.load(Ordering::Relaxed) {
        0 if tdx::is_active() => host::read_msr(x2apic(register)).claim() as u32,
        // SAFETY: x2APIC is on, and only existing, readable registers of the list above are asked for.
        0 => unsafe { Msr::new(x2apic(register)).read() as u32 },
        // SAFETY: `base` is the mapped register page and `register` an aligned offset in it.
        base => unsafe { ((base + register as usize) as *const u32).read_volatile() },
    }
}

fn write(register: u32, value: u32) {
    match REGISTERS.load(Ordering::Relaxed) {
        // Acknowledging is the one write that a TD's CPU does by itself.
        0 if register != EOI && tdx::is_active() => host::write_msr(x2apic(register), value.into()),
        // SAFETY: x2APIC is on; the registers written do not affect memory.
        0 => unsafe { Msr::new(x2apic(register)).write(u64::from(value)) },
        // SAFETY: `base` is the mapped register page and `register` an aligned offset in it.
        base => unsafe { ((base + register as usize) as *mut u32).write_volatile(value) },
    }
}

/// Chooses the mode, maps the registers, and turns the boot CPU's APIC on.
///
/// # Errors
/// What mapping the registers says.
pub(crate) fn init() -> Result<()> {
    if !tdx::is_active() && !cpuid::has_x2apic() {
        // SAFETY: every x86-64 CPU has this MSR.
        let base = unsafe { Msr::new(MSR_APIC_BASE).read() };
        let registers = crate::mm::kspace::map_mmio((base & BASE_ADDRESS) as usize, 0x1000)?;
        REGISTERS.store(registers, Ordering::Relaxed);
    }
    init_local(0);
    Ok(())
}

/// Turns this CPU's APIC on.
pub(crate) fn init_local(cpu: usize) {
    // A TD's is in x2APIC mode from the start, and cannot leave it.
    if !tdx::is_active() {
        choose_mode();
    }
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, MASKED);
    write(LVT_ERROR, MASKED);
    write(LVT_TIMER, MASKED);
    write(TASK_PRIORITY, 0);
    write(SPURIOUS, SOFTWARE_ENABLE | u32::from(irq::SPURIOUS));
    IDS[cpu].store(id(), Ordering::Release);
}

fn choose_mode() {
    // SAFETY: every x86-64 CPU has this MSR.
    let mut base = unsafe { Msr::new(MSR_APIC_BASE).read() } | BASE_ENABLE;
    // Through xAPIC mode first: from "off" there is no direct way to x2APIC (11.12.5).
    // SAFETY: enabling the APIC at its present address affects nothing else.
    unsafe { Msr::new(MSR_APIC_BASE).write(base) };
    if REGISTERS.load(Ordering::Relaxed) == 0 {
        base |= BASE_X2APIC;
        // SAFETY: the CPU has x2APIC, else `init` had mapped the registers.
        unsafe { Msr::new(MSR_APIC_BASE).write(base) };
    }
}

/// This CPU's APIC id.
pub(crate) fn id() -> u32 {
    match REGISTERS.load(Ordering::Relaxed) {
        0 => read(ID),
        _ => read(ID) >> 24,
    }
}

/// The APIC id of a CPU that is up; 0 before.
pub(crate) fn id_of(cpu: usize) -> u32 {
    IDS[cpu].load(Ordering::Acquire)
}

/// Tells the APIC that the interrupt in service was taken.
pub(crate) fn end_of_interrupt() {
    write(EOI, 0);
}

/// What one CPU can ask of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ipi {
    /// Reconsider what you run.
    Reschedule,
    /// Look at the TLB requests.
    FlushTlb,
    /// Halt for good; reaches CPUs that have interrupts off.
    Stop,
}

/// Sends `ipi` to `cpu`.
pub(crate) fn send_ipi(cpu: CpuId, ipi: Ipi) {
    let command = match ipi {
        Ipi::Reschedule => u32::from(irq::RESCHEDULE),
        Ipi::FlushTlb => u32::from(irq::FLUSH_TLB),
        Ipi::Stop => DELIVER_NMI,
    };
    send(IDS[cpu.as_usize()].load(Ordering::Acquire), command | COMMAND_ASSERT);
}

/// Sends INIT to a CPU that is not running yet.
pub(crate) fn send_init(apic_id: u32) {
    send(apic_id, DELIVER_INIT | COMMAND_ASSERT);
}

/// Starts a CPU after INIT at physical address `page << 12`.
pub(crate) fn send_startup(apic_id: u32, page: u8) {
    send(apic_id, DELIVER_STARTUP | COMMAND_ASSERT | u32::from(page));
}

fn send(apic_id: u32, command: u32) {
    // An interrupt between the two halves could send another command.
    let irq = irq::disable_local();
    if REGISTERS.load(Ordering::Relaxed) == 0 {
        // The receiver must see what we wrote before; the MSR write orders nothing (11.12.3).
        core::sync::atomic::fence(Ordering::SeqCst);
        let value = u64::from(apic_id) << 32 | u64::from(command);
        if tdx::is_active() {
            host::write_msr(x2apic(COMMAND_LOW), value);
        } else {
            // SAFETY: x2APIC is on. What the receiver does is the business of this module's callers.
            unsafe { Msr::new(x2apic(COMMAND_LOW)).write(value) };
        }
    } else {
        while read(COMMAND_LOW) & COMMAND_PENDING != 0 {
            core::hint::spin_loop();
        }
        write(COMMAND_HIGH, apic_id << 24);
        write(COMMAND_LOW, command);
    }
    drop(irq);
}

/// Lets the timer count down from the top without interrupts, for calibration.
pub(crate) fn start_timer_count() {
    write(LVT_TIMER, MASKED);
    write(TIMER_DIVIDE, DIVIDE_BY_1);
    write(TIMER_INITIAL, u32::MAX);
}

/// How far the timer has counted since [`start_timer_count`].
pub(crate) fn timer_count() -> u32 {
    u32::MAX - read(TIMER_CURRENT)
}

/// Points this CPU's timer at its vector, in the given mode, not armed.
pub(crate) fn enable_timer(has_deadline: bool) {
    let mode = if has_deadline { TIMER_TSC_DEADLINE } else { 0 };
    write(TIMER_DIVIDE, DIVIDE_BY_1);
    write(LVT_TIMER, mode | u32::from(irq::TIMER));
    // The mode must be in place before the first deadline is (11.5.4.1).
    core::sync::atomic::fence(Ordering::SeqCst);
}

/// Arms the timer for an absolute TSC value; 0 disarms.
pub(crate) fn set_timer_deadline(tsc: u64) {
    if tdx::is_active() {
        return host::write_msr(MSR_TSC_DEADLINE, tsc);
    }
    // SAFETY: called in TSC-deadline mode only, in which the MSR exists.
    unsafe { Msr::new(MSR_TSC_DEADLINE).write(tsc) }
}

/// Arms the timer for `count` ticks from now; 0 disarms.
pub(crate) fn set_timer_count(count: u32) {
    write(TIMER_INITIAL, count);
}

/// Checks that `apic_id` can be addressed in the mode that we are in.
///
/// # Errors
/// [`Error::Device`] for an id past 254 in xAPIC mode.
pub(crate) fn check_id(apic_id: u32) -> Result<()> {
    if apic_id < 0xff || REGISTERS.load(Ordering::Relaxed) == 0 { Ok(()) } else { Err(Error::Device) }
}
