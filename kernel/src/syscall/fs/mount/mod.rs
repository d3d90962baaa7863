//! mount(2), umount2(2), pivot_root(2); the calls after mount(2) are in the files beside this one.

pub mod attributes;
pub mod context;
pub mod tree;

use super::{AT_FDCWD, PathName};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::file_system::{self, MountRequest};
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::fs::vfs::mount::MountFlags;
use crate::fs::vfs::mount_ns::MountNs;
use crate::fs::vfs::mount_tree;
use crate::fs::vfs::place::Path;
use crate::fs::vfs::propagation::Propagation;
use crate::process::credentials::Capability;
use crate::process::table;
use crate::syscall::{UserCStr, UserPtr};
use alloc::sync::Arc;
use alloc::vec::Vec;

const MS_REMOUNT: u64 = 32;
const MS_NOATIME: u64 = 1024;
const MS_BIND: u64 = 4096;
const MS_MOVE: u64 = 8192;
const MS_REC: u64 = 16384;
const MS_STRICTATIME: u64 = 1 << 24;
const MS_MAGIC: u64 = 0xc0ed_0000;
const MS_MAGIC_MASK: u64 = 0xffff_0000;

/// MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED.
const PROPAGATION: u64 = 0xf << 17;

const MNT_DETACH: u32 = 2;
const UMOUNT_NOFOLLOW: u32 = 8;
/// MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW.
const UMOUNT_KNOWN: u32 = 15;
const MNT_EXPIRE: u32 = 4;

/// The longest option string: a page, as on Linux.
const OPTIONS_MAX: usize = 4096;

/// mount(2).
pub fn sys_mount(
    source: UserCStr,
    target: UserCStr,
    driver: UserCStr,
    flags: u64,
    options: UserPtr<u8>,
    context: &mut Context<'_>,
) -> Result<()> {
    let driver = optional(driver)?;
    let source = optional(source)?;
    let options = read_options(options)?;
    let flags = if flags & MS_MAGIC_MASK == MS_MAGIC { flags & !MS_MAGIC_MASK } else { flags };
    let start = LookupStart::of(context.thread);
    let target = PathName::read(target)?;
    let target = lookup::lookup(&start, &target, LookupFlags::FOLLOW)?;
    let namespace = &own_namespace(context)?;

    if flags & MS_REMOUNT != 0 {
        let mut new = mount_flags(flags);
        if flags
            & (MS_NOATIME
                | MS_STRICTATIME
                | u64::from((MountFlags::NO_DIRATIME | MountFlags::RELATIME).bits()))
            == 0
        {
            // Without a word on access times, a remount keeps what there is.
            let kept = MountFlags::NO_ATIME | MountFlags::NO_DIRATIME | MountFlags::RELATIME;
            new = (new - kept) | (target.mount.flags() & kept);
        }
        return mount_tree::remount(namespace, &start, &target, new, &options, flags & MS_BIND != 0);
    }
    if flags & MS_BIND != 0 {
        let source = existing(&start, source.as_deref())?;
        return mount_tree::bind(namespace, &source, target, flags & MS_REC != 0);
    }
    if let Some(propagation) = propagation(flags)? {
        return mount_tree::set_propagation(&target, propagation, flags & MS_REC != 0);
    }
    if flags & MS_MOVE != 0 {
        let source = existing(&start, source.as_deref())?;
        return mount_tree::move_mount(namespace, &source, target);
    }
    let driver = file_system::find(&driver.ok_or(Errno::EINVAL)?)?;
    let source = source.as_deref().unwrap_or(b"none");
    let flags = mount_flags(flags);
    let read_only = flags.contains(MountFlags::READ_ONLY);
    driver.check_mounter(&start.credentials)?;
    let super_block = driver.mount(&MountRequest { options: &options, read_only, start: &start })?;
    let flags = mount_tree::checked_flags(namespace, &super_block, flags)?;
    mount_tree::mount_new(namespace, target, super_block, source, flags)
}

/// umount2(2).
pub fn sys_umount2(target: UserCStr, flags: u32, context: &mut Context<'_>) -> Result<()> {
    if flags & !UMOUNT_KNOWN != 0 || (flags & MNT_EXPIRE != 0 && flags & !(MNT_EXPIRE | UMOUNT_NOFOLLOW) != 0)
    {
        return Err(Errno::EINVAL.into());
    }
    let namespace = own_namespace(context)?;
    let name = PathName::read(target)?;
    let follow = if flags & UMOUNT_NOFOLLOW != 0 { LookupFlags::empty() } else { LookupFlags::FOLLOW };
    let target = {
        let start = LookupStart::at(context.thread, AT_FDCWD, &name)?;
        // Also "." means what was mounted last there: runtimes pivot onto it.
        lookup::lookup(&start, &name, follow)?.into_top()
    };
    mount_tree::unmount(&namespace, target, flags & MNT_DETACH != 0)
}

/// pivot_root(2).
pub fn sys_pivot_root(new_root: UserCStr, put_old: UserCStr, context: &mut Context<'_>) -> Result<()> {
    let namespace = own_namespace(context)?;
    let start = LookupStart::of(context.thread);
    let new_root = existing_directory(&start, new_root)?;
    let put_old = existing_directory(&start, put_old)?;
    mount_tree::pivot_root(&namespace, &start.root, &new_root, &put_old)?;
    table::for_each(|process| {
        for thread in process.threads() {
            if let Some(place) = thread.living_place() {
                place.move_along(&start.root, &new_root);
            }
        }
        true
    });
    Ok(())
}

/// The caller's mount namespace; EPERM if it may not change it.
fn own_namespace(context: &Context<'_>) -> Result<Arc<MountNs>> {
    let namespace = context.thread.namespaces()?.mount.clone();
    if !context.process.credentials().has_in(namespace.owner(), Capability::SysAdmin) {
        return Err(Errno::EPERM.into());
    }
    Ok(namespace)
}

fn existing(start: &LookupStart, path: Option<&[u8]>) -> Result<Path> {
    let path = path.filter(|path| !path.is_empty()).ok_or(Errno::EINVAL)?;
    lookup::lookup(start, path, LookupFlags::FOLLOW)
}

fn existing_directory(start: &LookupStart, path: UserCStr) -> Result<Path> {
    lookup::lookup(start, &PathName::read(path)?, LookupFlags::FOLLOW | LookupFlags::DIRECTORY)
}

fn mount_flags(flags: u64) -> MountFlags {
    let mut own = MountFlags::from_bits_truncate(flags as u32);
    // relatime is what mounts have unless they say otherwise.
    if flags & (MS_NOATIME | MS_STRICTATIME) == 0 {
        own |= MountFlags::RELATIME;
    }
    own
}

fn propagation(flags: u64) -> Result<Option<Propagation>> {
    let all = [Propagation::Shared, Propagation::Private, Propagation::Slave, Propagation::Unbindable];
    let mut named = all.into_iter().filter(|kind| flags & *kind as u64 != 0);
    match (named.next(), named.next()) {
        (kind, None) => Ok(kind),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn optional(text: UserCStr) -> Result<Option<Vec<u8>>> {
    if text.address() == 0 { Ok(None) } else { text.read_path().map(Some) }
}

/// The option string: up to a page, or as much of one as can be read.
fn read_options(options: UserPtr<u8>) -> Result<Vec<u8>> {
    if options.is_null() {
        return Ok(Vec::new());
    }
    match UserCStr::new(options.address()).read(OPTIONS_MAX)? {
        Some(text) => Ok(text),
        None => Err(Errno::EINVAL.into()),
    }
}
