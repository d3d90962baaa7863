//! mount(2), umount2(2), pivot_root(2).

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use nix::mount::{MntFlags, MsFlags, mount, umount, umount2};

use super::{mount_tmpfs, own_mounts};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("fs":
    a_mount_hides_what_is_below,
    a_bind_mount_shows_the_same_files,
    a_file_can_be_bound,
    a_read_only_mount_refuses_writes,
    a_bind_mount_can_be_made_read_only,
    a_busy_mount_is_not_unmounted,
    a_lazy_unmount_takes_the_name_at_once,
    a_recursive_bind_takes_inner_mounts,
    a_mount_can_be_moved,
    nodev_and_noexec_hold,
    mountinfo_lists_mounts,
    mount_checks_its_arguments,
    mounting_needs_privilege,
    pivot_root_swaps_the_root,
    pivot_root_onto_dot_stacks_the_old_root,
    propagation_reaches_a_shared_peer,
);

const NO: Option<&str> = None;

fn bind(from: &str, to: &str, more: MsFlags) -> nix::Result<()> {
    mount(Some(from), to, NO, MsFlags::MS_BIND | more, NO)
}

fn a_mount_hides_what_is_below() -> Outcome {
    own_mounts()?;
    fs::create_dir("dir")?;
    fs::write("dir/below", "x")?;
    let inner = |path: &str| fs::metadata(path).map(|metadata| metadata.dev());
    let before = inner("dir")?;
    mount(Some("tmpfs"), "dir", Some("tmpfs"), MsFlags::empty(), NO)?;
    check!(inner("dir")? != before);
    check_fails!(fs::metadata("dir/below"), ENOENT);
    check_eq!(inner("dir/..")?, before);
    check_fails!(fs::remove_dir("dir"), EBUSY);
    check_fails!(fs::rename("dir", "other"), EBUSY);
    umount("dir")?;
    check_eq!(fs::read_to_string("dir/below")?, "x");
    Ok(())
}

fn a_bind_mount_shows_the_same_files() -> Outcome {
    own_mounts()?;
    fs::create_dir_all("source/inner")?;
    fs::create_dir("target")?;
    bind("source", "target", MsFlags::empty())?;
    fs::write("target/inner/file", "through the bind")?;
    check_eq!(fs::read_to_string("source/inner/file")?, "through the bind");
    check_eq!(fs::metadata("source/inner")?.ino(), fs::metadata("target/inner")?.ino());
    Ok(())
}

fn a_file_can_be_bound() -> Outcome {
    own_mounts()?;
    fs::write("source", "bound")?;
    fs::write("target", "below")?;
    bind("source", "target", MsFlags::empty())?;
    check_eq!(fs::read_to_string("target")?, "bound");
    fs::create_dir("dir")?;
    check_fails!(bind("source", "dir", MsFlags::empty()), ENOTDIR);
    umount("target")?;
    check_eq!(fs::read_to_string("target")?, "below");
    Ok(())
}

fn a_read_only_mount_refuses_writes() -> Outcome {
    own_mounts()?;
    mount_tmpfs("dir")?;
    fs::write("dir/file", "x")?;
    let remount = |flags| mount(NO, "dir", NO, MsFlags::MS_REMOUNT | flags, NO);
    remount(MsFlags::MS_RDONLY)?;
    check_fails!(File::create("dir/new"), EROFS);
    check_fails!(File::options().write(true).open("dir/file"), EROFS);
    check_fails!(fs::remove_file("dir/file"), EROFS);
    check_fails!(fs::create_dir("dir/d"), EROFS);
    check_eq!(fs::read_to_string("dir/file")?, "x");
    remount(MsFlags::empty())?;
    check!(File::create("dir/new").is_ok());
    Ok(())
}

fn a_bind_mount_can_be_made_read_only() -> Outcome {
    own_mounts()?;
    fs::create_dir("source")?;
    fs::create_dir("target")?;
    bind("source", "target", MsFlags::empty())?;
    bind("", "target", MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY)?;
    check_fails!(File::create("target/file"), EROFS);
    check!(File::create("source/file").is_ok());
    Ok(())
}

fn a_busy_mount_is_not_unmounted() -> Outcome {
    own_mounts()?;
    mount_tmpfs("dir")?;
    let file = File::create("dir/file")?;
    check_fails!(umount("dir"), EBUSY);
    drop(file);
    umount("dir")?;
    check_fails!(umount("dir"), EINVAL);
    Ok(())
}

fn a_lazy_unmount_takes_the_name_at_once() -> Outcome {
    own_mounts()?;
    mount_tmpfs("dir")?;
    let mut file = File::options().read(true).write(true).create_new(true).open("dir/file")?;
    umount2("dir", MntFlags::MNT_DETACH)?;
    check_eq!(super::names("dir")?, Vec::<String>::new());
    std::io::Write::write_all(&mut file, b"still open")?;
    check_eq!(file.metadata()?.len(), 10);
    Ok(())
}

fn a_recursive_bind_takes_inner_mounts() -> Outcome {
    own_mounts()?;
    fs::create_dir("source")?;
    mount_tmpfs("source/inner")?;
    fs::write("source/inner/file", "x")?;
    fs::create_dir("plain")?;
    fs::create_dir("deep")?;
    bind("source", "plain", MsFlags::empty())?;
    bind("source", "deep", MsFlags::MS_REC)?;
    check_fails!(fs::metadata("plain/inner/file"), ENOENT);
    check!(fs::metadata("deep/inner/file").is_ok());
    Ok(())
}

fn a_mount_can_be_moved() -> Outcome {
    own_mounts()?;
    mount_tmpfs("from")?;
    fs::write("from/file", "moved")?;
    fs::create_dir("to")?;
    mount(Some("from"), "to", NO, MsFlags::MS_MOVE, NO)?;
    check_eq!(fs::read_to_string("to/file")?, "moved");
    check_eq!(super::names("from")?, Vec::<String>::new());
    Ok(())
}

fn nodev_and_noexec_hold() -> Outcome {
    own_mounts()?;
    fs::create_dir("dir")?;
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
    mount(Some("tmpfs"), "dir", Some("tmpfs"), flags, NO)?;
    nix::sys::stat::mknod("dir/null", nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::S_IRWXU, 0x103)?;
    check_fails!(File::open("dir/null"), EACCES);
    fs::copy(crate::program::SELF, "dir/program")?;
    fs::set_permissions("dir/program", std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    check_fails!(std::process::Command::new("./dir/program").args(["@exit", "0"]).status(), EACCES);
    Ok(())
}

fn mountinfo_lists_mounts() -> Outcome {
    own_mounts()?;
    fs::create_dir("with space")?;
    mount(Some("source-name"), "with space", Some("tmpfs"), MsFlags::MS_NOSUID, NO)?;
    let path = std::env::current_dir()?.join("with space");
    let escaped = path.display().to_string().replace(' ', "\\040");
    let info = fs::read_to_string("/proc/self/mountinfo")?;
    let line = info.lines().find(|line| line.split(' ').nth(4) == Some(&escaped)).unwrap_or_default();
    let fields: Vec<&str> = line.split(' ').collect();
    check!(fields.len() >= 10, "no usable line for {escaped}: {line:?}");
    check_eq!(fields[3], "/");
    check!(fields[5].split(',').any(|option| option == "nosuid"), "{line}");
    let tail: Vec<&str> = fields.iter().copied().skip_while(|field| *field != "-").collect();
    check_eq!((tail[1], tail[2]), ("tmpfs", "source-name"));
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    check!(mounts.lines().any(|line| line.starts_with(&format!("source-name {escaped} tmpfs "))));
    umount("with space")?;
    check!(!fs::read_to_string("/proc/mounts")?.contains("source-name"));
    Ok(())
}

fn mount_checks_its_arguments() -> Outcome {
    own_mounts()?;
    File::create("file")?;
    fs::create_dir("dir")?;
    check_fails!(mount(Some("x"), "dir", Some("nonsense"), MsFlags::empty(), NO), ENODEV);
    check_fails!(mount(Some("x"), "missing", Some("tmpfs"), MsFlags::empty(), NO), ENOENT);
    check_fails!(mount(Some("x"), "file", Some("tmpfs"), MsFlags::empty(), NO), ENOTDIR);
    check_fails!(bind("missing", "dir", MsFlags::empty()), ENOENT);
    check_fails!(umount("dir"), EINVAL);
    check_fails!(umount("missing"), ENOENT);
    Ok(())
}

fn mounting_needs_privilege() -> Outcome {
    fs::create_dir("dir")?;
    nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
    check_fails!(mount(Some("x"), "/proc", Some("tmpfs"), MsFlags::empty(), NO), EPERM);
    check_fails!(umount("/proc"), EPERM);
    Ok(())
}

fn pivot_root_swaps_the_root() -> Outcome {
    child::passes(|| {
        // The initramfs itself cannot be pivoted away from, so the case first moves to a root of its own.
        own_mounts()?;
        mount_tmpfs("first")?;
        nix::unistd::chdir("first")?;
        mount(Some("."), "/", NO, MsFlags::MS_MOVE, NO)?;
        nix::unistd::chroot(".")?;
        nix::unistd::chdir("/")?;

        mount_tmpfs("/second")?;
        fs::create_dir("/second/old")?;
        fs::write("/mark", "first")?;
        fs::write("/second/mark", "second")?;
        nix::unistd::pivot_root("/second", "/second/old")?;
        nix::unistd::chdir("/")?;
        check_eq!(fs::read_to_string("/mark")?, "second");
        check_eq!(fs::read_to_string("/old/mark")?, "first");
        umount2("/old", MntFlags::MNT_DETACH)?;
        check_eq!(super::names("/old")?, Vec::<String>::new());
        Ok(())
    })
}

fn pivot_root_onto_dot_stacks_the_old_root() -> Outcome {
    child::passes(|| {
        own_mounts()?;
        mount_tmpfs("first")?;
        nix::unistd::chdir("first")?;
        mount(Some("."), "/", NO, MsFlags::MS_MOVE, NO)?;
        nix::unistd::chroot(".")?;
        nix::unistd::chdir("/")?;

        // As container runtimes do: no directory for the old root is needed.
        mount_tmpfs("/new")?;
        fs::write("/new/mark", "new")?;
        nix::unistd::chdir("/new")?;
        nix::unistd::pivot_root(".", ".")?;
        umount2(".", MntFlags::MNT_DETACH)?;
        nix::unistd::chdir("/")?;
        check_eq!(super::names("/")?, ["mark"]);
        Ok(())
    })
}

fn propagation_reaches_a_shared_peer() -> Outcome {
    own_mounts()?;
    mount_tmpfs("base")?;
    mount(NO, "base", NO, MsFlags::MS_SHARED, NO)?;
    fs::create_dir("base/point")?;
    fs::create_dir("peer")?;
    bind("base", "peer", MsFlags::empty())?;
    mount(Some("x"), "base/point", Some("tmpfs"), MsFlags::empty(), NO)?;
    File::create("base/point/file")?;
    check!(fs::metadata("peer/point/file").is_ok(), "a mount did not reach the shared peer");
    mount(NO, "peer", NO, MsFlags::MS_PRIVATE, NO)?;
    umount("base/point")?;
    check!(fs::metadata("peer/point/file").is_ok(), "an unmount reached a private mount");
    Ok(())
}
