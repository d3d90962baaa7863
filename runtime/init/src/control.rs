//! The control port: lines of JSON between host and PID 1, which `runtime-control` describes.
//!
//! What is read comes from the host and is untrusted: a line's length is limited and unknown keys are errors.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use runtime_control::{Command, Event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::error::Error;

/// The longest line that is taken from the host, in bytes.
const LINE_LIMIT: usize = 1 << 20;

/// How long an event may wait for a host that does not read.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// How long the host may take to confirm the end, when it still has output to pass on.
const RECEIVE_PATIENCE: Duration = Duration::from_secs(10);

/// How everything ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code of the last container.
    pub code: u8,
    /// Bytes of output handed to the host's ports by all containers.
    pub stdout: u64,
    pub stderr: u64,
}

/// PID 1's end of the port.
#[derive(Debug)]
pub struct Control {
    port: File,
    /// Bytes read that are not yet a line.
    pending: Vec<u8>,
    is_closed: bool,
}

impl Control {
    /// Takes over an open port in non-blocking mode.
    pub fn new(port: File) -> Self {
        Self { port, pending: Vec::new(), is_closed: false }
    }

    /// The port, to be polled for input. None when the host has closed its end.
    pub fn to_poll(&self) -> Option<&File> {
        (!self.is_closed).then_some(&self.port)
    }

    /// Reads what there is without waiting, and gives the next command if it is complete. An end of file is remembered.
    pub fn next_command(&mut self) -> Result<Option<Command>, Error> {
        loop {
            if let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return decode(&line).map(Some);
            }
            if self.pending.len() > LINE_LIMIT {
                return Err(Error::Request(format!("a line is longer than {LINE_LIMIT} bytes")));
            }
            let mut buffer = [0; 4096];
            match self.port.read(&mut buffer) {
                Ok(0) => {
                    self.is_closed = true;
                    return Ok(None);
                }
                Ok(count) => self.pending.extend(buffer.iter().take(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::system("read the control port")(error)),
            }
        }
    }

    /// Forgets an end of file: before the host has connected, a port reads as one that is closed.
    pub fn reopen(&mut self) {
        self.is_closed = false;
    }

    /// Tells the host which phase begins.
    pub fn phase(&mut self, name: &str) -> Result<(), Error> {
        self.send(&Event::Phase(name.to_owned()))
    }

    /// Tells the host something.
    pub fn send(&mut self, event: &Event) -> Result<(), Error> {
        let mut line = serde_json::to_vec(event).map_err(|error| Error::system("encode an event")(error))?;
        line.push(b'\n');
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(&self.port, rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait_writable()?,
                Err(errno) => return Err(Error::system("write to the control port")(errno)),
            }
        }
        Ok(())
    }

    /// Tells the host how it ended, the last line of every run, and waits until the host has everything. What is
    /// in a port's queue when the machine goes off is lost: up to 4 MiB with Linux's driver.
    pub fn finish(&mut self, result: Result<Outcome, Error>) {
        let sent = match &result {
            Ok(Outcome { code, stdout, stderr }) => {
                self.send(&Event::Exit { code: *code, stdout: *stdout, stderr: *stderr })
            }
            Err(error) => {
                let message = error.to_string().replace(['\n', '\r'], " ");
                self.send(&Event::Error { code: error.exit_code(), message })
            }
        };
        // The console is the last resort, for an error and for a host that is gone.
        if let Err(error) = &result {
            eprintln!("coffer: {error}");
        }
        match sent {
            Ok(()) => self.wait_received(),
            Err(error) => eprintln!("coffer: {error}"),
        }
    }

    /// Waits for the host's last word, as long as it is there and not for ever.
    fn wait_received(&mut self) {
        let start = Instant::now();
        while let Some(left) = RECEIVE_PATIENCE.checked_sub(start.elapsed()) {
            match self.next_command() {
                Ok(Some(Command::Received(_))) | Err(_) => return,
                // Signals and sizes for a container that has just ended.
                Ok(Some(_)) => continue,
                Ok(None) => {}
            }
            let Some(port) = self.to_poll() else { return };
            let timeout = Timespec::try_from(left).ok();
            // Timed out, interrupted or ready: looked at above.
            let _ = poll(&mut [PollFd::new(port, PollFlags::IN)], timeout.as_ref());
        }
    }

    fn wait_writable(&self) -> Result<(), Error> {
        let timeout = Timespec::try_from(WRITE_PATIENCE).ok();
        let mut wanted = [PollFd::new(&self.port, PollFlags::OUT)];
        match poll(&mut wanted, timeout.as_ref()) {
            Ok(0) => Err(Error::system("write to the control port")(Errno::TIMEDOUT)),
            Ok(_) if wanted[0].revents().contains(PollFlags::OUT) => Ok(()),
            Ok(_) => Err(Error::system("write to the control port")(Errno::PIPE)),
            Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::system("wait for the control port")(errno)),
        }
    }
}

fn decode(line: &[u8]) -> Result<Command, Error> {
    serde_json::from_slice(line).map_err(|error| Error::Request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_line_is_survived(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&line);
        }
    }
}
