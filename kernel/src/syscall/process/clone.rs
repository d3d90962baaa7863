//! [clone(2), clone3(2)](https://man7.org/linux/man-pages/man2/clone.2.html), [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html),
//! [vfork(2)](https://man7.org/linux/man-pages/man2/vfork.2.html)

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::process::clone::{CloneRequest, clone};
use crate::signal::Signal;
use crate::syscall::UserPtr;
use coffer_abi_types::process::{
    CLONE_DETACHED, CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_VFORK, CLONE_VM, CSIGNAL, clone_args,
};
use ostd::mm::PAGE_SIZE;

/// A child by flags in a register.
pub fn sys_clone(
    flags: u64,
    stack: u64,
    parent_tid: usize,
    child_tid: usize,
    tls: u64,
    context: &mut Context<'_>,
) -> Result<u32> {
    if flags & (CLONE_PIDFD | CLONE_PARENT_SETTID) == CLONE_PIDFD | CLONE_PARENT_SETTID
        || flags & (CLONE_PIDFD | CLONE_DETACHED) == CLONE_PIDFD | CLONE_DETACHED
    {
        return Err(Error::with(Errno::EINVAL, "a pidfd and a thread id in the same place"));
    }
    let request = CloneRequest {
        // The register has 32 bits of flags.
        flags: flags & 0xffff_ffff & !CSIGNAL,
        exit_signal: exit_signal(flags & CSIGNAL)?,
        stack_pointer: stack,
        tls,
        parent_tid,
        child_tid,
        pidfd: parent_tid,
        set_tid: alloc::vec::Vec::new(),
        cgroup: 0,
    };
    clone(context, &request)
}

/// A copy.
pub fn sys_fork(context: &mut Context<'_>) -> Result<u32> {
    let request = CloneRequest { exit_signal: Some(Signal::CHLD), ..CloneRequest::default() };
    clone(context, &request)
}

/// A child that runs in our memory while we sleep.
pub fn sys_vfork(context: &mut Context<'_>) -> Result<u32> {
    let flags = CLONE_VFORK | CLONE_VM;
    let request = CloneRequest { flags, exit_signal: Some(Signal::CHLD), ..CloneRequest::default() };
    clone(context, &request)
}

/// A child by a structure.
pub fn sys_clone3(arguments: UserPtr<u8>, len: usize, context: &mut Context<'_>) -> Result<u32> {
    /// The first version's length.
    const FIRST: usize = 64;
    if len < FIRST {
        return Err(Errno::EINVAL.into());
    }
    if len > PAGE_SIZE {
        return Err(Errno::E2BIG.into());
    }
    let args = arguments.cast_at::<clone_args>(0).read_extensible(len)?;
    if args.flags & CSIGNAL != 0 || args.flags >> 34 != 0 || args.flags & CLONE_DETACHED != 0 {
        return Err(Errno::EINVAL.into());
    }
    if (args.stack == 0) != (args.stack_size == 0) {
        return Err(Error::with(Errno::EINVAL, "a stack without a size, or a size without a stack"));
    }
    let stack_pointer = args.stack.checked_add(args.stack_size).ok_or(Errno::EINVAL)?;
    let is_thread_or_sibling =
        args.flags & (coffer_abi_types::process::CLONE_THREAD | coffer_abi_types::process::CLONE_PARENT) != 0;
    if is_thread_or_sibling && args.exit_signal != 0 {
        return Err(Errno::EINVAL.into());
    }
    let request = CloneRequest {
        flags: args.flags,
        exit_signal: exit_signal(args.exit_signal)?,
        stack_pointer,
        tls: args.tls,
        parent_tid: args.parent_tid as usize,
        child_tid: args.child_tid as usize,
        pidfd: args.pidfd as usize,
        set_tid: wanted_ids(&args, context)?,
        cgroup: args.cgroup,
    };
    clone(context, &request)
}

fn wanted_ids(args: &clone_args, context: &Context<'_>) -> Result<alloc::vec::Vec<u32>> {
    let count = args.set_tid_size as usize;
    if (args.set_tid == 0) != (count == 0) || count > context.process.pid_namespace().level() + 2 {
        return Err(Errno::EINVAL.into());
    }
    if count == 0 {
        return Ok(alloc::vec::Vec::new());
    }
    if !context
        .process
        .credentials()
        .has_in(context.process.pid_namespace().owner(), crate::process::credentials::Capability::SysAdmin)
    {
        return Err(Errno::EPERM.into());
    }
    UserPtr::<u32>::new(args.set_tid as usize).read_array(count)
}

fn exit_signal(number: u64) -> Result<Option<Signal>> {
    if number == 0 {
        return Ok(None);
    }
    let number = i32::try_from(number).map_err(|_| Errno::EINVAL)?;
    Ok(Some(Signal::new(number).ok_or(Errno::EINVAL)?))
}
