//! The end: processes ended, written data out, machine off.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use runtime_sys::signal::SignalPipe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::system::RebootCommand;

use crate::error::Error;
use crate::reap::{has_children, reap};

/// How long processes may take to end when they are asked to: docker's usual time for a container.
const GRACE: Duration = Duration::from_secs(10);

/// How long the kernel may take to end them when they are not asked.
const INSISTENCE: Duration = Duration::from_secs(5);

/// How often is looked whether they are gone: not every end is told to PID 1.
const PAUSE: Duration = Duration::from_millis(20);

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

/// Ends every process but this one: asks, waits, then insists. Containers' processes among them.
pub fn end_processes(signals: &SignalPipe) {
    println!("coffer: powering off");
    for (signal, patience) in [(Signal::TERM, GRACE), (Signal::KILL, INSISTENCE)] {
        // The group 1 is spelt -1, which is everybody but the caller (kill(2)). It fails where nobody is left.
        let _ = kill_process_group(Pid::INIT, signal);
        let start = Instant::now();
        while let Some(left) = patience.checked_sub(start.elapsed()) {
            // What they say does not matter any more; that they came does.
            let _ = signals.take();
            reap(None);
            // Whose parent has ended is PID 1's child, so that without children nobody is left.
            if !has_children() {
                return;
            }
            let pause = left.min(PAUSE);
            let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], Timespec::try_from(pause).ok().as_ref());
        }
    }
    eprintln!("coffer: some processes do not end");
}
