//! [prctl(2)](https://man7.org/linux/man-pages/man2/prctl.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::{ALL_CAPABILITIES, Capability, Credentials, securebits, set};
use crate::signal::Signal;
use crate::syscall::{UserCStr, UserPtr};
use crate::thread::NAME_LEN;

const PR_SET_PDEATHSIG: u32 = 1;
const PR_GET_PDEATHSIG: u32 = 2;
const PR_GET_DUMPABLE: u32 = 3;
const PR_SET_DUMPABLE: u32 = 4;
const PR_GET_KEEPCAPS: u32 = 7;
const PR_SET_KEEPCAPS: u32 = 8;
const PR_GET_TIMING: u32 = 13;
const PR_SET_NAME: u32 = 15;
const PR_GET_NAME: u32 = 16;
const PR_GET_SECCOMP: u32 = 21;
const PR_SET_SECCOMP: u32 = 22;
const PR_CAPBSET_READ: u32 = 23;
const PR_CAPBSET_DROP: u32 = 24;
const PR_GET_SECUREBITS: u32 = 27;
const PR_SET_SECUREBITS: u32 = 28;
const PR_SET_TIMERSLACK: u32 = 29;
const PR_GET_TIMERSLACK: u32 = 30;
const PR_SET_CHILD_SUBREAPER: u32 = 36;
const PR_GET_CHILD_SUBREAPER: u32 = 37;
const PR_SET_NO_NEW_PRIVS: u32 = 38;
const PR_GET_NO_NEW_PRIVS: u32 = 39;
const PR_GET_TID_ADDRESS: u32 = 40;
const PR_SET_THP_DISABLE: u32 = 41;
const PR_GET_THP_DISABLE: u32 = 42;
const PR_CAP_AMBIENT: u32 = 47;

/// Timer slack in nanoseconds: the default, and the only one.
const TIMER_SLACK_NS: isize = 50_000;

/// Properties of the process and the thread.
pub fn sys_prctl(
    option: u32,
    second: u64,
    third: u64,
    fourth: u64,
    fifth: u64,
    context: &mut Context<'_>,
) -> Result<isize> {
    let process = context.process;
    let has_rest = third | fourth | fifth != 0;
    let flag = |value: bool| Ok(isize::from(value));
    let out = |value: i32| UserPtr::<i32>::new(second as usize).write(&value).map(|()| 0);
    match option {
        PR_SET_PDEATHSIG => {
            let signal = if second == 0 { None } else { Some(signal(second)?) };
            process.set_parent_death_signal(signal);
            Ok(0)
        }
        PR_GET_PDEATHSIG => out(process.parent_death_signal().map_or(0, Signal::number)),
        PR_GET_DUMPABLE => Ok(process.dumpable() as isize),
        PR_SET_DUMPABLE if second > 1 => Err(Errno::EINVAL.into()),
        PR_SET_DUMPABLE => {
            process.set_dumpable(second as u32);
            Ok(0)
        }
        PR_SET_NAME => {
            let name = UserCStr::new(second as usize).read(NAME_LEN)?;
            let name = match name {
                Some(name) => name,
                // Longer ones are cut off.
                None => UserPtr::<u8>::new(second as usize).read_array(NAME_LEN - 1)?,
            };
            context.thread.set_name(&name);
            Ok(0)
        }
        PR_GET_NAME => {
            UserPtr::<[u8; NAME_LEN]>::new(second as usize).write(&context.thread.name()).map(|()| 0)
        }
        PR_GET_SECCOMP => Ok(context.thread.seccomp.mode() as isize),
        PR_SET_SECCOMP => super::seccomp::set_by_prctl(second, third, context),
        PR_GET_TIMING => Ok(0),
        PR_SET_TIMERSLACK => Ok(0),
        PR_GET_TIMERSLACK => Ok(TIMER_SLACK_NS),
        PR_SET_CHILD_SUBREAPER => {
            process.set_subreaper(second != 0);
            Ok(0)
        }
        PR_GET_CHILD_SUBREAPER => out(i32::from(process.is_subreaper())),
        PR_SET_NO_NEW_PRIVS if second != 1 || has_rest => Err(Errno::EINVAL.into()),
        PR_SET_NO_NEW_PRIVS => change(context, |new| {
            new.no_new_privs = true;
            Ok(())
        }),
        PR_GET_NO_NEW_PRIVS if second != 0 || has_rest => Err(Errno::EINVAL.into()),
        PR_GET_NO_NEW_PRIVS => flag(process.credentials().no_new_privs),
        PR_GET_TID_ADDRESS => {
            let address = context.thread.clear_child_tid.load(core::sync::atomic::Ordering::Relaxed);
            UserPtr::<u64>::new(second as usize).write(&(address as u64)).map(|()| 0)
        }
        // There are no huge pages to turn off.
        PR_SET_THP_DISABLE | PR_GET_THP_DISABLE => Ok(0),
        PR_GET_KEEPCAPS => flag(process.credentials().securebits & securebits::KEEP_CAPS != 0),
        PR_SET_KEEPCAPS => keep_capabilities(second, context),
        PR_GET_SECUREBITS => Ok(process.credentials().securebits as isize),
        PR_SET_SECUREBITS => set_securebits(second, context),
        PR_CAPBSET_READ => flag(process.credentials().capabilities[set::BOUNDING] & capability(second)? != 0),
        PR_CAPBSET_DROP => {
            let bit = capability(second)?;
            change(context, |new| {
                if !new.has_own(Capability::Setpcap) {
                    return Err(Errno::EPERM.into());
                }
                new.capabilities[set::BOUNDING] &= !bit;
                Ok(())
            })
        }
        PR_CAP_AMBIENT => ambient(second, third, fourth | fifth, context),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn keep_capabilities(value: u64, context: &Context<'_>) -> Result<isize> {
    if value > 1 {
        return Err(Errno::EINVAL.into());
    }
    change(context, |new| {
        if new.securebits & securebits::KEEP_CAPS << 1 != 0 {
            return Err(Errno::EPERM.into());
        }
        new.securebits = new.securebits & !securebits::KEEP_CAPS | (value as u32 * securebits::KEEP_CAPS);
        Ok(())
    })
}

fn set_securebits(value: u64, context: &Context<'_>) -> Result<isize> {
    change(context, |new| {
        let old = new.securebits;
        let value = u32::try_from(value).map_err(|_| Errno::EPERM)?;
        let locked = old & securebits::LOCKS;
        // A lock stays, and so does what it locks; bits that do not exist cannot be set.
        let is_allowed = locked & !value == 0
            && (old ^ value) & locked >> 1 == 0
            && value & !securebits::ALL == 0
            && new.has_own(Capability::Setpcap);
        if !is_allowed {
            return Err(Errno::EPERM.into());
        }
        new.securebits = value;
        Ok(())
    })
}

fn ambient(operation: u64, number: u64, rest: u64, context: &Context<'_>) -> Result<isize> {
    const IS_SET: u64 = 1;
    const RAISE: u64 = 2;
    const LOWER: u64 = 3;
    const CLEAR_ALL: u64 = 4;
    if rest != 0 || operation == CLEAR_ALL && number != 0 {
        return Err(Errno::EINVAL.into());
    }
    if operation == CLEAR_ALL {
        return change(context, |new| {
            new.capabilities[set::AMBIENT] = 0;
            Ok(())
        });
    }
    let bit = capability(number)?;
    match operation {
        IS_SET => Ok(isize::from(context.process.credentials().capabilities[set::AMBIENT] & bit != 0)),
        RAISE => change(context, |new| {
            let both = new.capabilities[set::PERMITTED] & new.capabilities[set::INHERITABLE];
            if both & bit == 0 || new.securebits & securebits::NO_CAP_AMBIENT_RAISE != 0 {
                return Err(Errno::EPERM.into());
            }
            new.capabilities[set::AMBIENT] |= bit;
            Ok(())
        }),
        LOWER => change(context, |new| {
            new.capabilities[set::AMBIENT] &= !bit;
            Ok(())
        }),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn change(context: &Context<'_>, change: impl FnOnce(&mut Credentials) -> Result<()>) -> Result<isize> {
    let mut new = (*context.process.credentials()).clone();
    change(&mut new)?;
    context.process.set_credentials(new);
    Ok(0)
}

fn capability(number: u64) -> Result<u64> {
    let bit = 1_u64.checked_shl(u32::try_from(number).map_err(|_| Errno::EINVAL)?).unwrap_or(0);
    if bit & ALL_CAPABILITIES == 0 { Err(Errno::EINVAL.into()) } else { Ok(bit) }
}

fn signal(number: u64) -> Result<Signal> {
    let number = i32::try_from(number).map_err(|_| Errno::EINVAL)?;
    Signal::new(number).ok_or(Errno::EINVAL.into())
}
