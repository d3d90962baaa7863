//! One slab: a naturally aligned run of frames cut into equal objects, with a header at its start that knows by a bitmap which are free.
//!
//! The header takes the place of the first object or objects, so an object's slab is found by masking its address.

use core::ptr::NonNull;

use super::class::{SIZES, slab_frames};
use crate::mm::PAGE_SIZE;

/// Which objects of a slab are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bitmap([u64; 4]);

impl Bitmap {
    /// Objects `from..to` are free.
    pub(super) fn with_free(from: usize, to: usize) -> Self {
        let mut map = Self([0; 4]);
        (from..to).for_each(|index| map.0[index / 64] |= 1 << (index % 64));
        map
    }

    /// Takes the first free object.
    pub(super) fn take(&mut self) -> Option<usize> {
        let word = self.0.iter().position(|w| *w != 0)?;
        let bit = self.0[word].trailing_zeros() as usize;
        self.0[word] &= self.0[word] - 1;
        Some(word * 64 + bit)
    }

    /// Frees an object; `false` if it was free already.
    pub(super) fn put(&mut self, index: usize) -> bool {
        let (word, bit) = (&mut self.0[index / 64], 1 << (index % 64));
        let was_taken = *word & bit == 0;
        *word |= bit;
        was_taken
    }
}

/// The header.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Slab {
    pub(super) previous: Option<NonNull<Slab>>,
    pub(super) next: Option<NonNull<Slab>>,
    free: Bitmap,
    pub(super) free_count: u16,
    class: u16,
}

impl Slab {
    /// Objects that fit behind the header.
    pub(super) fn capacity(class: usize) -> usize {
        let first = size_of::<Self>().div_ceil(SIZES[class]);
        slab_frames(class) * PAGE_SIZE / SIZES[class] - first
    }

    /// Makes a slab with all objects free.
    ///
    /// # Safety
    /// `base` starts `slab_frames(class)` frames that are ours, aligned to that length.
    pub(super) unsafe fn create(base: *mut u8, class: usize) -> NonNull<Slab> {
        let objects = slab_frames(class) * PAGE_SIZE / SIZES[class];
        let count = Self::capacity(class);
        let header = Slab {
            previous: None,
            next: None,
            free: Bitmap::with_free(objects - count, objects),
            free_count: count as u16,
            class: class as u16,
        };
        let slab = base.cast::<Slab>();
        // SAFETY: the frames are ours, and page-aligned.
        unsafe { slab.write(header) };
        NonNull::new(slab).expect("the direct map does not start at zero")
    }

    /// The slab that holds an object of `class`.
    pub(super) fn of(object: *mut u8, class: usize) -> NonNull<Slab> {
        let len = slab_frames(class) * PAGE_SIZE;
        let slab = object.map_addr(|a| a & !(len - 1)).cast();
        NonNull::new(slab).expect("objects do not lie in the first frames of the address space")
    }

    /// Takes an object.
    pub(super) fn take(&mut self, base: *mut u8) -> Option<*mut u8> {
        let index = self.free.take()?;
        self.free_count -= 1;
        Some(base.wrapping_add(index * SIZES[self.class as usize]))
    }

    /// Puts an object back. Panics if it was free: memory is corrupt then, and going on would spread it.
    pub(super) fn put(&mut self, offset: usize) {
        assert!(self.free.put(offset / SIZES[self.class as usize]), "heap object freed twice");
        self.free_count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Bitmap, Slab};
    use crate::mm::heap::class::SIZES;

    #[test]
    fn each_free_object_is_taken_once() {
        let mut map = Bitmap::with_free(3, 200);
        let taken: Vec<usize> = core::iter::from_fn(|| map.take()).collect();
        assert_eq!(taken, (3..200).collect::<Vec<_>>());
        assert!(map.put(77));
        assert!(!map.put(77));
        assert_eq!(map.take(), Some(77));
    }

    #[test]
    fn slabs_hold_several_objects_and_fit_the_bitmap() {
        for class in 0..SIZES.len() {
            assert!((7..=255).contains(&Slab::capacity(class)), "class {class}");
        }
    }

    use std::vec::Vec;
}
