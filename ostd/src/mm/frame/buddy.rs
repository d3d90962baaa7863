//! Which frames are free, as a binary buddy system: pure policy over a [`Store`] that holds the marks and links, so that it is
//! tested on the host without memory behind it.
//!
//! Blocks are 2^order frames, aligned to their size. All operations take O(orders) steps.

/// The largest block: 2^14 frames, 64 MiB.
pub(in crate::mm) const MAX_ORDER: usize = 14;

/// No frame.
pub(in crate::mm) const NONE: u32 = u32::MAX;

/// Where marks and links of free blocks are kept. Frame numbers come from ranges that were given to [`Buddy::free_range`],
/// or are the buddies of such (inside the same aligned 64 MiB).
pub(in crate::mm) trait Store {
    /// The order of the free block that starts at `frame`; `None` if no free block starts there.
    fn free_order(&self, frame: u32) -> Option<usize>;
    /// Marks `frame` as the first of a free block, or as not being one.
    fn set_free_order(&mut self, frame: u32, order: Option<usize>);
    /// The neighbours (previous, next) of a free block in its list.
    fn links(&self, frame: u32) -> (u32, u32);
    /// Sets the neighbours of a free block.
    fn set_links(&mut self, frame: u32, links: (u32, u32));
}

/// The lists of free blocks.
#[derive(Debug)]
pub(in crate::mm) struct Buddy {
    heads: [u32; MAX_ORDER + 1],
    /// A bit for each order whose list is not empty.
    filled: u32,
    free: usize,
}

impl Buddy {
    pub(in crate::mm) const fn new() -> Self {
        Self { heads: [NONE; MAX_ORDER + 1], filled: 0, free: 0 }
    }

    /// Free frames.
    pub(in crate::mm) fn free(&self) -> usize {
        self.free
    }

    /// Takes `count` contiguous frames, aligned to the next power of two; what is left of that block stays free.
    pub(in crate::mm) fn alloc(&mut self, store: &mut impl Store, count: usize) -> Option<u32> {
        let order = order_for(count)?;
        let candidates = self.filled & (u32::MAX << order);
        if candidates == 0 {
            return None;
        }
        let found = candidates.trailing_zeros() as usize;
        let start = self.heads[found];
        self.unlink(store, start, found);
        // The block is [start, start + 2^found); keep the first `count` frames.
        self.free -= 1 << found;
        let end = start + (1 << found);
        self.free_range(store, start + count as u32, end);
        Some(start)
    }

    /// Frees the frames `start..end`.
    pub(in crate::mm) fn free_range(&mut self, store: &mut impl Store, start: u32, end: u32) {
        let mut frame = start;
        while frame < end {
            let by_alignment = frame.trailing_zeros() as usize;
            let by_length = (end - frame).ilog2() as usize;
            let order = by_alignment.min(by_length).min(MAX_ORDER);
            self.free_block(store, frame, order);
            frame += 1 << order;
        }
    }

    fn free_block(&mut self, store: &mut impl Store, mut frame: u32, mut order: usize) {
        self.free += 1 << order;
        while order < MAX_ORDER {
            let buddy = frame ^ (1 << order);
            if store.free_order(buddy) != Some(order) {
                break;
            }
            self.unlink(store, buddy, order);
            frame = frame.min(buddy);
            order += 1;
        }
        self.link(store, frame, order);
    }

    fn link(&mut self, store: &mut impl Store, frame: u32, order: usize) {
        let head = self.heads[order];
        store.set_free_order(frame, Some(order));
        store.set_links(frame, (NONE, head));
        if head != NONE {
            let (_, next) = store.links(head);
            store.set_links(head, (frame, next));
        }
        self.heads[order] = frame;
        self.filled |= 1 << order;
    }

    fn unlink(&mut self, store: &mut impl Store, frame: u32, order: usize) {
        let (previous, next) = store.links(frame);
        if next != NONE {
            let (_, after) = store.links(next);
            store.set_links(next, (previous, after));
        }
        if previous == NONE {
            self.heads[order] = next;
            if next == NONE {
                self.filled &= !(1 << order);
            }
        } else {
            let (before, _) = store.links(previous);
            store.set_links(previous, (before, next));
        }
        store.set_free_order(frame, None);
    }
}

/// The order of the smallest block of at least `count` frames.
fn order_for(count: usize) -> Option<usize> {
    let order = count.checked_next_power_of_two()?.trailing_zeros() as usize;
    (count > 0 && order <= MAX_ORDER).then_some(order)
}

#[cfg(test)]
mod tests {
    use super::{Buddy, NONE, Store};
    use alloc::vec;
    use alloc::vec::Vec;

    struct Table(Vec<(Option<usize>, (u32, u32))>);

    impl Table {
        fn new(frames: usize) -> Self {
            Self(vec![(None, (NONE, NONE)); frames])
        }
    }

    impl Store for Table {
        fn free_order(&self, frame: u32) -> Option<usize> {
            self.0.get(frame as usize).and_then(|f| f.0)
        }
        fn set_free_order(&mut self, frame: u32, order: Option<usize>) {
            self.0[frame as usize].0 = order;
        }
        fn links(&self, frame: u32) -> (u32, u32) {
            self.0[frame as usize].1
        }
        fn set_links(&mut self, frame: u32, links: (u32, u32)) {
            self.0[frame as usize].1 = links;
        }
    }

    #[test]
    fn all_frames_of_a_ragged_range_can_be_had_once() {
        let (mut table, mut buddy) = (Table::new(1000), Buddy::new());
        buddy.free_range(&mut table, 3, 997);
        assert_eq!(buddy.free(), 994);
        let mut seen = vec![false; 1000];
        while let Some(frame) = buddy.alloc(&mut table, 1) {
            assert!((3..997).contains(&frame) && !seen[frame as usize]);
            seen[frame as usize] = true;
        }
        assert_eq!(seen.iter().filter(|s| **s).count(), 994);
        assert_eq!(buddy.free(), 0);
    }

    #[test]
    fn freed_neighbours_become_a_large_block_again() {
        let (mut table, mut buddy) = (Table::new(1024), Buddy::new());
        buddy.free_range(&mut table, 0, 1024);
        let frames: Vec<u32> = (0..1024).map(|_| buddy.alloc(&mut table, 1).unwrap()).collect();
        for frame in frames.iter().filter(|f| **f % 2 == 0) {
            buddy.free_range(&mut table, *frame, frame + 1);
        }
        assert_eq!(buddy.alloc(&mut table, 2), None);
        for frame in frames.iter().filter(|f| **f % 2 == 1) {
            buddy.free_range(&mut table, *frame, frame + 1);
        }
        assert_eq!(buddy.alloc(&mut table, 1024), Some(0));
    }

    #[test]
    fn the_tail_of_an_odd_run_stays_free() {
        let (mut table, mut buddy) = (Table::new(64), Buddy::new());
        buddy.free_range(&mut table, 0, 64);
        let start = buddy.alloc(&mut table, 33).unwrap();
        assert_eq!(buddy.free(), 31);
        buddy.free_range(&mut table, start, start + 33);
        assert_eq!(buddy.alloc(&mut table, 64), Some(0));
    }

    #[test]
    fn absurd_counts_are_refused() {
        let (mut table, mut buddy) = (Table::new(64), Buddy::new());
        buddy.free_range(&mut table, 0, 64);
        for count in [0, 65, 1 << 20, usize::MAX] {
            assert_eq!(buddy.alloc(&mut table, count), None);
        }
        assert_eq!(buddy.free(), 64);
    }
}
