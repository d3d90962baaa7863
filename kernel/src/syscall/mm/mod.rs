//! Memory calls.

pub mod brk;
pub mod madvise;
pub mod mincore;
pub mod mlock;
pub mod mmap;
pub mod mprotect;
pub mod mremap;
pub mod msync;
pub mod munmap;
pub mod pkey;

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::mm::AddressSpace;
use alloc::sync::Arc;
use coffer_abi_types::mman::{PROT_EXEC, PROT_READ, PROT_WRITE};
use ostd::mm::PageFlags;

/// The caller's address space.
pub(super) fn space(context: &Context<'_>) -> Result<Arc<AddressSpace>> {
    context.process.address_space().ok_or(Errno::EFAULT.into())
}

/// PROT_* as rights.
fn rights(protection: u32) -> PageFlags {
    let bit = |bit, flag| if protection & bit != 0 { flag } else { PageFlags::empty() };
    bit(PROT_READ, PageFlags::READ) | bit(PROT_WRITE, PageFlags::WRITE) | bit(PROT_EXEC, PageFlags::EXECUTE)
}
