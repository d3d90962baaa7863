//! semget(2), semop(2), semctl(2): <https://man7.org/linux/man-pages/man2/semctl.2.html>

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::ipc::Owner;
use crate::ipc::sem::{self, SEMOPM, SemaphoreFact};
use crate::syscall::UserPtr;
use coffer_abi_types::ipc::command::{
    GETALL, GETNCNT, GETPID, GETVAL, GETZCNT, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, SEM_INFO, SEM_STAT,
    SEM_STAT_ANY, SETALL, SETVAL,
};
use coffer_abi_types::ipc::{sembuf, semid64_ds};
use coffer_abi_types::time::timespec;

/// semget(2).
pub fn sys_semget(key: i32, len: i32, flags: u32, context: &mut Context<'_>) -> Result<i32> {
    sem::get(&context.thread.namespaces()?.ipc, key, len, flags, context.process)
}

/// semop(2).
pub fn sys_semop(id: i32, operations: UserPtr<sembuf>, len: usize, context: &mut Context<'_>) -> Result<()> {
    sys_semtimedop(id, operations, len, UserPtr::new(0), context)
}

/// semtimedop(2).
pub fn sys_semtimedop(
    id: i32,
    operations: UserPtr<sembuf>,
    len: usize,
    timeout: UserPtr<timespec>,
    context: &mut Context<'_>,
) -> Result<()> {
    if len == 0 {
        return Err(Errno::EINVAL.into());
    }
    if len > SEMOPM {
        return Err(Errno::E2BIG.into());
    }
    let operations = operations.read_array(len)?;
    let deadline_ns = match timeout.non_null() {
        None => None,
        Some(timeout) => {
            let timeout_ns = timeout.read()?.to_ns().ok_or(Errno::EINVAL)?;
            Some(crate::time::monotonic_now().saturating_add(timeout_ns))
        }
    };
    let set = context.thread.namespaces()?.ipc.semaphores.by_id(id)?;
    set.operate(&operations, deadline_ns, context.process)
}

/// semctl(2). `argument` is a union: a value, or an address.
pub fn sys_semctl(
    id: i32,
    index: i32,
    command: u32,
    argument: usize,
    context: &mut Context<'_>,
) -> Result<i32> {
    let namespace = &context.thread.namespaces()?.ipc;
    let sets = &namespace.semaphores;
    let process = context.process;
    let credentials = process.credentials();
    let at = || usize::try_from(index).map_err(|_| Error::new(Errno::EINVAL));
    let look = |fact| sets.by_id(id)?.look(at()?, &credentials, process.pid_namespace(), fact);
    match command {
        IPC_INFO | SEM_INFO => {
            UserPtr::new(argument).write(&sem::info(namespace, command == SEM_INFO))?;
            Ok(sets.highest())
        }
        SEM_STAT | SEM_STAT_ANY => {
            let (id, set) = sets.at(id)?;
            let status = set.status((command == SEM_STAT).then_some(&*credentials))?;
            UserPtr::new(argument).write(&status)?;
            Ok(id)
        }
        IPC_STAT => UserPtr::new(argument).write(&sets.by_id(id)?.status(Some(&credentials))?).map(|()| 0),
        IPC_SET => {
            let owner = Owner::said(UserPtr::<semid64_ds>::new(argument).read()?.sem_perm, &credentials)?;
            sets.by_id(id)?.set_owner(owner, &credentials).map(|()| 0)
        }
        IPC_RMID => sets.by_id(id)?.destroy(namespace, &credentials).map(|()| 0),
        GETVAL => look(SemaphoreFact::Value),
        GETPID => look(SemaphoreFact::LastProcess),
        GETNCNT => look(SemaphoreFact::WaitingForRise),
        GETZCNT => look(SemaphoreFact::WaitingForZero),
        GETALL => UserPtr::new(argument).write_array(&sets.by_id(id)?.values(&credentials)?).map(|()| 0),
        SETVAL => {
            // An int, in the union's low half.
            let value = u16::try_from(argument as i32).map_err(|_| Error::new(Errno::ERANGE))?;
            sets.by_id(id)?.set_values(at()?, &[value], process).map(|()| 0)
        }
        SETALL => {
            let set = sets.by_id(id)?;
            set.set_values(0, &UserPtr::new(argument).read_array(set.len())?, process).map(|()| 0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
