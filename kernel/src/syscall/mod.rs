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
use crate::error::{Errno, Result};
use crate::mm::oom::{self, Relief};
use crate::thread::seccomp::{self, Judgement};

fn serve(number: u64, args: &[u64; 6], context: &mut Context<'_>) -> Result<isize> {
    if let Some(result) = table::dispatch(number, args, context) {
        return result;
    }
    context.thread.note_unknown_call(number);
    Err(Errno::ENOSYS.into())
}

/// Whether a call is one that frees memory, and so need not wait for others to do so: close, munmap, exit, exit_group.
fn gives_back(number: u64) -> bool {
    matches!(number, 3 | 11 | 60 | 231)
}

/// Serves the call in the thread's registers and puts the result into `rax`.
pub fn handle(context: &mut Context<'_>) {
    let regs = &context.user.regs;
    let number = regs.rax;
    let args = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
    let filter = &context.thread.seccomp;
    if filter.is_on() && !filter.always_allows(number) {
        match seccomp::judge(context, number, &args) {
            Judgement::Serve => {}
            Judgement::Fail(errno) => {
                context.user.regs.rax = -i64::from(errno) as u64;
                return;
            }
            Judgement::Drop => return,
        }
    }
    let result = if ostd::mm::is_depleted() && !gives_back(number) && oom::make_way() == Relief::Die {
        Err(Errno::ENOMEM.into())
    } else {
        serve(number, &args, context)
    };
    context.thread.finish_call(context.user, number, result);
}
