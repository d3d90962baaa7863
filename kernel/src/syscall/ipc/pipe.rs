//! pipe(2), pipe2(2): <https://man7.org/linux/man-pages/man2/pipe.2.html>

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::flags::{O_CLOEXEC, O_DIRECT, O_NONBLOCK};
use crate::fs::pipe;
use crate::syscall::UserPtr;

/// pipe(2).
pub fn sys_pipe(fds: UserPtr<[i32; 2]>, context: &mut Context<'_>) -> Result<()> {
    sys_pipe2(fds, 0, context)
}

/// pipe2(2).
pub fn sys_pipe2(fds: UserPtr<[i32; 2]>, flags: u32, context: &mut Context<'_>) -> Result<()> {
    if flags & !(O_CLOEXEC | O_NONBLOCK | O_DIRECT) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let status = flags & (O_NONBLOCK | O_DIRECT);
    let (reader, writer) = pipe::create(status, &context.process.credentials())?;
    context.install_pair(reader, writer, flags & O_CLOEXEC != 0, fds)
}
