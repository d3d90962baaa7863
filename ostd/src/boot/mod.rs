//! What the loader handed over, checked and copied: memory map, command line, initramfs, ACPI root.
//!
//! Two doors lead here (D3): the PVH note (`qemu -kernel`) and the Linux 64-bit boot protocol (our UEFI stub).

#[cfg(any(target_os = "none", test))]
pub(crate) mod command_line;
#[cfg(any(target_os = "none", test))]
pub(crate) mod loader;
#[cfg(any(target_os = "none", test))]
pub(crate) mod memory_map;

use alloc::vec::Vec;
use spin::Once;

/// What a stretch of physical memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// Free for us.
    Usable,
    /// Free for us in a TD, once it was accepted; out of reach elsewhere.
    Unaccepted,
    /// ACPI tables; free once they have been copied.
    AcpiReclaimable,
    /// ACPI NVS.
    AcpiNvs,
    /// Anything else.
    Reserved,
}

/// One stretch of the firmware's map.
#[derive(Clone, Copy, Debug)]
pub struct MemoryRegion {
    /// First byte.
    pub start: usize,
    /// Length in bytes.
    pub len: usize,
    /// What it is.
    pub kind: MemoryKind,
}

/// All that the loader told us.
#[derive(Debug)]
pub struct BootInfo {
    /// The kernel's command line (invalid UTF-8 is cut off at the first bad byte, with a warning).
    pub command_line: &'static str,
    /// The initramfs, newc cpio; empty if there was none. It stays where it is for the life of the kernel.
    pub initramfs: &'static [u8],
    /// The firmware's memory map, sorted, without overlaps.
    pub memory: Vec<MemoryRegion>,
    /// Value of `coffer.image=` on the command line: SHA-256 of the image, for panics.
    pub image_hash: Option<&'static str>,
}

static INFO: Once<BootInfo> = Once::new();

/// What the loader handed over.
pub fn info() -> &'static BootInfo {
    INFO.get().expect("ostd fills it before the kernel's main function runs")
}

/// Publishes `boot_info`; the first call counts.
#[cfg(target_os = "none")]
pub(crate) fn set_info(boot_info: BootInfo) {
    INFO.call_once(|| boot_info);
}
