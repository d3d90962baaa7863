//! [sigaltstack(2)](https://man7.org/linux/man-pages/man2/sigaltstack.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::signal::frame;
use crate::signal::state::NO_ALTERNATE_STACK;
use crate::syscall::UserPtr;
use coffer_abi_types::signal::{MINSIGSTKSZ, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, stack_t};

/// The thread's alternate stack.
pub fn sys_sigaltstack(
    new: UserPtr<stack_t>,
    old: UserPtr<stack_t>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let new = if new.is_null() { None } else { Some(new.read()?) };
    let pointer = context.user.regs.rsp;
    let before = *context.thread.signals.alternate_stack.lock();
    if let Some(new) = new {
        if frame::is_on(&before, pointer) {
            return Err(Errno::EPERM.into());
        }
        let stack = match new.ss_flags & !SS_AUTODISARM {
            SS_DISABLE => NO_ALTERNATE_STACK,
            0 | SS_ONSTACK if new.ss_size < MINSIGSTKSZ => return Err(Errno::ENOMEM.into()),
            0 | SS_ONSTACK => stack_t { ss_flags: new.ss_flags & SS_AUTODISARM, __pad: 0, ..new },
            _ => return Err(Errno::EINVAL.into()),
        };
        *context.thread.signals.alternate_stack.lock() = stack;
    }
    let flags = frame::stack_flags(&before, pointer);
    old.write_if_some(&stack_t { ss_flags: flags, __pad: 0, ..before })?;
    Ok(0)
}
