//! Signals as bytes in a pipe, so that one `poll(2)` loop sees them beside everything else (the self-pipe technique).
//!
//! signalfd would save the handler, but a blocked mask is inherited by every child and a young kernel may lack the call.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::pipe::PipeFlags;

/// Where the handler writes. -1 until [`SignalPipe::open`] has run; never closed after that.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);

/// The read end: one byte, the signal's number, for each signal caught.
#[derive(Debug)]
pub struct SignalPipe {
    read_end: OwnedFd,
}

impl SignalPipe {
    /// Catches `signals` (Linux numbers, 1 to 31) from now on. To be called once in the life of the process.
    ///
    /// # Errors
    ///
    /// `EALREADY` on a second call; what `pipe2(2)` or `sigaction(2)` return otherwise.
    pub fn open(signals: &[i32]) -> io::Result<Self> {
        let (read_end, write_end) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let write_end: RawFd = write_end.into_raw_fd();
        if WRITE_END.compare_exchange(-1, write_end, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return Err(io::Error::from_raw_os_error(libc::EALREADY));
        }
        for &signal in signals {
            catch(signal)?;
        }
        Ok(Self { read_end })
    }

    /// The numbers of the signals caught since the last call, oldest first. Never blocks.
    ///
    /// Equal signals may have been merged, as signals are: after a SIGCHLD, reap until nothing is left.
    #[must_use]
    pub fn take(&self) -> Vec<i32> {
        let mut signals = Vec::new();
        let mut buffer = [0_u8; 64];
        while let Ok(count) = rustix::io::read(&self.read_end, &mut buffer) {
            if count == 0 {
                break;
            }
            signals.extend(buffer.iter().take(count).map(|&byte| i32::from(byte)));
        }
        signals
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read_end.as_fd()
    }
}

/// Installs the handler for one signal.
fn catch(signal: i32) -> io::Result<()> {
    // SAFETY: sigaction is plain old data of integers and pointers for which all zeroes is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int) = on_signal;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: 1. `action` is a live, fully initialised sigaction and the old one is not asked for (null is allowed).
    // 2. `on_signal` has the signature of a plain handler and calls nothing but write(2), which is async-signal-safe.
    let result = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_signal(signal: libc::c_int) {
    let Ok(byte) = u8::try_from(signal) else { return };
    // SAFETY: __errno_location returns the calling thread's errno, valid for its life.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the pointer is valid and only this thread touches its errno; the interrupted code must find it unchanged.
    let saved = unsafe { errno.read() };
    // SAFETY: `byte` lives for the call and one byte of it is read. A full pipe loses the byte, which is harmless:
    // the reader is bound to wake up and then reaps everything.
    let _ = unsafe { libc::write(WRITE_END.load(Ordering::SeqCst), (&raw const byte).cast(), 1) };
    // SAFETY: as for the read above.
    unsafe { errno.write(saved) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_signal_arrives_as_its_number() {
        let pipe = SignalPipe::open(&[libc::SIGUSR1]).unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).unwrap();
        let mut caught = pipe.take();
        while caught.is_empty() {
            std::thread::yield_now();
            caught = pipe.take();
        }
        assert_eq!(caught, [libc::SIGUSR1]);
        assert_eq!(SignalPipe::open(&[]).unwrap_err().raw_os_error(), Some(libc::EALREADY));
    }
}
