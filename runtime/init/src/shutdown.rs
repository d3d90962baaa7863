//! The end: written data out, machine off.

use std::process::ExitCode;

use runtime_sys::signal::SignalPipe;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::system::RebootCommand;

use crate::error::Error;
use crate::phases::signals::{SIGINT, SIGTERM};
use crate::reap::reap;

/// Powers the machine off. Returns only when it cannot be: the end of PID 1 is then the kernel's to handle.
pub fn power_off() -> ExitCode {
    rustix::fs::sync();
    let result = rustix::system::reboot(RebootCommand::PowerOff);
    eprintln!("coffer: cannot power off: {result:?}");
    ExitCode::FAILURE
}

/// Tells the console, the only one there is to tell, and powers off.
pub fn after_error(error: &Error) -> ExitCode {
    eprintln!("coffer: {error}");
    power_off()
}

/// Idles, for a machine that nobody attached anything to, until SIGTERM or ctrl-alt-del (which arrives as SIGINT).
pub fn when_asked(signals: &SignalPipe) -> ExitCode {
    println!("coffer: no control port is attached, so there is nothing to run; waiting for power-off");
    // Without CAP_SYS_BOOT, in a test, the machine reacts to the keys itself.
    let _ = rustix::system::reboot(RebootCommand::CadOff);
    loop {
        // Interrupted or not: what counts is in the signal pipe.
        let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], None);
        reap(None);
        if signals.take().iter().any(|&signal| signal == SIGTERM || signal == SIGINT) {
            println!("coffer: powering off");
            return power_off();
        }
    }
}
