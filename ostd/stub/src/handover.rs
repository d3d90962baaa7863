//! The last step: boot services end, the final memory map goes into the boot parameters, and control goes to the kernel.

use core::arch::asm;

use coffer_stub::boot_params::{BootParams, SETUP_DATA_HEADER, write_e820_ext_header};
use coffer_stub::e820::{self, Kind, Range};
use uefi::boot::{self, MemoryType, PAGE_SIZE};
use uefi::mem::memory_map::{MemoryMap as _, MemoryMapMut as _};

/// Starts the kernel at physical address `entry` by the 64-bit Linux boot protocol: interrupts off, firmware's identity map
/// still in force, `rsi` pointing at the boot parameters.
///
/// `ext` is memory for the entries of the memory map that the parameters have no room for; its address becomes known to
/// the kernel only if it is used.
pub fn leave(entry: u64, mut params: BootParams<'static>, ext: &'static mut [u8]) -> ! {
    // SAFETY: nothing of boot services is used from here on: the protocols that `firmware` opened are closed, there is
    // no allocator, and the panic handler checks whether they are still there.
    // (The library gets a fresh map and tries again where the key is stale, as UEFI 7.4.6 demands.)
    let mut map = unsafe { boot::exit_boot_services(Some(MemoryType::LOADER_DATA)) };
    // SAFETY: `cli` has no operands and touches no memory; this program has no interrupt handler that could be missed.
    unsafe { asm!("cli", options(nomem, nostack)) };

    map.sort();
    let ranges = map.entries().map(|entry| Range {
        start: entry.phys_start,
        len: entry.page_count.saturating_mul(PAGE_SIZE as u64),
        kind: kind(entry.ty),
    });
    let ext_address = ext.as_ptr().addr() as u64;
    if let Some((header, table)) = ext.split_first_chunk_mut::<SETUP_DATA_HEADER>() {
        // What does not fit stays out: memory that the kernel does not know of is memory lost, not a danger.
        let written = e820::write(e820::merged(ranges), params.e820_table(), table);
        let (in_page, in_ext) = written.unwrap_or((usize::MAX, table.len() - table.len() % e820::ENTRY_SIZE));
        params.set_e820_len(in_page);
        if let (1.., Ok(len)) = (in_ext, u32::try_from(in_ext)) {
            write_e820_ext_header(header, len);
            params.set_setup_data(ext_address);
        }
    }
    jump(entry, &params)
}

/// What a type of memory means to the kernel once boot services have ended (UEFI 7.2, table 7.10).
fn kind(memory: MemoryType) -> Kind {
    match memory {
        MemoryType::LOADER_CODE
        | MemoryType::LOADER_DATA
        | MemoryType::BOOT_SERVICES_CODE
        | MemoryType::BOOT_SERVICES_DATA
        | MemoryType::CONVENTIONAL => Kind::Ram,
        MemoryType::ACPI_RECLAIM => Kind::AcpiReclaimable,
        MemoryType::ACPI_NON_VOLATILE => Kind::AcpiNvs,
        MemoryType::UNUSABLE => Kind::Unusable,
        MemoryType::PERSISTENT_MEMORY => Kind::Persistent,
        MemoryType::UNACCEPTED => Kind::Unaccepted,
        // Runtime services, MMIO, firmware's own.
        _ => Kind::Reserved,
    }
}

fn jump(entry: u64, params: &BootParams<'static>) -> ! {
    // SAFETY: `entry` is inside memory that was allocated for code and filled from the measured kernel, which follows
    // the boot protocol: it expects exactly this state, builds its own stack and tables, and never returns. `rsi` is
    // the page behind `params`, which nobody uses after this.
    unsafe {
        asm!(
            "cld",
            "jmp {entry}",
            entry = in(reg) entry,
            in("rsi") params.address(),
            options(noreturn),
        )
    }
}
