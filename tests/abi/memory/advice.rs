//! madvise(2) and mlock(2).

use nix::sys::mman::{MapFlags, MmapAdvise, mlock, munlock};

use super::Mapping;
use super::mapping::READ_WRITE;
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("memory":
    dontneed_gives_zeroes_back,
    dontneed_of_a_private_file_mapping_shows_the_file,
    harmless_advice_succeeds,
    unknown_advice_fails_with_einval,
    dontfork_memory_is_missing_in_the_child,
    locked_memory_stays,
);

fn dontneed_gives_zeroes_back() -> Outcome {
    let memory = Mapping::anonymous(4 * 4096)?;
    memory.touch(5);
    memory.advise(4096..3 * 4096, MmapAdvise::MADV_DONTNEED)?;
    check_eq!([0, 1, 2, 3].map(|page| memory.byte(page * 4096)), [5, 0, 0, 5]);
    Ok(())
}

fn dontneed_of_a_private_file_mapping_shows_the_file() -> Outcome {
    std::fs::write("file", [b'f'; 4096])?;
    let file = std::fs::File::open("file")?;
    let memory = Mapping::of_file(&file, 0, 4096, READ_WRITE, MapFlags::MAP_PRIVATE)?;
    memory.set(0, b'x');
    memory.advise(0..4096, MmapAdvise::MADV_DONTNEED)?;
    check_eq!(memory.byte(0), b'f');
    Ok(())
}

fn harmless_advice_succeeds() -> Outcome {
    let memory = Mapping::anonymous(4 * 4096)?;
    memory.touch(5);
    for advice in [
        MmapAdvise::MADV_NORMAL,
        MmapAdvise::MADV_RANDOM,
        MmapAdvise::MADV_SEQUENTIAL,
        MmapAdvise::MADV_WILLNEED,
    ] {
        memory.advise(0..memory.len(), advice)?;
    }
    check_eq!(memory.byte(4096), 5);
    memory.advise(0..4096, MmapAdvise::MADV_FREE)?;
    check!(matches!(memory.byte(0), 0 | 5), "freed memory shows {}", memory.byte(0));
    Ok(())
}

fn unknown_advice_fails_with_einval() -> Outcome {
    let memory = Mapping::anonymous(4096)?;
    check_fails!(crate::raw::harmless(libc::SYS_madvise, [memory.address(), 4096, 999]), EINVAL);
    check_fails!(memory.advise(1..4096, MmapAdvise::MADV_NORMAL), EINVAL);
    memory.punch(0..4096)?;
    check_fails!(memory.advise(0..4096, MmapAdvise::MADV_WILLNEED), ENOMEM);
    Ok(())
}

fn dontfork_memory_is_missing_in_the_child() -> Outcome {
    let memory = Mapping::anonymous(4096)?;
    memory.advise(0..4096, MmapAdvise::MADV_DONTFORK)?;
    super::fault::ends_by(nix::sys::signal::Signal::SIGSEGV, || memory.set(0, 1))
}

fn locked_memory_stays() -> Outcome {
    let memory = Mapping::anonymous(4096)?;
    // SAFETY: locking changes nothing that a program can see.
    unsafe { mlock(memory.start(), 4096) }?;
    memory.set(0, 1);
    // SAFETY: as above.
    unsafe { munlock(memory.start(), 4096) }?;
    check_eq!(memory.byte(0), 1);
    Ok(())
}
