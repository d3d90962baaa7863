//! The calls after mount(2): open_tree(2), move_mount(2), mount_setattr(2), fsopen(2), fsconfig(2), fsmount(2), fspick(2).

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use nix::mount::{MsFlags, mount, umount};

use super::{mount_tmpfs, own_mounts};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::raw;

cases!("fs":
    a_whole_machine_is_shown_inside_of_itself,
    a_detached_tree_is_put_where_it_is_wanted,
    a_detached_tree_ends_with_its_descriptor,
    unbindable_mounts_stay_out_of_recursive_binds,
    attributes_change_for_a_whole_tree_or_none,
    attributes_change_propagation,
    mount_setattr_checks_its_arguments,
    a_file_system_is_mounted_step_by_step,
    a_picked_file_system_becomes_read_only,
    contexts_check_what_comes_when,
    a_mount_of_another_namespace_is_left_alone,
    the_mount_calls_need_privilege,
);

const NO: Option<&str> = None;

const OPEN_TREE_CLONE: usize = 1;
const AT_EMPTY_PATH: usize = libc::AT_EMPTY_PATH as usize;
const AT_RECURSIVE: usize = libc::AT_RECURSIVE as usize;
const MOVE_MOUNT_F_EMPTY_PATH: usize = 4;
const MOVE_MOUNT_T_EMPTY_PATH: usize = 0x40;
const ATTR_RDONLY: u64 = 1;
const ATTR_NODEV: u64 = 4;
const ATTR_ATIME: u64 = 0x70;
const ATTR_NOATIME: u64 = 0x10;
const SET_FLAG: usize = 0;
const SET_STRING: usize = 1;
const CREATE: usize = 6;
const RECONFIGURE: usize = 7;

const HERE: usize = libc::AT_FDCWD as usize;

fn descriptor(number: libc::c_long, arguments: [usize; 5]) -> nix::Result<OwnedFd> {
    // SAFETY: the callers pass the addresses of strings that live on, lengths that fit, and numbers.
    let fd = unsafe { raw::syscall(number, arguments) }?;
    // SAFETY: the call has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn number(fd: impl AsFd) -> usize {
    fd.as_fd().as_raw_fd() as usize
}

fn text(text: &str) -> CString {
    CString::new(text).expect("no NUL in it")
}

fn open_tree(path: &str, flags: usize) -> nix::Result<OwnedFd> {
    let path = text(path);
    descriptor(libc::SYS_open_tree, [HERE, path.as_ptr().addr(), flags, 0, 0])
}

/// Moves what `from` stands for to `to`.
fn move_to(from: BorrowedFd<'_>, to: &str) -> nix::Result<()> {
    let (empty, to) = (text(""), text(to));
    let arguments = [number(from), empty.as_ptr().addr(), HERE, to.as_ptr().addr(), MOVE_MOUNT_F_EMPTY_PATH];
    // SAFETY: both strings live until the call is done.
    unsafe { raw::syscall(libc::SYS_move_mount, arguments) }.map(drop)
}

fn change(path: &str, flags: usize, set: u64, clear: u64, propagation: u64) -> nix::Result<()> {
    let path = text(path);
    let attributes = [set, clear, propagation, 0];
    let arguments = [HERE, path.as_ptr().addr(), flags, attributes.as_ptr().addr(), size_of_val(&attributes)];
    // SAFETY: the string and the structure live until the call is done.
    unsafe { raw::syscall(libc::SYS_mount_setattr, arguments) }.map(drop)
}

fn fsopen(driver: &str) -> nix::Result<OwnedFd> {
    let driver = text(driver);
    descriptor(libc::SYS_fsopen, [driver.as_ptr().addr(), 1, 0, 0, 0])
}

fn configure(context: &OwnedFd, command: usize, key: Option<&str>, value: Option<&str>) -> nix::Result<()> {
    let (key, value) = (key.map(text), value.map(text));
    let address = |text: &Option<CString>| text.as_ref().map_or(0, |text| text.as_ptr().addr());
    let arguments = [number(context), command, address(&key), address(&value), 0];
    // SAFETY: both strings live until the call is done.
    unsafe { raw::syscall(libc::SYS_fsconfig, arguments) }.map(drop)
}

fn fsmount(context: &OwnedFd, attributes: u64) -> nix::Result<OwnedFd> {
    descriptor(libc::SYS_fsmount, [number(context), 1, attributes as usize, 0, 0])
}

fn a_whole_machine_is_shown_inside_of_itself() -> Outcome {
    own_mounts()?;
    mount_tmpfs("machine")?;
    fs::create_dir("machine/host")?;
    let here = std::env::current_dir()?;
    // As container runtimes make `-v /:/host`: a copy of all, its flags, and then its place, which is below what was copied.
    let tree = open_tree("/", OPEN_TREE_CLONE | AT_RECURSIVE)?;
    move_to(tree.as_fd(), "machine/host")?;
    change("machine/host", AT_RECURSIVE, ATTR_RDONLY, 0, 0)?;
    let inside = format!("machine/host{}/machine", here.display());
    check!(fs::metadata(format!("{inside}/host"))?.is_dir());
    check_eq!(super::names(format!("{inside}/host"))?, Vec::<String>::new());
    check_fails!(File::create(format!("{inside}/file")), EROFS);
    check!(File::create("machine/file").is_ok());
    check!(fs::metadata("machine/host/proc/self")?.is_dir());
    Ok(())
}

fn a_detached_tree_is_put_where_it_is_wanted() -> Outcome {
    own_mounts()?;
    mount_tmpfs("source")?;
    mount_tmpfs("source/inner")?;
    File::create("source/inner/file")?;
    fs::create_dir("target")?;
    File::create("plain")?;
    let tree = open_tree("source", OPEN_TREE_CLONE | AT_RECURSIVE)?;
    // It can be walked before it is anywhere.
    let inside =
        nix::fcntl::openat(&tree, "inner/file", nix::fcntl::OFlag::O_RDONLY, nix::sys::stat::Mode::empty());
    check!(inside.is_ok());
    let mounts = || fs::read_to_string("/proc/self/mountinfo").map(|text| text.lines().count());
    let before = mounts()?;
    check_fails!(move_to(tree.as_fd(), "plain"), EINVAL);
    check_fails!(move_to(tree.as_fd(), "missing"), ENOENT);
    move_to(tree.as_fd(), "target")?;
    check_eq!(mounts()?, before + 2);
    check!(fs::metadata("target/inner/file").is_ok());
    drop((tree, inside));
    check!(fs::metadata("target/inner/file").is_ok(), "the tree went with its descriptor");
    // Without a copy it stands for the place, which can be moved as by mount(2).
    fs::create_dir("elsewhere")?;
    let place = open_tree("target", 0)?;
    move_to(place.as_fd(), "elsewhere")?;
    check!(fs::metadata("elsewhere/inner/file").is_ok());
    check_eq!(super::names("target")?, Vec::<String>::new());
    Ok(())
}

fn a_detached_tree_ends_with_its_descriptor() -> Outcome {
    own_mounts()?;
    mount_tmpfs("source")?;
    File::create("source/file")?;
    let tree = open_tree("source", OPEN_TREE_CLONE)?;
    let twin = tree.try_clone()?;
    drop(tree);
    let kept = nix::fcntl::openat(&twin, "file", nix::fcntl::OFlag::O_RDONLY, nix::sys::stat::Mode::empty())?;
    drop(twin);
    check_eq!(File::from(kept).metadata()?.len(), 0);
    umount("source")?;
    check_fails!(open_tree("source", AT_RECURSIVE), EINVAL);
    check_fails!(open_tree("source", 1 << 20), EINVAL);
    check_fails!(open_tree("missing", OPEN_TREE_CLONE), ENOENT);
    Ok(())
}

fn unbindable_mounts_stay_out_of_recursive_binds() -> Outcome {
    own_mounts()?;
    fs::create_dir("source")?;
    mount_tmpfs("source/shown")?;
    mount_tmpfs("source/hidden")?;
    File::create("source/shown/file")?;
    File::create("source/hidden/file")?;
    mount(NO, "source/hidden", NO, MsFlags::MS_UNBINDABLE, NO)?;
    fs::create_dir("target")?;
    mount(Some("source"), "target", NO, MsFlags::MS_BIND | MsFlags::MS_REC, NO)?;
    check!(fs::metadata("target/shown/file").is_ok());
    check_fails!(fs::metadata("target/hidden/file"), ENOENT);
    let bound = mount(Some("source/hidden"), "target", NO, MsFlags::MS_BIND, NO);
    check_fails!(bound, EINVAL);
    check_fails!(open_tree("source/hidden", OPEN_TREE_CLONE), EINVAL);
    Ok(())
}

fn attributes_change_for_a_whole_tree_or_none() -> Outcome {
    own_mounts()?;
    mount_tmpfs("top")?;
    mount_tmpfs("top/inner")?;
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::sys::stat::mknod("top/inner/null", nix::sys::stat::SFlag::S_IFCHR, mode, 0x103)?;
    let writer = File::create("top/inner/file")?;
    check_fails!(change("top", AT_RECURSIVE, ATTR_RDONLY | ATTR_NODEV, 0, 0), EBUSY);
    check!(File::open("top/inner/null").is_ok(), "one of two flags was set");
    check!(File::create("top/file").is_ok(), "one of two mounts was changed");
    drop(writer);
    change("top", AT_RECURSIVE, ATTR_RDONLY | ATTR_NODEV, 0, 0)?;
    check_fails!(File::create("top/other"), EROFS);
    check_fails!(File::create("top/inner/other"), EROFS);
    check_fails!(File::open("top/inner/null"), EACCES);
    // Without AT_RECURSIVE, only the one.
    change("top", 0, 0, ATTR_RDONLY, 0)?;
    check!(File::create("top/other").is_ok());
    check_fails!(File::create("top/inner/other"), EROFS);
    change("top/inner", 0, ATTR_NOATIME, ATTR_RDONLY | ATTR_ATIME, 0)?;
    let info = fs::read_to_string("/proc/self/mountinfo")?;
    let line = info.lines().find(|line| line.contains("/top/inner ")).unwrap_or_default();
    let options: Vec<&str> = line.split(' ').nth(5).unwrap_or_default().split(',').collect();
    check!(["rw", "nodev", "noatime"].iter().all(|option| options.contains(option)), "{line}");
    Ok(())
}

fn attributes_change_propagation() -> Outcome {
    own_mounts()?;
    mount_tmpfs("base")?;
    fs::create_dir("base/point")?;
    fs::create_dir("peer")?;
    change("base", AT_RECURSIVE, 0, 0, MsFlags::MS_SHARED.bits())?;
    mount(Some("base"), "peer", NO, MsFlags::MS_BIND, NO)?;
    mount(Some("x"), "base/point", Some("tmpfs"), MsFlags::empty(), NO)?;
    File::create("base/point/file")?;
    check!(fs::metadata("peer/point/file").is_ok());
    // A detached tree that is put on a shared mount goes to its peers as well.
    fs::create_dir("base/second")?;
    mount_tmpfs("source")?;
    File::create("source/mark")?;
    move_to(open_tree("source", OPEN_TREE_CLONE)?.as_fd(), "base/second")?;
    check!(fs::metadata("peer/second/mark").is_ok());
    Ok(())
}

fn mount_setattr_checks_its_arguments() -> Outcome {
    own_mounts()?;
    mount_tmpfs("top")?;
    fs::create_dir("top/dir")?;
    check_fails!(change("top/dir", 0, ATTR_RDONLY, 0, 0), EINVAL);
    check_fails!(change("top", 1 << 20, ATTR_RDONLY, 0, 0), EINVAL);
    check_fails!(change("top", 0, 1 << 40, 0, 0), EINVAL);
    check_fails!(change("top", 0, 0, 1 << 40, 0), EINVAL);
    check_fails!(change("top", 0, ATTR_NOATIME, 0, 0), EINVAL);
    check_fails!(change("top", 0, 0, ATTR_NOATIME, 0), EINVAL);
    check_fails!(change("top", 0, 0x30, ATTR_ATIME, 0), EINVAL);
    let both = MsFlags::MS_SHARED | MsFlags::MS_PRIVATE;
    check_fails!(change("top", 0, 0, 0, both.bits()), EINVAL);
    check_fails!(change("top", 0, 0, 0, 1), EINVAL);
    check_fails!(change("missing", 0, ATTR_RDONLY, 0, 0), ENOENT);
    let call = |attributes: &[u64], len: usize| {
        let path = text("top");
        let arguments = [HERE, path.as_ptr().addr(), 0, attributes.as_ptr().addr(), len];
        // SAFETY: the string and the array live on; `len` is at most the array's.
        unsafe { raw::syscall(libc::SYS_mount_setattr, arguments) }
    };
    check_fails!(call(&[0; 4], 24), EINVAL);
    check_fails!(call(&[0, 0, 0, 0, 1], 40), E2BIG);
    check!(call(&[0, 0, 0, 0, 0], 40).is_ok());
    check_fails!(call(&[0; 1000], 8000), E2BIG);
    Ok(())
}

fn a_file_system_is_mounted_step_by_step() -> Outcome {
    own_mounts()?;
    fs::create_dir("dir")?;
    let context = fsopen("tmpfs")?;
    configure(&context, SET_STRING, Some("source"), Some("by-steps"))?;
    configure(&context, SET_STRING, Some("mode"), Some("0700"))?;
    configure(&context, SET_STRING, Some("size"), Some("64k"))?;
    check_fails!(fsmount(&context, 0), EINVAL);
    configure(&context, CREATE, None, None)?;
    check_fails!(configure(&context, CREATE, None, None), EBUSY);
    let made = fsmount(&context, ATTR_NODEV)?;
    check_fails!(fsmount(&context, 0), EBUSY);
    move_to(made.as_fd(), "dir")?;
    check_eq!(fs::metadata("dir")?.mode() & 0o7777, 0o700);
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let line = mounts.lines().find(|line| line.starts_with("by-steps ")).unwrap_or_default();
    check!(line.contains("nodev") && line.contains("size=64k"), "{mounts}");
    check_fails!(fs::write("dir/file", vec![0; 100 << 10]), ENOSPC);
    umount("dir").or_else(|_| {
        // Its descriptor keeps it busy.
        drop(made);
        umount("dir")
    })?;
    Ok(())
}

fn a_picked_file_system_becomes_read_only() -> Outcome {
    own_mounts()?;
    mount_tmpfs("dir")?;
    let path = text("dir");
    let context = descriptor(libc::SYS_fspick, [HERE, path.as_ptr().addr(), 1, 0, 0])?;
    configure(&context, SET_FLAG, Some("ro"), None)?;
    configure(&context, RECONFIGURE, None, None)?;
    check_fails!(File::create("dir/file"), EROFS);
    let path = text("dir/missing");
    check_fails!(descriptor(libc::SYS_fspick, [HERE, path.as_ptr().addr(), 1, 0, 0]), ENOENT);
    Ok(())
}

fn contexts_check_what_comes_when() -> Outcome {
    own_mounts()?;
    check_fails!(fsopen("nonsense"), ENODEV);
    let context = fsopen("tmpfs")?;
    check_fails!(configure(&context, SET_STRING, Some("mode"), None), EINVAL);
    check_fails!(configure(&context, SET_STRING, None, Some("0700")), EINVAL);
    check_fails!(configure(&context, SET_FLAG, Some("ro"), Some("x")), EINVAL);
    check_fails!(configure(&context, CREATE, Some("key"), None), EINVAL);
    check_fails!(configure(&context, 99, None, None), EOPNOTSUPP);
    check_fails!(configure(&context, RECONFIGURE, None, None), EBUSY);
    let file = OwnedFd::from(File::create("file")?);
    check_fails!(configure(&file, CREATE, None, None), EINVAL);
    check_fails!(fsmount(&file, 0), EINVAL);
    let name = text("tmpfs");
    check_fails!(descriptor(libc::SYS_fsopen, [name.as_ptr().addr(), 2, 0, 0, 0]), EINVAL);
    check_fails!(raw::harmless(libc::SYS_fsconfig, [usize::MAX, CREATE, 0, 0, 0]), EINVAL);
    check_fails!(raw::harmless(libc::SYS_fsopen, [raw::BAD_ADDRESS, 0]), EFAULT);
    Ok(())
}

fn a_mount_of_another_namespace_is_left_alone() -> Outcome {
    own_mounts()?;
    mount_tmpfs("dir")?;
    fs::create_dir("dir/inner")?;
    fs::create_dir("target")?;
    let outside = File::open("dir")?;
    own_mounts()?;
    let path = format!("/proc/self/fd/{}", outside.as_raw_fd());
    check_fails!(mount(Some(path.as_str()), "target", NO, MsFlags::MS_BIND, NO), EINVAL);
    check_fails!(open_tree(&path, OPEN_TREE_CLONE), EINVAL);
    check_fails!(change(&path, 0, ATTR_RDONLY, 0, 0), EINVAL);
    let inner = format!("{path}/inner");
    check_fails!(mount(Some("x"), inner.as_str(), Some("tmpfs"), MsFlags::empty(), NO), EINVAL);
    let own = open_tree("dir", OPEN_TREE_CLONE)?;
    check_fails!(move_to(own.as_fd(), &inner), EINVAL);
    check_fails!(umount(path.as_str()), EINVAL);
    Ok(())
}

fn the_mount_calls_need_privilege() -> Outcome {
    own_mounts()?;
    let context = fsopen("tmpfs")?;
    mount_tmpfs("dir")?;
    fs::set_permissions(".", std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
    check_fails!(open_tree("/", OPEN_TREE_CLONE), EPERM);
    check!(open_tree("/", 0).is_ok());
    check_fails!(change("/", 0, ATTR_RDONLY, 0, 0), EPERM);
    check_fails!(fsopen("tmpfs"), EPERM);
    check_fails!(configure(&context, CREATE, None, None), EPERM);
    check_fails!(fsmount(&context, 0), EPERM);
    let root = File::open("/")?;
    check_fails!(move_to(root.as_fd(), "/tmp"), EPERM);
    let (empty, place) = (text(""), text("/"));
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    let arguments = [number(&root), empty.as_ptr().addr(), HERE, place.as_ptr().addr(), flags];
    // SAFETY: both strings live until the call is done.
    check_fails!(unsafe { raw::syscall(libc::SYS_move_mount, arguments) }, EPERM);
    let tree = descriptor(libc::SYS_open_tree, [number(&root), empty.as_ptr().addr(), AT_EMPTY_PATH, 0, 0]);
    check!(tree.is_ok());
    Ok(())
}
