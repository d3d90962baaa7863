//! The stat family, times, owners and modes.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{UtimensatFlags, fstat, fstatat, lstat, stat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("fs":
    the_stat_family_agrees,
    statx_fills_what_was_asked,
    blocks_count_what_is_stored,
    writing_moves_the_modification_time,
    times_can_be_set_and_left_alone,
    modes_can_be_changed,
    chown_changes_owners_and_clears_set_user_id,
    lchown_changes_the_link,
    link_count_follows_names_and_directories,
    the_change_time_moves_with_the_mode,
);

fn the_stat_family_agrees() -> Outcome {
    fs::write("file", "12345")?;
    std::os::unix::fs::symlink("file", "link")?;
    let file = File::open("file")?;
    let all = [stat("file")?, stat("link")?, fstat(&file)?, fstatat(AT_FDCWD, "file", AtFlags::empty())?];
    for one in all {
        check_eq!((one.st_size, one.st_ino, one.st_dev), (5, all[0].st_ino, all[0].st_dev));
        check_eq!(one.st_mode & libc::S_IFMT, libc::S_IFREG);
        check_eq!(one.st_nlink, 1);
        check!(one.st_blksize >= 512);
    }
    let link = lstat("link")?;
    check_eq!((link.st_mode & libc::S_IFMT, link.st_size), (libc::S_IFLNK, 4));
    check!(link.st_ino != all[0].st_ino);
    check_fails!(stat("missing"), ENOENT);
    Ok(())
}

fn statx_fills_what_was_asked() -> Outcome {
    fs::write("file", "12345")?;
    let mut buffer = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is a C string and the buffer a live local of the call's type.
    let result = unsafe {
        libc::statx(libc::AT_FDCWD, c"file".as_ptr(), 0, libc::STATX_BASIC_STATS, buffer.as_mut_ptr())
    };
    nix::errno::Errno::result(result)?;
    // SAFETY: all zeroes are valid, and the call has filled it.
    let statx = unsafe { buffer.assume_init() };
    check!(statx.stx_mask & libc::STATX_BASIC_STATS == libc::STATX_BASIC_STATS, "mask {:#x}", statx.stx_mask);
    check_eq!((statx.stx_size, u32::from(statx.stx_mode) & libc::S_IFMT), (5, libc::S_IFREG));
    check_eq!(statx.stx_ino, fs::metadata("file")?.ino());
    Ok(())
}

fn blocks_count_what_is_stored() -> Outcome {
    fs::write("file", [1; 10_000])?;
    let metadata = fs::metadata("file")?;
    check!((20..=64).contains(&metadata.blocks()), "{} blocks of 512 bytes for 10000", metadata.blocks());
    check_eq!(fs::metadata("/proc/self/stat")?.blocks(), 0);
    Ok(())
}

fn writing_moves_the_modification_time() -> Outcome {
    fs::write("file", "1")?;
    let before = fs::metadata("file")?.modified()?;
    std::thread::sleep(Duration::from_millis(20));
    fs::write("file", "2")?;
    check!(fs::metadata("file")?.modified()? > before);
    let directory = fs::metadata(".")?.modified()?;
    std::thread::sleep(Duration::from_millis(20));
    fs::remove_file("file")?;
    check!(fs::metadata(".")?.modified()? > directory);
    Ok(())
}

fn times_can_be_set_and_left_alone() -> Outcome {
    let file = File::create("file")?;
    let past = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    file.set_modified(past)?;
    check_eq!(file.metadata()?.modified()?, past);
    let (omit, exact) = (TimeSpec::new(0, libc::UTIME_OMIT), TimeSpec::new(86_400, 5));
    utimensat(AT_FDCWD, "file", &exact, &omit, UtimensatFlags::FollowSymlink)?;
    let metadata = file.metadata()?;
    check_eq!((metadata.atime(), metadata.atime_nsec(), metadata.modified()?), (86_400, 5, past));
    let now = TimeSpec::new(0, libc::UTIME_NOW);
    utimensat(AT_FDCWD, "file", &omit, &now, UtimensatFlags::FollowSymlink)?;
    check!(file.metadata()?.modified()? > past || SystemTime::now() < past);
    let bad = TimeSpec::new(0, 2_000_000_000);
    check_fails!(utimensat(AT_FDCWD, "file", &bad, &omit, UtimensatFlags::FollowSymlink), EINVAL);
    Ok(())
}

fn modes_can_be_changed() -> Outcome {
    let file = File::create("file")?;
    for mode in [0o000, 0o644, 0o4755, 0o1777] {
        fs::set_permissions("file", fs::Permissions::from_mode(mode))?;
        check_eq!(file.metadata()?.mode(), libc::S_IFREG | mode);
    }
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    check_eq!(fs::metadata("file")?.mode() & 0o7777, 0o600);
    Ok(())
}

fn chown_changes_owners_and_clears_set_user_id() -> Outcome {
    let file = File::create("file")?;
    fs::set_permissions("file", fs::Permissions::from_mode(0o6755))?;
    nix::unistd::chown("file", Some(Uid::from_raw(11)), Some(Gid::from_raw(22)))?;
    let metadata = file.metadata()?;
    check_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (11, 22, 0o755));
    nix::unistd::chown("file", None, Some(Gid::from_raw(33)))?;
    check_eq!((file.metadata()?.uid(), file.metadata()?.gid()), (11, 33));
    Ok(())
}

fn lchown_changes_the_link() -> Outcome {
    File::create("file")?;
    std::os::unix::fs::symlink("file", "link")?;
    std::os::unix::fs::lchown("link", Some(44), None)?;
    check_eq!((fs::symlink_metadata("link")?.uid(), fs::metadata("file")?.uid()), (44, 0));
    Ok(())
}

fn link_count_follows_names_and_directories() -> Outcome {
    File::create("file")?;
    fs::hard_link("file", "second")?;
    check_eq!(fs::metadata("file")?.nlink(), 2);
    fs::remove_file("file")?;
    check_eq!(fs::metadata("second")?.nlink(), 1);
    fs::create_dir_all("dir/inner")?;
    check_eq!(fs::metadata("dir")?.nlink(), 3);
    fs::remove_dir("dir/inner")?;
    check_eq!(fs::metadata("dir")?.nlink(), 2);
    Ok(())
}

fn the_change_time_moves_with_the_mode() -> Outcome {
    let file = File::create("file")?;
    let time = |metadata: fs::Metadata| (metadata.ctime(), metadata.ctime_nsec());
    let before = time(file.metadata()?);
    std::thread::sleep(Duration::from_millis(20));
    fs::set_permissions("file", fs::Permissions::from_mode(0o600))?;
    check!(time(file.metadata()?) > before);
    Ok(())
}
