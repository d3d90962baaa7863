//! `execve(2)` and nothing around it: <https://man7.org/linux/man-pages/man2/execve.2.html>.
//!
//! std's `CommandExt::exec` goes through libc's `execvp`, and glibc's hands what the kernel refuses with ENOEXEC to a shell.

use std::ffi::{CStr, CString};
use std::io;
use std::ptr;

/// Replaces the program of this process; returns only when that fails.
///
/// SIGPIPE, which Rust's runtime ignores, gets its default action back first, since ignored signals stay so over an exec.
#[must_use]
pub fn exec(program: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let args = pointers(args);
    let env = pointers(env);
    // SAFETY: SIG_DFL is a valid action for SIGPIPE; no handler of ours is involved.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // SAFETY: 1. `program` ends in a NUL. 2. Both arrays end in a null pointer, and every other pointer in them comes from
    // a CString that outlives the call. 3. On success nothing of this process's memory is left to be misused.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// The array that the call takes. It borrows from `strings`, which the caller keeps.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}
