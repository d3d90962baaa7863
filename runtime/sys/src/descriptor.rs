//! `close_range(2)`, for descriptors that nobody here opened: <https://man7.org/linux/man-pages/man2/close_range.2.html>.

use std::io;

/// Marks every descriptor from `first` up to be closed on exec.
///
/// Whatever the runtime opens is marked when it is opened; this is for what it was started with. On a kernel without the
/// call (Linux before 5.11) nothing is marked.
///
/// # Errors
///
/// What `close_range(2)` returns, other than ENOSYS.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: the call takes no pointer; with CLOSE_RANGE_CLOEXEC it closes nothing now, so no descriptor that some value
    // owns becomes invalid.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    match result {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
            error => Err(error),
        },
    }
}
