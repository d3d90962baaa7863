//! [adjtimex(2)](https://man7.org/linux/man-pages/man2/adjtimex.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::syscall::UserPtr;
use crate::time::realtime_now;
use coffer_abi_types::time::{timeval, timex};

/// The clock runs free: not synchronised (STA_UNSYNC, TIME_ERROR).
const STA_UNSYNC: i32 = 0x40;
const TIME_ERROR: i32 = 5;
/// The worst that can be said of a clock, in microseconds (Linux's NTP_PHASE_LIMIT).
const MAX_ERROR_US: i64 = 16_000_000;

/// Reads the clock's parameters; they cannot be changed.
pub fn sys_adjtimex(buffer: UserPtr<timex>, context: &mut Context<'_>) -> Result<i32> {
    let mut parameters = buffer.read()?;
    if parameters.modes != 0 {
        // Nothing here is adjustable; without the right to, that is what the caller hears first.
        let may_set = context.process.credentials().has(Capability::SysTime);
        return Err(if may_set { Errno::EOPNOTSUPP } else { Errno::EPERM }.into());
    }
    parameters = timex {
        maxerror: MAX_ERROR_US,
        esterror: MAX_ERROR_US,
        status: STA_UNSYNC,
        constant: 2,
        precision: 1,
        // 500 parts in a million, scaled by 2^16.
        tolerance: 500 << 16,
        time: timeval::from_ns(realtime_now()),
        tick: 10_000,
        ..timex::default()
    };
    buffer.write(&parameters)?;
    Ok(TIME_ERROR)
}

/// As adjtimex for a clock; only real time has parameters.
pub fn sys_clock_adjtime(id: i32, buffer: UserPtr<timex>, context: &mut Context<'_>) -> Result<i32> {
    super::clock(id)?;
    if id != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    sys_adjtimex(buffer, context)
}
