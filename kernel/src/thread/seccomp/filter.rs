//! [`Filter`]: a program and those that were attached before it.

use crate::error::{Errno, Result};
use alloc::sync::Arc;
use coffer_seccomp::{Data, Numbers, Program, Verdict, precedence};
use core::sync::atomic::{AtomicU32, Ordering};

/// `AUDIT_ARCH_X86_64`.
pub(super) const ARCHITECTURE: u32 = 0xc000_003e;

/// The most instructions that one call may cost.
const COST_MAX: usize = 32768;
/// What a filter costs beside its instructions.
const OVERHEAD: usize = 4;
/// How often one filter may write to the log: a program can make as many calls as it likes.
const LOGGED_MAX: u32 = 32;

/// A filter. All in a row are asked.
#[derive(Debug)]
pub struct Filter {
    program: Program,
    before: Option<Arc<Self>>,
    /// Whatever it does not simply allow is logged.
    pub(super) logs: bool,
    logged: AtomicU32,
    /// Instructions of all in the row.
    cost: usize,
    /// How many there are in the row.
    pub count: usize,
    /// Calls that all in the row allow whatever the arguments.
    pub(super) allowed: Numbers,
}

impl Filter {
    /// ENOMEM if all in the row together are too long.
    pub(super) fn new(program: Program, before: Option<Arc<Self>>, logs: bool) -> Result<Self> {
        let (cost, count, allowed) = match &before {
            None => (0, 0, Numbers::ALL),
            Some(before) => (before.cost, before.count, before.allowed),
        };
        let cost = cost + program.len() + OVERHEAD;
        if cost > COST_MAX + OVERHEAD || ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let own = program.always_allowed(ARCHITECTURE).map_err(|_| Errno::ENOMEM)?;
        let allowed = allowed.and(own);
        Ok(Self { program, before, logs, logged: AtomicU32::new(0), cost, count: count + 1, allowed })
    }

    /// Whether `other` is this one or one before it.
    pub(super) fn comes_after(&self, other: &Arc<Self>) -> bool {
        self.row().any(|filter| core::ptr::eq(filter, Arc::as_ptr(other)))
    }

    /// What all in the row together say of a call, and which of them.
    pub(super) fn verdict(&self, data: &Data) -> (Verdict, &Self) {
        let judged = self.row().map(|filter| (filter.program.run(data), filter));
        // The newest comes first, and of equal ones the first counts.
        let sternest = judged.min_by_key(|(value, _)| precedence(*value));
        sternest.map_or((Verdict::KillProcess, self), |(value, filter)| (Verdict::of(value), filter))
    }

    /// Whether it may write to the log once more.
    pub(super) fn may_log(&self) -> bool {
        self.logged.fetch_add(1, Ordering::Relaxed) < LOGGED_MAX
    }

    fn row(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |filter| filter.before.as_deref())
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // One after the other: how many there are is the users' choice.
        let mut next = self.before.take();
        while let Some(filter) = next {
            next = Arc::into_inner(filter).and_then(|mut filter| filter.before.take());
        }
    }
}
