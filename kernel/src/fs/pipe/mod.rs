//! Pipes and FIFOs (pipe(7), fifo(7)): a [`Pipe`] holds bytes and counts its ends; a [`PipeEnd`] is what a descriptor opens.
//!
//! A pipe is found by its inode ([`registry`]), so that opening a FIFO, or `/proc/PID/fd/N` of a pipe, leads to the same bytes.

mod end;
mod fifo;
mod registry;
mod ring;
pub mod splice;

pub use end::PipeEnd;
pub use fifo::register;

use super::open_file::OpenFile;
use super::open_file::flags::{O_RDONLY, O_WRONLY};
use super::pseudo;
use super::vfs::inode::{FileType, Inode};
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::process::credentials::{Capability, Credentials};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::mm::{PAGE_SIZE, VmWriter};
use ostd::sync::{Mutex, WaitQueue};
use ring::Ring;

/// Pages that a new pipe holds.
const DEFAULT_SLOTS: usize = 16;
/// The largest capacity, in bytes, that needs no privilege (/proc/sys/fs/pipe-max-size).
const CAPACITY_MAX: usize = 1 << 20;

/// A pipe or an open FIFO.
#[derive(Debug)]
pub struct Pipe {
    ring: Mutex<Ring>,
    // What `ring` holds, for poll and for sleepers, who must not take a sleeping lock.
    bytes: AtomicUsize,
    used_slots: AtomicUsize,
    max_slots: AtomicUsize,
    readers: AtomicUsize,
    writers: AtomicUsize,
    /// Openings so far: a FIFO's opener waits for one more of the other kind.
    reader_openings: AtomicUsize,
    writer_openings: AtomicUsize,
    readable: WaitQueue,
    writable: WaitQueue,
    opened: WaitQueue,
    pollee: Pollee,
    /// Kept so that its address, the registry's key, stays ours.
    inode: Arc<dyn Inode>,
}

/// Makes a pipe: its reading and its writing end. `status` are O_NONBLOCK and O_DIRECT.
///
/// # Errors
/// ENOMEM when memory is short.
pub fn create(status: u32, credentials: &Credentials) -> Result<(Arc<OpenFile>, Arc<OpenFile>)> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let owner = (credentials.fsuid(), credentials.fsgid());
    let path = pseudo::new_path(FileType::Fifo, 0o600, owner, |ino| alloc::format!("pipe:[{ino}]"));
    let pipe = registry::find_or_make(path.inode()?);
    let reader = PipeEnd::new(pipe.clone(), true, false);
    let writer = PipeEnd::new(pipe, false, true);
    Ok((
        OpenFile::new(path.clone(), Arc::new(reader), O_RDONLY | status),
        OpenFile::new(path, Arc::new(writer), O_WRONLY | status),
    ))
}

impl Pipe {
    fn new(inode: Arc<dyn Inode>) -> Self {
        Self {
            ring: Mutex::new(Ring::new(DEFAULT_SLOTS)),
            bytes: AtomicUsize::new(0),
            used_slots: AtomicUsize::new(0),
            max_slots: AtomicUsize::new(DEFAULT_SLOTS),
            readers: AtomicUsize::new(0),
            writers: AtomicUsize::new(0),
            reader_openings: AtomicUsize::new(0),
            writer_openings: AtomicUsize::new(0),
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
            opened: WaitQueue::new(),
            pollee: Pollee::new(),
            inode,
        }
    }

    /// Its capacity in bytes (F_GETPIPE_SZ).
    pub fn capacity(&self) -> usize {
        self.max_slots.load(Ordering::Relaxed) * PAGE_SIZE
    }

    /// Changes the capacity to at least `bytes` (F_SETPIPE_SZ); returns what it is then.
    ///
    /// # Errors
    /// EBUSY if more is in use, EPERM above the limit without CAP_SYS_RESOURCE, EINVAL for sizes beyond 2 GiB.
    pub fn set_capacity(&self, bytes: usize, credentials: &Credentials) -> Result<usize> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL.into());
        }
        let slots = bytes.div_ceil(PAGE_SIZE).max(1).next_power_of_two();
        if slots * PAGE_SIZE > CAPACITY_MAX
            && slots > self.max_slots.load(Ordering::Relaxed)
            && !credentials.has(Capability::SysResource)
        {
            return Err(Errno::EPERM.into());
        }
        let mut ring = self.ring.lock();
        if !ring.resize(slots) {
            return Err(Errno::EBUSY.into());
        }
        self.max_slots.store(slots, Ordering::SeqCst);
        drop(ring);
        self.announce_room();
        Ok(slots * PAGE_SIZE)
    }

    fn readers(&self) -> usize {
        self.readers.load(Ordering::SeqCst)
    }

    fn writers(&self) -> usize {
        self.writers.load(Ordering::SeqCst)
    }

    fn has_bytes(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) > 0
    }

    fn has_room(&self) -> bool {
        self.used_slots.load(Ordering::SeqCst) < self.max_slots.load(Ordering::SeqCst)
    }

    fn free_slots(&self) -> usize {
        let used = self.used_slots.load(Ordering::SeqCst);
        self.max_slots.load(Ordering::SeqCst).saturating_sub(used)
    }

    /// Gives out what is there, or one packet; 0 if there is nothing.
    fn take(&self, writer: &mut VmWriter<'_>) -> Result<usize> {
        let mut ring = self.ring.lock();
        if ring.bytes() == 0 {
            return Ok(0);
        }
        let was_full = ring.is_full();
        let read = ring.read(writer)?;
        self.publish(&ring);
        let has_new_room = was_full && !ring.is_full();
        drop(ring);
        if has_new_room {
            self.announce_room();
        }
        Ok(read)
    }

    /// Puts bytes back in front, even if the pipe has filled up since they were taken.
    fn put_back(&self, bytes: &[u8]) -> Result<()> {
        let mut ring = self.ring.lock();
        ring.put_back(bytes)?;
        self.publish(&ring);
        drop(ring);
        self.announce_bytes();
        Ok(())
    }

    fn publish(&self, ring: &Ring) {
        self.bytes.store(ring.bytes(), Ordering::SeqCst);
        self.used_slots.store(ring.used_slots(), Ordering::SeqCst);
    }

    fn announce_bytes(&self) {
        self.readable.wake_all();
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }

    fn announce_room(&self) {
        self.writable.wake_all();
        self.pollee.notify(IoEvents::OUT | IoEvents::WRNORM);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        registry::forget(self);
    }
}

/// The pipe behind `file`, if it is one.
pub fn of(file: &OpenFile) -> Option<&Arc<Pipe>> {
    file.downcast::<PipeEnd>().map(PipeEnd::pipe)
}
