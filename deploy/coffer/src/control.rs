//! The control port of a machine in the background.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context as _;
use runtime_control::{Command, Event};

use crate::state::{Home, PLACES};

/// A connection to the port. The machine sees that it ends.
#[derive(Debug)]
pub struct Control {
    stream: UnixStream,
    pending: Vec<u8>,
}

impl Control {
    /// Connects; QEMU listens as long as the machine runs.
    pub fn connect(home: &Home) -> anyhow::Result<Self> {
        let connect = || {
            // The path of the folder may be longer than the address of a unix socket; its descriptor's name is not.
            let folder = File::open(home.folder())?;
            let path = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), PLACES.control);
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(Duration::from_millis(50)))?;
            Ok::<_, std::io::Error>(stream)
        };
        let stream = connect().with_context(|| format!("cannot reach the machine `{}`", home.name))?;
        Ok(Self { stream, pending: Vec::new() })
    }

    /// Sends one command.
    pub fn send(&mut self, command: &Command) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        self.stream.write_all(&line).context("cannot tell the machine")
    }

    /// What the machine has said since the last call; waits a moment for it.
    pub fn events(&mut self) -> Vec<Event> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(count) => self.pending.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // A machine that is gone is noticed by its process.
            Err(_) => {}
        }
        let Some(end) = self.pending.iter().rposition(|&byte| byte == b'\n') else { return Vec::new() };
        let lines: Vec<u8> = self.pending.drain(..=end).collect();
        // A line of another kind is a newer machine's.
        lines.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}
