//! poll(2), ppoll(2): <https://man7.org/linux/man-pages/man2/poll.2.html>

use super::{mask, timeout};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::poll;
use crate::process::rlimit::Resource;
use crate::syscall::UserPtr;
use coffer_abi_types::event::pollfd;
use coffer_abi_types::time::timespec;

/// poll(2).
pub fn sys_poll(fds: UserPtr<pollfd>, len: u32, timeout_ms: i32, context: &mut Context<'_>) -> Result<usize> {
    wait(fds, len, timeout::from_ms(timeout_ms), context)
}

/// ppoll(2).
pub fn sys_ppoll(
    fds: UserPtr<pollfd>,
    len: u32,
    limit: UserPtr<timespec>,
    signals: UserPtr<u64>,
    signals_size: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    let deadline_ns = timeout::from_timespec(limit)?;
    let result = mask::with(signals, signals_size, context, |context| wait(fds, len, deadline_ns, context));
    timeout::write_left(limit, deadline_ns);
    result
}

fn wait(
    fds: UserPtr<pollfd>,
    len: u32,
    deadline_ns: Option<u64>,
    context: &mut Context<'_>,
) -> Result<usize> {
    if u64::from(len) > context.process.rlimit(Resource::OpenFiles).0 {
        return Err(Errno::EINVAL.into());
    }
    let mut items = fds.read_array(len as usize)?;
    let ready = poll::poll(&context.process.fds(), &mut items, deadline_ns)?;
    fds.write_array(&items)?;
    Ok(ready)
}
