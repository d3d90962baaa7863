//! [ioprio_set(2)](https://man7.org/linux/man-pages/man2/ioprio_set.2.html)

use super::priority::chosen;
use super::{check_owner, with_entity};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use coffer_abi_types::sched::{
    IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_SHIFT,
    IOPRIO_WHO_PROCESS,
};

/// Levels of a class.
const LEVELS: u32 = 8;

/// Reads the best class and level among the chosen.
pub fn sys_ioprio_get(which: u32, who: u32, context: &mut Context<'_>) -> Result<isize> {
    let threads = chosen(kind(which)?, who, context)?;
    let values =
        threads.iter().filter_map(|thread| with_entity(thread, |entity, _| entity.io_priority()).ok());
    // The lower the better, but for none at all, which is a middling best effort.
    let rank = |&value: &u16| if value == 0 { best_effort() } else { u32::from(value) };
    values.min_by_key(rank).map(|value| isize::try_from(value).unwrap_or(0)).ok_or(Errno::ESRCH.into())
}

/// Sets class and level of the chosen. If one refuses, those after it keep theirs.
pub fn sys_ioprio_set(which: u32, who: u32, priority: u32, context: &mut Context<'_>) -> Result<()> {
    let (class, level) = (priority >> IOPRIO_CLASS_SHIFT, priority & ((1 << IOPRIO_CLASS_SHIFT) - 1));
    let credentials = context.process.credentials();
    match class {
        IOPRIO_CLASS_RT
            if !credentials.has(Capability::SysAdmin) && !credentials.has(Capability::SysNice) =>
        {
            return Err(Errno::EPERM.into());
        }
        IOPRIO_CLASS_RT | IOPRIO_CLASS_BE if level < LEVELS => {}
        IOPRIO_CLASS_IDLE => {}
        IOPRIO_CLASS_NONE if level == 0 => {}
        _ => return Err(Errno::EINVAL.into()),
    }
    let value = u16::try_from(priority).map_err(|_| Errno::EINVAL)?;
    let threads = chosen(kind(which)?, who, context)?;
    if threads.is_empty() {
        return Err(Errno::ESRCH.into());
    }
    for thread in threads {
        check_owner(&thread, context)?;
        with_entity(&thread, |entity, _| entity.set_io_priority(value))?;
    }
    Ok(())
}

/// The kinds are those of getpriority(2), numbered from one.
fn kind(which: u32) -> Result<u32> {
    which.checked_sub(IOPRIO_WHO_PROCESS).ok_or(Errno::EINVAL.into())
}

fn best_effort() -> u32 {
    (IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT) + LEVELS / 2
}
