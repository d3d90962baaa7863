//! How the first process tells its parent how far it has come: a pipe.
//!
//! One zero byte says "set up". An error is its exit code and its text, up to the end of the pipe. The end of the pipe after
//! the zero byte says "executed", since the pipe closes on exec.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use crate::Error;

/// The longest error text that is taken, in bytes.
const TEXT_LIMIT: u64 = 4096;

const READY: u8 = 0;

/// The first process's end.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    pipe: &'a OwnedFd,
}

impl<'a> Sender<'a> {
    pub fn new(pipe: &'a OwnedFd) -> Self {
        Self { pipe }
    }

    /// Says that only the execution is left to do.
    pub fn ready(self) -> Result<(), Error> {
        rustix::io::write(self.pipe, &[READY]).map(drop).map_err(Error::system("report to the runtime"))
    }

    /// Says what went wrong.
    pub fn error(self, error: &Error) {
        let mut bytes = vec![error.exit_code()];
        bytes.extend(error.to_string().replace('\n', " ").bytes());
        // With nobody to read it, the process's end tells enough.
        let _ = rustix::io::write(self.pipe, &bytes);
    }
}

/// The parent's end.
#[derive(Debug)]
pub struct Receiver {
    pipe: File,
}

impl Receiver {
    pub fn new(pipe: OwnedFd) -> Self {
        Self { pipe: File::from(pipe) }
    }

    /// Waits until the container is set up.
    pub fn wait_ready(&mut self) -> Result<(), Error> {
        match self.next_byte()? {
            Some(READY) => Ok(()),
            Some(code) => Err(self.error(code)),
            None => Err(Error::Vanished),
        }
    }

    /// Waits until the program is executed.
    pub fn wait_executed(&mut self) -> Result<(), Error> {
        match self.next_byte()? {
            None => Ok(()),
            Some(code) => Err(self.error(code)),
        }
    }

    fn next_byte(&mut self) -> Result<Option<u8>, Error> {
        let mut byte = [0];
        loop {
            match self.pipe.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(byte[0])),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("hear from the container's first process")(error)),
            }
        }
    }

    fn error(&mut self, code: u8) -> Error {
        let mut text = Vec::new();
        // A text cut short is still better than none.
        let _ = self.pipe.by_ref().take(TEXT_LIMIT).read_to_end(&mut text);
        Error::Child { message: String::from_utf8_lossy(&text).into_owned(), code }
    }
}
