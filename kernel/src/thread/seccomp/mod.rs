//! Filters of a thread's system calls (seccomp(2)): which it has, how it gets them, and how it gives them to others.
//!
//! [`Seccomp`] is what a thread has, [`Filter`] one program with those before it; [`judge`](judge::judge) asks them. They are never taken away
//! again, so a thread asks only for those that were there when it entered the call.

mod filter;
mod judge;

pub use filter::Filter;
pub use judge::{Judgement, judge};

use super::Thread;
use crate::error::{Errno, Result};
use crate::process::TREE;
use crate::process::credentials::Capability;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_seccomp::{NUMBERS, Numbers, Program};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use ostd::sync::SpinLock;

/// What a thread may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Everything.
    Off = 0,
    /// read, write, exit and sigreturn only.
    Strict = 1,
    /// What its filters say.
    Filter = 2,
}

/// A thread's part.
#[derive(Debug, Default)]
pub struct Seccomp {
    /// A [`Mode`]: a load on the way into every call.
    mode: AtomicU8,
    /// The calls that it may make whatever the arguments are, a copy of its filters' word for them: most calls are decided by one bit, for
    /// which nobody is locked or counted.
    allowed: [AtomicU64; NUMBERS / 64],
    filter: SpinLock<Option<Arc<Filter>>>,
}

impl Seccomp {
    /// Whether anything is forbidden.
    pub fn is_on(&self) -> bool {
        self.mode.load(Ordering::Acquire) != Mode::Off as u8
    }

    /// Whether something is forbidden, but never this call.
    #[inline]
    pub fn always_allows(&self, number: u64) -> bool {
        let word = self.allowed.get((number / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (number % 64) & 1 != 0)
    }

    /// What it may call.
    pub fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Acquire) {
            0 => Mode::Off,
            1 => Mode::Strict,
            _ => Mode::Filter,
        }
    }

    /// Its newest filter.
    pub fn filter(&self) -> Option<Arc<Filter>> {
        self.filter.lock().clone()
    }

    /// A new thread's is its maker's. [`TREE`] is held, so that [`attach`] to all threads finds either both or none.
    pub fn inherit(&self, from: &Self) {
        if from.is_on() {
            self.set(from.filter(), from.mode());
        }
    }

    fn set(&self, filter: Option<Arc<Filter>>, mode: Mode) {
        let allowed = filter.as_ref().map_or(Numbers::NONE, |filter| filter.allowed);
        let old = core::mem::replace(&mut *self.filter.lock(), filter);
        for (own, allowed) in self.allowed.iter().zip(allowed.words) {
            own.store(allowed, Ordering::Relaxed);
        }
        self.mode.store(mode as u8, Ordering::Release);
        drop(old);
    }
}

/// Leaves the current thread nothing but read, write, exit and sigreturn.
///
/// # Errors
/// EINVAL if it has filters.
pub fn make_strict(thread: &Thread) -> Result<()> {
    match thread.seccomp.mode() {
        Mode::Filter => Err(Errno::EINVAL.into()),
        Mode::Off | Mode::Strict => {
            thread.seccomp.set(None, Mode::Strict);
            Ok(())
        }
    }
}

/// How to attach a filter.
#[derive(Clone, Copy, Debug)]
pub struct Attachment {
    /// All threads of the process get it, and all other filters of the caller (SECCOMP_FILTER_FLAG_TSYNC).
    pub to_all: bool,
    /// Whatever it does not simply allow is logged (SECCOMP_FILTER_FLAG_LOG).
    pub logs: bool,
}

/// Whether the current thread may have filters at all: without privilege, they must not deceive programs that would gain some.
///
/// # Errors
/// EACCES; EINVAL if it is strict.
pub fn check_may_attach(thread: &Thread) -> Result<()> {
    let credentials = thread.process().credentials();
    if !credentials.no_new_privs && !credentials.has_own(Capability::SysAdmin) {
        return Err(Errno::EACCES.into());
    }
    if thread.seccomp.mode() == Mode::Strict {
        return Err(Errno::EINVAL.into());
    }
    Ok(())
}

/// Attaches a filter to the current thread. `Some`: the id of a thread that stands in the way, which has filters that the caller has not.
///
/// # Errors
/// ENOMEM if all its filters together are too long.
pub fn attach(thread: &Arc<Thread>, program: Program, how: Attachment) -> Result<Option<Arc<Thread>>> {
    let filter = Arc::new(Filter::new(program, thread.seccomp.filter(), how.logs)?);
    if !how.to_all {
        thread.seccomp.set(Some(filter), Mode::Filter);
        return Ok(None);
    }
    let process = thread.process();
    let mut others = process.threads();
    let tree = TREE.lock();
    // Those that came since are their makers' copies, which are looked at.
    process.for_each_thread(|other| {
        if !others.iter().any(|known| Arc::ptr_eq(known, other)) {
            others.push(other.clone());
        }
        true
    });
    others.retain(|other| !Arc::ptr_eq(other, thread));
    let stands_in_the_way = |other: &Arc<Thread>| match other.seccomp.mode() {
        Mode::Off => false,
        Mode::Strict => true,
        Mode::Filter => other.seccomp.filter().is_some_and(|theirs| !filter.comes_after(&theirs)),
    };
    if let Some(other) = others.iter().find(|other| stands_in_the_way(other)) {
        return Ok(Some(other.clone()));
    }
    let before: Vec<_> = others.iter().map(|other| other.seccomp.filter()).collect();
    for other in &others {
        other.seccomp.set(Some(filter.clone()), Mode::Filter);
    }
    thread.seccomp.set(Some(filter), Mode::Filter);
    drop(tree);
    // Filters end outside of the lock.
    drop(before);
    Ok(None)
}
