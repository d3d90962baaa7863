//! A started machine: its process, its console, how it ended.

use std::io::Read as _;
use std::process::{Child, ChildStdout, ExitStatus};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Error;
use crate::console::Console;
use crate::ports::{Listeners, Ports};

/// How often a waiting host looks whether QEMU has ended.
const POLL: Duration = Duration::from_millis(5);

/// A machine that was started. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    complaints: Option<JoinHandle<String>>,
    /// The serial console.
    pub console: Console,
    /// The host's ends of the ports, until somebody takes them.
    pub ports: Option<Ports>,
}

/// Why a machine is no longer there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It powered off or asked for a restart.
    PoweredOff,
    /// The kernel wrote this value to the exit device (`ostd::power::Exit`).
    DebugExit(u8),
    /// QEMU failed; its own words.
    Failed(String),
    /// It was still running when the time was up, and has been ended.
    TimedOut,
}

impl Running {
    pub(crate) fn adopt(
        mut child: Child,
        listeners: Option<Listeners>,
        capture: impl FnOnce(ChildStdout) -> Result<Console, Error>,
    ) -> Result<Self, Error> {
        let no_pipe = || Error::NotStarted("no pipe to its console".to_owned());
        let serial = child.stdout.take().ok_or_else(no_pipe)?;
        let mut errors = child.stderr.take().ok_or_else(no_pipe)?;
        let complaints = thread::spawn(move || {
            let mut text = Vec::new();
            // What was read before an error is still worth showing.
            let _incomplete = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        let console = capture(serial)?;
        let mut running = Self { child, complaints: Some(complaints), console, ports: None };
        if let Some(listeners) = listeners {
            running.ports = listeners.accept(|| !matches!(running.child.try_wait(), Ok(None)))?;
            if running.ports.is_none() {
                running.stop();
                return Err(Error::NotStarted(running.complaints()));
            }
        }
        Ok(running)
    }

    /// QEMU's process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the machine ends, at most `patience` (for ever where there is none), and ends it then.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub fn wait(&mut self, patience: Option<Duration>) -> Result<Ended, Error> {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(Error::system("wait for qemu"))? {
                break status;
            }
            if patience.is_some_and(|patience| start.elapsed() > patience) {
                self.stop();
                self.console.drain();
                return Ok(Ended::TimedOut);
            }
            thread::sleep(POLL);
        };
        self.console.drain();
        Ok(self.ended(status))
    }

    /// Whether QEMU has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the machine at once, as pulling the plug would.
    pub fn stop(&mut self) {
        // Both fail only where it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    fn ended(&mut self, status: ExitStatus) -> Ended {
        match status.code() {
            Some(0) => Ended::PoweredOff,
            // The device makes `value << 1 | 1` of what is written; 1 itself is QEMU's own failure.
            Some(code @ 3..=0x1ff) if code & 1 == 1 => {
                Ended::DebugExit(u8::try_from(code >> 1).unwrap_or(u8::MAX))
            }
            _ => Ended::Failed(self.complaints()),
        }
    }

    fn complaints(&mut self) -> String {
        self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
