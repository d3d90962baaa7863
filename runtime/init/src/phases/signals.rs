//! Signals: from now on they arrive in a pipe.

use runtime_sys::signal::SignalPipe;

use crate::error::Error;

/// Ctrl-alt-del, once the kernel is told to pass it on.
pub const SIGINT: i32 = 2;
/// A polite request to power off.
pub const SIGTERM: i32 = 15;
/// A child has ended.
const SIGCHLD: i32 = 17;

/// Catches the signals that PID 1 acts on.
pub fn catch() -> Result<SignalPipe, Error> {
    SignalPipe::open(&[SIGINT, SIGTERM, SIGCHLD]).map_err(Error::system("catch signals"))
}
