//! Path walks (path_resolution(7), openat2(2)): from a string to a [`Path`].
//!
//! A walk over cached names takes a spin lock for each component, copies references, and allocates only for symbolic links.

use super::dentry::Dentry;
use super::inode::FileType;
use super::mount::MountFlags;
use super::permission;
use super::place::Path;
use crate::error::{Errno, Error, Result};
use crate::process::credentials::Credentials;
use crate::syscall::Fd;
use crate::thread::Thread;
use alloc::sync::Arc;
use bitflags::bitflags;

/// The longest name (limits.h).
pub const NAME_MAX: usize = 255;
/// The most symbolic links in one walk.
const LINKS_MAX: u32 = 40;
/// `AT_FDCWD`.
pub const AT_FDCWD: i32 = -100;

bitflags! {
    /// How to walk.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct LookupFlags: u32 {
        /// Follow a symbolic link at the end.
        const FOLLOW = 1;
        /// An empty path means the start itself (AT_EMPTY_PATH).
        const EMPTY_PATH = 1 << 1;
        /// The end must be a directory.
        const DIRECTORY = 1 << 2;
        /// RESOLVE_NO_XDEV.
        const NO_XDEV = 1 << 8;
        /// RESOLVE_NO_MAGICLINKS.
        const NO_MAGICLINKS = 1 << 9;
        /// RESOLVE_NO_SYMLINKS.
        const NO_SYMLINKS = 1 << 10;
        /// RESOLVE_BENEATH.
        const BENEATH = 1 << 11;
        /// RESOLVE_IN_ROOT.
        const IN_ROOT = 1 << 12;
    }
}

/// Where walks start and on whose behalf they go.
#[derive(Clone, Debug)]
pub struct LookupStart {
    /// The root that '/' means and that '..' does not leave.
    pub root: Path,
    /// Where relative paths start.
    pub base: Path,
    /// Who asks.
    pub credentials: Arc<Credentials>,
}

impl LookupStart {
    /// From `thread`'s root and working directory.
    pub fn of(thread: &Thread) -> Self {
        let (root, base) = thread.place().both();
        Self { root, base, credentials: thread.process().credentials() }
    }

    /// As the `dirfd` of the *at calls says. It is looked at only for relative paths.
    ///
    /// # Errors
    /// EBADF. (ENOTDIR comes from the walk.)
    pub fn at(thread: &Thread, dirfd: Fd, path: &[u8]) -> Result<Self> {
        let mut start = Self::of(thread);
        if dirfd.0 != AT_FDCWD && path.first() != Some(&b'/') {
            start.base = thread.process().fds().get(dirfd)?.path().clone();
        }
        Ok(start)
    }

    /// The same place for the same root with other credentials.
    pub fn with_credentials(&self, credentials: Arc<Credentials>) -> Self {
        Self { root: self.root.clone(), base: self.base.clone(), credentials }
    }
}

/// The last component of a path.
#[derive(Clone, Copy, Debug)]
pub struct Last<'p> {
    /// What it is.
    pub kind: LastKind<'p>,
    /// Slashes followed it: only a directory will do.
    pub wants_directory: bool,
}

/// Kinds of last components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastKind<'p> {
    /// Nothing but slashes.
    Root,
    /// ".".
    Dot,
    /// "..".
    DotDot,
    /// A name.
    Name(&'p [u8]),
}

/// Walks `path` to what it names.
///
/// # Errors
/// As path_resolution(7): ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG; with restrictions EXDEV.
pub fn lookup(start: &LookupStart, path: &[u8], flags: LookupFlags) -> Result<Path> {
    if path.is_empty() {
        if !flags.contains(LookupFlags::EMPTY_PATH) {
            return Err(Errno::ENOENT.into());
        }
        return Ok(start.base.clone());
    }
    let mut walk = Walk::new(start, flags);
    let last = walk.walk_to_parent(path)?;
    walk.finish(last)?;
    if flags.contains(LookupFlags::DIRECTORY) && !walk.at.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    Ok(walk.at)
}

/// Walks `path` up to its last component: the directory and the rest.
///
/// # Errors
/// As [`lookup`].
pub fn lookup_parent<'p>(
    start: &LookupStart,
    path: &'p [u8],
    flags: LookupFlags,
) -> Result<(Path, Last<'p>)> {
    if path.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let mut walk = Walk::new(start, flags);
    let last = walk.walk_to_parent(path)?;
    if !walk.at.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    Ok((walk.at, last))
}

/// A walk under way.
#[derive(Debug)]
pub struct Walk<'a> {
    start: &'a LookupStart,
    root: Path,
    flags: LookupFlags,
    links: u32,
    /// Where it has come to.
    pub at: Path,
}

impl<'a> Walk<'a> {
    /// At its start.
    pub fn new(start: &'a LookupStart, flags: LookupFlags) -> Self {
        let is_confined = flags.intersects(LookupFlags::BENEATH | LookupFlags::IN_ROOT);
        let root = if is_confined { start.base.clone() } else { start.root.clone() };
        Self { start, root, flags, links: 0, at: start.base.clone() }
    }

    /// Walks all components of `path` but the last.
    pub fn walk_to_parent<'p>(&mut self, path: &'p [u8]) -> Result<Last<'p>> {
        let mut rest = path;
        if rest.first() == Some(&b'/') {
            if self.flags.contains(LookupFlags::BENEATH) {
                return Err(Errno::EXDEV.into());
            }
            self.jump(self.root.clone())?;
        }
        loop {
            rest = skip_slashes(rest);
            if rest.is_empty() {
                return Ok(Last { kind: LastKind::Root, wants_directory: true });
            }
            let len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            let (name, after) = rest.split_at(len);
            let kind = match name {
                b"." => LastKind::Dot,
                b".." => LastKind::DotDot,
                _ => LastKind::Name(name),
            };
            rest = skip_slashes(after);
            if rest.is_empty() {
                return Ok(Last { kind, wants_directory: !after.is_empty() });
            }
            self.step(kind, true)?;
            if !self.at.is_directory() {
                return Err(Errno::ENOTDIR.into());
            }
        }
    }

    /// Walks the last component; symbolic links there are followed as the flags, or slashes behind it, ask.
    pub fn finish(&mut self, last: Last<'_>) -> Result<()> {
        let follow = last.wants_directory || self.flags.contains(LookupFlags::FOLLOW);
        self.step(last.kind, follow)?;
        if last.wants_directory && !self.at.is_directory() {
            return Err(Errno::ENOTDIR.into());
        }
        Ok(())
    }

    /// The dentry of `name` in the directory come to, maybe an absence; checks that it may be searched.
    pub fn child(&mut self, name: &[u8]) -> Result<Arc<Dentry>> {
        let directory = &self.at.dentry;
        if !directory.is_directory() {
            return Err(Errno::ENOTDIR.into());
        }
        permission::check_search(&**directory.inode()?, &self.start.credentials)?;
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG.into());
        }
        directory.child(name)
    }

    /// Goes to `child` of the directory come to, and on to what is mounted there.
    pub fn enter(&mut self, child: Arc<Dentry>) -> Result<()> {
        self.at.dentry = child;
        if self.at.dentry.is_mount_point() {
            let top = self.at.clone().into_top();
            self.check_same_mount(&top)?;
            self.at = top;
        }
        Ok(())
    }

    /// Follows the symbolic link `link`, found in the directory come to.
    pub fn follow(&mut self, link: &Arc<Dentry>) -> Result<()> {
        let inode = link.inode()?;
        self.count_link()?;
        if let Some(target) = inode.follow_magic() {
            return self.follow_magic(target);
        }
        let target = inode.read_link()?;
        if target.is_empty() {
            return Err(Errno::ENOENT.into());
        }
        let last = self.walk_to_parent(&target)?;
        // A link to a link is followed whatever the flags say: they are about the path given.
        self.step(last.kind, true)?;
        if last.wants_directory && !self.at.is_directory() {
            return Err(Errno::ENOTDIR.into());
        }
        Ok(())
    }

    /// ELOOP after too many links, or if links are not wanted.
    pub fn count_link(&mut self) -> Result<()> {
        self.links += 1;
        let is_refused = self.links > LINKS_MAX
            || self.flags.contains(LookupFlags::NO_SYMLINKS)
            || self.at.mount.flags().contains(MountFlags::NO_SYMFOLLOW);
        if is_refused { Err(Errno::ELOOP.into()) } else { Ok(()) }
    }

    fn follow_magic(&mut self, target: Result<Path>) -> Result<()> {
        if self.flags.contains(LookupFlags::NO_MAGICLINKS) {
            return Err(Errno::ELOOP.into());
        }
        if self.flags.intersects(LookupFlags::BENEATH | LookupFlags::IN_ROOT) {
            return Err(Errno::EXDEV.into());
        }
        let target = target?;
        self.check_same_mount(&target)?;
        self.at = target;
        Ok(())
    }

    fn step(&mut self, kind: LastKind<'_>, follow: bool) -> Result<()> {
        match kind {
            LastKind::Root | LastKind::Dot => {
                if kind == LastKind::Dot {
                    self.check_search()?;
                }
                Ok(())
            }
            LastKind::DotDot => self.up(),
            LastKind::Name(name) => {
                let child = self.child(name)?;
                match child.file_type() {
                    None => Err(Error::new(Errno::ENOENT)),
                    Some(FileType::Symlink) if follow => self.follow(&child),
                    Some(_) => self.enter(child),
                }
            }
        }
    }

    fn up(&mut self) -> Result<()> {
        self.check_search()?;
        if self.at.is_same(&self.root) {
            return if self.flags.contains(LookupFlags::BENEATH) { Err(Errno::EXDEV.into()) } else { Ok(()) };
        }
        // The top of everything is its own parent, also when it is not our root (after chroot and fchdir).
        if !self.at.is_mount_root() {
            if let Some(parent) = self.at.dentry.parent() {
                let parent = Path { mount: self.at.mount.clone(), dentry: parent };
                self.at = if parent.dentry.is_mount_point() { parent.into_top() } else { parent };
            }
            return Ok(());
        }
        if let Some(parent) = self.parent_within_root() {
            self.jump(parent)?;
        }
        Ok(())
    }

    /// The parent of a mount's root; the mounts in between may themselves be the walk's root.
    fn parent_within_root(&self) -> Option<Path> {
        let mut at = self.at.clone();
        while at.is_mount_root() {
            if at.is_same(&self.root) {
                return None;
            }
            at = at.mount.place()?;
        }
        if at.is_same(&self.root) {
            return Some(at);
        }
        let dentry = at.dentry.parent()?;
        Some(Path { mount: at.mount, dentry }.into_top())
    }

    fn jump(&mut self, to: Path) -> Result<()> {
        self.check_same_mount(&to)?;
        self.at = to;
        Ok(())
    }

    fn check_same_mount(&self, to: &Path) -> Result<()> {
        if self.flags.contains(LookupFlags::NO_XDEV) && !Arc::ptr_eq(&to.mount, &self.at.mount) {
            return Err(Errno::EXDEV.into());
        }
        Ok(())
    }

    fn check_search(&self) -> Result<()> {
        if !self.at.is_directory() {
            return Err(Errno::ENOTDIR.into());
        }
        permission::check_search(&**self.at.inode()?, &self.start.credentials)
    }
}

fn skip_slashes(path: &[u8]) -> &[u8] {
    let slashes = path.iter().take_while(|&&byte| byte == b'/').count();
    &path[slashes..]
}
