//! brk(2).

use super::AddressSpace;
use super::area::{AreaFlags, Backing, RIGHTS, VmArea};
use super::limits::{Limits, check_commit, check_locked, check_room};
use crate::error::{Errno, Result};
use ostd::mm::{PAGE_SIZE, PageFlags, USER_END, Vaddr, page_up};

impl AddressSpace {
    /// Says where the heap begins; the loader calls it with the end of the program.
    pub fn set_heap_start(&self, start: Vaddr) {
        self.areas.write().heap = start..start;
    }

    /// Start and end of the heap.
    pub fn heap(&self) -> (Vaddr, Vaddr) {
        let heap = self.areas.read().heap.clone();
        (heap.start, heap.end)
    }

    /// Moves the end of the heap to `wanted`; returns where it is afterwards, the old end if it could not be moved.
    pub fn brk(&self, wanted: Vaddr, limits: &Limits) -> Vaddr {
        let mut areas = self.areas.write();
        let heap = areas.heap.clone();
        if wanted < heap.start || wanted > USER_END {
            return heap.end;
        }
        let (Some(old), Some(new)) = (page_up(heap.end), page_up(wanted)) else { return heap.end };
        if new <= old {
            let Ok(cut) = areas.cut(new..old) else { return heap.end };
            if !cut.is_empty() {
                self.clear(new..old);
            }
            areas.heap.end = wanted;
            drop(areas);
            drop(cut);
            return wanted;
        }

        let pages = (new - old) / PAGE_SIZE;
        let fits = || -> Result<()> {
            if (wanted - heap.start) as u64 > limits.data || !areas.map.is_free(old..new) {
                return Err(Errno::ENOMEM.into());
            }
            check_room(&areas, pages, pages, limits)?;
            check_commit(pages)
        };
        if fits().is_err() {
            return heap.end;
        }
        let lock = areas.lock_future;
        if lock.is_some() && check_locked(&areas, pages, limits, Errno::EAGAIN).is_err() {
            return heap.end;
        }
        let mut flags = AreaFlags::HAS_COPIES | AreaFlags::HEAP;
        if let Some(mode) = lock {
            flags |= mode.flags();
        }
        let rights = PageFlags::READ | PageFlags::WRITE;
        areas.insert(old..new, VmArea { rights, max_rights: RIGHTS, flags, backing: Backing::Anonymous });
        areas.heap.end = wanted;
        drop(areas);
        if lock.is_some() {
            // As in Linux: the break has moved even if not all of it could be brought in.
            let _ = self.populate(old..new);
        }
        wanted
    }
}
