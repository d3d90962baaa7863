//! Kill: send a signal to the container's first process.

use rustix::io::Errno;
use rustix::process::Signal;

use super::Container;
use crate::Error;

impl Container {
    /// Sends `signal` (1 to 31). Being pid 1 of its namespace, the process ignores what it has no handler for, except
    /// SIGKILL and SIGSTOP. No error when it has ended and is not yet reaped.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for other numbers; what `kill(2)` returns.
    pub fn kill(&self, signal: i32) -> Result<(), Error> {
        let unsupported = || Error::Unsupported { what: "signal", value: signal.to_string() };
        let signal = Signal::from_named_raw(signal).ok_or_else(unsupported)?;
        match rustix::process::kill_process(self.pid, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(Error::system("signal the container")(errno)),
        }
    }
}
