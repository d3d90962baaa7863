//! read(2), write(2), lseek(2), their vectored and positioned forms, truncation, and copies inside the kernel.

use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use nix::sys::uio::{preadv, pwritev, readv, writev};
use nix::unistd::{Whence, lseek, read, write};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::raw::{BAD_ADDRESS, harmless};

cases!("fs":
    what_is_written_is_read_back,
    append_always_writes_at_the_end,
    positioned_calls_leave_the_offset,
    vectored_calls_gather_and_scatter,
    seeking_past_the_end_leaves_a_hole_of_zeroes,
    seek_checks_its_arguments,
    seek_finds_data_and_holes,
    truncation_cuts_and_extends,
    growing_again_shows_zeroes,
    a_faulting_buffer_fails_with_efault,
    reading_at_the_end_gives_nothing,
    sendfile_copies_a_file,
    copy_file_range_copies_a_range,
    an_unlinked_file_lives_while_open,
    a_large_file_has_a_large_offset,
    zero_length_writes_change_nothing,
    fallocate_reserves_and_punches,
);

fn file() -> std::io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(true).open("file")
}

fn what_is_written_is_read_back() -> Outcome {
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 241) as u8).collect();
    let mut file = file()?;
    for piece in bytes.chunks(7777) {
        file.write_all(piece)?;
    }
    file.rewind()?;
    let mut back = Vec::new();
    file.read_to_end(&mut back)?;
    check!(back == bytes);
    check_eq!(file.metadata()?.len(), 200_000);
    Ok(())
}

fn append_always_writes_at_the_end() -> Outcome {
    fs::write("file", "start ")?;
    let mut first = File::options().append(true).open("file")?;
    let mut second = File::options().append(true).open("file")?;
    first.write_all(b"one ")?;
    second.write_all(b"two ")?;
    first.rewind()?;
    first.write_all(b"three")?;
    check_eq!(fs::read_to_string("file")?, "start one two three");
    Ok(())
}

fn positioned_calls_leave_the_offset() -> Outcome {
    let mut file = file()?;
    file.write_all(b"0123456789")?;
    file.write_all_at(b"xx", 3)?;
    let mut two = [0; 2];
    file.read_exact_at(&mut two, 4)?;
    check_eq!(two, *b"x5");
    check_eq!(file.stream_position()?, 10);
    check_fails!(nix::sys::uio::pread(&file, &mut two, -1), EINVAL);
    Ok(())
}

fn vectored_calls_gather_and_scatter() -> Outcome {
    let mut file = file()?;
    check_eq!(writev(&file, &[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cdef")])?, 6);
    check_eq!(pwritev(&file, &[IoSlice::new(b"X"), IoSlice::new(b"Y")], 1)?, 2);
    file.rewind()?;
    let (mut first, mut second) = ([0; 3], [0; 9]);
    check_eq!(readv(&file, &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)])?, 6);
    check_eq!((&first, &second[..3]), (b"aXY", b"def".as_slice()));
    check_eq!(preadv(&file, &mut [IoSliceMut::new(&mut first)], 2)?, 3);
    check_eq!(&first, b"Yde");
    check_fails!(harmless(libc::SYS_writev, [1, BAD_ADDRESS, 2000]), EINVAL);
    check_fails!(harmless(libc::SYS_writev, [1, BAD_ADDRESS, 1]), EFAULT);
    Ok(())
}

fn seeking_past_the_end_leaves_a_hole_of_zeroes() -> Outcome {
    let mut file = file()?;
    file.write_all(b"a")?;
    file.seek(SeekFrom::Start(10_000))?;
    check_eq!(file.metadata()?.len(), 1);
    file.write_all(b"z")?;
    let bytes = fs::read("file")?;
    check_eq!((bytes.len(), bytes[0], bytes[10_000]), (10_001, b'a', b'z'));
    check!(bytes[1..10_000].iter().all(|byte| *byte == 0));
    Ok(())
}

fn seek_checks_its_arguments() -> Outcome {
    let file = file()?;
    check_fails!(lseek(&file, -1, Whence::SeekSet), EINVAL);
    check_fails!(lseek(&file, -1, Whence::SeekEnd), EINVAL);
    check_eq!(lseek(&file, 5, Whence::SeekEnd)?, 5);
    check_eq!(lseek(&file, -2, Whence::SeekCur)?, 3);
    check_fails!(harmless(libc::SYS_lseek, [0, 0, 99]), EINVAL);
    check_fails!(harmless(libc::SYS_lseek, [999, 0, 0]), EBADF);
    Ok(())
}

fn seek_finds_data_and_holes() -> Outcome {
    let file = file()?;
    file.write_all_at(&[1; 4096], 8192)?;
    file.set_len(20_000)?;
    let (data, hole) = (lseek(&file, 0, Whence::SeekData)?, lseek(&file, 8192, Whence::SeekHole)?);
    // A file system without holes reports everything as data.
    check!(matches!((data, hole), (8192, 12_288) | (0, 20_000)), "data at {data}, hole at {hole}");
    check_fails!(lseek(&file, 20_000, Whence::SeekData), ENXIO);
    Ok(())
}

fn truncation_cuts_and_extends() -> Outcome {
    fs::write("file", "0123456789")?;
    nix::unistd::truncate("file", 4)?;
    check_eq!(fs::read_to_string("file")?, "0123");
    let file = File::options().write(true).open("file")?;
    file.set_len(6)?;
    check_eq!(fs::read("file")?, b"0123\0\0".to_vec());
    check_fails!(nix::unistd::truncate("file", -1), EINVAL);
    check_fails!(nix::unistd::truncate(".", 0), EISDIR);
    check_fails!(nix::unistd::truncate("missing", 0), ENOENT);
    Ok(())
}

fn growing_again_shows_zeroes() -> Outcome {
    let mut file = file()?;
    file.write_all(&[7; 10_000])?;
    file.set_len(5000)?;
    file.set_len(10_000)?;
    let bytes = fs::read("file")?;
    check!(bytes[..5000].iter().all(|byte| *byte == 7) && bytes[5000..].iter().all(|byte| *byte == 0));
    Ok(())
}

fn a_faulting_buffer_fails_with_efault() -> Outcome {
    let mut file = file()?;
    file.write_all(b"text")?;
    file.rewind()?;
    let number = file.as_raw_fd().unsigned_abs() as usize;
    for address in [BAD_ADDRESS, crate::raw::KERNEL_ADDRESS] {
        check_fails!(harmless(libc::SYS_read, [number, address, 4]), EFAULT);
        check_fails!(harmless(libc::SYS_write, [number, address, 4]), EFAULT);
    }
    check_eq!(file.stream_position()?, 0);
    check_eq!(file.metadata()?.len(), 4);
    Ok(())
}

fn reading_at_the_end_gives_nothing() -> Outcome {
    let mut file = file()?;
    file.write_all(b"abc")?;
    check_eq!(read(&file, &mut [0; 8])?, 0);
    file.seek(SeekFrom::Start(1000))?;
    check_eq!(read(&file, &mut [0; 8])?, 0);
    file.seek(SeekFrom::Start(1))?;
    check_eq!(read(&file, &mut [0; 8])?, 2);
    Ok(())
}

fn sendfile_copies_a_file() -> Outcome {
    let bytes = vec![5; 100_000];
    fs::write("source", &bytes)?;
    let (source, target) = (File::open("source")?, File::create("target")?);
    let mut offset = 10;
    check_eq!(nix::sys::sendfile::sendfile(&target, &source, Some(&mut offset), 50)?, 50);
    check_eq!(offset, 60);
    let mut copied = 0;
    while copied < 100_000 {
        copied += nix::sys::sendfile::sendfile(&target, &source, None, 1 << 20)?;
    }
    check_eq!(fs::read("target")?.len(), 100_050);
    check_eq!(nix::sys::sendfile::sendfile(&target, &source, None, 10)?, 0);
    Ok(())
}

fn copy_file_range_copies_a_range() -> Outcome {
    fs::write("source", "0123456789")?;
    let (source, target) = (File::open("source")?, File::create("target")?);
    let (mut from, mut to) = (2, 1);
    let copied = nix::fcntl::copy_file_range(&source, Some(&mut from), &target, Some(&mut to), 4)?;
    check_eq!((copied, from, to), (4, 6, 5));
    check_eq!(fs::read("target")?, b"\x002345".to_vec());
    // The standard library's own copy, which tries this call first.
    check_eq!(fs::copy("source", "third")?, 10);
    Ok(())
}

fn an_unlinked_file_lives_while_open() -> Outcome {
    let mut file = file()?;
    file.write_all(b"still here")?;
    fs::remove_file("file")?;
    check_fails!(fs::metadata("file"), ENOENT);
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    check_eq!(text, "still here");
    Ok(())
}

fn a_large_file_has_a_large_offset() -> Outcome {
    let file = file()?;
    let far = (1 << 40) + 5;
    file.write_all_at(b"far", far)?;
    check_eq!(file.metadata()?.len(), far + 3);
    let mut three = [0; 3];
    file.read_exact_at(&mut three, far)?;
    check_eq!(&three, b"far");
    check_fails!(nix::sys::uio::pwrite(&file, b"x", i64::MAX), EINVAL);
    Ok(())
}

fn zero_length_writes_change_nothing() -> Outcome {
    let mut file = file()?;
    file.seek(SeekFrom::Start(100))?;
    check_eq!(write(&file, b"")?, 0);
    check_eq!(file.metadata()?.len(), 0);
    Ok(())
}

fn fallocate_reserves_and_punches() -> Outcome {
    use nix::fcntl::{FallocateFlags, fallocate};
    let mut file = file()?;
    fallocate(&file, FallocateFlags::empty(), 0, 10_000)?;
    check_eq!(file.metadata()?.len(), 10_000);
    file.write_all(&[9; 10_000])?;
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(&file, punch, 4096, 4096)?;
    let bytes = fs::read("file")?;
    check_eq!((bytes.len(), bytes[4095], bytes[4096], bytes[8191], bytes[8192]), (10_000, 9, 0, 0, 9));
    fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, 20_000)?;
    check_eq!(file.metadata()?.len(), 10_000);
    Ok(())
}
