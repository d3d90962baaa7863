//! [setpriority(2)](https://man7.org/linux/man-pages/man2/setpriority.2.html)

use super::with_entity;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::process::rlimit::Resource;
use crate::process::{Process, table};
use crate::thread::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::sched::{PRIO_PGRP, PRIO_PROCESS, PRIO_USER};

/// Reads the best nice value among the chosen, as 20 − nice.
pub fn sys_getpriority(which: u32, who: u32, context: &mut Context<'_>) -> Result<isize> {
    let threads = chosen(which, who, context)?;
    let values = threads.iter().filter_map(|thread| with_entity(thread, |entity, _| entity.nice()).ok());
    values.min().map(|nice| 20 - nice as isize).ok_or(Errno::ESRCH.into())
}

/// Sets the nice value of the chosen. If some refuse, the others are set and the last error returned.
pub fn sys_setpriority(which: u32, who: u32, nice: i32, context: &mut Context<'_>) -> Result<()> {
    let nice = nice.clamp(-20, 19);
    let mut result = Err(Errno::ESRCH.into());
    for thread in chosen(which, who, context)? {
        result = set(&thread, nice, context);
    }
    result
}

fn set(thread: &Thread, nice: i32, context: &Context<'_>) -> Result<()> {
    let caller = context.process.credentials();
    let target = thread.process().credentials();
    let has_right = caller.has(Capability::SysNice);
    let has_right_over = caller.has_in(&target.user, Capability::SysNice);
    if !has_right_over && caller.uid[1] != target.uid[0] && caller.uid[1] != target.uid[1] {
        return Err(Errno::EPERM.into());
    }
    with_entity(thread, |entity, _| {
        if nice < entity.nice() && !has_right && !may_have(thread.process(), nice) {
            return Err(Errno::EACCES.into());
        }
        entity.set_nice(nice);
        Ok(())
    })?
}

/// Whether RLIMIT_NICE allows a nice value: it counts from 20 down.
pub(super) fn may_have(process: &Process, nice: i32) -> bool {
    (20 - nice) as u64 <= process.rlimit(Resource::Nice).0
}

/// Threads by PRIO_PROCESS, PRIO_PGRP or PRIO_USER and an id.
pub(super) fn chosen(which: u32, who: u32, context: &Context<'_>) -> Result<Vec<Arc<Thread>>> {
    let find = |number| context.process.pid_namespace().find(number);
    let mut threads = Vec::new();
    match (which, who) {
        (PRIO_PROCESS, 0) => threads.push(context.thread.clone()),
        (PRIO_PROCESS, tid) => threads.extend(find(tid).and_then(|id| id.thread())),
        (PRIO_PGRP, 0) => add_group(&context.process.group(), &mut threads),
        (PRIO_PGRP, group) => {
            if let Some(group) = find(group).and_then(|id| id.group()) {
                add_group(&group, &mut threads);
            }
        }
        (PRIO_USER, user) => {
            let own = context.process.credentials();
            let user = if user == 0 { own.uid[0] } else { own.kernel_uid(user).map_err(|_| Errno::ESRCH)? };
            // Other pid namespaces are out of sight, and out of reach.
            let namespace = context.process.pid_namespace();
            table::for_each(|process| {
                if process.credentials().uid[0] == user && namespace.contains(process.pid_namespace()) {
                    threads.extend(process.threads());
                }
                true
            });
        }
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(threads)
}

fn add_group(group: &crate::process::group::ProcessGroup, threads: &mut Vec<Arc<Thread>>) {
    group.members().iter().for_each(|process| threads.extend(process.threads()));
}
