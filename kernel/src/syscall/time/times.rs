//! [times(2)](https://man7.org/linux/man-pages/man2/times.2.html)

use crate::context::Context;
use crate::error::Result;
use crate::syscall::UserPtr;
use crate::time::monotonic_now;
use coffer_abi_types::time::{USER_HZ, tms};

/// CPU times of the process and of its children that have ended; returns the time since boot.
pub fn sys_times(out: UserPtr<tms>, context: &mut Context<'_>) -> Result<i64> {
    let own = context.process.cpu_times();
    let children = context.process.times.children();
    out.write_if_some(&tms {
        tms_utime: ticks(own.user_ns),
        tms_stime: ticks(own.system_ns),
        tms_cutime: ticks(children.user_ns),
        tms_cstime: ticks(children.system_ns),
    })?;
    Ok(ticks(monotonic_now()))
}

fn ticks(ns: u64) -> i64 {
    (ns / (1_000_000_000 / USER_HZ)) as i64
}
