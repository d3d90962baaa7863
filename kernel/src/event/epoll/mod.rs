//! Sets of files that are watched (epoll(7)).
//!
//! An [`Epoll`] has an [`Interest`] for each file it watches, which observes the file and puts itself on the queue in [`Ready`] when something
//! happens there. Collecting looks at that queue only: its cost is that of what is ready, not of what is watched.

mod file;
mod interest;
mod nesting;

pub use file::{create, of};

use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::syscall::Fd;
use crate::thread::wait;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use coffer_abi_types::event::epoll_event;
use interest::{EPOLLEXCLUSIVE, EPOLLONESHOT, Interest, Ready};
use nesting::Links;
use ostd::sync::Mutex;

/// What it is told apart by: the open file (its address) and the descriptor that it was added by.
type Key = (usize, Fd);

/// A set.
#[derive(Debug)]
pub struct Epoll {
    /// Also held while events are collected, so that changes and collecting do not mix.
    interests: Mutex<Interests>,
    ready: Arc<Ready>,
    links: Links,
}

#[derive(Debug)]
struct Interests {
    by_key: BTreeMap<Key, Arc<Interest>>,
    /// At this size, those of closed files are thrown out.
    sweep_at: usize,
}

impl Epoll {
    fn new() -> Self {
        let interests = Interests { by_key: BTreeMap::new(), sweep_at: 16 };
        Self { interests: Mutex::new(interests), ready: Arc::new(Ready::new()), links: Links::default() }
    }

    /// Watches `file` (EPOLL_CTL_ADD).
    ///
    /// # Errors
    /// EEXIST if it is watched under this descriptor, EPERM if it is always ready, ENOMEM; of sets those of [`nesting::link`].
    pub fn add(self: &Arc<Self>, file: &Arc<OpenFile>, fd: Fd, event: epoll_event) -> Result<()> {
        let pollee = file.ops().pollee().ok_or(Errno::EPERM)?;
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let link = of(file).map(|below| nesting::link(self, below)).transpose()?;
        let mut interests = self.interests.lock();
        let key = key(file, fd);
        if interests.by_key.contains_key(&key) {
            return Err(Errno::EEXIST.into());
        }
        interests.sweep();
        let interest = Interest::new(file, key, event, self.ready.clone());
        self.ready.reserve(interests.by_key.len() + 1)?;
        pollee.register(interest.as_observer(), super::IoEvents::all())?;
        interests.by_key.insert(key, interest.clone());
        if let Some(link) = link {
            link.keep();
        }
        interest.look(file);
        Ok(())
    }

    /// Changes what is watched for (EPOLL_CTL_MOD).
    ///
    /// # Errors
    /// ENOENT if it is not watched, EINVAL for an exclusive one.
    pub fn modify(&self, file: &Arc<OpenFile>, fd: Fd, event: epoll_event) -> Result<()> {
        let interests = self.interests.lock();
        let interest = interests.by_key.get(&key(file, fd)).ok_or(Errno::ENOENT)?;
        if interest.flags() & EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL.into());
        }
        interest.set(event);
        interest.look(file);
        Ok(())
    }

    /// Watches it no more (EPOLL_CTL_DEL).
    ///
    /// # Errors
    /// ENOENT if it is not watched.
    pub fn remove(&self, file: &Arc<OpenFile>, fd: Fd) -> Result<()> {
        let mut interests = self.interests.lock();
        let interest = interests.by_key.remove(&key(file, fd)).ok_or(Errno::ENOENT)?;
        interest.retire(file);
        drop(interests);
        if let Some(below) = of(file) {
            nesting::unlink(self, below);
        }
        Ok(())
    }

    /// Gives up to `max` events to `emit`, sleeping until there is one or until `deadline_ns` (monotonic; `Some(0)`: no sleep); returns how many.
    ///
    /// # Errors
    /// EINTR on a signal (never restarted: signal(7)), `emit`'s if its first call fails.
    pub fn wait(
        &self,
        max: usize,
        deadline_ns: Option<u64>,
        emit: &mut dyn FnMut(epoll_event) -> Result<()>,
    ) -> Result<usize> {
        loop {
            let count = self.collect(max, emit)?;
            if count > 0 || deadline_ns == Some(0) {
                return Ok(count);
            }
            let waited = wait::wait_until(&self.ready.sleepers, deadline_ns, || {
                (!self.ready.is_empty()).then_some(())
            });
            if let Err(error) = waited {
                // We may have been the one whom an event chose to wake.
                self.ready.pass_on();
                return match error.errno() {
                    Errno::ETIMEDOUT => Ok(0),
                    Errno::ERESTARTSYS => Err(Errno::EINTR.into()),
                    _ => Err(error),
                };
            }
        }
    }

    fn collect(&self, max: usize, emit: &mut dyn FnMut(epoll_event) -> Result<()>) -> Result<usize> {
        if self.ready.is_empty() {
            return Ok(0);
        }
        let mut interests = self.interests.lock();
        let mut count = 0;
        let mut result = Ok(());
        // Those that stay ready go to the end: the queue is walked once.
        for _ in 0..self.ready.len() {
            if count == max {
                break;
            }
            let Some(interest) = self.ready.pop() else { break };
            let Some(file) = interest.file() else {
                // One that was taken out may have been added again meanwhile, under the same key.
                if !interest.is_retired() {
                    interests.by_key.remove(&interest.key);
                }
                continue;
            };
            let Some(event) = interest.event(&file) else { continue };
            if let Err(error) = emit(event) {
                interest.queue();
                result = Err(error);
                break;
            }
            count += 1;
            if interest.flags() & EPOLLONESHOT != 0 {
                interest.disable();
            } else if !interest.is_edge_triggered() {
                interest.queue_quietly();
            }
        }
        drop(interests);
        self.ready.pass_on();
        if count > 0 { Ok(count) } else { result.map(|()| 0) }
    }

    /// Whether a watched file is ready, for a set that watches this one.
    fn is_ready(&self) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        let _interests = self.interests.lock();
        for _ in 0..self.ready.len() {
            let Some(interest) = self.ready.first() else { break };
            if interest.file().is_some_and(|file| interest.event(&file).is_some()) {
                return true;
            }
            // It is not, or no more: whatever happens to it from now on puts it back.
            if let Some(stale) = self.ready.pop()
                && let Some(file) = stale.file()
            {
                stale.look(&file);
            }
        }
        false
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        self.ready.close();
        for interest in self.interests.get_mut().by_key.values() {
            if let Some(file) = interest.file() {
                interest.retire(&file);
            }
        }
    }
}

impl Interests {
    /// Throws out what was closed, once in a while.
    fn sweep(&mut self) {
        if self.by_key.len() >= self.sweep_at {
            self.by_key.retain(|_, interest| interest.is_open());
            self.sweep_at = 16.max(self.by_key.len() * 2);
        }
    }
}

/// The address cannot be another file's as long as the interest holds on to it weakly.
fn key(file: &Arc<OpenFile>, fd: Fd) -> Key {
    (Arc::as_ptr(file).addr(), fd)
}
