//! Host: find the control port and take the first command from it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use runtime_control::{Command, PORT};
use runtime_sys::signal::SignalPipe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::signals::{SIGINT, SIGTERM};
use crate::control::Control;
use crate::error::Error;
use crate::ports;

/// How long ports and disks may take to appear. Drivers may still be probing when PID 1 starts.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How often is looked for what is not there yet.
pub const PAUSE: Duration = Duration::from_millis(5);

/// How long the host may take to connect to the port and send the request.
const REQUEST_PATIENCE: Duration = Duration::from_secs(60);

/// Opens the control port. None when the machine has none, or none that opens.
pub fn connect() -> Option<Control> {
    let start = Instant::now();
    loop {
        match ports::open(PORT) {
            Ok(Some(port)) => return Some(Control::new(port)),
            Ok(None) if start.elapsed() < PATIENCE => sleep(PAUSE),
            Ok(None) => return None,
            Err(error) => {
                eprintln!("coffer: cannot open the control port: {error}");
                return None;
            }
        }
    }
}

/// Tells a host that listens which phase begins. An engine machine goes on without one.
pub fn tell(control: &mut Option<&mut Control>, phase: &str) {
    println!("coffer: {phase}");
    if let Some(port) = control.as_mut()
        && port.phase(phase).is_err()
    {
        *control = None;
    }
}

/// Waits for the host's first line.
pub fn first_command(control: &mut Control, signals: &SignalPipe) -> Result<Command, Error> {
    let start = Instant::now();
    while start.elapsed() < REQUEST_PATIENCE {
        if let Some(command) = control.next_command()? {
            return Ok(command);
        }
        if signals.take().iter().any(|&signal| signal == SIGTERM || signal == SIGINT) {
            return Err(Error::Stopped);
        }
        // A port to which the host has not connected reads as closed and polls as hung up, so time has to pass.
        if control.to_poll().is_none() {
            control.reopen();
            sleep(PAUSE);
            continue;
        }
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        if let Some(port) = control.to_poll() {
            let mut wanted = [PollFd::new(port, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            // Interrupted or timed out: looked at again above.
            let _ = poll(&mut wanted, Some(&second));
        }
    }
    Err(Error::NoRequest)
}
