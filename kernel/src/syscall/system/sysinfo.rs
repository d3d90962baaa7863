//! [sysinfo(2)](https://man7.org/linux/man-pages/man2/sysinfo.2.html)

use crate::context::Context;
use crate::error::Result;
use crate::process::namespace::pid::PidNamespace;
use crate::syscall::UserPtr;
use coffer_abi_types::system::sysinfo;
use ostd::mm::PAGE_SIZE;

/// Memory, load and time since boot.
pub fn sys_sysinfo(to: UserPtr<sysinfo>, _context: &mut Context<'_>) -> Result<usize> {
    let memory = ostd::mm::stats();
    to.write(&sysinfo {
        uptime: (crate::time::monotonic_now() / 1_000_000_000) as i64,
        loads: crate::sched::load_average(),
        totalram: memory.total as u64,
        freeram: memory.free as u64,
        procs: PidNamespace::initial().len().min(usize::from(u16::MAX)) as u16,
        mem_unit: PAGE_SIZE as u32,
        ..sysinfo::default()
    })?;
    Ok(0)
}
