//! Which futex a word is.

use crate::error::{Errno, Error, Result};
use crate::mm::AddressSpace;
use ostd::mm::{USER_END, Vaddr};

/// A futex's identity: an address space and an address, or a file and an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    object: usize,
    offset: usize,
}

impl Key {
    /// The futex at `address`. `is_private` saves looking for the file behind it.
    ///
    /// # Errors
    /// EINVAL if not aligned, EFAULT if outside of user space or, for a shared one, not mapped.
    pub fn new(space: &AddressSpace, address: Vaddr, is_private: bool) -> Result<Self> {
        if !address.is_multiple_of(4) {
            return Err(Error::with(Errno::EINVAL, "the futex is not aligned"));
        }
        if address >= USER_END {
            return Err(Errno::EFAULT.into());
        }
        let shared = if is_private { None } else { space.shared_place(address)? };
        Ok(match shared {
            Some((object, offset)) => Self { object, offset },
            None => Self { object: core::ptr::from_ref(space).addr(), offset: address },
        })
    }

    /// Spreads keys over `count` buckets, a power of two.
    pub fn hash(&self, count: usize) -> usize {
        let mixed = (self.object >> 4 ^ self.offset).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed >> 40 & (count - 1)
    }
}
