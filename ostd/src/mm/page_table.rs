//! Page-table entries and indexes (Intel SDM vol. 3, 4.5): pure arithmetic.

use super::{PAGE_SIZE, Paddr, PageFlags, Vaddr};

/// Entries in a table.
pub(super) const ENTRIES: usize = 512;

/// Bytes that one entry spans at `level` (1: a page, 2: 2 MiB, 3: 1 GiB, 4: 512 GiB).
pub(super) const fn span(level: usize) -> usize {
    PAGE_SIZE << (9 * (level - 1))
}

/// The index of `address` in a table of `level`.
#[inline(always)]
pub(super) const fn index(address: Vaddr, level: usize) -> usize {
    (address >> (12 + 9 * (level - 1))) & (ENTRIES - 1)
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(pub(super) u64);

impl Entry {
    pub(super) const PRESENT: u64 = 1;
    pub(super) const WRITE: u64 = 1 << 1;
    pub(super) const USER: u64 = 1 << 2;
    pub(super) const UNCACHED: u64 = 1 << 3 | 1 << 4;
    const ACCESSED: u64 = 1 << 5;
    const DIRTY: u64 = 1 << 6;
    pub(super) const HUGE: u64 = 1 << 7;
    pub(super) const GLOBAL: u64 = 1 << 8;
    /// Ours: a frame is mapped here, even if no right is left and the hardware sees nothing (PROT_NONE).
    const MAPPED: u64 = 1 << 9;
    /// Ours: READ, which the hardware cannot tell from EXECUTE.
    const READ: u64 = 1 << 10;
    /// Ours: [`PageFlags::SOFT`].
    const SOFT: u64 = 1 << 11;
    pub(super) const NO_EXECUTE: u64 = 1 << 63;
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

    /// Points to a table of user space: all rights, the leaf decides.
    pub(super) fn user_table(paddr: Paddr) -> Self {
        Self(paddr as u64 | Self::PRESENT | Self::WRITE | Self::USER)
    }

    /// Maps a user page.
    #[inline]
    pub(super) fn user_page(paddr: Paddr, flags: PageFlags) -> Self {
        let mut bits = paddr as u64 | Self::MAPPED | Self::USER;
        let rights = PageFlags::READ.union(PageFlags::WRITE).union(PageFlags::EXECUTE);
        let pairs = [
            (flags.intersects(rights), Self::PRESENT),
            (flags.contains(PageFlags::READ), Self::READ),
            (flags.contains(PageFlags::WRITE), Self::WRITE),
            (!flags.contains(PageFlags::EXECUTE), Self::NO_EXECUTE),
            (flags.contains(PageFlags::ACCESSED), Self::ACCESSED),
            (flags.contains(PageFlags::DIRTY), Self::DIRTY),
            (flags.contains(PageFlags::SOFT), Self::SOFT),
        ];
        for (is_set, bit) in pairs {
            bits |= if is_set { bit } else { 0 };
        }
        Self(bits)
    }

    /// The flags of a user page.
    #[inline]
    pub(super) fn flags(self) -> PageFlags {
        let mut flags = PageFlags::empty();
        flags.set(PageFlags::READ, self.0 & Self::READ != 0);
        flags.set(PageFlags::WRITE, self.is_writable());
        flags.set(PageFlags::EXECUTE, self.0 & Self::NO_EXECUTE == 0);
        flags.set(PageFlags::ACCESSED, self.0 & Self::ACCESSED != 0);
        flags.set(PageFlags::DIRTY, self.0 & Self::DIRTY != 0);
        flags.set(PageFlags::SOFT, self.0 & Self::SOFT != 0);
        flags
    }

    #[inline]
    pub(super) fn paddr(self) -> Paddr {
        (self.0 & Self::ADDRESS) as Paddr
    }

    /// Whether the hardware may use the entry.
    #[inline]
    pub(super) fn is_present(self) -> bool {
        self.0 & Self::PRESENT != 0
    }

    /// Whether a user page is mapped here.
    #[inline]
    pub(super) fn is_mapped(self) -> bool {
        self.0 & Self::MAPPED != 0
    }

    #[inline]
    pub(super) fn is_writable(self) -> bool {
        self.0 & Self::WRITE != 0
    }

    pub(super) fn is_huge(self) -> bool {
        self.0 & Self::HUGE != 0
    }

    /// Whether going from `self` to `new` for the same page takes anything away that a TLB may remember.
    pub(super) fn needs_flush(self, new: Self) -> bool {
        let lost_rights = self.0 & !new.0 & (Self::PRESENT | Self::WRITE | Self::ACCESSED | Self::DIRTY);
        let lost_execute = new.0 & !self.0 & Self::NO_EXECUTE;
        self.is_present() && (lost_rights | lost_execute != 0 || self.paddr() != new.paddr())
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, index, span};
    use crate::mm::{PageFlags, USER_END};

    #[test]
    fn flags_survive_the_hardware_format() {
        for bits in 0..=PageFlags::all().bits() {
            let flags = PageFlags::from_bits_truncate(bits);
            let entry = Entry::user_page(0x1234_5000, flags);
            assert_eq!((entry.flags(), entry.paddr()), (flags, 0x1234_5000));
            assert!(entry.is_mapped());
            let has_rights = flags.intersects(PageFlags::READ | PageFlags::WRITE | PageFlags::EXECUTE);
            assert_eq!(entry.is_present(), has_rights);
        }
    }

    #[test]
    fn taking_rights_needs_a_flush_and_giving_does_not() {
        let (ro, rw) = (PageFlags::READ, PageFlags::READ | PageFlags::WRITE);
        let page = |flags| Entry::user_page(0x1000, flags);
        assert!(page(rw).needs_flush(page(ro)));
        assert!(page(ro | PageFlags::EXECUTE).needs_flush(page(ro)));
        assert!(page(ro).needs_flush(Entry::user_page(0x2000, ro)));
        assert!(page(ro).needs_flush(page(PageFlags::empty())));
        assert!(!page(ro).needs_flush(page(rw)));
        assert!(!page(PageFlags::empty()).needs_flush(page(rw)));
    }

    #[test]
    fn addresses_split_into_indexes() {
        let address = 3 * span(4) + 5 * span(3) + 7 * span(2) + 9 * span(1);
        assert_eq!([4, 3, 2, 1].map(|level| index(address, level)), [3, 5, 7, 9]);
        assert_eq!(index(USER_END, 4), 255);
    }
}
