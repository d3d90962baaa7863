//! Which address spaces show pages of a cache: what truncation unmaps and write-back protects.

use super::{Cache, PageCache};
use crate::mm::AddressSpace;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// Address spaces, each with the number of its areas that map the cache. Where these lie is known to the address space alone, so
/// that cutting and moving areas costs nothing here.
#[derive(Debug, Default)]
pub(super) struct Mappings(SpinLock<Vec<(Weak<AddressSpace>, usize)>>);

/// An area's hold on a cache: while it lives, truncation reaches the area's address space.
#[derive(Debug)]
pub struct Attachment {
    cache: PageCache,
    space: Weak<AddressSpace>,
}

impl Attachment {
    /// Enters `space` into the cache's list.
    pub fn new(cache: PageCache, space: Weak<AddressSpace>) -> Self {
        let mut list = cache.0.mappings.0.lock();
        match list.iter_mut().find(|(s, _)| Weak::ptr_eq(s, &space)) {
            Some((_, areas)) => *areas += 1,
            None => list.push((space.clone(), 1)),
        }
        drop(list);
        Self { cache, space }
    }

    /// The cache.
    pub fn cache(&self) -> &PageCache {
        &self.cache
    }

    /// The same cache for an area of another address space.
    pub fn for_space(&self, space: Weak<AddressSpace>) -> Self {
        Self::new(self.cache.clone(), space)
    }
}

impl Clone for Attachment {
    fn clone(&self) -> Self {
        Self::new(self.cache.clone(), self.space.clone())
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut list = self.cache.0.mappings.0.lock();
        if let Some(at) = list.iter().position(|(s, _)| Weak::ptr_eq(s, &self.space)) {
            list[at].1 -= 1;
            if list[at].1 == 0 {
                list.swap_remove(at);
            }
        }
    }
}

impl PageCache {
    /// Unmaps pages `first..end` wherever they are mapped; private copies of them only if `with_copies`.
    pub(super) fn unmap(&self, first: usize, end: usize, with_copies: bool) {
        for space in self.0.spaces() {
            space.unmap_cached(self, first, end, with_copies);
        }
    }

    /// Takes the right to write from shared mappings, so that the next write marks its page dirty again.
    pub(super) fn write_protect_mappings(&self) {
        for space in self.0.spaces() {
            space.write_protect_cached(self);
        }
    }

    /// Whether any address space has an area over this file.
    pub fn is_mapped(&self) -> bool {
        !self.0.mappings.0.lock().is_empty()
    }
}

impl Cache {
    fn spaces(&self) -> Vec<Arc<AddressSpace>> {
        self.mappings.0.lock().iter().filter_map(|(space, _)| space.upgrade()).collect()
    }
}
