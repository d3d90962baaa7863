//! Files, directories, mounts and file systems.

use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::case::Case;

mod directory;
mod fcntl;
mod io;
mod link;
mod metadata;
mod mount;
mod mount_api;
mod open;
mod overlay;
mod permission;
mod rename;
mod space;
mod special;
mod tmpfs;
mod walk;
mod xattr;

pub const CASES: &[&[Case]] = &[
    open::CASES,
    io::CASES,
    metadata::CASES,
    directory::CASES,
    link::CASES,
    rename::CASES,
    walk::CASES,
    permission::CASES,
    fcntl::CASES,
    space::CASES,
    special::CASES,
    xattr::CASES,
    tmpfs::CASES,
    mount::CASES,
    mount_api::CASES,
    overlay::CASES,
];

/// Mounts a new tmpfs on a directory that is made for it; the case's own mount namespace keeps it from the others.
fn mount_tmpfs(target: &str) -> nix::Result<()> {
    nix::unistd::mkdir(target, nix::sys::stat::Mode::S_IRWXU)?;
    mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), None::<&str>)
}

/// Moves this case into a mount namespace of its own, so that its mounts end with it.
pub fn own_mounts() -> nix::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// The names in a directory, sorted.
fn names(path: impl AsRef<Path>) -> std::io::Result<Vec<String>> {
    let mut names = std::fs::read_dir(path)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
