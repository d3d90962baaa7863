//! The mount tables as /proc/PID/mounts, mountinfo and mountstats show them (proc_pid_mountinfo(5)).

use super::file_system::split_device;
use super::mount::{Mount, MountFlags};
use super::mount_ns::MountNs;
use super::place::Path;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Lines of /proc/PID/mounts: what `root` can see.
pub fn mounts(namespace: &MountNs, root: &Path) -> Vec<u8> {
    each_visible(namespace, root, |out, mount, place| {
        escape(out, mount.source());
        out.push(b' ');
        escape(out, place);
        out.extend_from_slice(format!(" {} ", mount.super_block().driver()).as_bytes());
        out.extend_from_slice(if mount.is_read_only() { b"ro" } else { b"rw" });
        show_flags(out, mount);
        mount.super_block().ops().show_options(out);
        out.extend_from_slice(b" 0 0\n");
    })
}

/// Lines of /proc/PID/mountinfo.
pub fn mountinfo(namespace: &MountNs, root: &Path) -> Vec<u8> {
    each_visible(namespace, root, |out, mount, place| {
        let super_block = mount.super_block();
        let parent = mount.place().map_or(mount.id(), |place| place.mount.id());
        let (major, minor) = split_device(super_block.device());
        out.extend_from_slice(format!("{} {parent} {major}:{minor} ", mount.id()).as_bytes());
        escape(out, &root_in_file_system(mount));
        out.push(b' ');
        escape(out, place);
        let is_read_only = mount.flags().contains(MountFlags::READ_ONLY);
        out.extend_from_slice(if is_read_only { b" ro" } else { b" rw" });
        show_flags(out, mount);
        let sharing = mount.sharing();
        if let Some(group) = sharing.group {
            out.extend_from_slice(format!(" shared:{group}").as_bytes());
        }
        if let Some(master) = sharing.master {
            out.extend_from_slice(format!(" master:{master}").as_bytes());
        }
        if sharing.is_unbindable {
            out.extend_from_slice(b" unbindable");
        }
        out.extend_from_slice(format!(" - {} ", super_block.driver()).as_bytes());
        escape(out, mount.source());
        out.extend_from_slice(if super_block.is_read_only() { b" ro" } else { b" rw" });
        super_block.ops().show_options(out);
        out.push(b'\n');
    })
}

/// Lines of /proc/PID/mountstats.
pub fn mountstats(namespace: &MountNs, root: &Path) -> Vec<u8> {
    each_visible(namespace, root, |out, mount, place| {
        out.extend_from_slice(b"device ");
        escape(out, mount.source());
        out.extend_from_slice(b" mounted on ");
        escape(out, place);
        out.extend_from_slice(format!(" with fstype {}\n", mount.super_block().driver()).as_bytes());
    })
}

fn each_visible(
    namespace: &MountNs,
    root: &Path,
    mut line: impl FnMut(&mut Vec<u8>, &Arc<Mount>, &[u8]),
) -> Vec<u8> {
    let mut out = Vec::new();
    // In the order in which they were made, as Linux has it: what is unmounted from the last line up is never in use.
    let mut mounts = namespace.mounts();
    mounts.sort_unstable_by_key(|mount| mount.id());
    for mount in mounts {
        let (place, is_reachable) = Path::root_of(mount.clone()).names_below(root);
        if is_reachable {
            line(&mut out, &mount, &place);
        }
    }
    out
}

/// The part of its file system that a mount shows.
fn root_in_file_system(mount: &Mount) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = mount.root().clone();
    while let Some(parent) = at.parent() {
        names.push(at.name());
        at = parent;
    }
    if names.is_empty() {
        return alloc::vec![b'/'];
    }
    let mut path = Vec::new();
    for name in names.iter().rev() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}

fn show_flags(out: &mut Vec<u8>, mount: &Mount) {
    const NAMED: [(MountFlags, &[u8]); 7] = [
        (MountFlags::NO_SUID, b",nosuid"),
        (MountFlags::NO_DEV, b",nodev"),
        (MountFlags::NO_EXEC, b",noexec"),
        (MountFlags::NO_ATIME, b",noatime"),
        (MountFlags::NO_DIRATIME, b",nodiratime"),
        (MountFlags::RELATIME, b",relatime"),
        (MountFlags::NO_SYMFOLLOW, b",nosymfollow"),
    ];
    let flags = mount.flags();
    for (_, text) in NAMED.iter().filter(|(flag, _)| flags.contains(*flag)) {
        out.extend_from_slice(text);
    }
}

/// Blanks, backslashes and '#' as three octal digits, so that fields stay apart.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\\' | b'#') {
            out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        } else {
            out.push(byte);
        }
    }
}
