//! Each CPU's segments and task state segment (Intel SDM vol. 3, 3.5 and 8.7).
//!
//! The selectors are Linux's own, because user space sees some of them (signal frames, ptrace) and SYSCALL/SYSRET want
//! user data directly below user code.

use crate::cpu::MAX_CPUS;
use core::cell::UnsafeCell;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::{lgdt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

/// Kernel code, ring 0.
pub(crate) const KERNEL_CODE: u16 = 0x10;
/// Kernel data, ring 0.
pub(crate) const KERNEL_DATA: u16 = 0x18;
/// User 32-bit code: SYSRET's base, never loaded.
pub(crate) const USER_CODE_32: u16 = 0x23;
/// User data, ring 3.
pub(crate) const USER_DATA: u16 = 0x2b;
/// User code, ring 3.
pub(crate) const USER_CODE: u16 = 0x33;
const TASK_STATE: u16 = 0x40;

/// Interrupt stack table slots (1-based in IDT entries).
pub(crate) const IST_DOUBLE_FAULT: u8 = 1;
/// Non-maskable interrupts.
pub(crate) const IST_NMI: u8 = 2;
/// Machine checks.
pub(crate) const IST_MACHINE_CHECK: u8 = 3;
const IST_COUNT: usize = 3;
const IST_STACK_LEN: usize = 16384;

const GDT_LEN: usize = 10;

#[repr(C, align(128))]
struct CpuTables {
    gdt: UnsafeCell<[u64; GDT_LEN]>,
    tss: UnsafeCell<TaskStateSegment>,
}

// SAFETY: a CPU only ever touches its own element, with interrupts off.
unsafe impl Sync for CpuTables {}

static TABLES: [CpuTables; MAX_CPUS] = [const {
    CpuTables { gdt: UnsafeCell::new([0; GDT_LEN]), tss: UnsafeCell::new(TaskStateSegment::new()) }
}; MAX_CPUS];

#[repr(C, align(4096))]
struct BootIstStacks(UnsafeCell<[[u8; IST_STACK_LEN]; IST_COUNT]>);

// SAFETY: only the boot CPU's exception entries use them.
unsafe impl Sync for BootIstStacks {}

/// The boot CPU needs them before there is a heap.
static BOOT_IST_STACKS: BootIstStacks = BootIstStacks(UnsafeCell::new([[0; IST_STACK_LEN]; IST_COUNT]));

/// Fills and loads the tables of `cpu`, which must be the CPU that runs this, with interrupts off. Call once per CPU.
pub(crate) fn init(cpu: usize) {
    let base = if cpu == 0 {
        BOOT_IST_STACKS.0.get() as u64
    } else {
        // Never freed: a CPU does not go away again.
        alloc::vec![0_u8; IST_STACK_LEN * IST_COUNT].leak().as_mut_ptr() as u64
    };
    // SAFETY: this CPU's own element, which nothing refers to yet.
    let tss = unsafe { &mut *TABLES[cpu].tss.get() };
    for slot in 0..IST_COUNT {
        let top = ((base + ((slot + 1) * IST_STACK_LEN) as u64) & !15) - 16;
        // SAFETY: the last words of this CPU's own stack, which starts below them.
        unsafe { (top as *mut usize).write(crate::cpu::local::address_of(cpu)) };
        tss.interrupt_stack_table[slot] = VirtAddr::new(top);
    }
    tss.iomap_base = size_of::<TaskStateSegment>() as u16;

    // SAFETY: the TSS is a static; the descriptor refers to it for good.
    let Descriptor::SystemSegment(tss_low, tss_high) = (unsafe { Descriptor::tss_segment_unchecked(tss) })
    else {
        unreachable!("a TSS is a system segment")
    };
    // SAFETY: this CPU's own element, not loaded yet.
    let gdt = unsafe { &mut *TABLES[cpu].gdt.get() };
    gdt[2] = 0x00af_9b00_0000_ffff; // kernel code, 64 bit
    gdt[3] = 0x00cf_9300_0000_ffff; // kernel data
    gdt[4] = 0x00cf_fb00_0000_ffff; // user code, 32 bit
    gdt[5] = 0x00cf_f300_0000_ffff; // user data
    gdt[6] = 0x00af_fb00_0000_ffff; // user code, 64 bit
    gdt[8] = tss_low;
    gdt[9] = tss_high;
    load(gdt);
    // For whoever switches stacks: the hardware reads the field on entry from ring 3.
    crate::cpu::local::set_tss_rsp0((&raw const tss.privilege_stack_table[0]) as usize);
}

fn load(gdt: &'static [u64; GDT_LEN]) {
    let pointer =
        DescriptorTablePointer { limit: (GDT_LEN * 8 - 1) as u16, base: VirtAddr::new(gdt.as_ptr() as u64) };
    // SAFETY: the table is static and well-formed.
    unsafe { lgdt(&pointer) };
    // SAFETY: the selector is the 64-bit kernel code segment of the table just loaded.
    unsafe { CS::set_reg(SegmentSelector(KERNEL_CODE)) };
    // SAFETY: the selector is the kernel data segment.
    unsafe { SS::set_reg(SegmentSelector(KERNEL_DATA)) };
    // SAFETY: a null selector is valid for DS in long mode.
    unsafe { DS::set_reg(SegmentSelector(0)) };
    // SAFETY: a null selector is valid for ES in long mode.
    unsafe { ES::set_reg(SegmentSelector(0)) };
    // SAFETY: the descriptor is an available 64-bit TSS; each CPU loads its own once.
    unsafe { load_tss(SegmentSelector(TASK_STATE)) };
}
