//! The kernel's half of every address space.
//!
//! | from | what |
//! |---|---|
//! | `0xffff_8000_0000_0000` | direct map: RAM and ACPI tables, not executable, the image's text and rodata read-only in it |
//! | `0xffff_c000_0000_0000` | task stacks, each above an unmapped guard ([`KernelStack`]) |
//! | `0xffff_c040_0000_0000` | device registers, uncached ([`map_mmio`]) |
//! | `0xffff_c080_0000_0000` | large heap objects of frames that lie anywhere ([`scatter`]) |
//! | `0xffff_ffff_8000_0000` | the kernel image, each section with its own rights (W^X) |
//!
//! The root entries of all of these exist from [`init`] on and never change, so user spaces copy them once.

#[cfg(target_os = "none")]
mod image;
pub(crate) mod mmio;
#[cfg(target_os = "none")]
pub(crate) mod scatter;
#[cfg(target_os = "none")]
mod stack;
#[cfg(target_os = "none")]
mod tables;

#[cfg(target_os = "none")]
pub(crate) use self::mmio::map as map_mmio;
#[cfg(target_os = "none")]
pub(crate) use self::stack::{KernelStack, mapped_frames as stack_frames, trim as trim_stacks};
#[cfg(target_os = "none")]
pub(super) use self::tables::init;
#[cfg(target_os = "none")]
pub(crate) use self::tables::root;

use super::{Paddr, Vaddr, machine};

/// The host has no kernel root.
#[cfg(not(target_os = "none"))]
pub(super) fn root() -> Paddr {
    0
}

/// Where physical address 0 appears.
pub(crate) const DIRECT_MAP: Vaddr = 0xffff_8000_0000_0000;
/// One past the direct map: 64 TiB.
pub(crate) const DIRECT_MAP_END: Vaddr = 0xffff_c000_0000_0000;

/// The direct map's byte for a physical address (RAM or ACPI tables only).
#[inline(always)]
pub(super) fn phys_to_ptr(paddr: Paddr) -> *mut u8 {
    machine::phys_to_ptr(paddr)
}

/// The physical address of a byte in the direct map.
#[inline(always)]
pub(super) fn ptr_to_phys(pointer: *mut u8) -> Paddr {
    pointer.addr() - machine::phys_to_ptr(0).addr()
}
