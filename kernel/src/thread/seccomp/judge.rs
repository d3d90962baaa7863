//! What becomes of a call.

use super::filter::ARCHITECTURE;
use super::{Filter, Mode};
use crate::context::Context;
use crate::error::Errno;
use crate::process;
use crate::process::exit::begin_group_exit;
use crate::process::exit_status::ExitStatus;
use crate::signal::{SigFields, SigInfo, Signal, send};
use coffer_abi_types::signal::SYS_SECCOMP;
use coffer_seccomp::{Data, Verdict};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is served.
    Serve,
    /// It fails with this number, which need not be one that the kernel knows.
    Fail(u16),
    /// It is not served, and the registers stay as they are: a signal or the end follows.
    Drop,
}

/// The largest error number that a call can return.
const ERRNO_MAX: u16 = 4095;

/// Asks the current thread's filters about a call that they do not [always allow](super::Seccomp::always_allows).
pub fn judge(context: &Context<'_>, number: u64, arguments: &[u64; 6]) -> Judgement {
    match context.thread.seccomp.mode() {
        Mode::Off => Judgement::Serve,
        Mode::Strict => judge_strictly(context, number),
        Mode::Filter => match context.thread.seccomp.filter() {
            Some(filter) => judge_by(&filter, context, number, arguments),
            None => Judgement::Serve,
        },
    }
}

fn judge_strictly(context: &Context<'_>, number: u64) -> Judgement {
    /// read, write, rt_sigreturn, exit.
    const SERVED: [u64; 4] = [0, 1, 15, 60];
    if SERVED.contains(&number) {
        return Judgement::Serve;
    }
    end_thread(context, Signal::KILL);
    Judgement::Drop
}

fn judge_by(filter: &Filter, context: &Context<'_>, number: u64, arguments: &[u64; 6]) -> Judgement {
    let data = Data {
        number: number as u32,
        architecture: ARCHITECTURE,
        instruction_pointer: context.user.regs.rip,
        arguments: *arguments,
    };
    let (verdict, by) = filter.verdict(&data);
    let is_logged = match verdict {
        Verdict::KillProcess | Verdict::KillThread | Verdict::Log => true,
        Verdict::Allow => false,
        _ => by.logs,
    };
    if is_logged && by.may_log() {
        let who = process::log::Who(context.process);
        let number = who.number(number);
        process::log::write(
            log::Level::Info,
            format_args!("seccomp: {who}: system call {number}: {verdict:?}"),
        );
    }
    match verdict {
        Verdict::Allow | Verdict::Log => Judgement::Serve,
        Verdict::Errno(errno) => Judgement::Fail(errno.min(ERRNO_MAX)),
        // Nobody is there to decide.
        Verdict::Notify | Verdict::Trace(_) => Judgement::Fail(Errno::ENOSYS as u16),
        Verdict::Trap(errno) => {
            let fields = SigFields::Call {
                address: data.instruction_pointer,
                number: data.number.cast_signed(),
                architecture: ARCHITECTURE,
                errno: i32::from(errno),
            };
            send::force(context.thread, SigInfo { signal: Signal::SYS, code: SYS_SECCOMP, fields });
            Judgement::Drop
        }
        Verdict::KillThread => {
            end_thread(context, Signal::SYS);
            Judgement::Drop
        }
        Verdict::KillProcess => {
            begin_group_exit(context.process, ExitStatus::Killed(Signal::SYS));
            Judgement::Drop
        }
    }
}

/// Ends the current thread, and with the last one the process, as if by `signal`.
fn end_thread(context: &Context<'_>, signal: Signal) {
    if context.process.thread_count() > 1 {
        context.thread.order_exit();
    } else {
        begin_group_exit(context.process, ExitStatus::Killed(signal));
    }
}
