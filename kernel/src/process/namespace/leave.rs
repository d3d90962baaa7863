//! Leave to leave the initial pid namespace, which process 1 gives once it has closed it: by `/proc/coffer/leave`.
//!
//! Coffer's runtime measures every container before it starts (docs/runtime-log.md). Its process 1 closes the namespace before there is anything to
//! measure, and gives leave for one first process with each start that it has measured: so there cannot be more containers than measured starts, whatever
//! the processes beside it do. What goes on inside of a container's namespace is that container's affair. A kernel whose process 1 closes nothing is as
//! Linux.

use crate::error::{Errno, Error, Result};
use crate::fs::synthetic::Text;
use crate::thread::Thread;
use ostd::sync::SpinLock;

/// For how many new namespaces there is leave; none while nobody has closed the initial one.
static LEAVE: SpinLock<Option<u32>> = SpinLock::new(None);

/// Takes leave for one new namespace in the initial one.
///
/// # Errors
/// EPERM when there is none.
pub fn take() -> Result<()> {
    match &mut *LEAVE.lock() {
        None => Ok(()),
        Some(0) => Err(Error::with(Errno::EPERM, "process 1 has given no leave for a pid namespace")),
        Some(count) => {
            *count -= 1;
            Ok(())
        }
    }
}

/// What the file shows: `open`, or the number.
pub fn show(text: &mut Text) -> Result<()> {
    match *LEAVE.lock() {
        None => text.bytes(b"open\n"),
        Some(count) => text.add(format_args!("{count}\n")),
    }
    Ok(())
}

/// `close`, for good, or `allow`, for one more.
///
/// # Errors
/// EPERM for any process but the first; EINVAL for other words, and for leave that nobody needs.
pub fn store(bytes: &[u8]) -> Result<()> {
    if !Thread::current().is_some_and(|thread| thread.process().is_init()) {
        return Err(Error::with(Errno::EPERM, "it is for process 1 to give leave"));
    }
    let mut leave = LEAVE.lock();
    match (bytes.trim_ascii(), *leave) {
        (b"close", None) => *leave = Some(0),
        (b"close", Some(_)) => {}
        (b"allow", Some(count)) => *leave = Some(count.checked_add(1).ok_or(Errno::EINVAL)?),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(())
}
