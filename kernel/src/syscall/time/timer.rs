//! [timer_create(2)](https://man7.org/linux/man-pages/man2/timer_create.2.html) and its family.

use super::nanoseconds;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::signal::Signal;
use crate::syscall::UserPtr;
use crate::time::Clock;
use crate::time::countdown::Setting;
use crate::time::posix_timer::Notify;
use alloc::sync::Arc;
use coffer_abi_types::signal::{SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, sigevent};
use coffer_abi_types::time::{TIMER_ABSTIME, itimerspec, timespec};

/// Makes a timer.
pub fn sys_timer_create(
    clock_id: i32,
    event: UserPtr<sigevent>,
    out: UserPtr<i32>,
    context: &mut Context<'_>,
) -> Result<()> {
    let clock = super::clock(clock_id)?.resolve(context.thread);
    if Clock::is_coarse(clock_id) || clock_id == 4 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let event = event.non_null().map(UserPtr::read).transpose()?;
    let notify = event.map(|event| decode(&event, context)).transpose()?;
    let id = context.process.timers.create(clock, context.process, |id| {
        // Without an event: SIGALRM with the timer's id.
        notify.unwrap_or(Notify::Process(Signal::ALRM, id as u64))
    })?;
    out.write(&id).inspect_err(|_| {
        // It was just made, so it is there.
        let _ = context.process.timers.delete(id);
    })
}

fn decode(event: &sigevent, context: &Context<'_>) -> Result<Notify> {
    let signal = || Signal::new(event.sigev_signo).ok_or(Errno::EINVAL);
    let value = event.sigev_value;
    Ok(match event.sigev_notify {
        SIGEV_NONE => Notify::Nothing,
        // SIGEV_THREAD is the C library's affair; to the kernel it is a signal.
        SIGEV_SIGNAL | SIGEV_THREAD => Notify::Process(signal()?, value),
        SIGEV_THREAD_ID => {
            let wanted = event.sigev_notify_thread_id as u32;
            let thread = context.process.pid_namespace().find(wanted).and_then(|id| id.thread());
            let thread = thread.filter(|thread| Arc::ptr_eq(thread.process(), context.process));
            let thread = thread.ok_or(Errno::EINVAL)?;
            Notify::Thread(Arc::downgrade(&thread), signal()?, value)
        }
        _ => return Err(Errno::EINVAL.into()),
    })
}

/// Arms or disarms a timer.
pub fn sys_timer_settime(
    id: i32,
    flags: u32,
    new: UserPtr<itimerspec>,
    old: UserPtr<itimerspec>,
    context: &mut Context<'_>,
) -> Result<()> {
    let new = new.non_null().ok_or(Errno::EINVAL)?.read()?;
    let first_ns = nanoseconds(new.it_value)?;
    let interval_ns = nanoseconds(new.it_interval)?;
    let timer = context.process.timers.posix(id)?;
    let deadline_ns = match first_ns {
        0 => None,
        time_ns if flags & TIMER_ABSTIME != 0 => Some(time_ns),
        left_ns => Some(timer.clock().now()?.saturating_add(left_ns)),
    };
    let before = timer.set(Setting { deadline_ns, interval_ns });
    old.write_if_some(&encode(before))
}

/// Reads what is left.
pub fn sys_timer_gettime(id: i32, out: UserPtr<itimerspec>, context: &mut Context<'_>) -> Result<()> {
    out.write(&encode(context.process.timers.posix(id)?.get()))
}

/// Reads the overrun count of the last signal.
pub fn sys_timer_getoverrun(id: i32, context: &mut Context<'_>) -> Result<i32> {
    Ok(context.process.timers.posix(id)?.overrun())
}

/// Deletes a timer.
pub fn sys_timer_delete(id: i32, context: &mut Context<'_>) -> Result<()> {
    context.process.timers.delete(id)
}

fn encode((left_ns, interval_ns): (u64, u64)) -> itimerspec {
    itimerspec { it_interval: timespec::from_ns(interval_ns), it_value: timespec::from_ns(left_ns) }
}
