//! Page faults: the time of one of the 1024 pages of a mapping that is made, touched and removed.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use crate::bench::{Bench, Unit, time};
use crate::file::scratch;

const PAGE: usize = 4096;
const PAGES: usize = 1024;
const LEN: NonZeroUsize = NonZeroUsize::new(PAGE * PAGES).unwrap();
const A_PAGE: Unit = Unit::Nanoseconds { parts: PAGES as u32 };

pub const BENCHES: &[Bench] = &[
    Bench { name: "mmap_fault", unit: A_PAGE, run: anonymous },
    Bench { name: "file_fault", unit: A_PAGE, run: file },
];

fn anonymous(count: u64) -> io::Result<Duration> {
    time(count, || {
        let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses an address that nothing uses.
        let start = unsafe { mmap_anonymous(None, LEN, both, MapFlags::MAP_PRIVATE) }?;
        // Large pages would leave nothing to measure; a kernel without them may refuse the advice.
        // SAFETY: the advice changes nothing that a program can see.
        let _ = unsafe { madvise(start, LEN.get(), MmapAdvise::MADV_NOHUGEPAGE) };
        for page in 0..PAGES {
            let byte = start.as_ptr().cast::<u8>().wrapping_add(page * PAGE);
            // SAFETY: the byte is in the mapping, which nothing refers to.
            unsafe { byte.write_volatile(1) };
        }
        // SAFETY: the mapping is this function's own.
        unsafe { munmap(start, LEN.get()) }.map_err(io::Error::from)
    })
}

fn file(count: u64) -> io::Result<Duration> {
    let file: File = scratch(LEN.get())?;
    time(count, || {
        // SAFETY: the kernel chooses an address that nothing uses.
        let start = unsafe { mmap(None, LEN, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, &file, 0) }?;
        for page in 0..PAGES {
            let byte = start.as_ptr().cast::<u8>().wrapping_add(page * PAGE);
            // SAFETY: the byte is in the mapping, and the file is as long.
            unsafe { byte.read_volatile() };
        }
        // SAFETY: the mapping is this function's own.
        unsafe { munmap(start, LEN.get()) }.map_err(io::Error::from)
    })
}
