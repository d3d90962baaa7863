//! Where things are: the physical memory of the machine that the simulated module runs on, and of the trust domain.
//!
//! Every guest page has two backings. What devices reach is the shared one, at the guest's own address; the private one lies elsewhere,
//! where no device that follows the guest's addresses can come to it.

/// A page.
pub const PAGE: u64 = 4096;
/// A large page.
pub const LARGE_PAGE: u64 = 2 << 20;

/// The module's own memory: its image, tables, and the pack.
pub const MODULE_BASE: u64 = 0x7000_0000;
/// End of memory below 4 GiB.
pub const LOW_END: u64 = 0x8000_0000;
/// The domain's low memory ends here at the latest.
pub const LOW_LIMIT: u64 = MODULE_BASE;
/// Where memory continues.
pub const HIGH_BASE: u64 = 4 << 30;

/// The domain's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// End of its memory below 4 GiB.
    pub low_end: u64,
    /// End of its memory above 4 GiB; 4 GiB if there is none.
    pub high_end: u64,
}

impl Memory {
    /// `size` bytes, a multiple of 2 MiB.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        let low_end = if size < LOW_LIMIT { size } else { LOW_LIMIT };
        Self { low_end, high_end: HIGH_BASE + (size - low_end) }
    }

    /// How much there is.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.low_end + (self.high_end - HIGH_BASE)
    }

    /// How much the machine needs that the module runs on.
    #[must_use]
    pub const fn machine_size(&self) -> u64 {
        LOW_END + (self.high_end - HIGH_BASE) + self.size()
    }

    /// Number of the page at a guest address, if it is memory.
    #[must_use]
    pub const fn page(&self, gpa: u64) -> Option<usize> {
        if gpa < self.low_end {
            Some((gpa / PAGE) as usize)
        } else if gpa >= HIGH_BASE && gpa < self.high_end {
            Some(((gpa - HIGH_BASE + self.low_end) / PAGE) as usize)
        } else {
            None
        }
    }

    /// Number of pages.
    #[must_use]
    pub const fn pages(&self) -> usize {
        (self.size() / PAGE) as usize
    }

    /// Where the private backing of a guest address is, if that is memory.
    #[must_use]
    pub const fn private(&self, gpa: u64) -> Option<u64> {
        match self.page(gpa) {
            Some(page) => Some(self.high_end + page as u64 * PAGE + gpa % PAGE),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HIGH_BASE, LOW_LIMIT, Memory};

    #[test]
    fn small_memory_is_below_the_module() {
        let memory = Memory::new(512 << 20);
        assert_eq!((memory.low_end, memory.high_end), (512 << 20, HIGH_BASE));
        assert_eq!(memory.private(0x1234), Some(HIGH_BASE + 0x1234));
        assert_eq!(memory.private(512 << 20), None);
        assert_eq!(memory.machine_size(), (2 << 30) + (512 << 20));
    }

    #[test]
    fn large_memory_continues_above_the_hole() {
        let memory = Memory::new(4 << 30);
        assert_eq!((memory.low_end, memory.size()), (LOW_LIMIT, 4 << 30));
        assert_eq!(memory.page(HIGH_BASE), Some((LOW_LIMIT / 4096) as usize));
        assert_eq!(memory.page(LOW_LIMIT), None);
        assert_eq!(memory.private(HIGH_BASE), Some(memory.high_end + LOW_LIMIT));
        assert_eq!(memory.private(memory.high_end - 1), Some(memory.high_end + memory.size() - 1));
    }
}
