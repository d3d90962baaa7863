//! signalfd(2).

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getpid;

use crate::case::{Failure, Outcome, cases, check, check_eq};
use crate::child;

cases!("event":
    a_signalfd_reads_pending_signals,
    a_signalfd_is_polled,
    a_signalfd_reads_the_signals_of_its_reader,
);

fn blocked() -> nix::Result<SigSet> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGUSR1);
    set.add(Signal::SIGCHLD);
    set.thread_block()?;
    Ok(set)
}

fn a_signalfd_reads_pending_signals() -> Outcome {
    let descriptor = SignalFd::with_flags(&blocked()?, SfdFlags::SFD_NONBLOCK)?;
    check!(descriptor.read_signal()?.is_none());
    kill(getpid(), Signal::SIGUSR1)?;
    let info = descriptor.read_signal()?.ok_or_else(|| Failure::wrong("no signal"))?;
    check_eq!(info.ssi_signo.cast_signed(), libc::SIGUSR1);
    check_eq!(info.ssi_pid.cast_signed(), getpid().as_raw());
    check!(descriptor.read_signal()?.is_none());
    Ok(())
}

fn a_signalfd_is_polled() -> Outcome {
    let descriptor = SignalFd::new(&blocked()?)?;
    let ready = || poll(&mut [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)], 0_u8);
    check_eq!(ready()?, 0);
    let child = child::fork(|| 3)?;
    check_eq!(poll(&mut [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)], 2000_u16)?, 1);
    let info = descriptor.read_signal()?.ok_or_else(|| Failure::wrong("no signal"))?;
    check_eq!((info.ssi_signo.cast_signed(), info.ssi_status), (libc::SIGCHLD, 3));
    check_eq!(child.exit_code()?, 3);
    Ok(())
}

fn a_signalfd_reads_the_signals_of_its_reader() -> Outcome {
    let descriptor = SignalFd::with_flags(&blocked()?, SfdFlags::SFD_NONBLOCK)?;
    kill(getpid(), Signal::SIGUSR1)?;
    child::passes(|| {
        check!(descriptor.read_signal()?.is_none(), "a child read its parent's signal");
        kill(getpid(), Signal::SIGUSR1)?;
        check!(descriptor.read_signal()?.is_some());
        Ok(())
    })
}
