//! Child processes as closures, so that a case reads from top to bottom.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use crate::case::{Failure, Outcome};

/// A forked child that has not been waited for.
#[derive(Debug)]
pub struct Child {
    pub pid: Pid,
}

/// Forks; the child runs `body` and exits with its value.
pub fn fork(body: impl FnOnce() -> i32) -> nix::Result<Child> {
    // SAFETY: cases fork while they have no other thread, or run only async-signal-safe code in the child.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Child { pid: child }),
        ForkResult::Child => exit_now(body()),
    }
}

/// Forks; the child exits with 0 if `body` passes, else it says why and exits with 1.
pub fn fork_case(body: impl FnOnce() -> Outcome) -> nix::Result<Child> {
    fork(|| match body() {
        Ok(()) => 0,
        Err(failure) => {
            println!("  in a child: {failure:?}");
            1
        }
    })
}

/// Runs `body` in a child of its own and passes if that passes.
#[track_caller]
pub fn passes(body: impl FnOnce() -> Outcome) -> Outcome {
    let here = std::panic::Location::caller();
    match fork_case(body)?.wait()? {
        WaitStatus::Exited(_, 0) => Ok(()),
        other => Err(Failure::Wrong(format!("the child ended as {other:?} (started at {here})"))),
    }
}

/// Leaves the process without running destructors or flushing what the parent has buffered.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

impl Child {
    /// Waits for the end of the child.
    pub fn wait(&self) -> nix::Result<WaitStatus> {
        loop {
            match waitpid(self.pid, None) {
                Err(Errno::EINTR) => {}
                other => return other,
            }
        }
    }

    /// Waits for the child to exit and returns its code.
    #[track_caller]
    pub fn exit_code(&self) -> Outcome<i32> {
        let here = std::panic::Location::caller();
        match self.wait()? {
            WaitStatus::Exited(_, code) => Ok(code),
            other => Err(Failure::Wrong(format!("expected an exit, got {other:?} ({here})"))),
        }
    }

    /// Waits for the child to be ended by a signal and returns that.
    #[track_caller]
    pub fn end_signal(&self) -> Outcome<Signal> {
        let here = std::panic::Location::caller();
        match self.wait()? {
            WaitStatus::Signaled(_, signal, _) => Ok(signal),
            other => Err(Failure::Wrong(format!("expected an end by signal, got {other:?} ({here})"))),
        }
    }

    pub fn kill(&self, signal: Signal) -> nix::Result<()> {
        kill(self.pid, signal)
    }

    /// The state letter in /proc/PID/stat, such as `S` or `T`.
    pub fn state(&self) -> Outcome<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.trim_start().chars().next().ok_or_else(|| Failure::wrong("an empty stat file"))
    }

    /// Waits until the child sleeps in a system call; for cases that must act on a sleeper.
    pub fn until_asleep(&self) -> Outcome {
        until("the child sleeps", || Ok(self.state()? == 'S'))
    }

    /// What waitpid reports without blocking.
    pub fn poll(&self) -> nix::Result<WaitStatus> {
        waitpid(self.pid, Some(WaitPidFlag::WNOHANG))
    }
}

/// Waits, for two seconds at most, until a condition holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> Outcome<bool>) -> Outcome {
    let here = std::panic::Location::caller();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        if holds()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(Failure::Wrong(format!("did not come true in 2 s: {what} ({here})")))
}
