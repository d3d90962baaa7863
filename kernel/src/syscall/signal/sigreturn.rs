//! [rt_sigreturn(2)](https://man7.org/linux/man-pages/man2/sigreturn.2.html)

use crate::context::Context;
use crate::error::Result;
use crate::signal::{SigInfo, Signal, frame, send};

/// Back from a handler.
pub fn sys_rt_sigreturn(context: &mut Context<'_>) -> Result<u64> {
    if frame::pop(context.thread, context.user).is_err() {
        send::force(context.thread, SigInfo::kernel(Signal::SEGV));
    }
    // The result register is one of those that came back.
    Ok(context.user.regs.rax)
}
