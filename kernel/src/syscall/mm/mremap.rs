//! [mremap(2)](https://man7.org/linux/man-pages/man2/mremap.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::mm::Limits;
use crate::mm::remap::Move;
use coffer_abi_types::mman::{MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE};

/// Resizes or moves a mapping.
pub fn sys_mremap(
    old_address: usize,
    old_len: usize,
    new_len: usize,
    flags: u32,
    new_address: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    let has = |flag| flags & flag != 0;
    let is_known = flags & !(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) == 0;
    if !is_known || (has(MREMAP_FIXED) || has(MREMAP_DONTUNMAP)) && !has(MREMAP_MAYMOVE) {
        return Err(Errno::EINVAL.into());
    }
    let to = match (has(MREMAP_FIXED), has(MREMAP_MAYMOVE)) {
        (true, _) => Move::To(new_address),
        (false, true) => Move::Anywhere,
        (false, false) => Move::Never,
    };
    let limits = Limits::of(context.process);
    super::space(context)?.remap(old_address, old_len, new_len, to, has(MREMAP_DONTUNMAP), &limits)
}
