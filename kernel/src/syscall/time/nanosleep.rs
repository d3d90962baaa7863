//! [clock_nanosleep(2)](https://man7.org/linux/man-pages/man2/clock_nanosleep.2.html) and nanosleep(2).

use super::nanoseconds;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::syscall::UserPtr;
use crate::time::Clock;
use crate::time::cpu_clock::CpuClock;
use crate::time::sleep::sleep_until_clock;
use coffer_abi_types::time::{TIMER_ABSTIME, timespec};

/// Sleeps for a while.
pub fn sys_nanosleep(
    wanted: UserPtr<timespec>,
    left: UserPtr<timespec>,
    context: &mut Context<'_>,
) -> Result<isize> {
    let wanted_ns = nanoseconds(wanted.read()?)?;
    sleep_for(Clock::Monotonic, wanted_ns, left, context)
}

/// Sleeps for a while or until a time, by any clock.
pub fn sys_clock_nanosleep(
    id: i32,
    flags: u32,
    wanted: UserPtr<timespec>,
    left: UserPtr<timespec>,
    context: &mut Context<'_>,
) -> Result<isize> {
    let clock = super::clock(id)?;
    if clock == Clock::Cpu(CpuClock::own(true)) {
        // It stands still while its thread sleeps.
        return Err(Errno::EINVAL.into());
    }
    if Clock::is_coarse(id) || id == 4 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let wanted_ns = nanoseconds(wanted.read()?)?;
    if flags & TIMER_ABSTIME != 0 {
        sleep_until_clock(clock, wanted_ns).map_err(|error| match error.errno() {
            Errno::ERESTARTSYS => Errno::ERESTARTNOHAND.into(),
            _ => error,
        })?;
        return Ok(0);
    }
    // A duration is not affected when real time is set.
    let clock = if clock == Clock::Realtime { Clock::Monotonic } else { clock };
    sleep_for(clock, wanted_ns, left, context)
}

fn sleep_for(
    clock: Clock,
    wanted_ns: u64,
    left: UserPtr<timespec>,
    context: &mut Context<'_>,
) -> Result<isize> {
    let deadline_ns = clock.now()?.saturating_add(wanted_ns);
    go_on(clock, deadline_ns, left, context)
}

/// Sleeps, or goes on with it after a signal.
fn go_on(
    clock: Clock,
    deadline_ns: u64,
    left: UserPtr<timespec>,
    context: &mut Context<'_>,
) -> Result<isize> {
    match sleep_until_clock(clock, deadline_ns) {
        Ok(()) => Ok(0),
        Err(error) if error.errno() == Errno::ERESTARTSYS => {
            let left_ns = deadline_ns.saturating_sub(clock.now()?);
            left.write_if_some(&timespec::from_ns(left_ns))?;
            Err(context.thread.restart.set(move |context| go_on(clock, deadline_ns, left, context)))
        }
        Err(error) => Err(error),
    }
}
