//! [mprotect(2)](https://man7.org/linux/man-pages/man2/mprotect.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::mm::Limits;
use coffer_abi_types::mman::{PROT_EXEC, PROT_GROWSDOWN, PROT_GROWSUP, PROT_READ, PROT_SEM, PROT_WRITE};

/// Changes the rights of a range.
pub fn sys_mprotect(address: usize, len: usize, protection: u32, context: &mut Context<'_>) -> Result<()> {
    const KNOWN: u32 = PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP;
    // No area grows up on x86-64.
    if protection & !KNOWN != 0 || protection & PROT_GROWSUP != 0 {
        return Err(Errno::EINVAL.into());
    }
    let to_edge_of_stack = protection & PROT_GROWSDOWN != 0;
    let limits = Limits::of(context.process);
    super::space(context)?.protect(address, len, super::rights(protection), to_edge_of_stack, &limits)
}
