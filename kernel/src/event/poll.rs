//! Waiting for any of many files, as poll(2) and select(2) do.

use super::{IoEvents, Observer, WakeObserver};
use crate::error::{Errno, Result};
use crate::fs::fd_table::FdTable;
use crate::fs::open_file::OpenFile;
use crate::syscall::Fd;
use crate::thread::{Thread, wait};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::event::pollfd;
use core::cell::Cell;

/// Fills in `revents` and counts the items that have some, sleeping until there is one or until `deadline_ns` (monotonic; `Some(0)`: no sleep).
///
/// # Errors
/// ERESTARTNOHAND on a signal.
pub fn poll(fds: &FdTable, items: &mut [pollfd], deadline_ns: Option<u64>) -> Result<usize> {
    let ready = scan(fds, items);
    if ready > 0 {
        return Ok(ready);
    }
    if deadline_ns == Some(0) {
        // Even a call that does not sleep tells of a signal: one that its own mask has let in, most of all.
        let is_interrupted = Thread::current().is_some_and(|thread| thread.has_pending_signal());
        return if is_interrupted { Err(Errno::ERESTARTNOHAND.into()) } else { Ok(0) };
    }
    let mut sleep = Sleep { files: Vec::new(), observer: None };
    sleep.files.try_reserve_exact(items.len()).map_err(|_| Errno::ENOMEM)?;
    sleep.files.extend(items.iter().map(|item| file_of(fds, item)));
    sleep.run(items, deadline_ns)
}

/// One look at each item, by its descriptor.
fn scan(fds: &FdTable, items: &mut [pollfd]) -> usize {
    let mut ready = 0;
    for item in items {
        let found = match file_of(fds, item) {
            Some(file) => look(&file, item),
            None if item.fd < 0 => IoEvents::empty(),
            None => IoEvents::NVAL,
        };
        item.revents = found.bits() as u16;
        ready += usize::from(!found.is_empty());
    }
    ready
}

fn file_of(fds: &FdTable, item: &pollfd) -> Option<Arc<OpenFile>> {
    if item.fd < 0 {
        return None;
    }
    fds.get_io(Fd(item.fd)).ok()
}

fn look(file: &OpenFile, item: &pollfd) -> IoEvents {
    file.ops().poll(file) & wanted(item)
}

fn wanted(item: &pollfd) -> IoEvents {
    IoEvents::from_bits_retain(u32::from(item.events)) | IoEvents::ERR | IoEvents::HUP
}

/// The files of all items, and who is told when one of them changes.
struct Sleep {
    files: Vec<Option<Arc<OpenFile>>>,
    observer: Option<Arc<dyn Observer>>,
}

impl Sleep {
    fn run(&mut self, items: &mut [pollfd], deadline_ns: Option<u64>) -> Result<usize> {
        let Self { files, observer } = self;
        let placed = &*items;
        let is_placed = Cell::new(true);
        let place = |waiter: &ostd::sync::Waiter| {
            if observer.is_some() {
                return;
            }
            let new: Arc<dyn Observer> = Arc::new(WakeObserver(waiter.waker().clone()));
            for (file, item) in files.iter().zip(placed) {
                if let Some(pollee) = file.as_ref().and_then(|file| file.ops().pollee()) {
                    let registered = pollee.register(Arc::downgrade(&new), wanted(item));
                    is_placed.set(is_placed.get() && registered.is_ok());
                }
            }
            *observer = Some(new);
        };
        let result = wait::sleep_loop(
            deadline_ns,
            place,
            |_| {},
            || {
                let is_ready = |(file, item): (&Option<Arc<OpenFile>>, &pollfd)| {
                    file.as_ref().is_some_and(|file| !look(file, item).is_empty())
                };
                (!is_placed.get() || files.iter().zip(placed).any(is_ready)).then_some(())
            },
        );
        match result {
            _ if !is_placed.get() => Err(Errno::ENOMEM.into()),
            Err(error) if error.errno() == Errno::ERESTARTSYS => Err(Errno::ERESTARTNOHAND.into()),
            Err(error) if error.errno() != Errno::ETIMEDOUT => Err(error),
            _ => Ok(self.report(items)),
        }
    }

    fn report(&self, items: &mut [pollfd]) -> usize {
        let mut ready = 0;
        for (file, item) in self.files.iter().zip(items) {
            let found = file.as_ref().map_or(IoEvents::empty(), |file| look(file, item));
            item.revents = found.bits() as u16;
            ready += usize::from(!found.is_empty());
        }
        ready
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(observer) = &self.observer else { return };
        let observer: Weak<dyn Observer> = Arc::downgrade(observer);
        for file in self.files.iter().flatten() {
            if let Some(pollee) = file.ops().pollee() {
                pollee.unregister(&observer);
            }
        }
    }
}
