//! Counters to wait on (eventfd(2)).

use super::{IoEvents, Pollee};
use crate::error::{Errno, Result};
use crate::fs::open_file::flags::O_RDWR;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::pseudo;
use crate::thread::wait;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::mm::{VmReader, VmWriter};
use ostd::sync::WaitQueue;

/// The largest value that can be held: one below the largest number, which no write can add.
const COUNT_MAX: u64 = u64::MAX - 1;

#[derive(Debug)]
struct EventFd {
    count: AtomicU64,
    /// Reads take one at a time.
    is_semaphore: bool,
    changed: WaitQueue,
    pollee: Pollee,
}

/// A counter that starts at `count`. `status` is O_NONBLOCK or 0.
///
/// # Errors
/// ENOMEM when memory is short.
pub fn create(count: u32, is_semaphore: bool, status: u32) -> Result<Arc<OpenFile>> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let ops = EventFd {
        count: AtomicU64::new(u64::from(count)),
        is_semaphore,
        changed: WaitQueue::new(),
        pollee: Pollee::new(),
    };
    Ok(OpenFile::new(pseudo::anonymous_path("anon_inode:[eventfd]"), Arc::new(ops), O_RDWR | status))
}

/// Whether `file` is one.
pub fn is_one(file: &OpenFile) -> bool {
    file.downcast::<EventFd>().is_some()
}

/// Adds to the counter, for the kernel's own: what would be too much for it is left out.
pub fn add(file: &OpenFile, value: u64) {
    if let Some(counter) = file.downcast::<EventFd>()
        && counter.try_add(value).is_some()
    {
        counter.announce(IoEvents::IN | IoEvents::RDNORM);
    }
}

impl EventFd {
    fn try_take(&self) -> Option<u64> {
        let taken = |count: u64| if self.is_semaphore { 1 } else { count };
        let left = |count: u64| (count > 0).then(|| count - taken(count));
        self.count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).ok().map(taken)
    }

    fn try_add(&self, value: u64) -> Option<()> {
        let sum = |count: u64| count.checked_add(value).filter(|sum| *sum <= COUNT_MAX);
        self.count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, sum).ok().map(|_| ())
    }

    fn announce(&self, events: IoEvents) {
        self.changed.wake_all();
        self.pollee.notify(events);
    }
}

impl FileOps for EventFd {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        if writer.remaining() < size_of::<u64>() {
            return Err(Errno::EINVAL.into());
        }
        let value = match self.try_take() {
            Some(value) => value,
            None if file.is_nonblocking() => return Err(Errno::EAGAIN.into()),
            None => wait::wait_until(&self.changed, None, || self.try_take())?,
        };
        self.announce(IoEvents::OUT | IoEvents::WRNORM);
        writer.write_all(&value.to_ne_bytes())?;
        Ok(size_of::<u64>())
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let mut bytes = [0; size_of::<u64>()];
        if reader.remaining() < bytes.len() {
            return Err(Errno::EINVAL.into());
        }
        reader.read_exact(&mut bytes)?;
        let value = u64::from_ne_bytes(bytes);
        if value > COUNT_MAX {
            return Err(Errno::EINVAL.into());
        }
        match self.try_add(value) {
            Some(()) => {}
            None if file.is_nonblocking() => return Err(Errno::EAGAIN.into()),
            None => wait::wait_until(&self.changed, None, || self.try_add(value))?,
        }
        self.announce(IoEvents::IN | IoEvents::RDNORM);
        Ok(bytes.len())
    }

    fn poll(&self, _file: &OpenFile) -> IoEvents {
        let count = self.count.load(Ordering::SeqCst);
        let mut events = IoEvents::empty();
        if count > 0 {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        if count < COUNT_MAX {
            events |= IoEvents::OUT | IoEvents::WRNORM;
        }
        events
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(&self.pollee)
    }
}
