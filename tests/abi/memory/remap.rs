//! mremap(2): growing, shrinking, moving.

use std::ptr::NonNull;

use nix::sys::mman::{MRemapFlags, mremap};
use nix::sys::signal::Signal;

use super::Mapping;
use super::fault::ends_by;
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("memory":
    a_mapping_can_shrink,
    a_mapping_grows_and_keeps_its_bytes,
    a_mapping_that_may_not_move_fails_with_enomem,
    a_mapping_moves_to_a_fixed_place,
    remapping_a_hole_fails_with_efault,
);

/// Resizes a mapping and returns the new one; the old value is used up.
fn resize(
    memory: Mapping,
    len: usize,
    flags: MRemapFlags,
    to: Option<NonNull<libc::c_void>>,
) -> nix::Result<Mapping> {
    // SAFETY: nothing refers to the mapping, which the new value owns from here on.
    let start = unsafe { mremap(memory.start(), memory.len(), len, flags, to) }?;
    std::mem::forget(memory);
    // SAFETY: the call has just mapped it.
    Ok(unsafe { Mapping::from_raw(start, len) })
}

fn a_mapping_can_shrink() -> Outcome {
    let memory = Mapping::anonymous(4 * 4096)?;
    memory.touch(3);
    let end = memory.address() + 3 * 4096;
    let memory = resize(memory, 4096, MRemapFlags::empty(), None)?;
    check_eq!(memory.byte(0), 3);
    ends_by(Signal::SIGSEGV, || {
        // SAFETY: nothing is mapped there any more: the access ends the process.
        unsafe { (end as *const u8).read_volatile() };
    })
}

fn a_mapping_grows_and_keeps_its_bytes() -> Outcome {
    let mut memory = Mapping::anonymous(4096)?;
    memory.set(100, 42);
    for pages in [2, 16, 256, 1024] {
        memory = resize(memory, pages * 4096, MRemapFlags::MREMAP_MAYMOVE, None)?;
        check_eq!((memory.byte(100), memory.byte(pages * 4096 - 1)), (42, 0));
        memory.set(pages * 4096 - 1, 0);
    }
    Ok(())
}

fn a_mapping_that_may_not_move_fails_with_enomem() -> Outcome {
    let memory = Mapping::anonymous(3 * 4096)?;
    // SAFETY: on success the mapping would own what it owns now.
    check_fails!(unsafe { mremap(memory.start(), 4096, 8192, MRemapFlags::empty(), None) }, ENOMEM);
    Ok(())
}

fn a_mapping_moves_to_a_fixed_place() -> Outcome {
    let memory = Mapping::anonymous(2 * 4096)?;
    memory.touch(8);
    let target = Mapping::anonymous(2 * 4096)?;
    target.touch(1);
    let flags = MRemapFlags::MREMAP_MAYMOVE | MRemapFlags::MREMAP_FIXED;
    let moved = resize(memory, 2 * 4096, flags, Some(target.start()))?;
    check_eq!(moved.address(), target.address());
    check!(target.byte(0) == 8 && target.byte(4096) == 8);
    std::mem::forget(moved);
    Ok(())
}

fn remapping_a_hole_fails_with_efault() -> Outcome {
    let memory = Mapping::anonymous(2 * 4096)?;
    memory.punch(0..4096)?;
    // SAFETY: nothing is mapped at the old address.
    check_fails!(unsafe { mremap(memory.start(), 4096, 8192, MRemapFlags::MREMAP_MAYMOVE, None) }, EFAULT);
    Ok(())
}
