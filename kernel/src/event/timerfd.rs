//! Timers to wait on (timerfd_create(2)).

use super::{IoEvents, Pollee};
use crate::error::{Errno, Result};
use crate::fs::open_file::flags::O_RDWR;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::pseudo;
use crate::thread::wait;
use crate::time::alarm::Expire;
use crate::time::clock::{self, Clock};
use crate::time::countdown::{Countdown, Setting};
use alloc::sync::{Arc, Weak};
use ostd::mm::VmWriter;
use ostd::sync::{SpinLock, WaitQueue};

/// A timer.
#[derive(Debug)]
pub struct TimerFd {
    countdown: Countdown,
    state: SpinLock<State>,
    expired: WaitQueue,
    pollee: Pollee,
}

#[derive(Debug, Default)]
struct State {
    /// Expirations that were not read.
    ticks: u64,
    /// The offset of real time when the timer was set; `None`: it does not mind (TFD_TIMER_CANCEL_ON_SET).
    offset_ns: Option<u64>,
}

#[derive(Debug)]
struct TimerFile(Arc<TimerFd>);

/// A disarmed timer. `status` is O_NONBLOCK or 0.
///
/// # Errors
/// ENOMEM when memory is short.
pub fn create(clock: Clock, status: u32) -> Result<Arc<OpenFile>> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    Countdown::reserve()?;
    let timer = Arc::new_cyclic(|this: &Weak<TimerFd>| TimerFd {
        countdown: Countdown::new(clock, this.clone()),
        state: SpinLock::default(),
        expired: WaitQueue::new(),
        pollee: Pollee::new(),
    });
    let path = pseudo::anonymous_path("anon_inode:[timerfd]");
    Ok(OpenFile::new(path, Arc::new(TimerFile(timer)), O_RDWR | status))
}

/// The timer behind `file`, if it is one.
pub fn of(file: &OpenFile) -> Option<&TimerFd> {
    file.downcast::<TimerFile>().map(|file| &*file.0)
}

impl TimerFd {
    /// Sets it: to a time of its clock, or to `value_ns` from now; 0 disarms it. Returns what was left, and the interval, of before.
    ///
    /// # Errors
    /// ECANCELED if real time was set and that has not been told (the timer is set all the same).
    pub fn set(
        &self,
        value_ns: u64,
        interval_ns: u64,
        is_absolute: bool,
        is_cancelled_on_set: bool,
    ) -> Result<(u64, u64)> {
        let mut was_cancelled = false;
        {
            let mut state = self.state.lock();
            if is_cancelled_on_set && self.countdown.clock() == Clock::Realtime {
                was_cancelled = state.is_cancelled();
                state.offset_ns = Some(clock::offset_ns());
            } else {
                state.offset_ns = None;
            }
            state.ticks = 0;
        }
        let deadline_ns = match value_ns {
            0 => None,
            _ if is_absolute => Some(value_ns),
            _ => Some(self.countdown.clock().now()?.saturating_add(value_ns)),
        };
        let old = self.countdown.set(Setting { deadline_ns, interval_ns });
        if was_cancelled { Err(Errno::ECANCELED.into()) } else { Ok(old) }
    }

    /// What is left (0: disarmed) and the interval.
    pub fn get(&self) -> (u64, u64) {
        self.countdown.get()
    }

    /// Expirations since the last time.
    fn take(&self) -> Option<Result<u64>> {
        let due = self.countdown.take_due().unwrap_or(0);
        let mut state = self.state.lock();
        if state.is_cancelled() {
            state.offset_ns = Some(clock::offset_ns());
            return Some(Err(Errno::ECANCELED.into()));
        }
        state.ticks = state.ticks.saturating_add(due);
        let ticks = core::mem::take(&mut state.ticks);
        drop(state);
        if ticks == 0 {
            return None;
        }
        // A repeating timer does not fire again before it is read: what it misses is counted then.
        self.countdown.rearm();
        Some(Ok(ticks))
    }

    fn is_ready(&self) -> bool {
        let state = self.state.lock();
        state.ticks > 0 || state.is_cancelled()
    }
}

impl State {
    fn is_cancelled(&self) -> bool {
        self.offset_ns.is_some_and(|offset_ns| offset_ns != clock::offset_ns())
    }
}

impl Expire for TimerFd {
    fn expire(&self) {
        let due = self.countdown.take_due().unwrap_or(0);
        self.state.lock().ticks += due;
        if self.is_ready() {
            self.expired.wake_all();
            self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
        }
    }
}

impl FileOps for TimerFile {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        if writer.remaining() < size_of::<u64>() {
            return Err(Errno::EINVAL.into());
        }
        let ticks = match self.0.take() {
            Some(ticks) => ticks?,
            None if file.is_nonblocking() => return Err(Errno::EAGAIN.into()),
            None => wait::wait_until(&self.0.expired, None, || self.0.take())??,
        };
        writer.write_all(&ticks.to_ne_bytes())?;
        Ok(size_of::<u64>())
    }

    fn poll(&self, _file: &OpenFile) -> IoEvents {
        if self.0.is_ready() { IoEvents::IN | IoEvents::RDNORM } else { IoEvents::empty() }
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(&self.0.pollee)
    }
}
