//! From the loader to the kernel's main function: [`boot_start`] names each step.

use super::{apic, gdt, io_apic, serial, time, trap};
use crate::acpi::{self, Platform};
use crate::boot::command_line::valid_prefix;
use crate::boot::loader::{self, LoaderInfo, MAX_COMMAND_LINE, Protocol};
use crate::boot::{self, BootInfo};
use crate::irq::IrqLine;
use crate::mm::{self, EarlyMap};
use crate::{console, cpu, logger, tdx, timer};
use core::arch::global_asm;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Once;

global_asm!(include_str!("entry.S"), include_str!("ap_entry.S"), options(att_syntax));

/// The first Rust code, called by `entry.S` on the boot CPU with interrupts off. `data` is what the loader passed, `image` where it
/// placed the image.
#[unsafe(no_mangle)]
extern "C" fn boot_start(protocol: u32, data: u64, image: usize) -> ! {
    let boot_tsc = time::tsc();
    IMAGE_BASE.store(image, Ordering::Relaxed);
    tdx::detect();
    serial::init();
    cpu::local::init(0);
    gdt::init(0);
    trap::idt::init();
    logger::init();

    let protocol = if protocol == 0 { Protocol::Linux } else { Protocol::Pvh };
    // No loader of TDs uses it, so nobody says that what such a loader passes was measured.
    assert!(!tdx::is_active() || protocol == Protocol::Linux, "tdx: the PVH entry is not for TDs");
    let loader = loader::read(protocol, data, &read_physical).unwrap_or_else(|why| panic!("{why}"));
    keep_command_line(&loader);
    tdx::check(command_line());
    let platform = find_platform(&loader);
    init_memory(&loader);
    publish(&loader);

    apic::init().expect("the local APIC's registers are not RAM");
    io_apic::init(platform).expect("the I/O APICs' registers are not RAM");
    timer::init(platform, boot_tsc).unwrap_or_else(|why| panic!("{why}"));
    init_console_input(platform);
    super::user::init_cpu();
    crate::task::start_first()
}

/// How far the early tables map memory.
const EARLY_END: u64 = 4 << 30;
const DIRECT_MAP: usize = 0xffff_8000_0000_0000;

/// Where a physical address below [`EARLY_END`] is mapped, by the early tables and, where there is memory, by the final ones.
pub(crate) fn early_ptr(address: usize) -> *mut u8 {
    (DIRECT_MAP + address) as *mut u8
}

/// Physical memory as the early tables map it; only until memory management takes over, and whoever looks copies.
fn read_physical(start: u64, len: usize) -> Option<&'static [u8]> {
    let end = start.checked_add(len as u64)?;
    // SAFETY: the early tables map all of it, and until memory management runs nobody writes what the loader left.
    (end <= EARLY_END).then(|| unsafe { core::slice::from_raw_parts(early_ptr(start as usize), len) })
}

static IMAGE_BASE: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    static __kernel_start: [u8; 0];
    static __kernel_end: [u8; 0];
    static __text_end: [u8; 0];
    static boot_pml4: [u8; 0];
}

/// Physical address of the image's first byte.
pub(crate) fn kernel_phys_base() -> usize {
    IMAGE_BASE.load(Ordering::Relaxed)
}

/// Physical address of the early page tables' root, for the application processors.
pub(crate) fn early_tables() -> usize {
    (&raw const boot_pml4) as usize - (&raw const __kernel_start) as usize + kernel_phys_base()
}

/// Whether an address lies in the kernel's code.
pub(crate) fn is_image_text(address: usize) -> bool {
    ((&raw const __kernel_start) as usize..(&raw const __text_end) as usize).contains(&address)
}

struct CommandLine {
    bytes: [u8; MAX_COMMAND_LINE],
    len: usize,
}

static COMMAND_LINE: Once<CommandLine> = Once::new();

/// The command line; empty before it is known.
pub(crate) fn command_line() -> &'static str {
    COMMAND_LINE.get().map_or("", |line| valid_prefix(&line.bytes[..line.len]))
}

fn keep_command_line(loader: &LoaderInfo) {
    let line = COMMAND_LINE.call_once(|| {
        let len = loader.command_line.len().min(MAX_COMMAND_LINE);
        let mut bytes = [0; MAX_COMMAND_LINE];
        bytes[..len].copy_from_slice(&loader.command_line[..len]);
        CommandLine { bytes, len }
    });
    if command_line().len() < line.len {
        log::warn!("the command line is not UTF-8: cut off after {} bytes", command_line().len());
    }
}

static PLATFORM: Once<Platform> = Once::new();

/// What ACPI says; `None` before it was read.
pub(crate) fn platform() -> Option<&'static Platform> {
    PLATFORM.get()
}

/// Read while the early tables still map all that firmware may have written to.
fn find_platform(loader: &LoaderInfo) -> &'static Platform {
    // Elsewhere it can be searched for; a TD's memory may not be touched where firmware has not been.
    assert!(!tdx::is_active() || loader.rsdp.is_some(), "tdx: the loader names no ACPI tables");
    PLATFORM.call_once(|| {
        acpi::read(loader.rsdp, &read_physical).unwrap_or_else(|why| {
            log::warn!("acpi: {why}: one CPU, no power off");
            Platform::default()
        })
    })
}

fn init_memory(loader: &LoaderInfo) {
    let base = kernel_phys_base();
    let image_len = (&raw const __kernel_end) as usize - (&raw const __kernel_start) as usize;
    // The first MiB has the trampoline, and whatever the firmware forgot to name.
    let reserved: [Range<usize>; 3] = [0..1 << 20, base..base + image_len, loader.initramfs.clone()];
    if loader.memory.is_truncated() {
        log::warn!("the memory map has too many entries: some were dropped");
    }
    let regions = loader.memory.regions();
    let map = EarlyMap { regions, reserved: &reserved, can_accept: tdx::is_active() };
    // SAFETY: the boot CPU on the early tables, once; the map is the loader's, and all that is taken is named.
    unsafe { mm::init(&map) };
}

fn publish(loader: &LoaderInfo) {
    let Range { start, end } = loader.initramfs;
    let initramfs: &'static [u8] = if start == end {
        &[]
    } else {
        // SAFETY: reserved from memory management, mapped for good, and never written.
        unsafe { core::slice::from_raw_parts(early_ptr(start), end - start) }
    };
    let command_line = command_line();
    boot::set_info(BootInfo {
        command_line,
        initramfs,
        memory: loader.memory.regions().to_vec(),
        image_hash: boot::command_line::value(command_line, "coffer.image"),
    });
}

/// COM1's interrupt in the ISA numbering.
const COM1_IRQ: u8 = 4;

fn init_console_input(platform: &Platform) {
    if !serial::is_present() {
        return;
    }
    let routed = IrqLine::new(console::on_interrupt).and_then(|line| {
        io_apic::route_isa(platform, COM1_IRQ, line.vector(), apic::id())?;
        // For good: the console is never taken down.
        core::mem::forget(line);
        Ok(())
    });
    if routed.is_err() {
        log::warn!("the serial console has no interrupt: no input from there");
    }
}
