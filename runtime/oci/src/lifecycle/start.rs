//! Start: the first process executes the container's program.

use super::Container;
use crate::Error;

impl Container {
    /// Lets the program run. On return it has been executed.
    ///
    /// # Errors
    ///
    /// [`Error::Child`] when it cannot be executed (exit codes 126 and 127); no process is left then.
    pub fn start(&mut self) -> Result<(), Error> {
        let result = rustix::io::write(&self.start, &[1])
            .map_err(Error::system("start the container"))
            .and_then(|_| self.report.wait_executed());
        if result.is_err() {
            self.abandon();
        }
        result
    }
}
