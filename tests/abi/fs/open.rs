//! open(2) and openat(2): flags and what they refuse.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl, open, openat};
use nix::sys::stat::{Mode, fstat, fstatat};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("fs":
    create_exclusive_refuses_an_existing_file,
    truncate_empties_and_keeps_the_inode,
    opening_a_missing_file_fails_with_enoent,
    opening_a_directory_to_write_fails_with_eisdir,
    o_directory_refuses_a_file,
    o_nofollow_refuses_a_link,
    a_trailing_slash_demands_a_directory,
    the_lowest_free_number_is_used,
    access_modes_are_enforced,
    openat_starts_at_its_directory,
    o_path_gives_a_handle_without_access,
    o_tmpfile_has_no_name_until_linked,
    openat2_can_forbid_leaving,
    names_that_are_too_long_fail_with_enametoolong,
    dup_shares_the_offset_and_flags,
    close_range_closes_many,
);

const USER: Mode = Mode::S_IRWXU;

fn create_exclusive_refuses_an_existing_file() -> Outcome {
    File::options().write(true).create_new(true).open("file")?;
    check_fails!(File::options().write(true).create_new(true).open("file"), EEXIST);
    std::os::unix::fs::symlink("nowhere", "link")?;
    check_fails!(File::options().write(true).create_new(true).open("link"), EEXIST);
    File::options().write(true).create(true).truncate(false).open("link")?;
    check!(fs::metadata("nowhere")?.is_file());
    Ok(())
}

fn truncate_empties_and_keeps_the_inode() -> Outcome {
    fs::write("file", "text")?;
    let inode = fs::metadata("file")?.ino();
    let file = File::create("file")?;
    check_eq!((file.metadata()?.len(), file.metadata()?.ino()), (0, inode));
    Ok(())
}

fn opening_a_missing_file_fails_with_enoent() -> Outcome {
    check_fails!(File::open("missing"), ENOENT);
    check_fails!(File::create("missing/file"), ENOENT);
    check_fails!(open("", OFlag::O_RDONLY, USER), ENOENT);
    Ok(())
}

fn opening_a_directory_to_write_fails_with_eisdir() -> Outcome {
    fs::create_dir("dir")?;
    check_fails!(open("dir", OFlag::O_WRONLY, USER), EISDIR);
    check_fails!(open("dir", OFlag::O_RDONLY | OFlag::O_CREAT, USER), EISDIR);
    let directory = open("dir", OFlag::O_RDONLY, USER)?;
    check_fails!(nix::unistd::read(&directory, &mut [0]), EISDIR);
    Ok(())
}

fn o_directory_refuses_a_file() -> Outcome {
    File::create("file")?;
    check_fails!(open("file", OFlag::O_RDONLY | OFlag::O_DIRECTORY, USER), ENOTDIR);
    check_fails!(File::open("file/x"), ENOTDIR);
    Ok(())
}

fn o_nofollow_refuses_a_link() -> Outcome {
    fs::write("file", "x")?;
    std::os::unix::fs::symlink("file", "link")?;
    check_fails!(open("link", OFlag::O_RDONLY | OFlag::O_NOFOLLOW, USER), ELOOP);
    let link = open("link", OFlag::O_PATH | OFlag::O_NOFOLLOW, USER)?;
    check_eq!(fstat(&link)?.st_mode & libc::S_IFMT, libc::S_IFLNK);
    check_eq!(nix::fcntl::readlinkat(&link, "")?, "file");
    Ok(())
}

fn a_trailing_slash_demands_a_directory() -> Outcome {
    fs::create_dir("dir")?;
    File::create("file")?;
    check!(
        fs::metadata("dir/").is_ok() && fs::metadata("dir/.").is_ok() && fs::metadata("dir//../dir").is_ok()
    );
    check_fails!(fs::metadata("file/"), ENOTDIR);
    check_fails!(fs::metadata("file/."), ENOTDIR);
    check_fails!(open("new/", OFlag::O_WRONLY | OFlag::O_CREAT, USER), EISDIR);
    fs::create_dir("new/")?;
    Ok(())
}

fn the_lowest_free_number_is_used() -> Outcome {
    use std::os::fd::AsRawFd;
    let files = (0..3).map(|_| File::open("/proc/self/stat")).collect::<Result<Vec<_>, _>>()?;
    let numbers: Vec<i32> = files.iter().map(AsRawFd::as_raw_fd).collect();
    check_eq!(numbers, (numbers[0]..numbers[0] + 3).collect::<Vec<_>>());
    let mut files = files.into_iter();
    drop(files.next());
    check_eq!(File::open("/proc/self/stat")?.as_raw_fd(), numbers[0]);
    Ok(())
}

fn access_modes_are_enforced() -> Outcome {
    fs::write("file", "x")?;
    check_fails!(nix::unistd::write(File::open("file")?, b"y"), EBADF);
    check_fails!(nix::unistd::read(File::options().write(true).open("file")?, &mut [0]), EBADF);
    check_fails!(File::open("file")?.set_len(0), EINVAL);
    Ok(())
}

fn openat_starts_at_its_directory() -> Outcome {
    fs::create_dir_all("a/b")?;
    fs::write("a/b/file", "inside")?;
    let directory = open("a", OFlag::O_RDONLY | OFlag::O_DIRECTORY, USER)?;
    fs::rename("a", "moved")?;
    let mut text = String::new();
    File::from(openat(&directory, "b/file", OFlag::O_RDONLY, USER)?).read_to_string(&mut text)?;
    check_eq!(text, "inside");
    let file = File::open("moved/b/file")?;
    check_fails!(openat(&file, "x", OFlag::O_RDONLY, USER), ENOTDIR);
    check!(openat(&file, "/proc/self/stat", OFlag::O_RDONLY, USER).is_ok());
    check_fails!(crate::raw::harmless(libc::SYS_openat, [999, crate::raw::BAD_ADDRESS, 0]), EFAULT);
    Ok(())
}

fn o_path_gives_a_handle_without_access() -> Outcome {
    fs::write("file", "x")?;
    let handle = open("file", OFlag::O_PATH, USER)?;
    check_fails!(nix::unistd::read(&handle, &mut [0]), EBADF);
    check_eq!(fstat(&handle)?.st_size, 1);
    check_eq!(fstatat(&handle, "", AtFlags::AT_EMPTY_PATH)?.st_size, 1);
    let number = std::os::fd::AsRawFd::as_raw_fd(&handle);
    check_eq!(fs::read_to_string(format!("/proc/self/fd/{number}"))?, "x");
    Ok(())
}

fn o_tmpfile_has_no_name_until_linked() -> Outcome {
    let file = File::from(open(".", OFlag::O_RDWR | OFlag::O_TMPFILE, USER)?);
    (&file).write_all(b"hidden")?;
    check_eq!(super::names(".")?, Vec::<String>::new());
    check_eq!(file.metadata()?.nlink(), 0);
    let number = std::os::fd::AsRawFd::as_raw_fd(&file);
    let path = format!("/proc/self/fd/{number}");
    let here = nix::fcntl::AT_FDCWD;
    nix::unistd::linkat(here, path.as_str(), here, "named", AtFlags::AT_SYMLINK_FOLLOW)?;
    check_eq!(fs::read_to_string("named")?, "hidden");
    Ok(())
}

fn openat2_can_forbid_leaving() -> Outcome {
    use nix::fcntl::{OpenHow, ResolveFlag, openat2};
    fs::create_dir("root")?;
    fs::write("outside", "x")?;
    fs::write("root/inside", "y")?;
    std::os::unix::fs::symlink("../outside", "root/link")?;
    let root = open("root", OFlag::O_PATH | OFlag::O_DIRECTORY, USER)?;
    let beneath = |path: &str| {
        openat2(&root, path, OpenHow::new().flags(OFlag::O_RDONLY).resolve(ResolveFlag::RESOLVE_BENEATH))
    };
    check!(beneath("inside").is_ok());
    check_fails!(beneath("../outside"), EXDEV);
    check_fails!(beneath("link"), EXDEV);
    let how = OpenHow::new().flags(OFlag::O_RDONLY).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    check!(openat2(&root, "/inside", how).is_ok());
    check_fails!(openat2(&root, "link", how), ENOENT);
    Ok(())
}

fn names_that_are_too_long_fail_with_enametoolong() -> Outcome {
    File::create("n".repeat(255))?;
    check_fails!(File::create("n".repeat(256)), ENAMETOOLONG);
    check_fails!(File::open("./".repeat(2100)), ENAMETOOLONG);
    Ok(())
}

fn dup_shares_the_offset_and_flags() -> Outcome {
    fs::write("file", "abcdef")?;
    let file = File::open("file")?;
    let copy = file.try_clone()?;
    (&file).read_exact(&mut [0; 2])?;
    let mut next = [0];
    (&copy).read_exact(&mut next)?;
    check_eq!(next, *b"c");
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    check!(fcntl(&copy, FcntlArg::F_GETFL)? & libc::O_APPEND != 0);
    let other = File::options().read(true).custom_flags(libc::O_NONBLOCK).open("file")?;
    check!(fcntl(&other, FcntlArg::F_GETFL)? & libc::O_APPEND == 0);
    Ok(())
}

fn close_range_closes_many() -> Outcome {
    use std::os::fd::{AsRawFd, IntoRawFd};
    let keep = File::open("/proc/self/stat")?;
    let numbers: Vec<i32> = (0..5)
        .map(|_| File::open("/proc/self/stat").map(IntoRawFd::into_raw_fd))
        .collect::<Result<_, _>>()?;
    let [first, last] = [numbers[0], numbers[4]].map(|number| number.unsigned_abs() as usize);
    check_eq!(crate::raw::harmless(libc::SYS_close_range, [first, last, 0])?, 0);
    check!(keep.metadata().is_ok());
    check_eq!(File::open("/proc/self/stat")?.as_raw_fd(), numbers[0]);
    check_fails!(crate::raw::harmless(libc::SYS_close, [last]), EBADF);
    check_fails!(crate::raw::harmless(libc::SYS_close_range, [last, first, 0]), EINVAL);
    Ok(())
}
