//! What a handler does to the system call that it interrupts (signal(7), "Interruption of system calls").

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, Signal, kill};
use nix::unistd::{getpid, read, write};

use super::{count_on, counted};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child::{self, Child};

cases!("signal":
    read_is_restarted_with_sa_restart,
    read_fails_with_eintr_without,
    wait_is_restarted_with_sa_restart,
    poll_fails_with_eintr_even_with_sa_restart,
    nanosleep_tells_what_is_left,
    an_ignored_signal_does_not_interrupt,
    stop_and_continue_do_not_disturb_a_read,
);

/// A child that signals this process after 50 ms and writes a byte after 100 ms.
fn disturber(writer: OwnedFd) -> nix::Result<Child> {
    let parent = getpid();
    child::fork(move || {
        std::thread::sleep(Duration::from_millis(50));
        let sent = kill(parent, Signal::SIGUSR1);
        std::thread::sleep(Duration::from_millis(50));
        i32::from(sent.is_err() || write(&writer, b"x") != Ok(1))
    })
}

fn read_is_restarted_with_sa_restart() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::SA_RESTART)?;
    let (reader, writer) = nix::unistd::pipe()?;
    let child = disturber(writer)?;
    let mut byte = [0];
    check_eq!(read(&reader, &mut byte)?, 1);
    check_eq!(counted(), 1);
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn read_fails_with_eintr_without() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    let (reader, writer) = nix::unistd::pipe()?;
    let child = disturber(writer)?;
    let mut byte = [0];
    check_fails!(read(&reader, &mut byte), EINTR);
    check_eq!(counted(), 1);
    check_eq!(read(&reader, &mut byte)?, 1);
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn wait_is_restarted_with_sa_restart() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::SA_RESTART)?;
    let (_reader, writer) = nix::unistd::pipe()?;
    let child = disturber(writer)?;
    let status = nix::sys::wait::waitpid(child.pid, None)?;
    check_eq!(status, nix::sys::wait::WaitStatus::Exited(child.pid, 0));
    check_eq!(counted(), 1);
    Ok(())
}

fn poll_fails_with_eintr_even_with_sa_restart() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::SA_RESTART)?;
    let (reader, writer) = nix::unistd::pipe()?;
    let child = disturber(writer)?;
    let mut polled = [nix::poll::PollFd::new(reader.as_fd(), nix::poll::PollFlags::POLLIN)];
    check_fails!(nix::poll::poll(&mut polled, 5000_u16), EINTR);
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn nanosleep_tells_what_is_left() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::SA_RESTART)?;
    let (_reader, writer) = nix::unistd::pipe()?;
    let child = disturber(writer)?;
    let asked = libc::timespec { tv_sec: 5, tv_nsec: 0 };
    let mut left = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both are live locals.
    let result = nix::errno::Errno::result(unsafe { libc::nanosleep(&raw const asked, &raw mut left) });
    check_fails!(result, EINTR);
    check!((3..5).contains(&left.tv_sec), "{} s are left of 5", left.tv_sec);
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn an_ignored_signal_does_not_interrupt() -> Outcome {
    super::install(
        Signal::SIGUSR1,
        nix::sys::signal::SigHandler::SigIgn,
        SaFlags::empty(),
        nix::sys::signal::SigSet::empty(),
    )?;
    let (reader, writer) = nix::unistd::pipe()?;
    let child = disturber(writer)?;
    let mut byte = [0];
    check_eq!(read(&reader, &mut byte)?, 1);
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn stop_and_continue_do_not_disturb_a_read() -> Outcome {
    let (reader, writer) = nix::unistd::pipe()?;
    let sleeper = child::fork(|| {
        let mut byte = [0];
        i32::from(read(&reader, &mut byte) != Ok(1))
    })?;
    sleeper.until_asleep()?;
    sleeper.kill(Signal::SIGSTOP)?;
    child::until("the child has stopped", || Ok(sleeper.state()? == 'T'))?;
    sleeper.kill(Signal::SIGCONT)?;
    let start = Instant::now();
    sleeper.until_asleep()?;
    check!(start.elapsed() < Duration::from_secs(2));
    write(&writer, b"y")?;
    check_eq!(sleeper.exit_code()?, 0);
    Ok(())
}
