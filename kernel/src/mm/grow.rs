//! Stacks that grow.

use super::AddressSpace;
use super::area::AreaFlags;
use super::layout::STACK_GUARD;
use super::limits::check_room;
use ostd::mm::{PAGE_SIZE, Vaddr, page_down};

impl AddressSpace {
    /// Extends the stack above `address` down to it, within RLIMIT_STACK and not too near to what lies below. Whether the access is worth
    /// another try.
    pub(super) fn grow_stack(&self, address: Vaddr) -> bool {
        let Some(limits) = Self::current_limits() else { return false };
        let new_start = page_down(address);
        let mut areas = self.areas.write();
        let Some((range, area)) = areas.map.at_or_after(address) else { return false };
        if range.contains(&address) {
            // Another thread was faster.
            return true;
        }
        if !area.flags.contains(AreaFlags::GROWS_DOWN) || (range.end - new_start) as u64 > limits.stack {
            return false;
        }
        let is_clear = areas.map.before(range.start).is_none_or(|(below, other)| {
            below.end.saturating_add(STACK_GUARD) <= new_start
                || other.rights.is_empty() && below.end <= new_start
        });
        let area = area.clone();
        if !is_clear || check_room(&areas, (range.start - new_start) / PAGE_SIZE, 0, &limits).is_err() {
            return false;
        }
        areas.counts.take(&area, range.len());
        areas.map.extend_down(range.start, new_start);
        areas.counts.add(&area, range.end - new_start);
        true
    }
}
