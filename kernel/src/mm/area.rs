//! One mapping: its rights, its flags and what is behind it.

use super::AddressSpace;
use super::page_cache::Attachment;
use crate::fs::open_file::OpenFile;
use alloc::sync::{Arc, Weak};
use bitflags::bitflags;
use coffer_interval_map::Interval;
use ostd::mm::{PAGE_SIZE, PageFlags, UFrame};

bitflags! {
    /// Properties of an area beyond its rights.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct AreaFlags: u16 {
        /// MAP_SHARED: writes go to the file, or to all that share the memory.
        const SHARED = 1;
        /// MAP_GROWSDOWN: an access just below extends it.
        const GROWS_DOWN = 2;
        /// MAP_NORESERVE.
        const NO_RESERVE = 4;
        /// mlock(2): pages stay.
        const LOCKED = 8;
        /// MLOCK_ONFAULT: locked, not brought in.
        const LOCKED_ON_FAULT = 16;
        /// MADV_DONTFORK.
        const DONT_FORK = 32;
        /// MADV_WIPEONFORK.
        const WIPE_ON_FORK = 64;
        /// MADV_DONTDUMP.
        const DONT_DUMP = 128;
        /// May hold private pages that cannot be had from the file again: it was writable at some time.
        const HAS_COPIES = 256;
        /// The heap of brk(2).
        const HEAP = 512;
        /// The initial stack.
        const STACK = 1024;
        /// MADV_RANDOM: no pages around a fault.
        const RANDOM = 2048;
        /// MADV_SEQUENTIAL.
        const SEQUENTIAL = 4096;
    }
}

/// The rights bits of [`PageFlags`].
pub const RIGHTS: PageFlags = PageFlags::READ.union(PageFlags::WRITE).union(PageFlags::EXECUTE);

/// One mapping (`vm_area_struct`).
#[derive(Clone, Debug)]
pub struct VmArea {
    /// PROT_*, as asked for.
    pub rights: PageFlags,
    /// The rights that mprotect(2) may give: a file that is not open for writing cannot be mapped shared and made writable.
    pub max_rights: PageFlags,
    /// Its properties.
    pub flags: AreaFlags,
    /// What is behind it.
    pub backing: Backing,
}

/// What is behind an area.
#[derive(Clone, Debug)]
pub enum Backing {
    /// Private zeros.
    Anonymous,
    /// A file, or shared anonymous memory.
    File {
        /// Its pages, and our entry in their list of mappings.
        pages: Attachment,
        /// The open file; `None` for shared anonymous memory.
        file: Option<Arc<OpenFile>>,
        /// The page of the file that the area begins with.
        first: usize,
    },
    /// Frames of the kernel's (vDSO): they cannot be written, and are never copied for a child.
    Frames {
        /// All of them.
        frames: Arc<[UFrame]>,
        /// Which one the area begins with.
        first: usize,
        /// For /proc/PID/maps: `[vdso]`.
        name: &'static str,
    },
}

impl VmArea {
    /// Whether MAP_SHARED.
    pub fn is_shared(&self) -> bool {
        self.flags.contains(AreaFlags::SHARED)
    }

    /// Whether its pages are its own to lose: private and writable, the memory that RLIMIT_DATA and overcommit count.
    pub fn is_data(&self) -> bool {
        !self.is_shared()
            && self.rights.contains(PageFlags::WRITE)
            && !self.flags.contains(AreaFlags::GROWS_DOWN)
    }

    /// Private memory without a file.
    pub fn is_private_anonymous(&self) -> bool {
        matches!(self.backing, Backing::Anonymous)
    }

    /// The rights that a page gets once nothing stands against them. x86-64 has no page that can be written or executed but not read.
    pub fn page_rights(&self) -> PageFlags {
        if self.rights.intersects(RIGHTS) { self.rights | PageFlags::READ } else { PageFlags::empty() }
    }

    /// The same area for `space`.
    pub(super) fn for_space(&self, space: &Weak<AddressSpace>) -> Self {
        let mut area = self.clone_flags();
        area.backing = match &self.backing {
            Backing::File { pages, file, first } => {
                Backing::File { pages: pages.for_space(space.clone()), file: file.clone(), first: *first }
            }
            other => other.clone(),
        };
        area
    }

    fn clone_flags(&self) -> Self {
        Self { backing: Backing::Anonymous, ..*self }
    }

    /// The page of the backing that lies `offset` bytes into the area.
    pub fn backing_page(&self, offset: usize) -> usize {
        match &self.backing {
            Backing::Anonymous => 0,
            Backing::File { first, .. } | Backing::Frames { first, .. } => first + offset / PAGE_SIZE,
        }
    }
}

impl Interval for VmArea {
    fn split_off(&mut self, offset: usize) -> Self {
        let mut rest = self.clone();
        match &mut rest.backing {
            Backing::Anonymous => {}
            Backing::File { first, .. } | Backing::Frames { first, .. } => *first += offset / PAGE_SIZE,
        }
        rest
    }

    fn continues_in(&self, len: usize, next: &Self) -> bool {
        (self.rights, self.max_rights, self.flags) == (next.rights, next.max_rights, next.flags)
            && match (&self.backing, &next.backing) {
                (Backing::Anonymous, Backing::Anonymous) => true,
                (
                    Backing::File { pages: a, file: file_a, first: first_a },
                    Backing::File { pages: b, file: file_b, first: first_b },
                ) => {
                    a.cache().id() == b.cache().id()
                        && file_a.as_ref().map(Arc::as_ptr) == file_b.as_ref().map(Arc::as_ptr)
                        && first_a + len / PAGE_SIZE == *first_b
                }
                _ => false,
            }
    }
}
