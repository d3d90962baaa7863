//! The signal mask that ppoll(2), pselect(2) and epoll_pwait(2) put in place for the length of their sleep.

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::signal::SigSet;
use crate::syscall::UserPtr;

/// Runs `call` with the mask at `mask` (NULL: the own one). When a signal ended it, the old mask comes back only after handlers have been set up.
pub fn with<R>(
    mask: UserPtr<u64>,
    size: usize,
    context: &mut Context<'_>,
    call: impl FnOnce(&mut Context<'_>) -> Result<R>,
) -> Result<R> {
    let Some(mask) = mask.non_null() else { return call(context) };
    if size != size_of::<u64>() {
        return Err(Errno::EINVAL.into());
    }
    context.thread.signals.set_mask_for_call(SigSet::mask(mask.read()?));
    let result = call(context);
    let was_interrupted = matches!(
        &result,
        Err(error) if matches!(error.errno(), Errno::ERESTARTNOHAND | Errno::ERESTARTSYS | Errno::EINTR)
    );
    if !was_interrupted {
        context.thread.signals.restore_mask();
    }
    result
}
