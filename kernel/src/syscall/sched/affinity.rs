//! [sched_setaffinity(2)](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html)

use super::{check_owner, thread, with_entity};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::syscall::UserPtr;
use alloc::sync::Arc;

/// Chooses the CPUs that a thread may run on.
pub fn sys_sched_setaffinity(
    tid: i32,
    len: usize,
    mask: UserPtr<u8>,
    context: &mut Context<'_>,
) -> Result<()> {
    let mut bytes = [0; 8];
    let given = mask.read_array(len.min(bytes.len()))?;
    bytes[..given.len()].copy_from_slice(&given);
    let thread = thread(tid, context)?;
    check_owner(&thread, context)?;
    let cpus = u64::from_le_bytes(bytes) & online();
    if with_entity(&thread, |entity, _| cpus & entity.allowed())? == 0 {
        return Err(Errno::EINVAL.into());
    }
    with_entity(&thread, |entity, task| {
        // All of those online means any that will be.
        entity.set_affinity(if cpus == online() { u64::MAX } else { cpus });
        if Arc::ptr_eq(&thread, context.thread) {
            // Leaves this CPU, if it has to.
            ostd::task::yield_now();
        } else {
            task.kick();
        }
    })
}

/// Reads the CPUs that a thread may run on; returns the length of the mask in bytes.
pub fn sys_sched_getaffinity(
    tid: i32,
    len: usize,
    mask: UserPtr<u64>,
    context: &mut Context<'_>,
) -> Result<usize> {
    if len < 8 || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL.into());
    }
    // Negative ids are just not anybody's here: this call alone says so (sched_setaffinity(2), ERRORS).
    let thread = if tid < 0 { Err(Errno::ESRCH.into()) } else { thread(tid, context) }?;
    let cpus = with_entity(&thread, |entity, _| entity.affinity() & online())?;
    mask.write(&cpus)?;
    Ok(8)
}

fn online() -> u64 {
    u64::MAX >> (64 - ostd::cpu::count().min(64))
}
