//! [membarrier(2)](https://man7.org/linux/man-pages/man2/membarrier.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use coffer_abi_types::sched::{
    MEMBARRIER_CMD_GLOBAL as GLOBAL, MEMBARRIER_CMD_GLOBAL_EXPEDITED as GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED as PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE as SYNC_CORE, MEMBARRIER_CMD_QUERY as QUERY,
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED as REGISTER_GLOBAL,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED as REGISTER_PRIVATE,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE as REGISTER_SYNC_CORE,
};

const COMMANDS: u32 = GLOBAL
    | GLOBAL_EXPEDITED
    | REGISTER_GLOBAL
    | PRIVATE_EXPEDITED
    | REGISTER_PRIVATE
    | SYNC_CORE
    | REGISTER_SYNC_CORE;

/// Makes other threads pass a memory barrier. There are no restartable sequences to end, so no command for those.
pub fn sys_membarrier(command: u32, flags: u32, _cpu: i32, context: &mut Context<'_>) -> Result<isize> {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let space = context.process.address_space().ok_or(Errno::EINVAL)?;
    match command {
        QUERY => return Ok(COMMANDS as isize),
        GLOBAL | GLOBAL_EXPEDITED => ostd::mm::synchronize_cpus(),
        REGISTER_GLOBAL => {}
        // One barrier serves both; who registers for either may ask for that one only.
        REGISTER_PRIVATE => space.add_barriers(PRIVATE_EXPEDITED),
        REGISTER_SYNC_CORE => space.add_barriers(SYNC_CORE),
        PRIVATE_EXPEDITED | SYNC_CORE if space.barriers() & command != 0 => space.synchronize(),
        PRIVATE_EXPEDITED | SYNC_CORE => return Err(Errno::EPERM.into()),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}
