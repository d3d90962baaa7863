//! mmap(2) of files, and msync(2).

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nix::sys::mman::{MapFlags, MsFlags, ProtFlags, msync};
use nix::sys::signal::Signal;

use super::Mapping;
use super::fault::ends_by;
use super::mapping::READ_WRITE;
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("memory":
    a_mapped_file_shows_its_bytes,
    shared_writes_reach_the_file,
    private_writes_do_not_reach_the_file,
    writes_to_the_file_show_in_a_shared_mapping,
    the_rest_of_the_last_page_is_zero,
    touching_past_the_end_gives_sigbus,
    a_truncated_file_takes_its_pages_along,
    a_mapping_outlives_descriptor_and_name,
    a_shared_file_mapping_is_shared_with_children,
    mapping_needs_the_matching_open_mode,
    a_large_file_can_be_mapped_at_an_offset,
    a_file_can_be_read_into_its_own_mapping,
    a_private_mapping_can_be_made_writable,
    a_memfd_is_a_file_without_a_name,
    a_reservation_beyond_all_memory_can_be_ended,
);

fn file(bytes: &[u8]) -> std::io::Result<File> {
    fs::write("file", bytes)?;
    File::options().read(true).write(true).open("file")
}

fn shared(file: &File, len: usize) -> nix::Result<Mapping> {
    Mapping::of_file(file, 0, len, READ_WRITE, MapFlags::MAP_SHARED)
}

fn private(file: &File, len: usize) -> nix::Result<Mapping> {
    Mapping::of_file(file, 0, len, READ_WRITE, MapFlags::MAP_PRIVATE)
}

fn a_mapped_file_shows_its_bytes() -> Outcome {
    let bytes: Vec<u8> = (0..10_000_u32).map(|at| (at % 251) as u8).collect();
    let file = file(&bytes)?;
    for memory in [shared(&file, bytes.len())?, private(&file, bytes.len())?] {
        check!(memory.bytes(0..bytes.len()) == bytes, "the mapping shows other bytes");
    }
    Ok(())
}

fn shared_writes_reach_the_file() -> Outcome {
    let file = file(&[b'a'; 5000])?;
    let memory = shared(&file, 5000)?;
    memory.set(4500, b'z');
    let mut byte = [0];
    file.read_exact_at(&mut byte, 4500)?;
    check_eq!(byte, [b'z']);
    // SAFETY: the range is the mapping's.
    unsafe { msync(memory.start(), 5000, MsFlags::MS_SYNC) }?;
    drop(memory);
    check_eq!(fs::read("file")?[4500], b'z');
    Ok(())
}

fn private_writes_do_not_reach_the_file() -> Outcome {
    let file = file(&[b'a'; 5000])?;
    let memory = private(&file, 5000)?;
    memory.touch(b'z');
    check_eq!((memory.byte(0), memory.byte(1)), (b'z', b'a'));
    check!(fs::read("file")?.iter().all(|byte| *byte == b'a'));
    Ok(())
}

fn writes_to_the_file_show_in_a_shared_mapping() -> Outcome {
    let file = file(&[b'a'; 5000])?;
    let memory = shared(&file, 5000)?;
    check_eq!(memory.byte(10), b'a');
    file.write_all_at(b"news", 10)?;
    check_eq!(memory.bytes(10..14), b"news".to_vec());
    Ok(())
}

fn the_rest_of_the_last_page_is_zero() -> Outcome {
    let file = file(&[b'a'; 100])?;
    let memory = private(&file, 4096)?;
    check_eq!(memory.bytes(98..103), vec![b'a', b'a', 0, 0, 0]);
    Ok(())
}

fn touching_past_the_end_gives_sigbus() -> Outcome {
    let file = file(&[b'a'; 100])?;
    let memory = shared(&file, 3 * 4096)?;
    ends_by(Signal::SIGBUS, || {
        memory.byte(4096);
    })?;
    file.set_len(8192)?;
    check_eq!(memory.byte(4096), 0);
    Ok(())
}

fn a_truncated_file_takes_its_pages_along() -> Outcome {
    let file = file(&[b'a'; 8192])?;
    let memory = shared(&file, 8192)?;
    check_eq!(memory.byte(4096), b'a');
    file.set_len(4096)?;
    ends_by(Signal::SIGBUS, || {
        memory.byte(4096);
    })?;
    file.set_len(8192)?;
    check_eq!((memory.byte(0), memory.byte(4096)), (b'a', 0));
    Ok(())
}

fn a_mapping_outlives_descriptor_and_name() -> Outcome {
    let file = file(&[b'q'; 4096])?;
    let memory = shared(&file, 4096)?;
    drop(file);
    fs::remove_file("file")?;
    check_eq!(memory.byte(4095), b'q');
    memory.set(0, b'r');
    check_eq!(memory.byte(0), b'r');
    Ok(())
}

fn a_shared_file_mapping_is_shared_with_children() -> Outcome {
    let file = file(&[0; 4096])?;
    let memory = shared(&file, 4096)?;
    child::passes(|| {
        memory.set(7, 7);
        Ok(())
    })?;
    check_eq!(memory.byte(7), 7);
    Ok(())
}

fn mapping_needs_the_matching_open_mode() -> Outcome {
    file(&[0; 4096])?;
    let reader = File::open("file")?;
    check_fails!(shared(&reader, 4096), EACCES);
    private(&reader, 4096)?;
    let memory = Mapping::of_file(&reader, 0, 4096, ProtFlags::PROT_READ, MapFlags::MAP_SHARED)?;
    check_fails!(memory.protect(0..4096, READ_WRITE), EACCES);
    let writer = File::options().write(true).open("file")?;
    check_fails!(private(&writer, 4096), EACCES);
    check_fails!(
        Mapping::of_file(&File::open(".")?, 0, 4096, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE),
        ENODEV
    );
    Ok(())
}

fn a_large_file_can_be_mapped_at_an_offset() -> Outcome {
    let file = file(b"")?;
    file.write_all_at(b"far", 5 << 30)?;
    let memory = Mapping::of_file(&file, 5 << 30, 4096, ProtFlags::PROT_READ, MapFlags::MAP_SHARED)?;
    check_eq!(memory.bytes(0..4), b"far\0".to_vec());
    Ok(())
}

fn a_file_can_be_read_into_its_own_mapping() -> Outcome {
    // The copy faults on a page of the very file that the call holds.
    let file = file(&[b'x'; 8192])?;
    let memory = shared(&file, 8192)?;
    // SAFETY: the target is the first page of the mapping.
    let count =
        unsafe { crate::raw::syscall(libc::SYS_pread64, [raw_fd(&file), memory.address(), 4096, 4096]) }?;
    check_eq!(count, 4096);
    // SAFETY: the source is the second page of the mapping.
    let count = unsafe {
        crate::raw::syscall(libc::SYS_pwrite64, [raw_fd(&file), memory.address() + 4096, 4096, 8192])
    }?;
    check_eq!(count, 4096);
    check_eq!(fs::metadata("file")?.len(), 12_288);
    Ok(())
}

fn raw_fd(file: &File) -> usize {
    std::os::fd::AsRawFd::as_raw_fd(file).unsigned_abs() as usize
}

fn a_private_mapping_can_be_made_writable() -> Outcome {
    // As the dynamic loader does with relocations in read-only segments.
    file(&[b'k'; 8192])?;
    let memory =
        Mapping::of_file(&File::open("file")?, 0, 8192, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE)?;
    check_eq!(memory.byte(0), b'k');
    memory.protect(0..4096, READ_WRITE)?;
    memory.set(0, b'l');
    memory.protect(0..4096, ProtFlags::PROT_READ)?;
    check_eq!([memory.byte(0), memory.byte(1), memory.byte(4096)], [b'l', b'k', b'k']);
    Ok(())
}

fn a_memfd_is_a_file_without_a_name() -> Outcome {
    let file = File::from(nix::sys::memfd::memfd_create(c"scratch", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?);
    file.set_len(8192)?;
    let memory = shared(&file, 8192)?;
    memory.set(5000, 1);
    let mut byte = [0];
    file.read_exact_at(&mut byte, 5000)?;
    check_eq!(byte, [1]);
    Ok(())
}

/// fallocate(2) of more than there is: fails, or at least ends with who asked for it.
fn a_reservation_beyond_all_memory_can_be_ended() -> Outcome {
    use nix::fcntl::{FallocateFlags, fallocate};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let file = memfd_create(c"vast", MFdFlags::MFD_CLOEXEC)?;
    let other = child::fork(|| i32::from(fallocate(&file, FallocateFlags::empty(), 0, 1 << 62).is_ok()))?;
    std::thread::sleep(std::time::Duration::from_millis(100));
    // It may have ended already.
    let _ = other.kill(Signal::SIGKILL);
    child::until("the child is gone", || Ok(other.poll()? != nix::sys::wait::WaitStatus::StillAlive))
}
