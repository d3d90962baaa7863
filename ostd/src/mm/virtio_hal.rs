//! What the virtio-drivers crate needs of the machine: memory for its rings, and buffers that a device may reach.
//!
//! A device never gets the address of a driver's own buffer: [`virtio_drivers::Hal::share`] copies through pages of the DMA seam ([`super::dma`]).
//! Inside a TD there is no other way; everywhere else it is what makes the crate sound, for when a device answers with a token that it was not
//! given, the crate returns an error and the buffer to its caller while the device may still write (docs/adr/0001-virtio-drivers.md).

use alloc::vec::Vec;
use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use super::PAGE_SIZE;
use super::dma::DmaCoherent;
use crate::sync::SpinLock;
use crate::{Error, Result};

/// The machine, for `VirtQueue<Machine, _>` and the drivers on it.
#[derive(Debug)]
pub enum Machine {}

/// Rings, which belong to the crate until it gives them back.
static RINGS: SpinLock<Vec<DmaCoherent>> = SpinLock::new(Vec::new());
/// Pages for buffers: those that a device may use, and those that wait.
static SHARED: SpinLock<Vec<DmaCoherent>> = SpinLock::new(Vec::new());
static SPARE: SpinLock<Vec<DmaCoherent>> = SpinLock::new(Vec::new());

/// Sets pages aside for `buffers` more buffers that are out at the same time, each of at most a page. A driver calls it before it shares
/// any: sharing has no way to fail.
///
/// # Errors
/// [`Error::NoMemory`], [`Error::NoResource`] as [`DmaCoherent::alloc`].
pub fn reserve(buffers: usize) -> Result<()> {
    for _ in 0..buffers {
        let page = DmaCoherent::alloc(PAGE_SIZE)?;
        let mut spare = SPARE.lock();
        spare.try_reserve(1).map_err(|_| Error::NoMemory)?;
        spare.push(page);
    }
    Ok(())
}

fn take(list: &SpinLock<Vec<DmaCoherent>>, address: PhysAddr) -> Option<DmaCoherent> {
    let mut list = list.lock();
    let index = list.iter().position(|memory| memory.device_address() == address)?;
    Some(list.swap_remove(index))
}

// SAFETY: (1) `dma_alloc` gives zeroed memory of its own, aligned to pages, that nothing else touches until `dma_dealloc` takes it out of
// `RINGS`; (2) `mmio_phys_to_virt` never returns; (3) `share` gives the address of a page that is the buffer's alone until `unshare`.
unsafe impl Hal for Machine {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // Zero says that there is none.
        const NONE: (PhysAddr, NonNull<u8>) = (0, NonNull::dangling());
        let Some(Ok(memory)) = pages.checked_mul(PAGE_SIZE).map(DmaCoherent::alloc) else { return NONE };
        let Some(pointer) = NonNull::new(memory.pointer()) else { return NONE };
        let address = memory.device_address();
        let mut rings = RINGS.lock();
        if rings.try_reserve(1).is_err() {
            return NONE;
        }
        rings.push(memory);
        (address, pointer)
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _vaddr: NonNull<u8>, _pages: usize) -> i32 {
        match take(&RINGS, paddr) {
            Some(_) => 0,
            None => -1,
        }
    }

    unsafe fn mmio_phys_to_virt(_paddr: PhysAddr, _size: usize) -> NonNull<u8> {
        panic!("the crate's PCI transport is not in use")
    }

    unsafe fn share(buffer: NonNull<[u8]>, direction: BufferDirection) -> PhysAddr {
        assert!(buffer.len() <= PAGE_SIZE, "buffers of drivers are at most a page");
        let page = SPARE.lock().pop().expect("the driver reserved a page for each buffer");
        if direction != BufferDirection::DeviceToDriver {
            // SAFETY: by contract the buffer is valid and nobody writes it during the call.
            page.write(0, unsafe { buffer.as_ref() });
        }
        let address = page.device_address();
        SHARED.lock().push(page);
        address
    }

    unsafe fn unshare(paddr: PhysAddr, mut buffer: NonNull<[u8]>, direction: BufferDirection) {
        let page = take(&SHARED, paddr).expect("the address came from `share`");
        if direction != BufferDirection::DriverToDevice {
            // SAFETY: by contract the buffer is valid and nobody else uses it during the call.
            page.read(0, unsafe { buffer.as_mut() });
        }
        // What the last user left is not for the next one's device.
        page.write(0, &[0; PAGE_SIZE]);
        SPARE.lock().push(page);
    }
}

#[cfg(test)]
mod tests {
    use core::ptr::NonNull;

    use virtio_drivers::{BufferDirection, Hal as _};

    use super::{Machine, SHARED, reserve};
    use crate::mm::PAGE_SIZE;
    use crate::mm::host::tests::boot;

    #[test]
    fn devices_see_copies_of_buffers() {
        boot();
        reserve(1).unwrap();
        let mut buffer = [7; 16];
        let pointer = NonNull::from(buffer.as_mut_slice());
        // SAFETY: a local that nobody else uses.
        let address = unsafe { Machine::share(pointer, BufferDirection::DeviceToDriver) };
        assert_ne!(address, pointer.as_ptr().addr() as u64);
        SHARED.lock().iter().find(|page| page.device_address() == address).unwrap().write(0, &[1, 2, 3]);
        // SAFETY: as above; the address is the one of `share`.
        unsafe { Machine::unshare(address, pointer, BufferDirection::DeviceToDriver) };
        assert_eq!(buffer[..4], [1, 2, 3, 0], "the device's bytes, and no older ones");
    }

    #[test]
    fn rings_are_zeroed_pages_that_go_back() {
        boot();
        let (address, pointer) = Machine::dma_alloc(2, BufferDirection::Both);
        assert_ne!(address, 0);
        assert!(pointer.as_ptr().addr().is_multiple_of(PAGE_SIZE));
        // SAFETY: the values of `dma_alloc`.
        assert_eq!(unsafe { Machine::dma_dealloc(address, pointer, 2) }, 0);
        // SAFETY: an address that is not known is refused.
        assert_eq!(unsafe { Machine::dma_dealloc(address, pointer, 2) }, -1);
    }
}
