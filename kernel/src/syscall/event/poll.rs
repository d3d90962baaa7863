//! poll(2), ppoll(2): <https://man7.org/linux/man-pages/man2/poll.2.html>

use super::timeout;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::poll;
use crate::fs::fd_table::DESCRIPTORS_MAX;
use crate::syscall::UserPtr;
use coffer_abi_types::event::pollfd;

pub fn sys_poll(fds: UserPtr<pollfd>, len: u32, timeout_ms: i32, context: &mut Context<'_>) -> Result<usize> {
    wait(fds, len, timeout::from_ms(timeout_ms), context)
}

fn wait(
    fds: UserPtr<pollfd>,
    len: u32,
    deadline_ns: Option<u64>,
    context: &mut Context<'_>,
) -> Result<usize> {
    if u64::from(len) > DESCRIPTORS_MAX {
        return Err(Errno::EINVAL.into());
    }
    let mut items = fds.read_array(len as usize)?;
    let ready = poll::poll(&context.process.fds(), &mut items, deadline_ns)?;
    fds.write_array(&items)?;
    Ok(ready)
}
