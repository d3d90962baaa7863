//! Directories: mkdir(2), rmdir(2), getdents64(2), getcwd(2), chdir(2).

use std::fs::{self, File};
use std::os::unix::fs::DirEntryExt;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{chdir, mkdir};

use super::names;
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::raw::harmless;

cases!("fs":
    a_directory_lists_what_is_in_it,
    entries_tell_type_and_inode,
    dot_and_dotdot_come_with_the_raw_call,
    a_large_directory_is_listed_whole,
    a_directory_can_be_emptied_while_it_is_read,
    rewinding_shows_new_entries,
    rmdir_refuses_what_is_not_empty,
    mkdir_refuses_what_exists,
    deep_folders_cost_what_shallow_ones_do,
    getcwd_follows_renames,
    a_removed_directory_has_no_path_and_no_entries,
    fchdir_goes_where_the_descriptor_points,
);

fn a_directory_lists_what_is_in_it() -> Outcome {
    check_eq!(names(".")?, Vec::<String>::new());
    for name in ["b", "a", "c"] {
        File::create(name)?;
    }
    fs::create_dir("d")?;
    check_eq!(names(".")?, ["a", "b", "c", "d"]);
    fs::remove_file("b")?;
    check_eq!(names(".")?, ["a", "c", "d"]);
    Ok(())
}

fn entries_tell_type_and_inode() -> Outcome {
    File::create("file")?;
    fs::create_dir("dir")?;
    std::os::unix::fs::symlink("file", "link")?;
    for entry in fs::read_dir(".")? {
        let entry = entry?;
        let (kind, metadata) = (entry.file_type()?, fs::symlink_metadata(entry.path())?);
        check_eq!(kind, metadata.file_type());
        check_eq!(entry.ino(), metadata.ino());
    }
    Ok(())
}

fn dot_and_dotdot_come_with_the_raw_call() -> Outcome {
    File::create("file")?;
    let mut directory = nix::dir::Dir::open(".", OFlag::O_RDONLY, Mode::empty())?;
    let mut names = Vec::new();
    for entry in directory.iter() {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    check_eq!(names, [".", "..", "file"]);
    let number = std::os::fd::AsRawFd::as_raw_fd(&File::open("/proc/self/stat")?).unsigned_abs() as usize;
    check_fails!(harmless(libc::SYS_getdents64, [number, 0, 4096]), EBADF);
    let file = File::open("file")?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&file).unsigned_abs() as usize;
    check_fails!(harmless(libc::SYS_getdents64, [number, 0, 4096]), ENOTDIR);
    Ok(())
}

fn a_large_directory_is_listed_whole() -> Outcome {
    let expected: Vec<String> =
        (0..2000).map(|index| format!("file-with-a-longer-name-{index:05}")).collect();
    for name in &expected {
        File::create(name)?;
    }
    check!(names(".")? == expected);
    Ok(())
}

fn a_directory_can_be_emptied_while_it_is_read() -> Outcome {
    for index in 0..500 {
        File::create(format!("file{index}"))?;
    }
    for entry in fs::read_dir(".")? {
        fs::remove_file(entry?.path())?;
    }
    check_eq!(names(".")?, Vec::<String>::new());
    Ok(())
}

fn rewinding_shows_new_entries() -> Outcome {
    let mut directory = nix::dir::Dir::open(".", OFlag::O_RDONLY, Mode::empty())?;
    check_eq!(directory.iter().count(), 2);
    File::create("new")?;
    // The iterator rewinds when it is dropped.
    check_eq!(directory.iter().count(), 3);
    Ok(())
}

fn rmdir_refuses_what_is_not_empty() -> Outcome {
    fs::create_dir_all("dir/inner")?;
    check_fails!(fs::remove_dir("dir"), ENOTEMPTY);
    fs::remove_dir("dir/inner")?;
    fs::remove_dir("dir")?;
    File::create("file")?;
    check_fails!(fs::remove_dir("file"), ENOTDIR);
    check_fails!(fs::remove_dir("missing"), ENOENT);
    fs::create_dir("dir")?;
    check_fails!(fs::remove_dir("dir/."), EINVAL);
    check_fails!(nix::unistd::unlink("dir"), EISDIR);
    Ok(())
}

fn mkdir_refuses_what_exists() -> Outcome {
    fs::create_dir("dir")?;
    check_fails!(fs::create_dir("dir"), EEXIST);
    std::os::unix::fs::symlink("nowhere", "link")?;
    check_fails!(fs::create_dir("link"), EEXIST);
    check_fails!(fs::create_dir("missing/dir"), ENOENT);
    check_fails!(fs::create_dir("/"), EEXIST);
    Ok(())
}

/// More folders in each other than a kernel would keep names of that are not in use: the last ones take as long to make as the first.
fn deep_folders_cost_what_shallow_ones_do() -> Outcome {
    const BATCH: usize = 1000;
    let frames = nix::sys::sysinfo::sysinfo()?.ram_total() as usize / 4096;
    let batches = frames / 8 / BATCH + 4;
    super::own_mounts()?;
    super::mount_tmpfs("deep")?;
    std::env::set_current_dir("deep")?;
    let mut times = Vec::new();
    for _ in 0..batches {
        let start = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
        for _ in 0..BATCH {
            mkdir("d", Mode::S_IRWXU)?;
            chdir("d")?;
        }
        times.push(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - start);
    }
    let sum = |times: &[TimeSpec]| times.iter().map(|time| time.num_microseconds()).sum::<i64>();
    let (first, last) = (sum(&times[..3]), sum(&times[batches - 3..]));
    check!(last < first * 5, "{BATCH} folders take {last} µs when there are many, {first} µs at first");
    Ok(())
}

fn getcwd_follows_renames() -> Outcome {
    let start = std::env::current_dir()?;
    fs::create_dir_all("a/b")?;
    std::env::set_current_dir("a/b")?;
    check_eq!(std::env::current_dir()?, start.join("a/b"));
    fs::rename(start.join("a"), start.join("z"))?;
    check_eq!(std::env::current_dir()?, start.join("z/b"));
    std::env::set_current_dir("..")?;
    check_eq!(std::env::current_dir()?, start.join("z"));
    let mut byte = [0_u8; 1];
    let address = byte.as_mut_ptr() as usize;
    // SAFETY: the kernel is told of one byte, and refuses it.
    check_fails!(unsafe { crate::raw::syscall(libc::SYS_getcwd, [address, 1]) }, ERANGE);
    Ok(())
}

fn a_removed_directory_has_no_path_and_no_entries() -> Outcome {
    fs::create_dir("dir")?;
    std::env::set_current_dir("dir")?;
    fs::remove_dir("../dir")?;
    check_fails!(std::env::current_dir(), ENOENT);
    check_fails!(File::create("file"), ENOENT);
    check_fails!(fs::create_dir("dir"), ENOENT);
    Ok(())
}

fn fchdir_goes_where_the_descriptor_points() -> Outcome {
    fs::create_dir("dir")?;
    let directory = File::open("dir")?;
    nix::unistd::fchdir(&directory)?;
    check!(std::env::current_dir()?.ends_with("dir"));
    let file = File::create("file")?;
    check_fails!(nix::unistd::fchdir(&file), ENOTDIR);
    check_fails!(std::env::set_current_dir("file"), ENOTDIR);
    Ok(())
}
