//! Watches on files and directories (inotify(7)).

use super::{IoEvents, Pollee};
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::flags::O_RDONLY;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::pseudo;
use crate::fs::vfs::inode::Inode;
use crate::fs::vfs::notify::{self, Event, Happening, Watcher};
use crate::syscall::UserPtr;
use crate::thread::wait;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::event::inotify_event;
use core::sync::atomic::{AtomicU32, Ordering};
use ostd::mm::VmWriter;
use ostd::sync::{SpinLock, WaitQueue};
use zerocopy::IntoBytes;

/// FIONREAD of ioctl_tty(2).
const FIONREAD: u32 = 0x541b;

const IN_Q_OVERFLOW: u32 = 0x4000;
const IN_IGNORED: u32 = 0x8000;
const IN_ISDIR: u32 = 0x4000_0000;
/// IN_ONESHOT of inotify(7).
pub const IN_ONESHOT: u32 = 0x8000_0000;

/// The most events that wait to be read (/proc/sys/fs/inotify/max_queued_events).
const EVENTS_MAX: usize = 16_384;
/// The most watches of one instance (Linux counts them by user: /proc/sys/fs/inotify/max_user_watches).
const WATCHES_MAX: usize = 65_536;

/// An instance.
#[derive(Debug)]
pub struct Inotify {
    state: SpinLock<State>,
    readable: WaitQueue,
    pollee: Pollee,
}

#[derive(Debug, Default)]
struct State {
    watches: BTreeMap<i32, Arc<Watch>>,
    last_wd: i32,
    events: VecDeque<Queued>,
    bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Queued {
    wd: i32,
    mask: u32,
    cookie: u32,
    name: Vec<u8>,
}

#[derive(Debug)]
struct Watch {
    wd: i32,
    /// What is watched for, and IN_ONESHOT.
    mask: AtomicU32,
    inode: Arc<dyn Inode>,
    instance: Weak<Inotify>,
}

#[derive(Debug)]
struct InotifyFile(Arc<Inotify>);

/// A new instance. `status` is O_NONBLOCK or 0.
///
/// # Errors
/// ENOMEM when memory is short.
pub fn create(status: u32) -> Result<Arc<OpenFile>> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let instance = Inotify { state: SpinLock::default(), readable: WaitQueue::new(), pollee: Pollee::new() };
    let path = pseudo::anonymous_path("anon_inode:inotify");
    Ok(OpenFile::new(path, Arc::new(InotifyFile(Arc::new(instance))), O_RDONLY | status))
}

/// The instance behind `file`, if it is one.
pub fn of(file: &OpenFile) -> Option<&Arc<Inotify>> {
    file.downcast::<InotifyFile>().map(|file| &file.0)
}

/// What to do with a watch that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Its mask is replaced.
    Replace,
    /// The mask is added to (IN_MASK_ADD).
    Extend,
    /// It is in the way: EEXIST (IN_MASK_CREATE).
    Refuse,
}

impl Inotify {
    /// Watches `inode` for `mask`; returns the watch's number.
    ///
    /// # Errors
    /// EEXIST if [`Existing::Refuse`] says so, ENOSPC for too many watches, ENOMEM.
    pub fn add(self: &Arc<Self>, inode: &Arc<dyn Inode>, mask: u32, existing: Existing) -> Result<i32> {
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let mut state = self.state.lock();
        if let Some(watch) = state.watches.values().find(|watch| Arc::ptr_eq(&watch.inode, inode)) {
            match existing {
                Existing::Replace => watch.mask.store(mask, Ordering::Relaxed),
                Existing::Extend => drop(watch.mask.fetch_or(mask, Ordering::Relaxed)),
                Existing::Refuse => return Err(Errno::EEXIST.into()),
            }
            return Ok(watch.wd);
        }
        if state.watches.len() >= WATCHES_MAX {
            return Err(Error::with(Errno::ENOSPC, "too many watches"));
        }
        state.last_wd = state.last_wd.checked_add(1).ok_or(Errno::ENOSPC)?;
        let watch = Arc::new(Watch {
            wd: state.last_wd,
            mask: AtomicU32::new(mask),
            inode: inode.clone(),
            instance: Arc::downgrade(self),
        });
        state.watches.insert(watch.wd, watch.clone());
        drop(state);
        let wd = watch.wd;
        notify::add(inode, watch);
        Ok(wd)
    }

    /// Ends a watch; IN_IGNORED tells so.
    ///
    /// # Errors
    /// EINVAL if there is none of that number.
    pub fn remove(&self, wd: i32) -> Result<()> {
        let watch = self.state.lock().watches.remove(&wd).ok_or(Error::new(Errno::EINVAL))?;
        watch.detach();
        self.push(Queued { wd, mask: IN_IGNORED, cookie: 0, name: Vec::new() });
        Ok(())
    }

    fn push(&self, event: Queued) {
        let mut state = self.state.lock();
        if state.events.back() == Some(&event) {
            // Twice the same in a row tells no more than once.
            return;
        }
        let event = match state.events.len() {
            EVENTS_MAX.. => return,
            len if len == EVENTS_MAX - 1 => {
                Queued { wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: Vec::new() }
            }
            _ => event,
        };
        if state.events.try_reserve(1).is_err() {
            // Lost, as with a queue that is full.
            return;
        }
        state.bytes += event.len();
        state.events.push_back(event);
        drop(state);
        self.readable.wake_all();
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }

    fn is_ready(&self) -> bool {
        !self.state.lock().events.is_empty()
    }

    /// The next event, if it fits into `room`.
    fn pop(&self, room: usize) -> Option<Queued> {
        let mut state = self.state.lock();
        if state.events.front()?.len() > room {
            return None;
        }
        let event = state.events.pop_front()?;
        state.bytes -= event.len();
        Some(event)
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        for watch in self.state.get_mut().watches.values() {
            watch.detach();
        }
    }
}

impl Watch {
    fn detach(self: &Arc<Self>) {
        notify::remove(&self.inode, Arc::as_ptr(self).cast());
    }
}

impl Watcher for Watch {
    fn on_event(&self, event: Event<'_>) {
        let mask = self.mask.load(Ordering::Relaxed);
        let Some(instance) = self.instance.upgrade() else { return };
        let is_end = event.what == Happening::DELETE_SELF;
        if mask & event.what.bits() != 0 {
            let is_directory = if event.is_directory { IN_ISDIR } else { 0 };
            instance.push(Queued {
                wd: self.wd,
                mask: event.what.bits() | is_directory,
                cookie: event.cookie,
                name: event.name.map(Vec::from).unwrap_or_default(),
            });
            if mask & IN_ONESHOT != 0 {
                let _ = instance.remove(self.wd);
            }
        }
        if is_end {
            let _ = instance.remove(self.wd);
        }
    }
}

impl Queued {
    /// Bytes that it takes in a reader's buffer: names are padded to whole headers, with a NUL at least.
    fn len(&self) -> usize {
        size_of::<inotify_event>() + self.name_len()
    }

    fn name_len(&self) -> usize {
        match self.name.len() {
            0 => 0,
            len => (len + 1).next_multiple_of(size_of::<inotify_event>()),
        }
    }

    fn write(&self, writer: &mut VmWriter<'_>) -> Result<()> {
        let len = self.name_len();
        let head = inotify_event { wd: self.wd, mask: self.mask, cookie: self.cookie, len: len as u32 };
        writer.write_all(head.as_bytes())?;
        writer.write_all(&self.name)?;
        if writer.write_zeros(len - self.name.len())? < len - self.name.len() {
            return Err(Errno::EFAULT.into());
        }
        Ok(())
    }
}

impl FileOps for InotifyFile {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        if !self.0.is_ready() {
            if file.is_nonblocking() {
                return Err(Errno::EAGAIN.into());
            }
            wait::wait_until(&self.0.readable, None, || self.0.is_ready().then_some(()))?;
        }
        let mut total = 0;
        while let Some(event) = self.0.pop(writer.remaining()) {
            event.write(writer)?;
            total += event.len();
        }
        if total == 0 {
            return Err(Error::with(Errno::EINVAL, "the buffer is too small for the event"));
        }
        Ok(total)
    }

    fn poll(&self, _file: &OpenFile) -> IoEvents {
        if self.0.is_ready() { IoEvents::IN | IoEvents::RDNORM } else { IoEvents::empty() }
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(&self.0.pollee)
    }

    fn ioctl(
        &self,
        _file: &OpenFile,
        command: u32,
        argument: usize,
        _context: &mut Context<'_>,
    ) -> Result<isize> {
        match command {
            FIONREAD => {
                let bytes = self.0.state.lock().bytes;
                UserPtr::<i32>::new(argument).write(&(bytes as i32)).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY.into()),
        }
    }
}
