//! overlayfs: a container's root file system
//! (<https://www.kernel.org/doc/html/latest/filesystems/overlayfs.html>).

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::{mount_tmpfs, names, own_mounts};
use crate::case::{Outcome, cases, check, check_eq, check_fails, skip};

cases!("fs":
    overlay_merges_its_layers,
    overlay_copies_up_on_write,
    overlay_keeps_metadata_in_copy_up,
    overlay_hides_what_was_removed,
    overlay_makes_a_new_directory_opaque,
    overlay_obeys_whiteouts_of_lower_layers,
    overlay_renames_files,
    overlay_renames_of_lower_directories_fail_with_exdev,
    overlay_links_and_unlinks,
    overlay_without_upper_is_read_only,
    overlay_appends_and_truncates,
    overlay_maps_files,
    overlay_executes_files,
    overlay_open_file_sees_the_copy_through_a_new_open,
    overlay_removes_whole_trees,
    overlay_keeps_numbers_over_a_copy_up,
    overlay_breaks_hard_links_in_copy_up,
    overlay_lists_each_name_once_while_files_are_copied_up,
    overlay_hides_its_own_attributes,
    overlay_keeps_removed_files_that_are_open,
    overlay_renames_new_directories_over_removed_ones,
    overlay_refuses_what_cannot_be_overlaid,
    overlay_on_a_full_upper_layer_leaves_nothing,
    overlay_outlives_the_mounts_of_its_layers,
);

/// An overlay on `merged`, of `lower/2` above `lower/1`, with `prepare` run before it is mounted.
fn overlay(prepare: impl FnOnce() -> std::io::Result<()>) -> Outcome {
    own_mounts()?;
    mount_tmpfs("base")?;
    std::env::set_current_dir("base")?;
    for directory in ["one", "two", "upper", "work", "merged"] {
        fs::create_dir(directory)?;
    }
    prepare()?;
    let options = Some("lowerdir=two:one,upperdir=upper,workdir=work");
    match mount(Some("overlay"), "merged", Some("overlay"), MsFlags::empty(), options) {
        Err(nix::Error::ENODEV) => {
            skip!("this kernel has overlayfs as a module, which the initramfs does not bring")
        }
        other => Ok(other?),
    }
}

fn overlay_merges_its_layers() -> Outcome {
    overlay(|| {
        fs::create_dir_all("one/dir")?;
        fs::create_dir_all("two/dir")?;
        fs::write("one/dir/low", "1")?;
        fs::write("two/dir/high", "2")?;
        fs::write("one/both", "from one")?;
        fs::write("two/both", "from two")
    })?;
    check_eq!(names("merged")?, ["both", "dir"]);
    check_eq!(names("merged/dir")?, ["high", "low"]);
    check_eq!(fs::read_to_string("merged/both")?, "from two");
    Ok(())
}

fn overlay_copies_up_on_write() -> Outcome {
    overlay(|| {
        fs::create_dir_all("one/a/b")?;
        fs::write("one/a/b/file", "lower text")
    })?;
    check_eq!(names("upper")?, Vec::<String>::new());
    File::options().append(true).open("merged/a/b/file")?.write_all(b", changed")?;
    check_eq!(fs::read_to_string("merged/a/b/file")?, "lower text, changed");
    check_eq!(fs::read_to_string("upper/a/b/file")?, "lower text, changed");
    check_eq!(fs::read_to_string("one/a/b/file")?, "lower text");
    check_eq!(names("work/work")?, Vec::<String>::new());
    Ok(())
}

fn overlay_keeps_metadata_in_copy_up() -> Outcome {
    overlay(|| {
        fs::write("one/file", "x")?;
        std::os::unix::fs::chown("one/file", Some(12), Some(34))?;
        fs::set_permissions("one/file", fs::Permissions::from_mode(0o640))?;
        let past = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        File::options().write(true).open("one/file")?.set_modified(past)?;
        symlink("target", "one/link")
    })?;
    fs::set_permissions("merged/file", fs::Permissions::from_mode(0o600))?;
    let metadata = fs::metadata("upper/file")?;
    check_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (12, 34, 0o600));
    check_eq!(metadata.mtime(), 1_000_000);
    std::os::unix::fs::lchown("merged/link", Some(9), None)?;
    check_eq!(
        (fs::read_link("merged/link")?.as_os_str().len(), fs::symlink_metadata("merged/link")?.uid()),
        (6, 9)
    );
    Ok(())
}

fn overlay_hides_what_was_removed() -> Outcome {
    overlay(|| {
        fs::write("one/file", "x")?;
        fs::create_dir_all("one/dir/inner")?;
        fs::write("one/kept", "y")
    })?;
    fs::remove_file("merged/file")?;
    check_fails!(fs::remove_dir("merged/dir"), ENOTEMPTY);
    fs::remove_dir("merged/dir/inner")?;
    fs::remove_dir("merged/dir")?;
    check_eq!(names("merged")?, ["kept"]);
    check_fails!(fs::metadata("merged/file"), ENOENT);
    let whiteout = fs::symlink_metadata("upper/file")?;
    check!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    fs::write("merged/file", "again")?;
    check_eq!(fs::read_to_string("merged/file")?, "again");
    check_eq!(fs::read_to_string("one/file")?, "x");
    Ok(())
}

fn overlay_makes_a_new_directory_opaque() -> Outcome {
    overlay(|| {
        fs::create_dir("one/dir")?;
        fs::write("one/dir/old", "x")
    })?;
    fs::remove_dir_all("merged/dir")?;
    fs::create_dir("merged/dir")?;
    check_eq!(names("merged/dir")?, Vec::<String>::new());
    fs::write("merged/dir/new", "y")?;
    check_eq!(names("merged/dir")?, ["new"]);
    Ok(())
}

fn overlay_obeys_whiteouts_of_lower_layers() -> Outcome {
    overlay(|| {
        fs::write("one/gone", "x")?;
        fs::write("one/kept", "x")?;
        nix::sys::stat::mknod("two/gone", nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::empty(), 0)?;
        fs::create_dir("one/dir")?;
        fs::write("one/dir/hidden", "x")?;
        fs::create_dir("two/dir")?;
        // SAFETY: both names are C strings, and the value has the length given.
        let result = unsafe {
            libc::setxattr(
                c"two/dir".as_ptr(),
                c"trusted.overlay.opaque".as_ptr(),
                c"y".as_ptr().cast(),
                1,
                0,
            )
        };
        nix::errno::Errno::result(result).map(drop).map_err(std::io::Error::from)
    })?;
    check_eq!(names("merged")?, ["dir", "kept"]);
    check_eq!(names("merged/dir")?, Vec::<String>::new());
    check_fails!(File::open("merged/gone"), ENOENT);
    Ok(())
}

fn overlay_renames_files() -> Outcome {
    overlay(|| {
        fs::write("one/from", "x")?;
        fs::write("one/to", "y")
    })?;
    fs::rename("merged/from", "merged/to")?;
    check_eq!(names("merged")?, ["to"]);
    check_eq!(fs::read_to_string("merged/to")?, "x");
    fs::create_dir("merged/new")?;
    fs::write("merged/new/file", "z")?;
    fs::rename("merged/new", "merged/moved")?;
    check_eq!(fs::read_to_string("merged/moved/file")?, "z");
    Ok(())
}

fn overlay_renames_of_lower_directories_fail_with_exdev() -> Outcome {
    overlay(|| fs::create_dir_all("one/dir/inner"))?;
    // `mv` and dpkg fall back to a copy.
    check_fails!(fs::rename("merged/dir", "merged/other"), EXDEV);
    Ok(())
}

fn overlay_links_and_unlinks() -> Outcome {
    overlay(|| fs::write("one/file", "x"))?;
    fs::hard_link("merged/file", "merged/second")?;
    File::options().append(true).open("merged/second")?.write_all(b"y")?;
    check_eq!(fs::read_to_string("merged/file")?, "xy");
    check_eq!(fs::metadata("merged/file")?.ino(), fs::metadata("merged/second")?.ino());
    fs::remove_file("merged/file")?;
    check_eq!(names("merged")?, ["second"]);
    Ok(())
}

fn overlay_without_upper_is_read_only() -> Outcome {
    overlay(|| fs::write("one/file", "x"))?;
    fs::create_dir("read-only")?;
    mount(Some("overlay"), "read-only", Some("overlay"), MsFlags::empty(), Some("lowerdir=two:one"))?;
    check_eq!(fs::read_to_string("read-only/file")?, "x");
    check_fails!(File::create("read-only/new"), EROFS);
    check_fails!(fs::remove_file("read-only/file"), EROFS);
    Ok(())
}

fn overlay_appends_and_truncates() -> Outcome {
    overlay(|| fs::write("one/file", "0123456789"))?;
    nix::unistd::truncate("merged/file", 4)?;
    check_eq!(fs::read_to_string("merged/file")?, "0123");
    File::create("merged/file")?.write_all(b"new")?;
    check_eq!(fs::read_to_string("merged/file")?, "new");
    check_eq!(fs::read_to_string("one/file")?, "0123456789");
    Ok(())
}

fn overlay_maps_files() -> Outcome {
    use nix::sys::mman::{MapFlags, ProtFlags};
    overlay(|| fs::write("one/file", [b'l'; 5000]))?;
    let file = File::open("merged/file")?;
    let memory =
        crate::memory::Mapping::of_file(&file, 0, 5000, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE)?;
    check_eq!(memory.byte(4999), b'l');
    let file = File::options().read(true).write(true).open("merged/file")?;
    let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let memory = crate::memory::Mapping::of_file(&file, 0, 5000, both, MapFlags::MAP_SHARED)?;
    memory.set(10, b'u');
    check_eq!(fs::read("merged/file")?[10], b'u');
    check_eq!(fs::read("one/file")?[10], b'l');
    Ok(())
}

fn overlay_executes_files() -> Outcome {
    overlay(|| {
        fs::copy("/proc/self/exe", "one/program")?;
        fs::set_permissions("one/program", fs::Permissions::from_mode(0o755))
    })?;
    check_eq!(
        std::process::Command::new("./merged/program").args(["@exit", "21"]).status()?.code(),
        Some(21)
    );
    Ok(())
}

fn overlay_open_file_sees_the_copy_through_a_new_open() -> Outcome {
    overlay(|| fs::write("one/file", "old"))?;
    let mut reader = File::open("merged/file")?;
    fs::write("merged/file", "newer")?;
    let mut text = String::new();
    File::open("merged/file")?.read_to_string(&mut text)?;
    check_eq!(text, "newer");
    // COMPAT: an open of the lower file before the copy-up keeps showing that, as documented for overlayfs.
    text.clear();
    reader.read_to_string(&mut text)?;
    check!(text == "old" || text == "newer", "{text:?}");
    Ok(())
}

fn overlay_removes_whole_trees() -> Outcome {
    overlay(|| {
        for index in 0..20 {
            fs::create_dir_all(format!("one/tree/{index}/inner"))?;
            fs::write(format!("one/tree/{index}/inner/file"), "x")?;
        }
        fs::create_dir_all("two/tree/5/more")
    })?;
    fs::write("merged/tree/3/new", "x")?;
    fs::remove_dir_all("merged/tree")?;
    check_eq!(names("merged")?, Vec::<String>::new());
    Ok(())
}

fn overlay_keeps_numbers_over_a_copy_up() -> Outcome {
    overlay(|| {
        fs::create_dir("one/dir")?;
        fs::write("one/dir/file", "x")
    })?;
    let numbers = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    let (file, directory) = (numbers("merged/dir/file")?, numbers("merged/dir")?);
    check_eq!(file.0, directory.0);
    fs::set_permissions("merged/dir/file", fs::Permissions::from_mode(0o600))?;
    check_eq!((numbers("merged/dir/file")?, numbers("merged/dir")?), (file, directory));
    fs::rename("merged/dir/file", "merged/moved")?;
    check_eq!(numbers("merged/moved")?, file);
    let listed = fs::read_dir("merged")?.filter_map(Result::ok).find(|entry| entry.file_name() == "moved");
    check_eq!(listed.map(|entry| std::os::unix::fs::DirEntryExt::ino(&entry)), Some(file.1));
    Ok(())
}

fn overlay_breaks_hard_links_in_copy_up() -> Outcome {
    overlay(|| {
        fs::write("one/first", "x")?;
        fs::hard_link("one/first", "one/second")
    })?;
    fs::write("merged/first", "changed")?;
    check_eq!(fs::read_to_string("merged/second")?, "x");
    check!(fs::metadata("merged/first")?.ino() != fs::metadata("merged/second")?.ino());
    check_eq!(fs::metadata("merged/first")?.nlink(), 1);
    Ok(())
}

fn overlay_lists_each_name_once_while_files_are_copied_up() -> Outcome {
    // More than one buffer of getdents64(2) holds.
    let all: Vec<String> = (0..600).map(|index| format!("{index:03}-{}", "long".repeat(40))).collect();
    overlay(|| {
        fs::create_dir("one/dir")?;
        all.iter().try_for_each(|name| fs::write(Path::new("one/dir").join(name), ""))
    })?;
    let mut seen = Vec::new();
    for entry in fs::read_dir("merged/dir")? {
        let entry = entry?;
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o600))?;
        seen.push(entry.file_name().to_string_lossy().into_owned());
    }
    seen.sort();
    check!(seen == all, "{} names of {}", seen.len(), all.len());
    check_eq!(names("merged/dir")?.len(), all.len());
    Ok(())
}

fn overlay_hides_its_own_attributes() -> Outcome {
    overlay(|| {
        fs::create_dir("one/dir")?;
        fs::write("one/dir/old", "x")
    })?;
    fs::remove_dir_all("merged/dir")?;
    fs::create_dir("merged/dir")?;
    let get = |path: &std::ffi::CStr| {
        let mut value = [0u8; 8];
        // SAFETY: the names are C strings, and the buffer has the length given.
        let len = unsafe {
            libc::getxattr(
                path.as_ptr(),
                c"trusted.overlay.opaque".as_ptr(),
                value.as_mut_ptr().cast(),
                value.len(),
            )
        };
        nix::errno::Errno::result(len).map(|len| value[..len.unsigned_abs()].to_vec())
    };
    check_eq!(get(c"upper/dir")?, b"y");
    check!(get(c"merged/dir").is_err());
    let mut list = [0u8; 256];
    // SAFETY: the path is a C string, and the buffer has the length given.
    let len = unsafe { libc::listxattr(c"merged/dir".as_ptr(), list.as_mut_ptr().cast(), list.len()) };
    let len = nix::errno::Errno::result(len)?.unsigned_abs();
    check!(!list[..len].windows(15).any(|part| part == b"trusted.overlay"));
    Ok(())
}

fn overlay_keeps_removed_files_that_are_open() -> Outcome {
    overlay(|| fs::write("one/file", "lower"))?;
    let mut file = File::open("merged/file")?;
    fs::remove_file("merged/file")?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    check_eq!(text, "lower");
    fs::write("merged/file", "other")?;
    check_eq!(file.metadata()?.len(), 5);
    Ok(())
}

fn overlay_renames_new_directories_over_removed_ones() -> Outcome {
    overlay(|| {
        for directory in ["one/removed", "one/empty/inner"] {
            fs::create_dir_all(directory)?;
        }
        fs::write("one/removed/file", "x")
    })?;
    fs::remove_dir_all("merged/removed")?;
    for (name, target) in [("new", "merged/removed"), ("newer", "merged/empty")] {
        let from = Path::new("merged").join(name);
        fs::create_dir(&from)?;
        fs::write(from.join("mine"), "y")?;
        if name == "newer" {
            check_fails!(fs::rename(&from, target), ENOTEMPTY);
            fs::remove_dir("merged/empty/inner")?;
        }
        fs::rename(&from, target)?;
        check_eq!(names(target)?, ["mine"]);
    }
    check_eq!(names("merged")?, ["empty", "removed"]);
    Ok(())
}

fn overlay_refuses_what_cannot_be_overlaid() -> Outcome {
    overlay(|| Ok(()))?;
    fs::create_dir("other")?;
    let try_mount =
        |options| mount(Some("overlay"), "other", Some("overlay"), MsFlags::empty(), Some(options));
    check_eq!(try_mount("upperdir=one,workdir=two"), Err(nix::Error::EINVAL));
    check_eq!(try_mount("lowerdir=one,upperdir=two"), Err(nix::Error::EINVAL));
    check_eq!(try_mount("lowerdir=one"), Err(nix::Error::EINVAL));
    check_eq!(try_mount("lowerdir=one:missing"), Err(nix::Error::ENOENT));
    check_eq!(try_mount("lowerdir=one:two,hat=on"), Err(nix::Error::EINVAL));
    fs::create_dir_all("nested/lower")?;
    fs::create_dir_all("nested/upper")?;
    fs::create_dir("nested/work")?;
    check_eq!(try_mount("lowerdir=nested/lower:nested"), Err(nix::Error::ELOOP));
    // A layer may be below a lower one only if it is the upper one.
    try_mount("lowerdir=nested:one,upperdir=nested/upper,workdir=nested/work")?;
    nix::mount::umount("other")?;
    fs::create_dir("a:b")?;
    fs::write("a:b/file", "x")?;
    try_mount(r"lowerdir=a\:b:one")?;
    check_eq!(names("other")?, ["file"]);
    Ok(())
}

fn overlay_on_a_full_upper_layer_leaves_nothing() -> Outcome {
    overlay(|| fs::write("one/file", vec![b'x'; 1 << 20]))?;
    fs::create_dir("small")?;
    mount(Some("tmpfs"), "small", Some("tmpfs"), MsFlags::empty(), Some("size=256k"))?;
    for directory in ["small/upper", "small/work", "other"] {
        fs::create_dir(directory)?;
    }
    let options = Some("lowerdir=one,upperdir=small/upper,workdir=small/work");
    mount(Some("overlay"), "other", Some("overlay"), MsFlags::empty(), options)?;
    check_fails!(File::options().append(true).open("other/file"), ENOSPC);
    check_eq!(names("small/upper")?, Vec::<String>::new());
    check_eq!(names("small/work/work")?, Vec::<String>::new());
    check_eq!(fs::metadata("other/file")?.len(), 1 << 20);
    // What is cut off need not fit.
    fs::write("other/file", "cut")?;
    check_eq!(fs::read_to_string("other/file")?, "cut");
    Ok(())
}

fn overlay_outlives_the_mounts_of_its_layers() -> Outcome {
    overlay(|| Ok(()))?;
    mount_tmpfs("layer")?;
    fs::write("layer/file", "x")?;
    fs::create_dir("other")?;
    mount(Some("overlay"), "other", Some("overlay"), MsFlags::empty(), Some("lowerdir=layer:one"))?;
    nix::mount::umount("layer")?;
    check_eq!(fs::read_to_string("other/file")?, "x");
    nix::mount::umount("other")?;
    check_eq!(names("other")?, Vec::<String>::new());
    Ok(())
}
