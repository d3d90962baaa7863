//! [seccomp(2)](https://man7.org/linux/man-pages/man2/seccomp.2.html), and its forms in prctl(2).

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::syscall::UserPtr;
use crate::thread::seccomp::{self, Attachment};
use alloc::vec::Vec;
use coffer_abi_types::process::{sock_filter, sock_fprog};
use coffer_seccomp::{INSTRUCTIONS_MAX, Instruction, Program, Refused};

const SECCOMP_SET_MODE_STRICT: u32 = 0;
const SECCOMP_SET_MODE_FILTER: u32 = 1;
const SECCOMP_GET_ACTION_AVAIL: u32 = 2;

const FLAG_TSYNC: u32 = 1;
const FLAG_LOG: u32 = 2;
/// Speculative stores are as safe as they get either way.
const FLAG_SPEC_ALLOW: u32 = 4;
/// A thread in the way of TSYNC is ESRCH, not its id.
const FLAG_TSYNC_ESRCH: u32 = 16;

/// Results of filters that mean something here: kill (process, thread), trap, errno, trace, log, allow.
const ACTIONS: [u32; 7] = [0x8000_0000, 0, 0x0003_0000, 0x0005_0000, 0x7ff0_0000, 0x7ffc_0000, 0x7fff_0000];

/// seccomp(2).
pub fn sys_seccomp(operation: u32, flags: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
    match operation {
        SECCOMP_SET_MODE_STRICT if flags == 0 && argument == 0 => {
            seccomp::make_strict(context.thread).map(|()| 0)
        }
        SECCOMP_SET_MODE_FILTER => set_filter(flags, argument, context),
        SECCOMP_GET_ACTION_AVAIL if flags == 0 => {
            let action = UserPtr::<u32>::new(argument).read()?;
            if ACTIONS.contains(&action) { Ok(0) } else { Err(Errno::EOPNOTSUPP.into()) }
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

/// prctl(PR_SET_SECCOMP).
pub fn set_by_prctl(mode: u64, argument: u64, context: &mut Context<'_>) -> Result<isize> {
    match mode {
        1 => seccomp::make_strict(context.thread).map(|()| 0),
        2 => set_filter(0, argument as usize, context),
        _ => Err(Errno::EINVAL.into()),
    }
}

// COMPAT: no SECCOMP_FILTER_FLAG_NEW_LISTENER: no user space decides about calls.
fn set_filter(flags: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
    if flags & !(FLAG_TSYNC | FLAG_LOG | FLAG_SPEC_ALLOW | FLAG_TSYNC_ESRCH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let claim = UserPtr::<sock_fprog>::new(argument).read()?;
    let len = usize::from(claim.len);
    if len == 0 || len > INSTRUCTIONS_MAX {
        return Err(Errno::EINVAL.into());
    }
    seccomp::check_may_attach(context.thread)?;
    let instructions: Vec<Instruction> = UserPtr::<sock_filter>::new(claim.filter as usize)
        .read_array(len)?
        .into_iter()
        .map(|raw| Instruction { code: raw.code, jump_true: raw.jt, jump_false: raw.jf, operand: raw.k })
        .collect();
    let program = Program::check(&instructions).map_err(|refused| match refused {
        Refused::Invalid => Errno::EINVAL,
        Refused::NoMemory => Errno::ENOMEM,
    })?;
    let how = Attachment { to_all: flags & FLAG_TSYNC != 0, logs: flags & FLAG_LOG != 0 };
    match seccomp::attach(context.thread, program, how)? {
        None => Ok(0),
        Some(_) if flags & FLAG_TSYNC_ESRCH != 0 => Err(Errno::ESRCH.into()),
        Some(other) => Ok(other.tid_in(context.process.pid_namespace()) as isize),
    }
}
