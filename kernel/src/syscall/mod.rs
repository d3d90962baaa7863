//! The reception: registers become types, one service is called, its result becomes a number.
//!
//! The table is in [`table`], the only list of calls there is; `args` says how a register becomes a type.

mod args;
mod event;
mod fs;
mod futex;
mod ipc;
mod mm;
mod net;
mod process;
mod restart;
mod sched;
mod signal;
mod system;
mod table;
mod time;

pub use args::{Fd, UserCStr, UserPtr};

use crate::context::Context;
use crate::error::Errno;

/// Serves the call in the thread's registers and puts the result into `rax`.
pub fn handle(context: &mut Context<'_>) {
    let regs = &context.user.regs;
    let number = regs.rax;
    let args = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
    let result = match table::dispatch(number, &args, context) {
        Some(result) => result,
        None => {
            context.thread.note_unknown_call(number);
            Err(Errno::ENOSYS.into())
        }
    };
    context.thread.finish_call(context.user, number, result);
}
