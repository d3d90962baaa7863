//! utimensat(2), futimesat(2), utimes(2), utime(2).

use super::{AT_FDCWD, lookup_at};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::attributes::{self, NewTime};
use crate::fs::vfs::inode::Timestamp;
use crate::syscall::{Fd, UserCStr, UserPtr};
use coffer_abi_types::time::{timespec, timeval};

const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

/// utimensat(2). A NULL path means the descriptor itself (futimens).
pub fn sys_utimensat(
    dirfd: Fd,
    path: UserCStr,
    times: UserPtr<timespec>,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    let (accessed, modified) = match times.non_null() {
        None => (NewTime::Now, NewTime::Now),
        Some(times) => (new_time(times.read()?)?, new_time(times.cast_at::<timespec>(16).read()?)?),
    };
    if path.address() == 0 {
        if flags != 0 {
            return Err(Errno::EINVAL.into());
        }
        let file = context.process.fds().get_io(dirfd)?;
        return attributes::change_times(file.path(), accessed, modified, &context.process.credentials());
    }
    // With both omitted Linux does not even look at the path.
    if (accessed, modified) == (NewTime::Keep, NewTime::Keep) {
        return Ok(());
    }
    let (start, path) = lookup_at(dirfd, path, flags, 0, context)?;
    attributes::change_times(&path, accessed, modified, &start.credentials)
}

/// futimesat(2).
pub fn sys_futimesat(
    dirfd: Fd,
    path: UserCStr,
    times: UserPtr<timeval>,
    context: &mut Context<'_>,
) -> Result<()> {
    let (accessed, modified) = match times.non_null() {
        None => (NewTime::Now, NewTime::Now),
        Some(times) => (from_micros(times.read()?)?, from_micros(times.cast_at::<timeval>(16).read()?)?),
    };
    if path.address() == 0 {
        let file = context.process.fds().get_io(dirfd)?;
        return attributes::change_times(file.path(), accessed, modified, &context.process.credentials());
    }
    let (start, path) = lookup_at(dirfd, path, 0, 0, context)?;
    attributes::change_times(&path, accessed, modified, &start.credentials)
}

/// utimes(2).
pub fn sys_utimes(path: UserCStr, times: UserPtr<timeval>, context: &mut Context<'_>) -> Result<()> {
    sys_futimesat(AT_FDCWD, path, times, context)
}

/// utime(2).
pub fn sys_utime(path: UserCStr, times: UserPtr<i64>, context: &mut Context<'_>) -> Result<()> {
    let at = |seconds| NewTime::At(Timestamp { seconds, nanos: 0 });
    let (accessed, modified) = match times.non_null() {
        None => (NewTime::Now, NewTime::Now),
        Some(times) => (at(times.read()?), at(times.cast_at::<i64>(8).read()?)),
    };
    let (start, path) = lookup_at(AT_FDCWD, path, 0, 0, context)?;
    attributes::change_times(&path, accessed, modified, &start.credentials)
}

fn new_time(time: timespec) -> Result<NewTime> {
    match time.tv_nsec {
        UTIME_NOW => Ok(NewTime::Now),
        UTIME_OMIT => Ok(NewTime::Keep),
        nanos @ 0..1_000_000_000 => Ok(NewTime::At(Timestamp { seconds: time.tv_sec, nanos: nanos as u32 })),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn from_micros(time: timeval) -> Result<NewTime> {
    match time.tv_usec {
        micros @ 0..1_000_000 => {
            Ok(NewTime::At(Timestamp { seconds: time.tv_sec, nanos: micros as u32 * 1000 }))
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
