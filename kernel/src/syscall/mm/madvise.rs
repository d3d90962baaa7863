//! [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::mm::AreaFlags;
use crate::mm::advise::Advice;
use crate::mm::fault::Access;
use coffer_abi_types::mman as m;

/// Takes advice about a range.
pub fn sys_madvise(address: usize, len: usize, advice: u32, context: &mut Context<'_>) -> Result<()> {
    const ACCESS: AreaFlags = AreaFlags::RANDOM.union(AreaFlags::SEQUENTIAL);
    let none = AreaFlags::empty();
    let advice = match advice {
        m::MADV_NORMAL => Advice::Flags(ACCESS, none),
        m::MADV_RANDOM => Advice::Flags(ACCESS, AreaFlags::RANDOM),
        m::MADV_SEQUENTIAL => Advice::Flags(ACCESS, AreaFlags::SEQUENTIAL),
        m::MADV_WILLNEED => Advice::WillNeed,
        m::MADV_DONTNEED => Advice::Drop { only_anonymous: false, even_locked: false },
        m::MADV_DONTNEED_LOCKED => Advice::Drop { only_anonymous: false, even_locked: true },
        m::MADV_FREE => Advice::Drop { only_anonymous: true, even_locked: false },
        m::MADV_REMOVE => Advice::Remove,
        m::MADV_DONTFORK => Advice::Flags(none, AreaFlags::DONT_FORK),
        m::MADV_DOFORK => Advice::Flags(AreaFlags::DONT_FORK, none),
        m::MADV_DONTDUMP => Advice::Flags(none, AreaFlags::DONT_DUMP),
        m::MADV_DODUMP => Advice::Flags(AreaFlags::DONT_DUMP, none),
        m::MADV_WIPEONFORK => Advice::Flags(none, AreaFlags::WIPE_ON_FORK),
        m::MADV_KEEPONFORK => Advice::Flags(AreaFlags::WIPE_ON_FORK, none),
        m::MADV_POPULATE_READ => Advice::Populate(Access::Read),
        m::MADV_POPULATE_WRITE => Advice::Populate(Access::Write),
        // There is no swap and no page of another size, so nothing to do.
        m::MADV_COLD | m::MADV_PAGEOUT | m::MADV_HUGEPAGE | m::MADV_NOHUGEPAGE => Advice::Nothing,
        // KSM and huge pages are not there: as a Linux built without them.
        _ => return Err(Errno::EINVAL.into()),
    };
    super::space(context)?.advise(address, len, advice)
}
