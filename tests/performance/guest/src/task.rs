//! Processes and threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, execv, fork};

use crate::bench::{Bench, EACH, time};

/// The argument with which this program does nothing: what `fork_exec` executes.
pub const NOTHING: &str = "nothing";

pub const BENCHES: &[Bench] = &[
    Bench { name: "futex_pingpong", unit: EACH, run: futex_pingpong },
    Bench { name: "thread_create", unit: EACH, run: thread_create },
    Bench { name: "fork_exit", unit: EACH, run: |count| time(count, || child(|| 0)) },
    Bench { name: "fork_exec", unit: EACH, run: |count| time(count, || child(execute_nothing)) },
];

/// A child that runs `body`, and its end.
fn child(body: impl FnOnce() -> i32) -> io::Result<()> {
    // SAFETY: the benchmarks that come here have one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = body();
            // SAFETY: _exit has no preconditions.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => Err(io::Error::other(format!("the child ended as {other:?}"))),
        },
    }
}

fn execute_nothing() -> i32 {
    let _ = execv(c"/proc/self/exe", &[c"coffer-ubench", c"nothing"]);
    1
}

fn thread_create(count: u64) -> io::Result<Duration> {
    time(count, || {
        let thread = thread::Builder::new().stack_size(128 << 10).spawn(|| {})?;
        thread.join().map_err(|_| io::Error::other("the thread panicked"))
    })
}

/// Whose turn it is: 0 or 1. The other waits on it.
fn give(turn: &AtomicU32, to: u32) -> io::Result<()> {
    turn.store(to, Ordering::SeqCst);
    futex(turn, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1)
}

fn wait(turn: &AtomicU32, own: u32) -> io::Result<()> {
    while turn.load(Ordering::SeqCst) != own {
        match futex(turn, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, 1 - own) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
            other => other?,
        }
    }
    Ok(())
}

fn futex(word: &AtomicU32, operation: i32, value: u32) -> io::Result<()> {
    let no_timeout = std::ptr::null::<libc::timespec>();
    // SAFETY: the word is live, and there is no timeout.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, no_timeout) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn futex_pingpong(count: u64) -> io::Result<Duration> {
    let turn = Arc::new(AtomicU32::new(0));
    let other = Arc::clone(&turn);
    let peer =
        thread::spawn(move || (0..count).try_for_each(|_| wait(&other, 1).and_then(|()| give(&other, 0))));
    let took = time(count, || give(&turn, 1).and_then(|()| wait(&turn, 0)))?;
    peer.join().map_err(|_| io::Error::other("the thread panicked"))??;
    Ok(took)
}
