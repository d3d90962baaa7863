//! [wait4(2)](https://man7.org/linux/man-pages/man2/wait4.2.html), [waitid(2)](https://man7.org/linux/man-pages/man2/waitid.2.html)

use super::rusage::usage_of;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::exit_status::ExitStatus;
use crate::process::pidfd::PidFile;
use crate::process::wait::{Event, Report, WaitOptions, Which, wait_for_child};
use crate::signal::{SigFields, SigInfo, Signal};
use crate::syscall::{Fd, UserPtr};
use coffer_abi_types::process::rusage;
use coffer_abi_types::signal::{CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, siginfo_t};
use zerocopy::FromZeros;

const P_ALL: i32 = 0;
const P_PID: i32 = 1;
const P_PGID: i32 = 2;
const P_PIDFD: i32 = 3;

/// Waits for a child; its status as a number.
pub fn sys_wait4(
    pid: i32,
    status: UserPtr<i32>,
    options: u32,
    usage: UserPtr<rusage>,
    context: &mut Context<'_>,
) -> Result<u32> {
    let options = WaitOptions::from_bits(options).ok_or(Errno::EINVAL)?;
    if options.intersects(WaitOptions::NOWAIT | WaitOptions::EXITED) {
        return Err(Errno::EINVAL.into());
    }
    let which = match pid {
        i32::MIN => return Err(Errno::ESRCH.into()),
        -1 => Which::Any,
        0 => Which::Group(context.process.group().id().clone()),
        pid if pid < 0 => group(pid.unsigned_abs(), context),
        pid => process(pid as u32, context),
    };
    let Some(report) = wait_for_child(context.thread, &which, options | WaitOptions::EXITED)? else {
        return Ok(0);
    };
    let number = match report.event {
        Event::Ended(status) => status.to_wait_status(),
        Event::Stopped(signal) => signal.number() << 8 | 0x7f,
        Event::Continued => 0xffff,
    };
    status.write_if_some(&number)?;
    if !usage.is_null() {
        usage.write(&usage_of(report.times, &report.child))?;
    }
    Ok(report.child.id().number_in(context.process.pid_namespace()))
}

/// Waits for a child; its status as a siginfo.
pub fn sys_waitid(
    kind: i32,
    id: i32,
    info: UserPtr<siginfo_t>,
    options: u32,
    usage: UserPtr<rusage>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let options = WaitOptions::from_bits(options).ok_or(Errno::EINVAL)?;
    if !options.intersects(WaitOptions::EXITED | WaitOptions::STOPPED | WaitOptions::CONTINUED) {
        return Err(Errno::EINVAL.into());
    }
    let mut is_nonblocking = false;
    let which = match kind {
        P_ALL => Which::Any,
        P_PID if id > 0 => process(id as u32, context),
        P_PGID if id > 0 => group(id as u32, context),
        P_PGID if id == 0 => Which::Group(context.process.group().id().clone()),
        P_PIDFD if id >= 0 => {
            let file = context.process.fds().get(Fd(id))?;
            is_nonblocking = file.is_nonblocking();
            Which::Process(file.downcast::<PidFile>().ok_or(Errno::EBADF)?.id().clone())
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    let mut effective = options;
    effective.set(WaitOptions::NOHANG, options.contains(WaitOptions::NOHANG) || is_nonblocking);
    let Some(report) = wait_for_child(context.thread, &which, effective)? else {
        if is_nonblocking && !options.contains(WaitOptions::NOHANG) {
            return Err(Errno::EAGAIN.into());
        }
        // waitid(2): a siginfo of zeros says that there was nothing.
        info.write_if_some(&siginfo_t::new_zeroed())?;
        return Ok(0);
    };
    if !usage.is_null() {
        usage.write(&usage_of(report.times, &report.child))?;
    }
    info.write_if_some(&info_of(&report, context).to_abi())?;
    Ok(0)
}

fn info_of(report: &Report, context: &Context<'_>) -> SigInfo {
    let (code, status) = match report.event {
        Event::Ended(ExitStatus::Exited(code)) => (CLD_EXITED, i32::from(code)),
        Event::Ended(ExitStatus::Killed(signal)) => (CLD_KILLED, signal.number()),
        Event::Stopped(signal) => (CLD_STOPPED, signal.number()),
        Event::Continued => (CLD_CONTINUED, Signal::CONT.number()),
    };
    let pid = report.child.id().number_in(context.process.pid_namespace());
    let uid = context.process.credentials().shown_uid(report.child.credentials().uid[0]);
    SigInfo { signal: Signal::CHLD, code, fields: SigFields::Child { pid, uid, status, utime: 0, stime: 0 } }
}

fn process(number: u32, context: &Context<'_>) -> Which {
    context.process.pid_namespace().find(number).map_or(Which::Nobody, Which::Process)
}

fn group(number: u32, context: &Context<'_>) -> Which {
    context.process.pid_namespace().find(number).map_or(Which::Nobody, Which::Group)
}
