//! [sched_setattr(2)](https://man7.org/linux/man-pages/man2/sched_setattr.2.html)

use super::policy::{self, Wanted};
use super::{thread, with_entity};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::sched::Policy;
use crate::syscall::UserPtr;
use coffer_abi_types::sched::{SCHED_FLAG_RESET_ON_FORK, sched_attr};
use zerocopy::IntoBytes;

/// Sets policy, priority and nice value.
pub fn sys_sched_setattr(
    tid: i32,
    attributes: UserPtr<sched_attr>,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    if tid < 0 || attributes.is_null() || flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let attr = read(attributes)?;
    if attr.sched_flags & !SCHED_FLAG_RESET_ON_FORK != 0 {
        return Err(Errno::EINVAL.into());
    }
    let policy = Policy::from_number(attr.sched_policy).ok_or(Errno::EINVAL)?;
    let wanted = Wanted {
        policy,
        priority: attr.sched_priority,
        nice: (!policy.is_real_time()).then_some(attr.sched_nice.clamp(-20, 19)),
        reset_on_fork: attr.sched_flags & SCHED_FLAG_RESET_ON_FORK != 0,
    };
    policy::set(&*thread(tid, context)?, wanted, context)
}

/// Reads them.
pub fn sys_sched_getattr(
    tid: i32,
    out: UserPtr<u8>,
    size: u32,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    let own = size_of::<sched_attr>();
    if out.is_null() || (size as usize) < own || size as usize > ostd::mm::PAGE_SIZE || flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let attr = with_entity(&*thread(tid, context)?, |entity, _| sched_attr {
        size: own as u32,
        sched_policy: entity.policy() as u32,
        sched_flags: if entity.reset_on_fork() { SCHED_FLAG_RESET_ON_FORK } else { 0 },
        sched_nice: entity.nice(),
        sched_priority: u32::from(entity.priority()),
        ..sched_attr::default()
    })?;
    out.write_array(attr.as_bytes())
}

/// Reads a structure that says how long it is: shorter ones are filled up, what longer ones add must be zero (E2BIG).
fn read(attributes: UserPtr<sched_attr>) -> Result<sched_attr> {
    let own = size_of::<sched_attr>();
    let size = match attributes.cast_at::<u32>(0).read()? {
        0 => own,
        size => size as usize,
    };
    if size < own || size > ostd::mm::PAGE_SIZE {
        // What we know goes back to the caller, as the man page says.
        attributes.cast_at::<u32>(0).write(&(own as u32))?;
        return Err(Errno::E2BIG.into());
    }
    attributes.read_extensible(size)
}
