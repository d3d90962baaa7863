//! Controlling terminals and job control: credentials(7), tty_ioctl(4).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;

use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, setpgid, setsid, tcgetpgrp, tcsetpgrp};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child::{self, Child};

cases!("tty":
    a_session_leader_takes_a_terminal,
    interrupt_reaches_the_foreground_group,
    suspend_stops_the_foreground_group,
    a_background_read_stops_the_reader,
    hangup_reaches_the_session_leader,
    a_resize_sends_sigwinch,
    dev_tty_is_the_controlling_terminal,
);

fn pair() -> nix::Result<(File, File)> {
    let OpenptyResult { master, slave } = openpty(None, None)?;
    Ok((File::from(master), File::from(slave)))
}

/// Makes a terminal the controlling one of a new session.
fn take(slave: &File) -> nix::Result<()> {
    setsid()?;
    // SAFETY: the request takes no pointer.
    nix::errno::Errno::result(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

/// A child that leads a session on the terminal, says so by a byte on it, and goes on with `body`.
fn leader(slave: &File, body: impl FnOnce() -> i32) -> nix::Result<Child> {
    child::fork(|| {
        // SAFETY: puts back the default, so that an end by signal shows.
        let _ = unsafe { signal(Signal::SIGHUP, SigHandler::SigDfl) };
        if take(slave).is_err() || (&*slave).write_all(b"!").is_err() {
            return 90;
        }
        body()
    })
}

fn pause() -> i32 {
    nix::unistd::pause();
    0
}

fn a_session_leader_takes_a_terminal() -> Outcome {
    let (_master, slave) = pair()?;
    child::passes(|| {
        check_fails!(tcgetpgrp(&slave), ENOTTY);
        take(&slave)?;
        check_eq!(tcgetpgrp(&slave)?, getpid());
        check_eq!(nix::sys::termios::tcgetsid(&slave)?, getpid());
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let device: i64 =
            stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(4)).unwrap_or("0").parse()?;
        check!(device != 0, "the stat file names no terminal");
        Ok(())
    })
}

fn interrupt_reaches_the_foreground_group() -> Outcome {
    let (mut master, slave) = pair()?;
    for (key, expected) in [(b"\x03", Signal::SIGINT), (b"\x1c", Signal::SIGQUIT)] {
        let child = leader(&slave, pause)?;
        master.read_exact(&mut [0])?;
        master.write_all(key)?;
        check_eq!(child.end_signal()?, expected);
        // The echo of the key.
        check_eq!(master.read(&mut [0; 8])?, 2);
    }
    Ok(())
}

fn suspend_stops_the_foreground_group() -> Outcome {
    let (mut master, slave) = pair()?;
    let child = leader(&slave, || {
        // The leader itself has an orphaned group, which job control does not stop: its child is stopped.
        let Ok(job) = child::fork(pause) else { return 91 };
        if setpgid(job.pid, job.pid).is_err() || tcsetpgrp(&slave, job.pid).is_err() {
            return 92;
        }
        if (&slave).write_all(b"!").is_err() {
            return 93;
        }
        let status = waitpid(job.pid, Some(WaitPidFlag::WUNTRACED));
        let _ = job.kill(Signal::SIGKILL);
        i32::from(status != Ok(WaitStatus::Stopped(job.pid, Signal::SIGTSTP)))
    })?;
    master.read_exact(&mut [0; 2])?;
    master.write_all(b"\x1a")?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn a_background_read_stops_the_reader() -> Outcome {
    let (mut master, slave) = pair()?;
    let child = leader(&slave, || {
        let Ok(job) = child::fork(|| {
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            i32::from((&slave).read(&mut [0; 4]).is_err())
        }) else {
            return 91;
        };
        let status = waitpid(job.pid, Some(WaitPidFlag::WUNTRACED));
        let _ = job.kill(Signal::SIGKILL);
        i32::from(status != Ok(WaitStatus::Stopped(job.pid, Signal::SIGTTIN)))
    })?;
    master.read_exact(&mut [0])?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn hangup_reaches_the_session_leader() -> Outcome {
    let (mut master, slave) = pair()?;
    // The child holds a copy of the master, which would keep the terminal alive: it closes that first.
    let copy = master.as_raw_fd().unsigned_abs() as usize;
    let child = leader(&slave, || match crate::raw::harmless(libc::SYS_close, [copy]) {
        Ok(_) => pause(),
        Err(_) => 91,
    })?;
    master.read_exact(&mut [0])?;
    child.until_asleep()?;
    drop(master);
    check_eq!(child.end_signal()?, Signal::SIGHUP);
    Ok(())
}

fn a_resize_sends_sigwinch() -> Outcome {
    let (mut master, slave) = pair()?;
    let child = leader(&slave, || {
        let mut set = nix::sys::signal::SigSet::empty();
        set.add(Signal::SIGWINCH);
        if set.thread_block().is_err() || (&slave).write_all(b"!").is_err() {
            return 91;
        }
        i32::from(set.wait() != Ok(Signal::SIGWINCH))
    })?;
    master.read_exact(&mut [0; 2])?;
    let size = nix::pty::Winsize { ws_row: 10, ws_col: 20, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call reads a live local.
    nix::errno::Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn dev_tty_is_the_controlling_terminal() -> Outcome {
    let (mut master, slave) = pair()?;
    let child = leader(&slave, || {
        let written = File::options()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .and_then(|mut tty| tty.write_all(b"by tty"));
        i32::from(written.is_err())
    })?;
    let mut text = [0; 7];
    master.read_exact(&mut text)?;
    check_eq!(&text, b"!by tty");
    check_eq!(child.exit_code()?, 0);
    Ok(())
}
