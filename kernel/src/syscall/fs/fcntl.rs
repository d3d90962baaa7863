//! fcntl(2): <https://man7.org/linux/man-pages/man2/fcntl.2.html>.

use super::descriptor_limit;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::fs::open_file::flags::{O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME, O_NONBLOCK};
use crate::fs::vfs::file_lock::{self, FileLock, Owner};
use crate::fs::vfs::inode::FileType;
use crate::fs::vfs::permission;
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use coffer_abi_types::fs::flock;
use core::sync::atomic::Ordering;

const F_DUPFD: u32 = 0;
const F_GETFD: u32 = 1;
const F_SETFD: u32 = 2;
const F_GETFL: u32 = 3;
const F_SETFL: u32 = 4;
const F_GETLK: u32 = 5;
const F_SETLK: u32 = 6;
const F_SETLKW: u32 = 7;
const F_SETOWN: u32 = 8;
const F_GETOWN: u32 = 9;
const F_SETSIG: u32 = 10;
const F_GETSIG: u32 = 11;
const F_OFD_GETLK: u32 = 36;
const F_OFD_SETLK: u32 = 37;
const F_OFD_SETLKW: u32 = 38;
const F_GETLEASE: u32 = 1025;
const F_NOTIFY: u32 = 1026;
const F_DUPFD_CLOEXEC: u32 = 1030;

const FD_CLOEXEC: usize = 1;
/// Not an event: watch for more than one.
const DN_MULTISHOT: u32 = 1 << 31;

const F_RDLCK: i16 = 0;
const F_WRLCK: i16 = 1;
const F_UNLCK: i16 = 2;

/// fcntl(2).
pub fn sys_fcntl(fd: Fd, command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
    let fds = context.process.fds();
    let file = fds.get(fd)?;
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let limit = descriptor_limit(context);
            let first =
                u32::try_from(argument).ok().filter(|&n| u64::from(n) < limit).ok_or(Errno::EINVAL)?;
            let new = fds.install_from(first, file, command == F_DUPFD_CLOEXEC, limit)?;
            return Ok(new.0 as isize);
        }
        F_GETFD => return Ok(fds.is_close_on_exec(fd)? as isize),
        F_SETFD => {
            fds.set_close_on_exec(fd, argument & FD_CLOEXEC != 0)?;
            return Ok(0);
        }
        F_GETFL => return Ok(file.flags() as isize),
        _ if file.is_path_only() => return Err(Errno::EBADF.into()),
        _ => {}
    }
    match command {
        F_SETFL => set_flags(&file, argument as u32, context)?,
        F_GETLK | F_OFD_GETLK => get_lock(&file, command == F_OFD_GETLK, UserPtr::new(argument), context)?,
        F_SETLK | F_SETLKW | F_OFD_SETLK | F_OFD_SETLKW => {
            let is_description = matches!(command, F_OFD_SETLK | F_OFD_SETLKW);
            let may_wait = matches!(command, F_SETLKW | F_OFD_SETLKW);
            set_lock(&file, is_description, may_wait, UserPtr::new(argument), context)?;
        }
        F_SETOWN => file.signal_target().0.store(argument as i32, Ordering::Relaxed),
        F_GETOWN => return Ok(file.signal_target().0.load(Ordering::Relaxed) as isize),
        F_SETSIG if argument > 64 => return Err(Errno::EINVAL.into()),
        F_SETSIG => file.signal_target().1.store(argument as u32, Ordering::Relaxed),
        F_GETSIG => return Ok(file.signal_target().1.load(Ordering::Relaxed) as isize),
        // Nothing to watch for any more; nothing ever was.
        F_NOTIFY if argument as u32 & !DN_MULTISHOT == 0 => {}
        F_NOTIFY if file.inode()?.access().file_type != FileType::Directory => {
            return Err(Errno::ENOTDIR.into());
        }
        F_GETLEASE => return Ok(F_UNLCK as isize),
        _ => return file.ops().fcntl(&file, command, argument),
    }
    Ok(0)
}

fn set_flags(file: &Arc<OpenFile>, value: u32, context: &Context<'_>) -> Result<()> {
    let turns_on = value & !file.flags();
    if turns_on & O_NOATIME != 0
        && !permission::is_owner(&file.inode()?.access(), &context.process.credentials())
    {
        return Err(Errno::EPERM.into());
    }
    file.set_flags(O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK, value);
    Ok(())
}

fn get_lock(
    file: &Arc<OpenFile>,
    is_description: bool,
    out: UserPtr<flock>,
    context: &Context<'_>,
) -> Result<()> {
    let mut claim = out.read()?;
    if claim.l_type == F_UNLCK {
        return Err(Errno::EINVAL.into());
    }
    let wanted = decode(&claim, file, is_description, context)?;
    match file_lock::blocker(file.inode()?, &wanted) {
        None => claim.l_type = F_UNLCK,
        Some(lock) => {
            claim.l_type = if lock.is_exclusive { F_WRLCK } else { F_RDLCK };
            claim.l_whence = 0;
            claim.l_start = lock.start as i64;
            claim.l_len = if lock.end >= i64::MAX as u64 { 0 } else { (lock.end - lock.start) as i64 };
            claim.l_pid = if matches!(lock.owner, Owner::Process(_)) { lock.pid as i32 } else { -1 };
        }
    }
    out.write(&claim)
}

fn set_lock(
    file: &Arc<OpenFile>,
    is_description: bool,
    may_wait: bool,
    claim: UserPtr<flock>,
    context: &Context<'_>,
) -> Result<()> {
    let claim = claim.read()?;
    let lock = decode(&claim, file, is_description, context)?;
    let inode = file.inode()?;
    match claim.l_type {
        F_UNLCK => file_lock::unset(inode, lock.owner, lock.start, lock.end)?,
        F_RDLCK if !file.is_readable() => return Err(Errno::EBADF.into()),
        F_WRLCK if !file.is_writable() => return Err(Errno::EBADF.into()),
        _ => file_lock::set(inode, lock, may_wait)?,
    }
    Ok(())
}

fn decode(
    claim: &flock,
    file: &Arc<OpenFile>,
    is_description: bool,
    context: &Context<'_>,
) -> Result<FileLock> {
    if !(F_RDLCK..=F_UNLCK).contains(&claim.l_type) || (is_description && claim.l_pid != 0) {
        return Err(Errno::EINVAL.into());
    }
    let base = match claim.l_whence {
        0 => 0,
        1 => *file.position().lock() as i64,
        2 => file.inode()?.size() as i64,
        _ => return Err(Errno::EINVAL.into()),
    };
    let start = base.checked_add(claim.l_start).ok_or(Errno::EOVERFLOW)?;
    // Length 0 means to the end, whatever the file grows to; a negative one means the bytes before.
    let (start, end) = match claim.l_len {
        0 => (start, i64::MAX),
        len if len > 0 => (start, start.checked_add(len).ok_or(Errno::EOVERFLOW)?),
        len => (start.checked_add(len).ok_or(Errno::EINVAL)?, start),
    };
    let start = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
    let owner = if is_description {
        Owner::Description(file_lock::description(file))
    } else {
        Owner::Process(context.process.fds().lock_owner())
    };
    Ok(FileLock {
        owner,
        pid: context.process.pid(),
        payer: context.process.fds().lock_owner(),
        start,
        end: end as u64,
        is_exclusive: claim.l_type == F_WRLCK,
    })
}
