//! RLIMIT_FSIZE: the largest file that a process may make (getrlimit(2)).

use crate::error::{Errno, Result};
use crate::process::rlimit::{INFINITY, Resource};
use crate::signal::{SigInfo, Signal, send};
use crate::thread::Thread;
use coffer_abi_types::signal::SI_USER;
use ostd::mm::VmReader;

/// Shortens a write at `offset` to what the caller's limit leaves.
///
/// # Errors
/// EFBIG, with SIGXFSZ, if that is nothing.
pub fn limit_write(offset: u64, reader: &mut VmReader<'_>) -> Result<()> {
    let Some((thread, limit)) = current_limit() else { return Ok(()) };
    if reader.remaining() == 0 {
        return Ok(());
    }
    if offset >= limit {
        return refuse(&thread);
    }
    reader.limit(usize::try_from(limit - offset).unwrap_or(usize::MAX));
    Ok(())
}

/// Whether a file may grow to `size`.
///
/// # Errors
/// EFBIG, with SIGXFSZ.
pub fn check_size(size: u64) -> Result<()> {
    match current_limit() {
        Some((thread, limit)) if size > limit => refuse(&thread),
        _ => Ok(()),
    }
}

/// The current thread and its limit; `None` without a limit, and for the kernel itself.
fn current_limit() -> Option<(alloc::sync::Arc<Thread>, u64)> {
    let thread = Thread::current()?;
    let limit = thread.process().rlimit(Resource::FileSize).0;
    (limit != INFINITY).then_some((thread, limit))
}

fn refuse(thread: &Thread) -> Result<()> {
    send::to_thread(thread, SigInfo::from_process(Signal::XFSZ, SI_USER, thread.process()))?;
    Err(Errno::EFBIG.into())
}
