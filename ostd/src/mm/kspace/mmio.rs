//! Device registers: mapped uncached, never over memory that we manage, and for good.
//!
//! In a TD they are not mapped: an access would be an exception, whose handler had to decode the instruction. There the address of a register is
//! its physical one, in the lower half, and [`read`] and [`write`] ask the host for it, by size and direction.

use crate::HostValue;
use crate::mm::Vaddr;
#[cfg(target_os = "none")]
use crate::mm::{PAGE_SIZE, Paddr, machine};
#[cfg(target_os = "none")]
use crate::{
    Error, Result,
    mm::{
        frame::{self, Use},
        kspace::tables::{DATA, extend, root},
        page_table::Entry,
        ram,
    },
    tdx,
};
#[cfg(target_os = "none")]
use core::ops::Range;
#[cfg(target_os = "none")]
use spin::Mutex;

/// What a register is wide.
pub(crate) trait Value: Copy {
    /// With zeroes above.
    fn widen(self) -> u64;
    /// The low bytes.
    fn cut(value: u64) -> Self;
}

macro_rules! values {
    ($($t:ty)*) => {$(
        impl Value for $t {
            fn widen(self) -> u64 {
                self.into()
            }
            fn cut(value: u64) -> Self {
                value as Self
            }
        }
    )*};
}

values! { u8 u16 u32 u64 }

/// Reads a register.
///
/// # Safety
/// `address` is aligned and lies in what [`map`] gave.
#[inline]
pub(crate) unsafe fn read<T: Value>(address: Vaddr) -> HostValue<T> {
    #[cfg(target_os = "none")]
    if is_physical(address) {
        return tdx::host::read_register(address, size_of::<T>()).map(T::cut);
    }
    // SAFETY: by contract.
    HostValue::new(unsafe { core::ptr::with_exposed_provenance::<T>(address).read_volatile() })
}

/// Writes a register.
///
/// # Safety
/// As [`read`]; what the device does then affects no memory but what its driver gave it.
#[inline]
pub(crate) unsafe fn write<T: Value>(address: Vaddr, value: T) {
    #[cfg(target_os = "none")]
    if is_physical(address) {
        return tdx::host::write_register(address, size_of::<T>(), value.widen());
    }
    // SAFETY: by contract.
    unsafe { core::ptr::with_exposed_provenance_mut::<T>(address).write_volatile(value) };
}

/// Mapped registers are in the upper half.
#[cfg(target_os = "none")]
#[inline]
fn is_physical(address: Vaddr) -> bool {
    address.cast_signed() >= 0
}

#[cfg(target_os = "none")]
pub(super) const WINDOW: Vaddr = 0xffff_c040_0000_0000;
#[cfg(target_os = "none")]
const WINDOW_END: Vaddr = 0xffff_c080_0000_0000;
/// Physical addresses that page tables can hold.
#[cfg(target_os = "none")]
const PADDR_END: Paddr = 1 << 52;

#[cfg(target_os = "none")]
static NEXT: Mutex<Vaddr> = Mutex::new(WINDOW);

/// Maps `len` bytes of device registers at `paddr` uncached; gives the address of the first one.
///
/// # Errors
/// [`Error::InvalidArgument`] for an empty range or one over memory, [`Error::NoResource`] if the window is full,
/// [`Error::NoMemory`] for page tables.
#[cfg(target_os = "none")]
pub(crate) fn map(paddr: Paddr, len: usize) -> Result<Vaddr> {
    let pages = pages(paddr, len).ok_or(Error::InvalidArgument)?;
    if ram::overlaps(&pages) {
        return Err(Error::InvalidArgument);
    }
    if tdx::is_active() {
        return if pages.end as u64 <= tdx::shared_bit() { Ok(paddr) } else { Err(Error::InvalidArgument) };
    }
    machine::with_cpu(|_| {
        let mut next = NEXT.lock();
        let address = *next;
        let end =
            address.checked_add(pages.len()).filter(|end| *end <= WINDOW_END).ok_or(Error::NoResource)?;
        // Given out even if the tables fail: a window half mapped is not used again.
        *next = end;
        let mut table = || frame::kernel_frame_zeroed(Use::Kernel);
        extend(root(), address, pages.start, pages.len(), DATA | Entry::UNCACHED, &mut table)?;
        Ok(address + (paddr - pages.start))
    })
}

#[cfg(target_os = "none")]
fn pages(paddr: Paddr, len: usize) -> Option<Range<Paddr>> {
    let end = paddr.checked_add(len)?.checked_next_multiple_of(PAGE_SIZE)?;
    (len > 0 && end <= PADDR_END).then_some(paddr & !(PAGE_SIZE - 1)..end)
}
