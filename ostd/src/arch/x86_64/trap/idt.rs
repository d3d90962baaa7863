//! The interrupt descriptor table: one for all CPUs, every vector present (Intel SDM vol. 3, 6.14.1).

use crate::arch::gdt;
use core::cell::UnsafeCell;
use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

const ENTRIES: usize = 256;
/// Distance of the stubs in `entry.S`.
const STUB_LEN: usize = 16;
const PRESENT_INTERRUPT_GATE: u16 = 0x8e00;
const RING_3: u16 = 0x6000;

#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Gate {
    offset_low: u16,
    selector: u16,
    options: u16,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

const EMPTY: Gate =
    Gate { offset_low: 0, selector: 0, options: 0, offset_middle: 0, offset_high: 0, reserved: 0 };

#[repr(C, align(4096))]
struct Table(UnsafeCell<[Gate; ENTRIES]>);

// SAFETY: written once by the boot CPU before any other CPU starts; afterwards only the hardware reads it.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([EMPTY; ENTRIES]));

unsafe extern "C" {
    static trap_stubs: [u8; 0];
}

/// Fills the table (boot CPU, before others run) and loads it.
pub(crate) fn init() {
    let stubs = (&raw const trap_stubs) as usize;
    // SAFETY: only the boot CPU is running, and it has not loaded the table yet.
    let table = unsafe { &mut *TABLE.0.get() };
    for (vector, gate) in table.iter_mut().enumerate() {
        let offset = stubs + vector * STUB_LEN;
        let stack = match vector {
            2 => gdt::IST_NMI,
            8 => gdt::IST_DOUBLE_FAULT,
            18 => gdt::IST_MACHINE_CHECK,
            _ => 0,
        };
        // int3 and into are instructions that ring 3 may use.
        let ring = if vector == 3 || vector == 4 { RING_3 } else { 0 };
        *gate = Gate {
            offset_low: offset as u16,
            selector: gdt::KERNEL_CODE,
            options: PRESENT_INTERRUPT_GATE | ring | u16::from(stack),
            offset_middle: (offset >> 16) as u16,
            offset_high: (offset >> 32) as u32,
            reserved: 0,
        };
    }
    load();
}

/// Loads the table on this CPU.
pub(crate) fn load() {
    let pointer = DescriptorTablePointer {
        limit: (ENTRIES * size_of::<Gate>() - 1) as u16,
        base: VirtAddr::new(TABLE.0.get() as u64),
    };
    // SAFETY: the table is static and every present gate leads to a stub of `entry.S`.
    unsafe { lidt(&pointer) };
}
