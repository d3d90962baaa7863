//! mmap(2) and munmap(2) of anonymous memory.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::time::Duration;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::time::{ClockId, clock_gettime};

use super::Mapping;
use super::mapping::READ_WRITE;
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::raw::harmless;

cases!("memory":
    fresh_memory_is_zero,
    private_memory_is_copied_on_write,
    shared_memory_is_shared_with_children,
    map_fixed_replaces_what_was_there,
    map_fixed_noreplace_refuses,
    a_hole_can_be_unmapped,
    unmapping_nothing_succeeds,
    bad_arguments_fail_with_einval,
    a_hint_is_followed_when_free,
    ten_thousand_mappings_can_be_made,
    room_is_found_among_many_mappings,
    a_large_reservation_costs_nothing,
    mincore_tells_resident_pages,
);

const ANONYMOUS: MapFlags = MapFlags::MAP_PRIVATE.union(MapFlags::MAP_ANONYMOUS);

fn fresh_memory_is_zero() -> Outcome {
    for _ in 0..3 {
        let memory = Mapping::anonymous(64 * 4096)?;
        check!(
            (0..memory.len()).step_by(512).all(|at| memory.byte(at) == 0),
            "memory holds what another use left"
        );
        memory.touch(0xaa);
    }
    Ok(())
}

fn private_memory_is_copied_on_write() -> Outcome {
    let memory = Mapping::anonymous(16 * 4096)?;
    memory.touch(1);
    child::passes(|| {
        check_eq!(memory.byte(4096), 1);
        memory.touch(2);
        // A second generation shares what the first has written.
        child::passes(|| {
            check_eq!(memory.byte(4096), 2);
            memory.touch(3);
            Ok(())
        })?;
        check_eq!(memory.byte(4096), 2);
        Ok(())
    })?;
    check!((0..16).all(|page| memory.byte(page * 4096) == 1), "the child's write reached the parent");
    Ok(())
}

fn shared_memory_is_shared_with_children() -> Outcome {
    let memory = Mapping::shared(4 * 4096)?;
    memory.set(0, 5);
    child::passes(|| {
        check_eq!(memory.byte(0), 5);
        memory.set(0, 6);
        memory.set(3 * 4096, 7);
        Ok(())
    })?;
    check_eq!((memory.byte(0), memory.byte(3 * 4096)), (6, 7));
    Ok(())
}

fn fixed(memory: &Mapping, offset: usize, len: usize, more: MapFlags) -> nix::Result<NonNull<libc::c_void>> {
    let size = NonZeroUsize::new(len).ok_or(nix::errno::Errno::EINVAL)?;
    let address = NonZeroUsize::new(memory.address() + offset);
    // SAFETY: the range is inside of the mapping, which nothing refers to.
    unsafe { mmap_anonymous(address, size, READ_WRITE, ANONYMOUS | more) }
}

fn map_fixed_replaces_what_was_there() -> Outcome {
    let memory = Mapping::anonymous(3 * 4096)?;
    memory.touch(9);
    let start = fixed(&memory, 4096, 4096, MapFlags::MAP_FIXED)?;
    check_eq!(start.as_ptr() as usize, memory.address() + 4096);
    check_eq!([memory.byte(0), memory.byte(4096), memory.byte(8192)], [9, 0, 9]);
    Ok(())
}

fn map_fixed_noreplace_refuses() -> Outcome {
    let memory = Mapping::anonymous(3 * 4096)?;
    memory.touch(9);
    check_fails!(fixed(&memory, 4096, 4096, MapFlags::MAP_FIXED_NOREPLACE), EEXIST);
    check_eq!(memory.byte(4096), 9);
    memory.punch(4096..8192)?;
    fixed(&memory, 4096, 4096, MapFlags::MAP_FIXED_NOREPLACE)?;
    check_eq!(memory.byte(4096), 0);
    Ok(())
}

fn a_hole_can_be_unmapped() -> Outcome {
    let memory = Mapping::anonymous(3 * 4096)?;
    memory.touch(4);
    memory.punch(4096..8192)?;
    check_eq!((memory.byte(4095), memory.byte(8192)), (0, 4));
    super::fault::ends_by(nix::sys::signal::Signal::SIGSEGV, || memory.set(4096, 1))
}

fn unmapping_nothing_succeeds() -> Outcome {
    let memory = Mapping::anonymous(2 * 4096)?;
    memory.punch(0..4096)?;
    memory.punch(0..4096)?;
    check_fails!(memory.punch(1..4096), EINVAL);
    check_fails!(memory.punch(0..0), EINVAL);
    Ok(())
}

fn bad_arguments_fail_with_einval() -> Outcome {
    let map = |len: usize, flags: i32, offset: usize| {
        harmless(libc::SYS_mmap, [0, len, 0, flags.unsigned_abs() as usize, usize::MAX, offset])
    };
    let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    check_fails!(map(0, anonymous, 0), EINVAL);
    check_fails!(map(4096, libc::MAP_ANONYMOUS, 0), EINVAL);
    check_fails!(map(4096, anonymous, 123), EINVAL);
    check_fails!(map(usize::MAX - 4095, anonymous, 0), ENOMEM);
    check_fails!(map(1 << 47, anonymous, 0), ENOMEM);
    check_fails!(map(4096, libc::MAP_PRIVATE, 0), EBADF);
    Ok(())
}

fn a_hint_is_followed_when_free() -> Outcome {
    let probe = Mapping::anonymous(4096)?;
    let address = probe.address();
    drop(probe);
    let size = NonZeroUsize::new(4096).ok_or(nix::errno::Errno::EINVAL)?;
    // SAFETY: without MAP_FIXED the kernel takes only an address that nothing uses.
    let start = unsafe { mmap_anonymous(NonZeroUsize::new(address), size, READ_WRITE, ANONYMOUS) }?;
    // SAFETY: the call above has just mapped it.
    let memory = unsafe { Mapping::from_raw(start, 4096) };
    check_eq!(memory.address(), address);
    Ok(())
}

fn ten_thousand_mappings_can_be_made() -> Outcome {
    let mut mappings = Vec::new();
    for index in 0..10_000_u32 {
        // Neighbours differ in protection, so they cannot be merged.
        let protection = if index % 2 == 0 { READ_WRITE } else { ProtFlags::PROT_READ };
        mappings.push(Mapping::new(4096, protection, ANONYMOUS)?);
    }
    check!(mappings.iter().all(|mapping| mapping.byte(0) == 0));
    mappings.iter().step_by(2).for_each(|mapping| mapping.set(0, 1));
    Ok(())
}

/// Mappings that cannot be one with their neighbours: to find room for one more among many takes as long as among few.
fn room_is_found_among_many_mappings() -> Outcome {
    let cost_of_each = |count: usize| -> Outcome<Duration> {
        let start = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
        let rights = [ProtFlags::PROT_READ, READ_WRITE].into_iter().cycle();
        let mappings = rights.take(count).map(|rights| Mapping::new(4096, rights, ANONYMOUS));
        let mappings = mappings.collect::<Result<Vec<_>, _>>()?;
        let took = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - start;
        drop(mappings);
        Ok(Duration::from(took) / count as u32)
    };
    // The first ones find nothing in any cache.
    let few = (0..4).map(|_| cost_of_each(500)).collect::<Outcome<Vec<_>>>()?.into_iter().min();
    let (few, many) = (few.unwrap_or_default(), cost_of_each(10_000)?);
    check!(many < few * 5, "{many:?} for each of many, {few:?} for each of few");
    Ok(())
}

fn a_large_reservation_costs_nothing() -> Outcome {
    let memory = Mapping::new(1 << 40, ProtFlags::PROT_NONE, ANONYMOUS | MapFlags::MAP_NORESERVE)?;
    memory.protect(1 << 39..(1 << 39) + 4096, READ_WRITE)?;
    memory.set(1 << 39, 1);
    check_eq!(memory.byte(1 << 39), 1);
    Ok(())
}

fn mincore_tells_resident_pages() -> Outcome {
    let memory = Mapping::anonymous(4 * 4096)?;
    memory.set(4096, 1);
    let mut resident = [9_u8; 4];
    // SAFETY: one byte is stored for each of the four pages.
    let result = unsafe { libc::mincore(memory.start().as_ptr(), memory.len(), resident.as_mut_ptr()) };
    nix::errno::Errno::result(result)?;
    check_eq!(resident.map(|byte| byte & 1), [0, 1, 0, 0]);
    check_fails!(harmless(libc::SYS_mincore, [crate::raw::BAD_ADDRESS & !4095, 4096, 0]), ENOMEM);
    Ok(())
}
