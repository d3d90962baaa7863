//! shmget(2), shmat(2), shmdt(2), shmctl(2): <https://man7.org/linux/man-pages/man2/shmctl.2.html>

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::ipc::{Owner, shm};
use crate::syscall::{UserPtr, mm};
use coffer_abi_types::ipc::command::{
    IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, SHM_INFO, SHM_LOCK, SHM_STAT, SHM_STAT_ANY, SHM_UNLOCK,
};
use coffer_abi_types::ipc::shmid64_ds;

/// shmget(2).
pub fn sys_shmget(key: i32, len: usize, flags: u32, context: &mut Context<'_>) -> Result<i32> {
    shm::get(&context.thread.namespaces()?.ipc, key, len, flags, context.process)
}

/// shmat(2).
pub fn sys_shmat(id: i32, address: usize, flags: u32, context: &mut Context<'_>) -> Result<usize> {
    let space = mm::space(context)?;
    shm::attach(&context.thread.namespaces()?.ipc, id, address, flags, context.process, &space)
}

/// shmdt(2).
pub fn sys_shmdt(address: usize, context: &mut Context<'_>) -> Result<()> {
    shm::detach(address, context.process, &*mm::space(context)?)
}

/// shmctl(2).
pub fn sys_shmctl(
    id: i32,
    command: u32,
    buffer: UserPtr<shmid64_ds>,
    context: &mut Context<'_>,
) -> Result<i32> {
    let namespace = &context.thread.namespaces()?.ipc;
    let segments = &namespace.segments;
    let credentials = context.process.credentials();
    let pids = context.process.pid_namespace();
    match command {
        IPC_INFO => {
            buffer.cast_at(0).write(&shm::limits())?;
            Ok(segments.highest())
        }
        SHM_INFO => {
            buffer.cast_at(0).write(&shm::usage(segments))?;
            Ok(segments.highest())
        }
        SHM_STAT | SHM_STAT_ANY => {
            let (id, segment) = segments.at(id)?;
            buffer.write(&segment.status((command == SHM_STAT).then_some(&*credentials), pids)?)?;
            Ok(id)
        }
        IPC_STAT => buffer.write(&segments.by_id(id)?.status(Some(&credentials), pids)?).map(|()| 0),
        IPC_SET => {
            let owner = Owner::said(buffer.read()?.shm_perm, &credentials)?;
            segments.by_id(id)?.set_owner(owner, &credentials).map(|()| 0)
        }
        IPC_RMID => segments.by_id(id)?.destroy(namespace, &credentials).map(|()| 0),
        SHM_LOCK | SHM_UNLOCK => {
            segments.by_id(id)?.set_locked(command == SHM_LOCK, context.process).map(|()| 0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
