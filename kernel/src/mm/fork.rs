//! The copy that fork(2) makes: one walk over the areas, page tables shared copy-on-write.

use super::AddressSpace;
use super::area::{AreaFlags, Backing};
use crate::error::{Errno, Result};
use alloc::sync::Arc;
use ostd::mm::vm_space::Share;
use ostd::mm::{USER_END, USER_START};

impl AddressSpace {
    /// A child's copy. Pages that the child can find again in their file are left to its faults.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn fork(&self) -> Result<Arc<Self>> {
        let child = Self::with_layout(self.layout)?;
        child.set_account(self.account());
        child.add_barriers(self.barriers());
        // For writing: no fault may slip a page in between the walk over the areas and that over the pages.
        let areas = self.areas.write();
        let mut copies = child.areas.write();
        copies.heap = areas.heap.clone();
        for (range, area) in areas.map.iter() {
            if area.flags.contains(AreaFlags::DONT_FORK) {
                continue;
            }
            let mut copy = area.for_space(&child.this);
            // mlock(2): locks are not inherited.
            copy.flags &= !(AreaFlags::LOCKED | AreaFlags::LOCKED_ON_FAULT);
            copies.counts.add(&copy, range.len());
            copies.map.insert(range, copy);
        }

        let mut from = self.space.cursor(USER_START..USER_END)?;
        let mut to = child.space.cursor(USER_START..USER_END)?;
        for (range, area) in copies.map.iter() {
            let has_pages = match area.backing {
                Backing::Anonymous => !area.flags.contains(AreaFlags::WIPE_ON_FORK),
                Backing::File { .. } => !area.is_shared() && area.flags.contains(AreaFlags::HAS_COPIES),
                Backing::Frames { .. } => false,
            };
            if has_pages {
                from.jump(range.start)?;
                from.share_to(range.end, &mut to, Share::CopyOnWrite)?;
                if ostd::mm::is_exhausted() {
                    return Err(Errno::ENOMEM.into());
                }
            }
        }
        drop((from, to));
        drop(copies);
        Ok(child)
    }
}
