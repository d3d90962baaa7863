//! [sched_yield(2)](https://man7.org/linux/man-pages/man2/sched_yield.2.html) and
//! [getcpu(2)](https://man7.org/linux/man-pages/man2/getcpu.2.html)

use crate::context::Context;
use crate::error::Result;
use crate::syscall::UserPtr;

/// Lets others run.
pub fn sys_sched_yield(_context: &mut Context<'_>) -> Result<()> {
    ostd::task::yield_now();
    Ok(())
}

/// Says on which CPU the caller was a moment ago; there is one node.
pub fn sys_getcpu(cpu: UserPtr<u32>, node: UserPtr<u32>, _context: &mut Context<'_>) -> Result<()> {
    cpu.write_if_some(&(ostd::cpu::current_racy().as_usize() as u32))?;
    node.write_if_some(&0)
}
