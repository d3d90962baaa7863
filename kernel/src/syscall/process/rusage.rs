//! [getrusage(2)](https://man7.org/linux/man-pages/man2/getrusage.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::Process;
use crate::process::times::CpuTimes;
use crate::syscall::UserPtr;
use coffer_abi_types::process::rusage;
use coffer_abi_types::time::timeval;
use ostd::mm::PAGE_SIZE;

const RUSAGE_SELF: i32 = 0;
const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_THREAD: i32 = 1;

/// Resources used so far.
pub fn sys_getrusage(who: i32, usage: UserPtr<rusage>, context: &mut Context<'_>) -> Result<usize> {
    let process = context.process;
    let value = match who {
        RUSAGE_SELF => usage_of(process.cpu_times(), process),
        RUSAGE_THREAD => usage_of(context.thread.cpu_times(), process),
        RUSAGE_CHILDREN => {
            let (_, pages) = process.times.peak_resident_pages();
            let (_, faults) = process.times.faults();
            encode(process.times.children(), pages, faults)
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    usage.write(&value)?;
    Ok(0)
}

/// What `process` used, with CPU times as given.
pub fn usage_of(times: CpuTimes, process: &Process) -> rusage {
    let (mut pages, _) = process.times.peak_resident_pages();
    let (mut faults, _) = process.times.faults();
    if let Some(space) = process.address_space() {
        let current = space.fault_counts();
        pages = pages.max(space.peak_resident_pages());
        faults = (faults.0 + current.0, faults.1 + current.1);
    }
    encode(times, pages, faults)
}

fn encode(times: CpuTimes, pages: usize, faults: (u64, u64)) -> rusage {
    rusage {
        ru_utime: timeval::from_ns(times.user_ns),
        ru_stime: timeval::from_ns(times.system_ns),
        ru_maxrss: (pages * PAGE_SIZE / 1024) as i64,
        ru_minflt: faults.0 as i64,
        ru_majflt: faults.1 as i64,
        ..rusage::default()
    }
}
