//! Page faults: demand paging and copy-on-write.
//!
//! A fault holds the areas for reading; what may sleep (filling file pages) comes before the cursor, what the cursor finds decides. When
//! frames run out the locks are dropped, room is made and the fault starts over.

use super::AddressSpace;
use super::account::Account;
use super::area::{AreaFlags, Backing, RIGHTS, VmArea};
use super::cached::COPY;
use super::frames::{self, zero_page};
use super::limits::Limits;
use super::oom::{self, Relief};
use super::page_cache::PageCache;
use crate::error::{Errno, Error};
use crate::thread::Thread;
use core::ops::Range;
use core::sync::atomic::Ordering;
use ostd::mm::user_io::UserFault;
use ostd::mm::{Cursor, PAGE_SIZE, PageFlags, UFrame, USER_END, Vaddr, page_down};
use ostd::user::{Exception, page_fault};

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// What a fault that cannot be served does to the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultSignal {
    /// SIGSEGV: SEGV_ACCERR if something is mapped there, else SEGV_MAPERR.
    Segv {
        /// Whether something is mapped there.
        is_mapped: bool,
    },
    /// SIGBUS, BUS_ADRERR: past the end of a file, or it could not be read.
    Bus,
    /// The out-of-memory killer took this process: SIGKILL is pending.
    Killed,
}

/// Pages that a read of a file page maps along with it, if they are in the cache: 64 KiB, aligned.
const AROUND: usize = 16;

/// Why a fault was not served yet.
enum Miss {
    Signal(FaultSignal),
    /// The file changed meanwhile.
    Again,
    NoMemory,
}

type Served = Result<(), Miss>;

impl From<ostd::Error> for Miss {
    fn from(error: ostd::Error) -> Self {
        match error {
            ostd::Error::NoMemory => Self::NoMemory,
            // The address is not one that the page tables cover.
            _ => Self::Signal(FaultSignal::Segv { is_mapped: false }),
        }
    }
}

impl From<Error> for Miss {
    fn from(error: Error) -> Self {
        if error.errno() == Errno::ENOMEM { Self::NoMemory } else { Self::Signal(FaultSignal::Bus) }
    }
}

impl From<FaultSignal> for Miss {
    fn from(signal: FaultSignal) -> Self {
        Self::Signal(signal)
    }
}

/// Serves a page fault of user code (exception vector 14).
///
/// # Errors
/// The signal to send.
pub fn handle_user_fault(space: &AddressSpace, exception: &Exception) -> Result<(), FaultSignal> {
    let access = match exception.error_code {
        code if code & page_fault::FETCH != 0 => Access::Execute,
        code if code & page_fault::WRITE != 0 => Access::Write,
        _ => Access::Read,
    };
    space.resolve(exception.fault_address, access)?;
    // With nothing held: who is past memory.high waits a little for each new page.
    if space.account().is_high() {
        oom::slow_down();
    }
    Ok(())
}

/// Serves a fault that the kernel took on user memory. `true`: try again.
pub fn serve_kernel_access(fault: UserFault) -> bool {
    let Some(space) = Thread::current().and_then(|thread| thread.process().address_space()) else {
        return false;
    };
    let access = if fault.is_write { Access::Write } else { Access::Read };
    space.resolve(fault.address, access).is_ok()
}

impl AddressSpace {
    /// Makes `address` accessible, growing a stack, making room and killing for memory where it must.
    fn resolve(&self, address: Vaddr, access: Access) -> Result<(), FaultSignal> {
        loop {
            match self.try_resolve(address, access) {
                Ok(()) => return Ok(()),
                Err(Miss::Again) => {}
                Err(Miss::Signal(FaultSignal::Segv { is_mapped: false })) if self.grow_stack(address) => {}
                Err(Miss::Signal(signal)) => return Err(signal),
                Err(Miss::NoMemory) => match oom::relieve(self.account()) {
                    Relief::Retry => {}
                    Relief::Die => {
                        oom::give_up();
                        return Err(FaultSignal::Killed);
                    }
                },
            }
        }
    }

    /// Makes `address` accessible for a call of the kernel's: without killing anybody.
    ///
    /// # Errors
    /// ENOMEM (nothing mapped, no rights, no memory), EFAULT (past a file's end).
    pub(super) fn bring_in(&self, address: Vaddr, access: Access) -> crate::error::Result<()> {
        loop {
            match self.try_resolve(address, access) {
                Ok(()) => return Ok(()),
                Err(Miss::Again) => {}
                Err(Miss::Signal(FaultSignal::Bus)) => return Err(Errno::EFAULT.into()),
                Err(Miss::Signal(_)) => return Err(Errno::ENOMEM.into()),
                Err(Miss::NoMemory) => match self.account().full() {
                    Some(full) => oom::make_way_in(full)?,
                    None if super::reclaim::make_room() > 0 => {}
                    None => return Err(Errno::ENOMEM.into()),
                },
            }
        }
    }

    fn try_resolve(&self, address: Vaddr, access: Access) -> Served {
        if address >= USER_END {
            return Err(FaultSignal::Segv { is_mapped: false }.into());
        }
        let page = page_down(address);
        let areas = self.areas.read();
        let Some((range, area)) = areas.map.get(page) else {
            return Err(FaultSignal::Segv { is_mapped: false }.into());
        };
        let allowed = match access {
            Access::Read => area.rights.intersects(RIGHTS),
            Access::Write => area.rights.contains(PageFlags::WRITE),
            Access::Execute => area.rights.contains(PageFlags::EXECUTE),
        };
        if !allowed {
            return Err(FaultSignal::Segv { is_mapped: true }.into());
        }
        match &area.backing {
            Backing::Anonymous => self.serve_anonymous(area, page, access)?,
            Backing::File { pages, .. } => self.serve_file(area, &range, page, access, pages.cache())?,
            Backing::Frames { frames, .. } => {
                let frame = frames.get(area.backing_page(page - range.start)).ok_or(FaultSignal::Bus)?;
                let mut cursor = self.space.cursor(page..page + PAGE_SIZE)?;
                cursor.map(frame.clone(), area.page_rights() & !PageFlags::WRITE)?;
            }
        }
        self.faults.minor.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn serve_anonymous(&self, area: &VmArea, page: Vaddr, access: Access) -> Served {
        let rights = area.page_rights();
        let mut cursor = self.space.cursor(page..page + PAGE_SIZE)?;
        if let Some((frame, flags)) = cursor.query() {
            return upgrade(&mut cursor, self.account(), frame, flags, access, rights);
        }
        if ostd::mm::is_exhausted() {
            return Err(Miss::NoMemory);
        }
        if access == Access::Write {
            let used = PageFlags::ACCESSED | PageFlags::DIRTY | COPY;
            cursor.map(frames::anonymous(self.account(), UFrame::alloc_zeroed)?, rights | used)?;
        } else {
            let zero = zero_page().ok_or(Miss::NoMemory)?;
            cursor.map(zero.clone(), rights & !PageFlags::WRITE | PageFlags::ACCESSED)?;
        }
        Ok(())
    }

    fn serve_file(
        &self,
        area: &VmArea,
        range: &Range<Vaddr>,
        page: Vaddr,
        access: Access,
        cache: &PageCache,
    ) -> Served {
        let rights = area.page_rights();
        let index = area.backing_page(page - range.start);
        let is_write = access == Access::Write;
        // A statement of its own: the cursor locks the page tables for as long as it lives.
        let mapped = self.space.cursor(page..page + PAGE_SIZE)?.query();
        if let Some((frame, flags)) = mapped
            && !(area.is_shared() && is_write && !flags.contains(PageFlags::WRITE))
        {
            // Asked again below: another thread may have changed it between the two cursors.
            drop(frame);
            let mut cursor = self.space.cursor(page..page + PAGE_SIZE)?;
            let Some((frame, flags)) = cursor.query() else { return Err(Miss::Again) };
            return upgrade(&mut cursor, self.account(), frame, flags, access, rights);
        }

        let generation = cache.generation();
        if (index as u64).saturating_mul(PAGE_SIZE as u64) >= cache.size() {
            return Err(FaultSignal::Bus.into());
        }
        if is_write {
            return self.serve_file_write(area, page, index, cache, generation);
        }
        if !cache.is_resident(index) && !cache.is_in_memory() {
            self.faults.major.fetch_add(1, Ordering::Relaxed);
        }
        let frame = cache.page_to_map(index)?;
        // In memory nothing waits to be written back, so nobody needs to see the first write.
        let keep_write = area.is_shared() && cache.is_in_memory();
        let flags = if keep_write { rights } else { rights & !PageFlags::WRITE } | PageFlags::ACCESSED;
        self.map_around(area, range, page, (index, frame), cache, generation, flags)
    }

    fn serve_file_write(
        &self,
        area: &VmArea,
        page: Vaddr,
        index: usize,
        cache: &PageCache,
        generation: u64,
    ) -> Served {
        let used = area.page_rights() | PageFlags::ACCESSED | PageFlags::DIRTY;
        if area.is_shared() {
            let frame = cache.page_for_write(index)?;
            let mut cursor = self.space.cursor(page..page + PAGE_SIZE)?;
            if cache.generation() != generation {
                return Err(Miss::Again);
            }
            // Again, now that nobody can write-protect in between: see `PageCache::sync`.
            cache.mark_dirty(index);
            return Ok(cursor.map(frame, used)?);
        }
        let original = cache.page_to_map(index)?;
        let copy = frames::anonymous(self.account(), UFrame::alloc_dirty)?;
        copy.copy_from(&original);
        let mut cursor = self.space.cursor(page..page + PAGE_SIZE)?;
        if cache.generation() != generation || cursor.query().is_some() {
            return Err(Miss::Again);
        }
        Ok(cursor.map(copy, used | COPY)?)
    }

    /// Maps the page that was asked for, and its neighbours that are in the cache.
    #[expect(clippy::too_many_arguments, reason = "one step of `serve_file`, split off for its length")]
    fn map_around(
        &self,
        area: &VmArea,
        range: &Range<Vaddr>,
        page: Vaddr,
        (index, frame): (usize, UFrame),
        cache: &PageCache,
        generation: u64,
        flags: PageFlags,
    ) -> Served {
        let window = if area.flags.contains(AreaFlags::RANDOM) {
            page..page + PAGE_SIZE
        } else {
            let start = page & !(AROUND * PAGE_SIZE - 1);
            start.max(range.start)..(start + AROUND * PAGE_SIZE).min(range.end)
        };
        let first = index - (page - window.start) / PAGE_SIZE;
        let mut found: [Option<UFrame>; AROUND] = [const { None }; AROUND];
        if window.len() > PAGE_SIZE {
            cache.visit_resident(first, first + window.len() / PAGE_SIZE, |at, frame| {
                found[at - first] = Some(frame.clone());
                true
            });
        }
        found[index - first] = Some(frame);

        let mut cursor = self.space.cursor(window.clone())?;
        if cache.generation() != generation {
            return Err(Miss::Again);
        }
        for (i, frame) in found.into_iter().enumerate() {
            let Some(frame) = frame else { continue };
            cursor.jump(window.start + i * PAGE_SIZE)?;
            if cursor.query().is_none() {
                cursor.map(frame, flags)?;
            }
        }
        Ok(())
    }
}

/// Serves a fault on a page that is mapped: copies it if it is shared and written to, else gives it the rights that it lacks.
fn upgrade(
    cursor: &mut Cursor<'_>,
    account: Account,
    frame: UFrame,
    flags: PageFlags,
    access: Access,
    rights: PageFlags,
) -> Served {
    let page = cursor.address();
    if access != Access::Write || flags.contains(PageFlags::WRITE) {
        // A stale TLB entry, or rights that mprotect(2) gave back.
        let rights = rights & !PageFlags::WRITE | flags & PageFlags::WRITE;
        cursor.protect_to(page + PAGE_SIZE, &mut |flags| flags & !RIGHTS | rights | PageFlags::ACCESSED);
        return Ok(());
    }
    let used = rights | PageFlags::ACCESSED | PageFlags::DIRTY | COPY;
    let is_zero = zero_page().is_some_and(|zero| zero.paddr() == frame.paddr());
    // Our handle and the mapping's: nobody else has it, so it need not be copied.
    if !is_zero && frame.share_count() == 2 {
        cursor.protect_to(page + PAGE_SIZE, &mut |_| used);
        return Ok(());
    }
    let copy = if is_zero {
        frames::anonymous(account, UFrame::alloc_zeroed)?
    } else {
        let copy = frames::anonymous(account, UFrame::alloc_dirty)?;
        copy.copy_from(&frame);
        copy
    };
    Ok(cursor.map(copy, used)?)
}

impl AddressSpace {
    /// RLIMIT_STACK and others of whoever faults.
    pub(super) fn current_limits() -> Option<Limits> {
        Thread::current().map(|thread| Limits::of(thread.process()))
    }
}
