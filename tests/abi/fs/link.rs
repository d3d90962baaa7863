//! link(2), symlink(2), readlink(2), unlink(2).

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};

use nix::fcntl::{AT_FDCWD, AtFlags};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("fs":
    hard_links_are_one_file,
    hard_links_to_directories_are_refused,
    a_link_to_a_link_follows_only_when_asked,
    readlink_gives_the_text,
    readlink_truncates_silently,
    unlink_removes_one_name,
    unlinkat_can_remove_directories,
    links_do_not_cross_mounts,
);

fn hard_links_are_one_file() -> Outcome {
    fs::write("first", "a")?;
    fs::hard_link("first", "second")?;
    fs::write("second", "changed")?;
    check_eq!(fs::read_to_string("first")?, "changed");
    check_eq!(fs::metadata("first")?.ino(), fs::metadata("second")?.ino());
    check_fails!(fs::hard_link("first", "second"), EEXIST);
    check_fails!(fs::hard_link("missing", "third"), ENOENT);
    Ok(())
}

fn hard_links_to_directories_are_refused() -> Outcome {
    fs::create_dir("dir")?;
    check_fails!(fs::hard_link("dir", "second"), EPERM);
    Ok(())
}

fn a_link_to_a_link_follows_only_when_asked() -> Outcome {
    File::create("file")?;
    symlink("file", "link")?;
    nix::unistd::linkat(AT_FDCWD, "link", AT_FDCWD, "plain", AtFlags::empty())?;
    nix::unistd::linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AtFlags::AT_SYMLINK_FOLLOW)?;
    check!(fs::symlink_metadata("plain")?.is_symlink());
    check!(fs::symlink_metadata("followed")?.is_file());
    Ok(())
}

fn readlink_gives_the_text() -> Outcome {
    symlink("some/where//else", "link")?;
    check_eq!(fs::read_link("link")?.as_os_str(), "some/where//else");
    check_eq!(fs::symlink_metadata("link")?.len(), 16);
    File::create("file")?;
    check_fails!(fs::read_link("file"), EINVAL);
    check_fails!(fs::read_link("missing"), ENOENT);
    check_fails!(symlink("", "empty"), ENOENT);
    check_fails!(symlink("x", "link"), EEXIST);
    Ok(())
}

fn readlink_truncates_silently() -> Outcome {
    symlink("0123456789", "link")?;
    let mut buffer = [0_u8; 4];
    // SAFETY: the path is a C string and the buffer a live local of the length given.
    let count = unsafe { libc::readlink(c"link".as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    check_eq!((count, &buffer), (4, b"0123"));
    Ok(())
}

fn unlink_removes_one_name() -> Outcome {
    File::create("file")?;
    symlink("file", "link")?;
    fs::remove_file("link")?;
    check!(fs::metadata("file").is_ok());
    fs::remove_file("file")?;
    check_fails!(fs::remove_file("file"), ENOENT);
    Ok(())
}

fn unlinkat_can_remove_directories() -> Outcome {
    use nix::unistd::{UnlinkatFlags, unlinkat};
    fs::create_dir("dir")?;
    File::create("dir/file")?;
    let directory = File::open("dir")?;
    unlinkat(&directory, "file", UnlinkatFlags::NoRemoveDir)?;
    unlinkat(AT_FDCWD, "dir", UnlinkatFlags::RemoveDir)?;
    check_fails!(fs::metadata("dir"), ENOENT);
    fs::create_dir_all("deep/er/and/deeper")?;
    File::create("deep/er/file")?;
    fs::remove_dir_all("deep")?;
    check_fails!(fs::metadata("deep"), ENOENT);
    Ok(())
}

fn links_do_not_cross_mounts() -> Outcome {
    super::own_mounts()?;
    super::mount_tmpfs("other")?;
    File::create("file")?;
    check_fails!(fs::hard_link("file", "other/file"), EXDEV);
    check_fails!(fs::rename("file", "other/file"), EXDEV);
    Ok(())
}
