//! What a thread that ends owes to those who wait for its locks (get_robust_list(2)).

use super::{ANY, wake};
use crate::error::Result;
use crate::mm::AddressSpace;
use crate::syscall::UserPtr;
use ostd::mm::Vaddr;
use ostd::mm::user_io::{compare_exchange_u32, load_u32};

const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const TID_MASK: u32 = 0x3fff_ffff;

/// The most entries that are followed: the list is user memory and may be a circle.
const MAX_ENTRIES: usize = 2048;

/// Marks the locks in the list at `head` that thread `tid` still holds as left by their owner, and wakes one waiter each. Called by the
/// thread itself as it ends, in its address space; `tid` is as the thread sees it.
pub fn release_robust_list(space: &AddressSpace, head: Vaddr, tid: u32) {
    // A list that cannot be read ends the walk: there is nobody left to tell.
    let _ = walk(space, head, tid);
}

fn walk(space: &AddressSpace, head: Vaddr, tid: u32) -> Result<()> {
    let [first, offset, pending] = UserPtr::<[u64; 3]>::new(head).read()?;
    let lock_of = |entry: u64| ((entry & !1) as Vaddr).wrapping_add(offset as Vaddr);
    let mut entry = first;
    for _ in 0..MAX_ENTRIES {
        if (entry & !1) as Vaddr == head {
            break;
        }
        // Before the lock is given up: its memory may be gone afterwards.
        let next = UserPtr::<u64>::new((entry & !1) as Vaddr).read();
        if entry & !1 != pending & !1 {
            leave(space, lock_of(entry), tid, entry & 1 != 0, false)?;
        }
        entry = next?;
    }
    if pending & !1 != 0 {
        leave(space, lock_of(pending), tid, pending & 1 != 0, true)?;
    }
    Ok(())
}

/// `is_pending`: the thread was taking or releasing the lock when it ended.
fn leave(
    space: &AddressSpace,
    lock: Vaddr,
    tid: u32,
    inherits_priority: bool,
    is_pending: bool,
) -> Result<()> {
    let mut value = load_u32(lock)?;
    if is_pending && !inherits_priority && value == 0 {
        // Released, but perhaps before the waiters were woken.
        wake(space, lock, false, 1, ANY)?;
        return Ok(());
    }
    while value & TID_MASK == tid {
        let found = compare_exchange_u32(lock, value, value & WAITERS | OWNER_DIED)?;
        if found == value {
            if value & WAITERS != 0 && !inherits_priority {
                wake(space, lock, false, 1, ANY)?;
            }
            break;
        }
        value = found;
    }
    Ok(())
}
