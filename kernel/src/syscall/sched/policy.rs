//! [sched_setscheduler(2)](https://man7.org/linux/man-pages/man2/sched_setscheduler.2.html), sched_setparam(2) and their inverses.

use super::{check_owner, thread, with_entity};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::process::rlimit::Resource;
use crate::sched::{Policy, ROUND_ROBIN_NS};
use crate::syscall::UserPtr;
use crate::thread::Thread;
use coffer_abi_types::sched::{SCHED_DEADLINE, SCHED_RESET_ON_FORK};
use coffer_abi_types::time::timespec;

/// What to set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub policy: Policy,
    pub priority: u32,
    pub nice: Option<i32>,
    pub reset_on_fork: bool,
}

/// Sets policy and priority.
pub fn sys_sched_setscheduler(
    tid: i32,
    policy: u32,
    priority: UserPtr<i32>,
    context: &mut Context<'_>,
) -> Result<()> {
    let priority = priority.non_null().ok_or(Errno::EINVAL)?.read()?;
    let reset_on_fork = policy & SCHED_RESET_ON_FORK != 0;
    let policy = Policy::from_number(policy & !SCHED_RESET_ON_FORK).ok_or(Errno::EINVAL)?;
    let thread = thread(tid, context)?;
    set(&thread, Wanted { policy, priority: priority as u32, nice: None, reset_on_fork }, context)
}

/// Sets the priority only.
pub fn sys_sched_setparam(tid: i32, priority: UserPtr<i32>, context: &mut Context<'_>) -> Result<()> {
    let priority = priority.non_null().ok_or(Errno::EINVAL)?.read()?;
    let thread = thread(tid, context)?;
    let (policy, reset_on_fork) =
        with_entity(&thread, |entity, _| (entity.policy(), entity.reset_on_fork()))?;
    set(&thread, Wanted { policy, priority: priority as u32, nice: None, reset_on_fork }, context)
}

/// Reads the policy.
pub fn sys_sched_getscheduler(tid: i32, context: &mut Context<'_>) -> Result<u32> {
    with_entity(&*thread(tid, context)?, |entity, _| {
        entity.policy() as u32 | if entity.reset_on_fork() { SCHED_RESET_ON_FORK } else { 0 }
    })
}

/// Reads the priority.
pub fn sys_sched_getparam(tid: i32, out: UserPtr<i32>, context: &mut Context<'_>) -> Result<()> {
    let out = out.non_null().ok_or(Errno::EINVAL)?;
    let priority = with_entity(&*thread(tid, context)?, |entity, _| entity.priority())?;
    out.write(&i32::from(priority))
}

/// The highest priority of a policy.
pub fn sys_sched_get_priority_max(policy: u32, _context: &mut Context<'_>) -> Result<u32> {
    Ok(if is_real_time(policy)? { 99 } else { 0 })
}

/// The lowest priority of a policy.
pub fn sys_sched_get_priority_min(policy: u32, _context: &mut Context<'_>) -> Result<u32> {
    Ok(if is_real_time(policy)? { 1 } else { 0 })
}

/// The length of a round-robin turn.
pub fn sys_sched_rr_get_interval(tid: i32, out: UserPtr<timespec>, context: &mut Context<'_>) -> Result<()> {
    let policy = with_entity(&*thread(tid, context)?, |entity, _| entity.policy())?;
    let turn_ns = match policy {
        Policy::RoundRobin => ROUND_ROBIN_NS,
        Policy::Fifo => 0,
        // What a fair task gets before the scheduler looks again.
        _ => ostd::task::TICK_NS,
    };
    out.write(&timespec::from_ns(turn_ns))
}

/// Checks and sets.
pub(super) fn set(thread: &Thread, wanted: Wanted, context: &Context<'_>) -> Result<()> {
    let fits =
        if wanted.policy.is_real_time() { (1..=99).contains(&wanted.priority) } else { wanted.priority == 0 };
    if !fits {
        return Err(Errno::EINVAL.into());
    }
    check_owner(thread, context)?;
    check_right(thread, wanted, context)?;
    with_entity(thread, |entity, task| {
        entity.set_policy(wanted.policy, wanted.priority as u8);
        entity.set_reset_on_fork(wanted.reset_on_fork);
        if let Some(nice) = wanted.nice {
            entity.set_nice(nice);
        }
        task.kick();
    })
}

/// Without CAP_SYS_NICE: real-time up to RLIMIT_RTPRIO or what it has, nice down to RLIMIT_NICE, out of SCHED_IDLE only with that, and
/// SCHED_RESET_ON_FORK stays set.
fn check_right(thread: &Thread, wanted: Wanted, context: &Context<'_>) -> Result<()> {
    if context.process.credentials().has(Capability::SysNice) {
        return Ok(());
    }
    let process = thread.process();
    let (most, _) = process.rlimit(Resource::RealTimePriority);
    let (now, priority, nice, reset) = with_entity(thread, |entity, _| {
        (entity.policy(), entity.priority(), entity.nice(), entity.reset_on_fork())
    })?;
    let is_raised = wanted.policy.is_real_time()
        && (wanted.policy != now && most == 0
            || wanted.priority > u32::from(priority) && u64::from(wanted.priority) > most);
    let new_nice = wanted.nice.unwrap_or(nice);
    let leaves_idle = now == Policy::Idle && wanted.policy != Policy::Idle;
    let is_nicer = (new_nice < nice || leaves_idle) && !super::priority::may_have(process, new_nice);
    if is_raised || is_nicer || reset && !wanted.reset_on_fork {
        return Err(Errno::EPERM.into());
    }
    Ok(())
}

fn is_real_time(policy: u32) -> Result<bool> {
    if policy == SCHED_DEADLINE {
        return Ok(false);
    }
    Ok(Policy::from_number(policy).ok_or(Errno::EINVAL)?.is_real_time())
}
