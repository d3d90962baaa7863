//! rename(2) and renameat2(2).

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use super::names;
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("fs":
    rename_moves_a_file,
    rename_replaces_a_file,
    rename_replaces_only_an_empty_directory,
    rename_does_not_mix_files_and_directories,
    rename_into_itself_fails_with_einval,
    rename_of_two_links_to_one_file_does_nothing,
    rename_noreplace_refuses,
    rename_exchange_swaps,
    a_moved_directory_has_a_new_parent,
    an_open_file_survives_its_replacement,
);

/// renameat2(2), which musl's libc does not offer.
fn rename_with(from: &std::ffi::CStr, to: &std::ffi::CStr, flags: u32) -> nix::Result<()> {
    let here = libc::AT_FDCWD as usize;
    let [from, to] = [from, to].map(|path| path.as_ptr() as usize);
    // SAFETY: both paths are C strings.
    unsafe { crate::raw::syscall(libc::SYS_renameat2, [here, from, here, to, flags as usize]) }.map(drop)
}

fn rename_moves_a_file() -> Outcome {
    fs::write("from", "text")?;
    let inode = fs::metadata("from")?.ino();
    fs::create_dir("dir")?;
    fs::rename("from", "dir/to")?;
    check_eq!(names(".")?, ["dir"]);
    check_eq!(fs::metadata("dir/to")?.ino(), inode);
    check_fails!(fs::rename("missing", "x"), ENOENT);
    check_fails!(fs::rename("dir/to", "missing/x"), ENOENT);
    Ok(())
}

fn rename_replaces_a_file() -> Outcome {
    fs::write("from", "new")?;
    fs::write("to", "old")?;
    fs::rename("from", "to")?;
    check_eq!(names(".")?, ["to"]);
    check_eq!(fs::read_to_string("to")?, "new");
    Ok(())
}

fn rename_replaces_only_an_empty_directory() -> Outcome {
    fs::create_dir_all("from/inner")?;
    fs::create_dir("empty")?;
    fs::create_dir_all("full/x")?;
    check_fails!(fs::rename("from", "full"), ENOTEMPTY);
    fs::rename("from", "empty")?;
    check!(fs::metadata("empty/inner")?.is_dir());
    Ok(())
}

fn rename_does_not_mix_files_and_directories() -> Outcome {
    File::create("file")?;
    fs::create_dir("dir")?;
    check_fails!(fs::rename("file", "dir"), EISDIR);
    check_fails!(fs::rename("dir", "file"), ENOTDIR);
    Ok(())
}

fn rename_into_itself_fails_with_einval() -> Outcome {
    fs::create_dir_all("dir/inner")?;
    check_fails!(fs::rename("dir", "dir/inner/dir"), EINVAL);
    check_fails!(fs::rename("dir/inner", "dir"), ENOTEMPTY);
    fs::rename("dir", "dir")?;
    check!(fs::rename("dir/.", "other").is_err());
    Ok(())
}

fn rename_of_two_links_to_one_file_does_nothing() -> Outcome {
    File::create("first")?;
    fs::hard_link("first", "second")?;
    fs::rename("first", "second")?;
    check_eq!(names(".")?, ["first", "second"]);
    Ok(())
}

fn rename_noreplace_refuses() -> Outcome {
    fs::write("from", "new")?;
    fs::write("to", "old")?;
    check_fails!(rename_with(c"from", c"to", libc::RENAME_NOREPLACE), EEXIST);
    rename_with(c"from", c"free", libc::RENAME_NOREPLACE)?;
    check_eq!(names(".")?, ["free", "to"]);
    Ok(())
}

fn rename_exchange_swaps() -> Outcome {
    fs::write("file", "text")?;
    fs::create_dir("dir")?;
    rename_with(c"file", c"dir", libc::RENAME_EXCHANGE)?;
    check!(fs::metadata("file")?.is_dir());
    check_eq!(fs::read_to_string("dir")?, "text");
    check_fails!(rename_with(c"file", c"missing", libc::RENAME_EXCHANGE), ENOENT);
    Ok(())
}

fn a_moved_directory_has_a_new_parent() -> Outcome {
    fs::create_dir_all("a/moved")?;
    fs::create_dir("b")?;
    fs::rename("a/moved", "b/moved")?;
    check_eq!(fs::metadata("b/moved/..")?.ino(), fs::metadata("b")?.ino());
    check_eq!((fs::metadata("a")?.nlink(), fs::metadata("b")?.nlink()), (2, 3));
    Ok(())
}

fn an_open_file_survives_its_replacement() -> Outcome {
    fs::write("to", "old")?;
    let mut old = File::open("to")?;
    fs::write("from", "new")?;
    fs::rename("from", "to")?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut old, &mut text)?;
    check_eq!(text, "old");
    check_eq!(old.metadata()?.nlink(), 0);
    Ok(())
}
