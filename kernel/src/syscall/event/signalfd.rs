//! signalfd(2): <https://man7.org/linux/man-pages/man2/signalfd.2.html>

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::event::signalfd;
use crate::fs::open_file::flags::{O_CLOEXEC, O_NONBLOCK};
use crate::signal::SigSet;
use crate::syscall::{Fd, UserPtr};

/// signalfd(2) before it had flags.
pub fn sys_signalfd(fd: Fd, mask: UserPtr<u64>, size: usize, context: &mut Context<'_>) -> Result<Fd> {
    sys_signalfd4(fd, mask, size, 0, context)
}

/// signalfd(2).
pub fn sys_signalfd4(
    fd: Fd,
    mask: UserPtr<u64>,
    size: usize,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<Fd> {
    if size != size_of::<u64>() || flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let set = SigSet::mask(mask.read()?);
    if fd.0 == -1 {
        let file = signalfd::create(set, flags & O_NONBLOCK)?;
        return context.install(file, flags & O_CLOEXEC != 0);
    }
    let file = context.process.fds().get_io(fd)?;
    signalfd::of(&file).ok_or(Error::new(Errno::EINVAL))?.set(set);
    Ok(fd)
}
