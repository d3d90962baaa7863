//! [arch_prctl(2)](https://man7.org/linux/man-pages/man2/arch_prctl.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::syscall::UserPtr;
use ostd::mm::USER_END;

const ARCH_SET_GS: u32 = 0x1001;
const ARCH_SET_FS: u32 = 0x1002;
const ARCH_GET_FS: u32 = 0x1003;
const ARCH_GET_GS: u32 = 0x1004;
const ARCH_GET_CPUID: u32 = 0x1011;
const ARCH_SET_CPUID: u32 = 0x1012;

/// Segment bases.
pub fn sys_arch_prctl(code: u32, address: u64, context: &mut Context<'_>) -> Result<usize> {
    let regs = &mut context.user.regs;
    match code {
        ARCH_SET_FS | ARCH_SET_GS if address >= USER_END as u64 => return Err(Errno::EPERM.into()),
        ARCH_SET_FS => regs.fs_base = address,
        ARCH_SET_GS => regs.gs_base = address,
        ARCH_GET_FS => UserPtr::<u64>::new(address as usize).write(&regs.fs_base)?,
        ARCH_GET_GS => UserPtr::<u64>::new(address as usize).write(&regs.gs_base)?,
        ARCH_GET_CPUID => return Ok(1),
        ARCH_SET_CPUID => return Err(Errno::ENODEV.into()),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}
