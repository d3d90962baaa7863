//! getuid(2), geteuid(2), getresuid(2) and their setters ([credentials(7)](https://man7.org/linux/man-pages/man7/credentials.7.html),
//! [setresuid(2)](https://man7.org/linux/man-pages/man2/setresuid.2.html)), and the same for groups.

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::{Capability, Credentials};
use crate::syscall::UserPtr;

/// "Leave it as it is."
const KEEP: u32 = u32::MAX;

/// The real user id.
pub fn sys_getuid(context: &mut Context<'_>) -> Result<u32> {
    let own = context.process.credentials();
    Ok(own.shown_uid(own.uid[0]))
}

/// The effective user id.
pub fn sys_geteuid(context: &mut Context<'_>) -> Result<u32> {
    let own = context.process.credentials();
    Ok(own.shown_uid(own.uid[1]))
}

/// The real group id.
pub fn sys_getgid(context: &mut Context<'_>) -> Result<u32> {
    let own = context.process.credentials();
    Ok(own.shown_gid(own.gid[0]))
}

/// The effective group id.
pub fn sys_getegid(context: &mut Context<'_>) -> Result<u32> {
    let own = context.process.credentials();
    Ok(own.shown_gid(own.gid[1]))
}

/// Real, effective and saved user id.
pub fn sys_getresuid(
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let own = context.process.credentials();
    write_three(own.uid.map(|id| own.shown_uid(id)), [real, effective, saved])
}

/// Real, effective and saved group id.
pub fn sys_getresgid(
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let own = context.process.credentials();
    write_three(own.gid.map(|id| own.shown_gid(id)), [real, effective, saved])
}

fn write_three(ids: [u32; 4], to: [UserPtr<u32>; 3]) -> Result<usize> {
    for (pointer, id) in to.into_iter().zip(ids) {
        pointer.write(&id)?;
    }
    Ok(0)
}

/// setuid(2): all three with CAP_SETUID, else the effective one.
pub fn sys_setuid(uid: u32, context: &mut Context<'_>) -> Result<usize> {
    if uid == KEEP {
        return Err(Errno::EINVAL.into());
    }
    change(context, |new| {
        let uid = new.kernel_uid(uid)?;
        let ids = one(new.uid, uid, new.has_own(Capability::Setuid))?;
        new.change_uids(ids);
        Ok(())
    })
}

/// setgid(2).
pub fn sys_setgid(gid: u32, context: &mut Context<'_>) -> Result<usize> {
    if gid == KEEP {
        return Err(Errno::EINVAL.into());
    }
    change(context, |new| {
        let gid = new.kernel_gid(gid)?;
        new.gid = one(new.gid, gid, new.has_own(Capability::Setgid))?;
        Ok(())
    })
}

/// setreuid(2).
pub fn sys_setreuid(real: u32, effective: u32, context: &mut Context<'_>) -> Result<usize> {
    change(context, |new| {
        let [real, effective] = [user(new, real)?, user(new, effective)?];
        let ids = two(new.uid, real, effective, new.has_own(Capability::Setuid))?;
        new.change_uids(ids);
        Ok(())
    })
}

/// setregid(2).
pub fn sys_setregid(real: u32, effective: u32, context: &mut Context<'_>) -> Result<usize> {
    change(context, |new| {
        let [real, effective] = [group(new, real)?, group(new, effective)?];
        new.gid = two(new.gid, real, effective, new.has_own(Capability::Setgid))?;
        Ok(())
    })
}

/// setresuid(2).
pub fn sys_setresuid(real: u32, effective: u32, saved: u32, context: &mut Context<'_>) -> Result<usize> {
    change(context, |new| {
        let wanted = [user(new, real)?, user(new, effective)?, user(new, saved)?];
        let ids = three(new.uid, wanted, new.has_own(Capability::Setuid))?;
        new.change_uids(ids);
        Ok(())
    })
}

/// setresgid(2).
pub fn sys_setresgid(real: u32, effective: u32, saved: u32, context: &mut Context<'_>) -> Result<usize> {
    change(context, |new| {
        let wanted = [group(new, real)?, group(new, effective)?, group(new, saved)?];
        new.gid = three(new.gid, wanted, new.has_own(Capability::Setgid))?;
        Ok(())
    })
}

/// setfsuid(2): returns the old id whatever happens.
pub fn sys_setfsuid(uid: u32, context: &mut Context<'_>) -> Result<u32> {
    let old = context.process.credentials();
    let uid = old.kernel_uid(uid).unwrap_or(KEEP);
    if uid != KEEP && (old.uid.contains(&uid) || old.has_own(Capability::Setuid)) && uid != old.uid[3] {
        let mut new = (*old).clone();
        new.change_uids([old.uid[0], old.uid[1], old.uid[2], uid]);
        context.process.set_credentials(new);
    }
    Ok(old.shown_uid(old.uid[3]))
}

/// setfsgid(2).
pub fn sys_setfsgid(gid: u32, context: &mut Context<'_>) -> Result<u32> {
    let old = context.process.credentials();
    let gid = old.kernel_gid(gid).unwrap_or(KEEP);
    if gid != KEEP && (old.gid.contains(&gid) || old.has_own(Capability::Setgid)) && gid != old.gid[3] {
        let mut new = (*old).clone();
        new.gid[3] = gid;
        context.process.set_credentials(new);
    }
    Ok(old.shown_gid(old.gid[3]))
}

/// The user that the caller calls so.
fn user(own: &Credentials, uid: u32) -> Result<u32> {
    if uid == KEEP { Ok(KEEP) } else { own.kernel_uid(uid) }
}

/// The group that the caller calls so.
fn group(own: &Credentials, gid: u32) -> Result<u32> {
    if gid == KEEP { Ok(KEEP) } else { own.kernel_gid(gid) }
}

fn change(context: &Context<'_>, change: impl FnOnce(&mut Credentials) -> Result<()>) -> Result<usize> {
    let mut new = (*context.process.credentials()).clone();
    change(&mut new)?;
    context.process.set_credentials(new);
    Ok(0)
}

fn one(old: [u32; 4], id: u32, is_capable: bool) -> Result<[u32; 4]> {
    if is_capable {
        Ok([id; 4])
    } else if id == old[0] || id == old[2] {
        Ok([old[0], id, old[2], id])
    } else {
        Err(Errno::EPERM.into())
    }
}

fn two(old: [u32; 4], real: u32, effective: u32, is_capable: bool) -> Result<[u32; 4]> {
    let may_real = real == KEEP || is_capable || old[..2].contains(&real);
    let may_effective = effective == KEEP || is_capable || old[..3].contains(&effective);
    if !may_real || !may_effective {
        return Err(Errno::EPERM.into());
    }
    let mut new = old;
    if real != KEEP {
        new[0] = real;
    }
    if effective != KEEP {
        new[1] = effective;
    }
    // The saved id follows if the real one was set, or the effective one to something other than the old real one.
    if real != KEEP || effective != KEEP && effective != old[0] {
        new[2] = new[1];
    }
    new[3] = new[1];
    Ok(new)
}

fn three(old: [u32; 4], ids: [u32; 3], is_capable: bool) -> Result<[u32; 4]> {
    let mut new = old;
    for (slot, id) in new.iter_mut().zip(ids) {
        if id == KEEP {
            continue;
        }
        if !is_capable && !old[..3].contains(&id) {
            return Err(Errno::EPERM.into());
        }
        *slot = id;
    }
    new[3] = new[1];
    Ok(new)
}
