//! Descriptor numbers to open files.

use super::open_file::OpenFile;
use super::vfs::file_lock;
use crate::error::{Errno, Result};
use crate::syscall::Fd;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// The most descriptors of one process, whatever its limit says (Linux: fs.nr_open).
pub const DESCRIPTORS_MAX: u64 = 1 << 20;

/// A descriptor table.
#[derive(Debug)]
pub struct FdTable {
    slots: SpinLock<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    entries: Vec<Option<Entry>>,
    /// No slot below is free.
    lowest_free: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    file: Arc<OpenFile>,
    close_on_exec: bool,
}

impl FdTable {
    /// Empty.
    pub fn new() -> Self {
        Self { slots: SpinLock::new(Slots::default()) }
    }

    /// The open file of `fd`, or EBADF.
    pub fn get(&self, fd: Fd) -> Result<Arc<OpenFile>> {
        let slots = self.slots.lock();
        Ok(slots.entry(fd)?.file.clone())
    }

    /// The open file of `fd` for use as more than a place: EBADF also for O_PATH.
    pub fn get_io(&self, fd: Fd) -> Result<Arc<OpenFile>> {
        let file = self.get(fd)?;
        if file.is_path_only() { Err(Errno::EBADF.into()) } else { Ok(file) }
    }

    /// Installs `file` at the lowest free number; EMFILE past `limit` (RLIMIT_NOFILE).
    pub fn install(&self, file: Arc<OpenFile>, close_on_exec: bool, limit: u64) -> Result<Fd> {
        self.install_from(0, file, close_on_exec, limit)
    }

    /// Installs `file` at the lowest free number from `first` on (F_DUPFD); EMFILE past `limit`.
    pub fn install_from(
        &self,
        first: u32,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        limit: u64,
    ) -> Result<Fd> {
        let limit = limit.min(DESCRIPTORS_MAX) as usize;
        let mut slots = self.slots.lock();
        let from = slots.lowest_free.max(first as usize);
        let found = slots.entries.iter().skip(from).position(Option::is_none);
        let at = found.map_or(slots.entries.len().max(from), |n| from + n);
        if at >= limit {
            return Err(Errno::EMFILE.into());
        }
        slots.reserve(at)?;
        slots.put(at, Entry { file, close_on_exec });
        if from == slots.lowest_free {
            slots.lowest_free = at + 1;
        }
        Ok(Fd(at as i32))
    }

    /// Installs `file` at exactly `fd` and closes what was there (dup2); EBADF past `limit`.
    pub fn install_at(&self, fd: Fd, file: Arc<OpenFile>, close_on_exec: bool, limit: u64) -> Result<()> {
        let at = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        if at as u64 >= limit.min(DESCRIPTORS_MAX) {
            return Err(Errno::EBADF.into());
        }
        let mut slots = self.slots.lock();
        slots.reserve(at)?;
        let old = slots.put(at, Entry { file, close_on_exec });
        drop(slots);
        self.finish_close(old.map(|entry| entry.file));
        Ok(())
    }

    /// Closes `fd`, or EBADF.
    pub fn close(&self, fd: Fd) -> Result<()> {
        let old = self.slots.lock().take(fd)?;
        self.finish_close(Some(old.file));
        Ok(())
    }

    /// Closes all from `first` to `last` (close_range).
    pub fn close_range(&self, first: u32, last: u32) {
        for at in first as usize..self.end(last) {
            let old = self.slots.lock().take(Fd(at as i32)).ok();
            self.finish_close(old.map(|entry| entry.file));
        }
    }

    /// Marks all from `first` to `last` close-on-exec (CLOSE_RANGE_CLOEXEC).
    pub fn mark_range(&self, first: u32, last: u32) {
        let end = self.end(last);
        let mut slots = self.slots.lock();
        for entry in slots.entries.iter_mut().take(end).skip(first as usize).flatten() {
            entry.close_on_exec = true;
        }
    }

    /// Whether `fd` is marked close-on-exec, or EBADF.
    pub fn is_close_on_exec(&self, fd: Fd) -> Result<bool> {
        Ok(self.slots.lock().entry(fd)?.close_on_exec)
    }

    /// Marks or unmarks `fd`, or EBADF.
    pub fn set_close_on_exec(&self, fd: Fd, close_on_exec: bool) -> Result<()> {
        let mut slots = self.slots.lock();
        let at = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        slots.entries.get_mut(at).and_then(Option::as_mut).ok_or(Errno::EBADF)?.close_on_exec = close_on_exec;
        Ok(())
    }

    /// A copy for fork: same open files, same numbers.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn duplicate(&self) -> Result<Self> {
        let mut entries = Vec::new();
        loop {
            let wanted = self.slots.lock().used();
            entries.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
            let slots = self.slots.lock();
            let used = slots.used();
            // Another thread may have opened files meanwhile.
            if used <= entries.capacity() {
                entries.extend_from_slice(&slots.entries[..used]);
                let lowest_free = slots.lowest_free;
                return Ok(Self { slots: SpinLock::new(Slots { entries, lowest_free }) });
            }
        }
    }

    /// Closes what is marked close-on-exec.
    pub fn close_on_exec(&self) {
        for at in 0..self.end(u32::MAX) {
            let mut slots = self.slots.lock();
            let is_marked =
                slots.entries.get(at).is_some_and(|slot| slot.as_ref().is_some_and(|e| e.close_on_exec));
            let old = if is_marked { slots.take(Fd(at as i32)).ok() } else { None };
            drop(slots);
            self.finish_close(old.map(|entry| entry.file));
        }
    }

    /// Closes everything (exit): the table may live on in other holders' hands.
    pub fn close_all(&self) {
        self.close_range(0, u32::MAX);
    }

    /// The first number in use from `from` on, for /proc/PID/fd.
    pub fn next_open(&self, from: u32) -> Option<Fd> {
        let slots = self.slots.lock();
        let at = slots.entries.iter().skip(from as usize).position(Option::is_some)?;
        Some(Fd((from as usize + at) as i32))
    }

    /// How many numbers there are up to the last one in use (FDSize of /proc/PID/status).
    pub fn len(&self) -> usize {
        self.slots.lock().used()
    }

    /// Bytes of memory that its open files keep ([`OpenFile::kept_bytes`]): of those that others have as well, its share.
    pub fn kept_bytes(&self) -> usize {
        let mut bytes = 0;
        let mut at = 0;
        while let Some(fd) = self.next_open(at) {
            if let Ok(file) = self.get(fd) {
                // Without the handle that was taken here.
                bytes += file.kept_bytes() / (Arc::strong_count(&file) - 1).max(1);
            }
            at = fd.0 as u32 + 1;
        }
        bytes
    }

    /// What POSIX record locks of this table's processes are owned by.
    pub fn lock_owner(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    fn end(&self, last: u32) -> usize {
        self.slots.lock().entries.len().min((last as usize).saturating_add(1))
    }

    /// Closing any descriptor of a file gives up the process's record locks on it (fcntl(2)).
    fn finish_close(&self, file: Option<Arc<OpenFile>>) {
        if let Some(file) = file {
            file_lock::on_descriptor_closed(&file, self.lock_owner());
            file.ops().flush(&file);
        }
    }
}

impl Default for FdTable {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        self.close_all();
    }
}

impl Slots {
    /// One past the last number in use.
    fn used(&self) -> usize {
        self.entries.iter().rposition(Option::is_some).map_or(0, |last| last + 1)
    }

    fn entry(&self, fd: Fd) -> Result<&Entry> {
        // A negative number becomes an index past any table.
        self.entries.get(fd.0 as usize).and_then(Option::as_ref).ok_or(Errno::EBADF.into())
    }

    /// Makes room for number `at`. Before [`Self::put`], which owns the file: it must not be dropped under the lock.
    fn reserve(&mut self, at: usize) -> Result<()> {
        if at >= self.entries.len() {
            let more = at + 1 - self.entries.len();
            self.entries.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
            self.entries.resize_with(at + 1, || None);
        }
        Ok(())
    }

    fn put(&mut self, at: usize, entry: Entry) -> Option<Entry> {
        self.entries[at].replace(entry)
    }

    fn take(&mut self, fd: Fd) -> Result<Entry> {
        let at = fd.0 as usize;
        let entry = self.entries.get_mut(at).and_then(Option::take).ok_or(Errno::EBADF)?;
        self.lowest_free = self.lowest_free.min(at);
        Ok(entry)
    }
}
