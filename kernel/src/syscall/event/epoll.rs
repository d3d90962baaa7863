//! epoll_create(2), epoll_ctl(2), epoll_wait(2): <https://man7.org/linux/man-pages/man7/epoll.7.html>

use super::{mask, timeout};
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::event::epoll;
use crate::fs::open_file::flags::O_CLOEXEC;
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use coffer_abi_types::event::epoll_event;
use coffer_abi_types::time::timespec;
use zerocopy::IntoBytes;

const EPOLL_CTL_ADD: i32 = 1;
const EPOLL_CTL_DEL: i32 = 2;
const EPOLL_CTL_MOD: i32 = 3;

const EPOLLEXCLUSIVE: u32 = 1 << 28;
/// What may come with EPOLLEXCLUSIVE: IN, OUT, ERR, HUP, EPOLLWAKEUP, EPOLLET and itself.
const EXCLUSIVE_MAY_HAVE: u32 = 0x1 | 0x4 | 0x8 | 0x10 | 1 << 29 | 1 << 31 | EPOLLEXCLUSIVE;

/// epoll_create(2).
pub fn sys_epoll_create(size: i32, context: &mut Context<'_>) -> Result<Fd> {
    if size <= 0 {
        return Err(Errno::EINVAL.into());
    }
    sys_epoll_create1(0, context)
}

/// epoll_create1(2).
pub fn sys_epoll_create1(flags: u32, context: &mut Context<'_>) -> Result<Fd> {
    if flags & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    context.install(epoll::create()?, flags & O_CLOEXEC != 0)
}

/// epoll_ctl(2).
pub fn sys_epoll_ctl(
    set: Fd,
    operation: i32,
    fd: Fd,
    event: UserPtr<epoll_event>,
    context: &mut Context<'_>,
) -> Result<()> {
    let event = match operation {
        EPOLL_CTL_DEL => epoll_event::default(),
        _ => event.read()?,
    };
    let fds = context.process.fds();
    let (set, file) = (fds.get_io(set)?, fds.get_io(fd)?);
    if file.ops().pollee().is_none() {
        return Err(Errno::EPERM.into());
    }
    let epoll = epoll::of(&set).ok_or(Errno::EINVAL)?;
    if Arc::ptr_eq(&set, &file) {
        return Err(Errno::EINVAL.into());
    }
    if event.events & EPOLLEXCLUSIVE != 0
        && (operation == EPOLL_CTL_MOD
            || event.events & !EXCLUSIVE_MAY_HAVE != 0
            || epoll::of(&file).is_some())
    {
        return Err(Errno::EINVAL.into());
    }
    match operation {
        EPOLL_CTL_ADD => epoll.add(&file, fd, event),
        EPOLL_CTL_MOD => epoll.modify(&file, fd, event),
        EPOLL_CTL_DEL => epoll.remove(&file, fd),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// epoll_wait(2).
pub fn sys_epoll_wait(
    set: Fd,
    events: UserPtr<epoll_event>,
    max: i32,
    timeout_ms: i32,
    context: &mut Context<'_>,
) -> Result<usize> {
    wait(set, events, max, timeout::from_ms(timeout_ms), context)
}

/// epoll_pwait(2).
pub fn sys_epoll_pwait(
    set: Fd,
    events: UserPtr<epoll_event>,
    max: i32,
    timeout_ms: i32,
    signals: UserPtr<u64>,
    signals_size: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    let deadline_ns = timeout::from_ms(timeout_ms);
    mask::with(signals, signals_size, context, |context| wait(set, events, max, deadline_ns, context))
}

/// epoll_pwait2(2).
pub fn sys_epoll_pwait2(
    set: Fd,
    events: UserPtr<epoll_event>,
    max: i32,
    limit: UserPtr<timespec>,
    signals: UserPtr<u64>,
    signals_size: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    let deadline_ns = timeout::from_timespec(limit)?;
    mask::with(signals, signals_size, context, |context| wait(set, events, max, deadline_ns, context))
}

fn wait(
    set: Fd,
    events: UserPtr<epoll_event>,
    max: i32,
    deadline_ns: Option<u64>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let max = usize::try_from(max).ok().filter(|max| (1..=i32::MAX as usize / 12).contains(max));
    let max = max.ok_or(Error::new(Errno::EINVAL))?;
    let mut writer = events.writer(max * size_of::<epoll_event>())?;
    let set = context.process.fds().get_io(set)?;
    let epoll = epoll::of(&set).ok_or(Errno::EINVAL)?;
    epoll.wait(max, deadline_ns, &mut |event| Ok(writer.write_all(event.as_bytes())?))
}
