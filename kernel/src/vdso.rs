//! The vDSO: a page of code that processes read clocks with, and the page of clock parameters before it. `ostd/vdso` holds the code.

use crate::error::{Errno, Result};
use crate::mm::map::Source;
use crate::mm::{AddressSpace, Limits, MapRequest, Place};
use crate::time::clock;
use alloc::sync::Arc;
use coffer_vdso::{IMAGE, Parameters};
use ostd::mm::{PAGE_SIZE, PageFlags, UFrame, Vaddr};
use ostd::sync::{Once, SpinLock};

/// The pages, which all processes share.
#[derive(Debug)]
struct Pages {
    parameters: Arc<[UFrame]>,
    image: Arc<[UFrame]>,
}

static PAGES: Once<Pages> = Once::new();

/// Held while the offset is copied, so that of two who set the time the last one's stays.
static PUBLISHING: SpinLock<()> = SpinLock::new(());

/// Makes the pages. Part of boot; without them programs use the system calls.
pub fn init() {
    if let Err(error) = PAGES.try_call_once(Pages::make) {
        log::warn!("no vDSO: {error:?}");
    }
    publish_realtime();
}

/// Shows processes what real time is ahead of monotonic time. Whoever sets the time calls it afterwards.
pub fn publish_realtime() {
    if let Some(pages) = PAGES.get() {
        let _guard = PUBLISHING.lock();
        pages.parameters[0].store_u64(Parameters::REALTIME_OFFSET, clock::offset_ns());
    }
}

/// Maps it somewhere; returns the address of its ELF header, for AT_SYSINFO_EHDR. The loader calls it once for each program, and leaves
/// the entry out of the auxiliary vector if it fails.
///
/// # Errors
/// ENOSYS if there is none, else as [`AddressSpace::map`].
pub fn map(space: &AddressSpace) -> Result<Vaddr> {
    let pages = PAGES.get().ok_or(Errno::ENOSYS)?;
    let limits = Limits::none(0);
    // The room for both first: the code finds the parameters one page before itself.
    let both = request(Place::Hint(0), 2, PageFlags::READ, &pages.parameters, "[vvar]");
    let start = space.map(&both, &limits)?;
    let image = start + PAGE_SIZE;
    let rights = PageFlags::READ | PageFlags::EXECUTE;
    space.map(&request(Place::Fixed(image), 1, rights, &pages.image, "[vdso]"), &limits)
}

fn request(
    place: Place,
    len_pages: usize,
    rights: PageFlags,
    frames: &Arc<[UFrame]>,
    name: &'static str,
) -> MapRequest {
    MapRequest {
        max_rights: rights,
        source: Source::Frames(frames.clone(), name),
        ..MapRequest::anonymous(place, len_pages * PAGE_SIZE, rights)
    }
}

impl Pages {
    fn make() -> ostd::Result<Self> {
        let image = UFrame::alloc_zeroed()?;
        image.write(0, IMAGE);
        let parameters = UFrame::alloc_zeroed()?;
        let scale = ostd::timer::tsc_scale();
        for (offset, word) in Parameters::words(scale.base, scale.mult, scale.shift, clock::offset_ns()) {
            parameters.store_u64(offset, word);
        }
        Ok(Self { parameters: Arc::new([parameters]), image: Arc::new([image]) })
    }
}
