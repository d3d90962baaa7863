//! Private memory: what the host adds to a TD counts only once the guest has accepted it (Intel TDX Module ABI specification, TDG.MEM.PAGE.ACCEPT).
//!
//! Who accepts keeps the books: the early allocator and the frame allocator accept each frame of a range that firmware had not, once, when they first hand it
//! out. A page that is found accepted already would be one that the host has put there twice: that is the end.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::call::{Leaf, Registers, Status, retried, tdcall};
use crate::mm::PAGE_SIZE;

/// Bytes that one call accepts at most.
pub(crate) const LARGE_PAGE: usize = 2 << 20;

static ACCEPTED: AtomicU64 = AtomicU64::new(0);
static IS_EAGER: AtomicBool = AtomicBool::new(false);

/// Bytes that we have accepted ourselves.
pub(crate) fn accepted() -> u64 {
    ACCEPTED.load(Ordering::Relaxed)
}

/// Has all memory accepted at boot, page by page: what it would cost to do without the rest of this.
pub(super) fn be_eager() {
    IS_EAGER.store(true, Ordering::Relaxed);
}

/// Whether [`be_eager`] was called.
pub(crate) fn is_eager() -> bool {
    IS_EAGER.load(Ordering::Relaxed)
}

/// Accepts whole pages that never were: afterwards they are ours, and zero.
///
/// # Panics
/// If the module refuses: there is no telling then what memory is whose.
pub(crate) fn accept(range: Range<usize>) {
    let outcome = accept_by(range.clone(), &mut |start, is_large| {
        if is_large && is_eager() {
            return Status(u64::from(Status::PAGE_SIZE_MISMATCH) << 32);
        }
        let mut registers = Registers { rcx: start as u64 | u64::from(is_large), ..Registers::default() };
        // SAFETY: pages that were not accepted hold nothing of anybody's; the caller's books say that these were not.
        unsafe { tdcall(Leaf::AcceptPage, &mut registers) }
    });
    if let Err((page, status)) = outcome {
        panic!("tdx: memory at {page:#x} cannot be accepted: {:#x}", status.0);
    }
    ACCEPTED.fetch_add(range.len() as u64, Ordering::Relaxed);
}

/// The loop of [`accept`] over calls for a large page or a small one.
fn accept_by(
    range: Range<usize>,
    accept_page: &mut dyn FnMut(usize, bool) -> Status,
) -> Result<(), (usize, Status)> {
    let mut at = range.start;
    while at < range.end {
        let fits = at.is_multiple_of(LARGE_PAGE) && range.end - at >= LARGE_PAGE;
        if fits {
            let status = retried(&mut || accept_page(at, true));
            if status.is_success() {
                at += LARGE_PAGE;
                continue;
            }
            // The host has small pages there.
            if status.code() != Status::PAGE_SIZE_MISMATCH {
                return Err((at, status));
            }
        }
        let end = if fits { at + LARGE_PAGE } else { range.end.min((at + 1).next_multiple_of(LARGE_PAGE)) };
        while at < end {
            let status = retried(&mut || accept_page(at, false));
            if !status.is_success() {
                return Err((at, status));
            }
            at += PAGE_SIZE;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{LARGE_PAGE, accept_by};
    use crate::mm::PAGE_SIZE;
    use crate::tdx::call::Status;
    use std::vec::Vec;

    const OK: Status = Status(0);
    const MISMATCH: Status = Status(0xc000_0b0b_0000_0001);
    const ALREADY: Status = Status(0x0000_0b0a_0000_0000);

    type Outcome = (Result<(), (usize, Status)>, Vec<(usize, bool)>);

    fn run(range: core::ops::Range<usize>, answer: impl Fn(usize, bool) -> Status) -> Outcome {
        let mut calls = Vec::new();
        let outcome = accept_by(range, &mut |at, is_large| {
            calls.push((at, is_large));
            answer(at, is_large)
        });
        (outcome, calls)
    }

    #[test]
    fn large_pages_where_they_fit_and_small_ones_at_the_edges() {
        let (outcome, calls) = run(LARGE_PAGE - PAGE_SIZE..2 * LARGE_PAGE + PAGE_SIZE, |_, _| OK);
        assert_eq!(outcome, Ok(()));
        let expected = [(LARGE_PAGE - PAGE_SIZE, false), (LARGE_PAGE, true), (2 * LARGE_PAGE, false)];
        assert_eq!(calls, expected);
    }

    #[test]
    fn where_the_host_has_small_pages_each_is_accepted_once() {
        let (outcome, calls) =
            run(
                LARGE_PAGE..3 * LARGE_PAGE,
                |at, is_large| if is_large && at == LARGE_PAGE { MISMATCH } else { OK },
            );
        assert_eq!(outcome, Ok(()));
        assert_eq!(calls[0], (LARGE_PAGE, true));
        let small: Vec<_> = calls.iter().filter(|(_, is_large)| !is_large).map(|(at, _)| *at).collect();
        let expected: Vec<_> = (LARGE_PAGE..2 * LARGE_PAGE).step_by(PAGE_SIZE).collect();
        assert_eq!(small, expected);
        assert_eq!(calls.last(), Some(&(2 * LARGE_PAGE, true)));
    }

    #[test]
    fn pages_that_were_accepted_before_are_an_error() {
        assert_eq!(run(0..LARGE_PAGE, |_, _| ALREADY).0, Err((0, ALREADY)));
        let second = |at, _| if at == PAGE_SIZE { ALREADY } else { OK };
        assert_eq!(run(0..2 * PAGE_SIZE, second).0, Err((PAGE_SIZE, ALREADY)));
    }

    #[test]
    fn a_busy_module_is_asked_again() {
        let busy = core::cell::Cell::new(3);
        let (outcome, calls) = run(0..PAGE_SIZE, |_, _| {
            busy.set(busy.get() - 1);
            if busy.get() > 0 { Status(0x8000_0200_0000_0001) } else { OK }
        });
        assert_eq!((outcome, calls.len()), (Ok(()), 3));
    }
}
