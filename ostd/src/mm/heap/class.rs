//! Size classes: which object size serves a layout, and how big its slabs are. Pure arithmetic.

use core::alloc::Layout;

/// Object sizes. Each is a multiple of 16; powers of two serve larger alignments.
pub(super) const SIZES: [usize; 14] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];

/// The largest object that a slab holds; anything larger is whole frames.
pub(super) const LARGEST: usize = SIZES[SIZES.len() - 1];

/// Class by size in units of 16 bytes, rounded up.
const BY_UNITS: [u8; LARGEST / 16 + 1] = {
    let mut table = [0; LARGEST / 16 + 1];
    let (mut units, mut class) = (0, 0);
    while units < table.len() {
        if units * 16 > SIZES[class] {
            class += 1;
        }
        table[units] = class as u8;
        units += 1;
    }
    table
};

/// The class that serves `layout`; `None` for whole frames.
#[inline]
pub(super) fn of(layout: Layout) -> Option<usize> {
    let mut size = layout.size();
    if layout.align() > 16 {
        // Objects of a power-of-two size are aligned to it, because slabs are.
        size = size.max(layout.align()).checked_next_power_of_two()?;
    }
    (size <= LARGEST).then(|| BY_UNITS[size.div_ceil(16)] as usize)
}

/// Frames in a slab of this class: one where that wastes little.
pub(super) const fn slab_frames(class: usize) -> usize {
    if SIZES[class] <= 256 { 1 } else { 8 }
}

/// Objects that move between a CPU's list and the slabs at a time.
pub(super) const fn batch(class: usize) -> usize {
    let by_bytes = 4096 / SIZES[class];
    if by_bytes > 32 {
        32
    } else if by_bytes < 4 {
        4
    } else {
        by_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{SIZES, of};
    use core::alloc::Layout;

    #[test]
    fn the_smallest_sufficient_class_serves() {
        for size in 0..=2048 {
            let class = of(Layout::from_size_align(size, 8).unwrap()).unwrap();
            assert!(SIZES[class] >= size);
            assert!(class == 0 || SIZES[class - 1] < size);
        }
        assert_eq!(of(Layout::from_size_align(2049, 8).unwrap()), None);
    }

    #[test]
    fn alignment_is_met_by_a_power_of_two() {
        for align in [32, 64, 128, 256, 512, 1024, 2048] {
            let class = of(Layout::from_size_align(24, align).unwrap()).unwrap();
            assert_eq!(SIZES[class] % align, 0);
            assert!(SIZES[class].is_power_of_two());
        }
        assert_eq!(of(Layout::from_size_align(1, 4096).unwrap()), None);
    }
}
