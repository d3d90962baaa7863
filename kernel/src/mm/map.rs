//! mmap(2) and munmap(2).

use super::AddressSpace;
use super::address_space::{Areas, page_range};
use super::area::{AreaFlags, Backing, VmArea};
use super::layout::MIN_ADDRESS;
use super::limits::{Limits, MAX_AREAS, check_commit, check_locked, check_room};
use super::lock::LockMode;
use super::page_cache::{Attachment, PageCache};
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::OpenFile;
use alloc::sync::Arc;
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, PageFlags, UFrame, USER_END, Vaddr, page_up};

/// Where a mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Anywhere; if it is free, preferably here (0: no preference).
    Hint(Vaddr),
    /// As [`Place::Hint`], below 2 GiB (MAP_32BIT).
    Low(Vaddr),
    /// Here, replacing what there is (MAP_FIXED).
    Fixed(Vaddr),
    /// Here, or EEXIST (MAP_FIXED_NOREPLACE).
    FixedNoReplace(Vaddr),
}

/// What to map.
#[derive(Clone, Debug)]
pub enum Source {
    /// Zeros.
    Anonymous,
    /// A file from a page on.
    File {
        /// The open file.
        file: Arc<OpenFile>,
        /// Its pages.
        pages: PageCache,
        /// The page to begin with.
        first: usize,
    },
    /// Frames of the kernel's, with the name that /proc/PID/maps shows.
    Frames(Arc<[UFrame]>, &'static str),
}

/// A mapping to make.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// Where.
    pub place: Place,
    /// Length in bytes, rounded up to pages.
    pub len: usize,
    /// PROT_*.
    pub rights: PageFlags,
    /// What mprotect(2) may give later.
    pub max_rights: PageFlags,
    /// SHARED, GROWS_DOWN, NO_RESERVE, STACK; others are the kernel's own.
    pub flags: AreaFlags,
    /// What.
    pub source: Source,
    /// Bring the pages in (MAP_POPULATE).
    pub populate: bool,
}

impl MapRequest {
    /// Private anonymous memory.
    pub fn anonymous(place: Place, len: usize, rights: PageFlags) -> Self {
        Self {
            place,
            len,
            rights,
            max_rights: super::area::RIGHTS,
            flags: AreaFlags::empty(),
            source: Source::Anonymous,
            populate: false,
        }
    }

    /// A private mapping of `file` from byte `offset` (of whole pages) on.
    ///
    /// # Errors
    /// ENODEV if it cannot be mapped, EINVAL if `offset` is not a page's.
    pub fn private_file(
        place: Place,
        len: usize,
        rights: PageFlags,
        file: &Arc<OpenFile>,
        offset: u64,
    ) -> Result<Self> {
        if !offset.is_multiple_of(PAGE_SIZE as u64) {
            return Err(Errno::EINVAL.into());
        }
        let pages = file.ops().page_cache(file)?.clone();
        let first = (offset / PAGE_SIZE as u64) as usize;
        let source = Source::File { file: file.clone(), pages, first };
        Ok(Self { source, ..Self::anonymous(place, len, rights) })
    }
}

impl AddressSpace {
    /// Maps; returns where.
    ///
    /// # Errors
    /// As mmap(2): EINVAL, ENOMEM, EEXIST, EPERM, EAGAIN.
    pub fn map(&self, request: &MapRequest, limits: &Limits) -> Result<Vaddr> {
        let len = match page_up(request.len) {
            Some(0) => return Err(Errno::EINVAL.into()),
            Some(len) if len <= USER_END => len,
            _ => return Err(Errno::ENOMEM.into()),
        };
        let mut area = self.new_area(request, len)?;
        let mut areas = self.areas.write();
        if let Some(mode) = areas.lock_future {
            area.flags |= mode.flags();
            check_locked(&areas, len / PAGE_SIZE, limits, Errno::EAGAIN)?;
        }
        let range = choose(&mut areas, request.place, len, self.layout.mmap_top, limits)?;
        let replaced = match request.place {
            Place::Fixed(_) => {
                areas.map.overlapping(range.clone()).map(|(r, _)| overlap(&r, &range).len()).sum()
            }
            _ => 0,
        };
        if areas.map.len() >= MAX_AREAS {
            return Err(Error::with(Errno::ENOMEM, "too many areas"));
        }
        let data = if area.is_data() { len / PAGE_SIZE } else { 0 };
        check_room(&areas, (len - replaced) / PAGE_SIZE, data, limits)?;
        if is_committed(&area) {
            check_commit(len / PAGE_SIZE)?;
        }
        let old = areas.cut(range.clone())?;
        if !old.is_empty() {
            self.clear(range.clone());
        }
        let wants_pages = request.populate || area.flags.contains(AreaFlags::LOCKED);
        let on_fault = area.flags.contains(AreaFlags::LOCKED_ON_FAULT);
        areas.insert(range.clone(), area);
        drop(areas);
        drop(old);
        if wants_pages && (request.populate || !on_fault) {
            // mmap(2): a failure to bring pages in is not a failure to map.
            let _ = self.populate(range.clone());
        }
        Ok(range.start)
    }

    /// Unmaps whatever lies in the range.
    ///
    /// # Errors
    /// EINVAL; ENOMEM if an area had to be cut in two and there are too many, or memory is short.
    pub fn unmap(&self, start: Vaddr, len: usize) -> Result<()> {
        if len == 0 {
            return Err(Errno::EINVAL.into());
        }
        let range = page_range(start, len, Errno::EINVAL)?;
        let mut areas = self.areas.write();
        let splits =
            areas.map.get(range.start).is_some_and(|(r, _)| r.start < range.start && range.end < r.end);
        if splits && areas.map.len() >= MAX_AREAS {
            return Err(Error::with(Errno::ENOMEM, "too many areas"));
        }
        let old = areas.cut(range.clone())?;
        if !old.is_empty() {
            self.clear(range);
        }
        drop(areas);
        drop(old);
        Ok(())
    }

    /// Takes all pages in `range` out of the page tables.
    pub(super) fn clear(&self, range: Range<Vaddr>) {
        self.note_peak();
        if let Ok(mut cursor) = self.space.cursor(range.clone()) {
            cursor.unmap_to(range.end);
        }
    }

    fn new_area(&self, request: &MapRequest, len: usize) -> Result<VmArea> {
        let mut flags = request.flags;
        let backing = match &request.source {
            Source::Anonymous if flags.contains(AreaFlags::SHARED) => {
                // Unnamed, in memory: what tmpfs would hold, so that children and the parent see the same pages.
                let pages = PageCache::in_memory();
                pages.truncate(len as u64);
                Backing::File { pages: Attachment::new(pages, self.this.clone()), file: None, first: 0 }
            }
            Source::Anonymous => {
                flags |= AreaFlags::HAS_COPIES;
                Backing::Anonymous
            }
            Source::File { file, pages, first } => {
                first.checked_add(len / PAGE_SIZE).ok_or(Errno::EOVERFLOW)?;
                if request.rights.contains(PageFlags::WRITE) {
                    flags |= AreaFlags::HAS_COPIES;
                }
                Backing::File {
                    pages: Attachment::new(pages.clone(), self.this.clone()),
                    file: Some(file.clone()),
                    first: *first,
                }
            }
            Source::Frames(frames, name) => Backing::Frames { frames: frames.clone(), first: 0, name },
        };
        Ok(VmArea { rights: request.rights, max_rights: request.max_rights, flags, backing })
    }
}

/// Whether an area's pages may all have to be found: private and writable, and not exempt.
pub(super) fn is_committed(area: &VmArea) -> bool {
    area.rights.contains(PageFlags::WRITE)
        && !area.flags.contains(AreaFlags::NO_RESERVE)
        && (!area.is_shared() || matches!(area.backing, Backing::File { file: None, .. }))
}

fn choose(areas: &mut Areas, place: Place, len: usize, top: Vaddr, limits: &Limits) -> Result<Range<Vaddr>> {
    /// Where MAP_32BIT mappings end.
    const LOW_TOP: Vaddr = 0x8000_0000;
    let start = match place {
        Place::Hint(hint) => areas.find_room(hint, len, top).ok_or(Errno::ENOMEM)?,
        Place::Low(hint) => {
            let fits = |start: Vaddr| start.checked_add(len).is_some_and(|end| end <= LOW_TOP);
            areas.find_room(hint, len, LOW_TOP).filter(|&start| fits(start)).ok_or(Errno::ENOMEM)?
        }
        Place::Fixed(start) | Place::FixedNoReplace(start) => {
            if start < MIN_ADDRESS && !limits.may_map_low {
                return Err(Errno::EPERM.into());
            }
            let range = page_range(start, len, Errno::ENOMEM)?;
            if range.start < ostd::mm::USER_START {
                return Err(Errno::EPERM.into());
            }
            if matches!(place, Place::FixedNoReplace(_)) && !areas.map.is_free(range) {
                return Err(Errno::EEXIST.into());
            }
            start
        }
    };
    Ok(start..start + len)
}

fn overlap(a: &Range<Vaddr>, b: &Range<Vaddr>) -> Range<Vaddr> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// How new pages are held, for [`AddressSpace::map`] under MCL_FUTURE.
impl LockMode {
    pub(super) fn flags(self) -> AreaFlags {
        match self {
            Self::Now => AreaFlags::LOCKED,
            Self::OnFault => AreaFlags::LOCKED | AreaFlags::LOCKED_ON_FAULT,
        }
    }
}
