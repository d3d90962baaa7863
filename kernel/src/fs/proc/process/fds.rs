//! /proc/PID/fd and fdinfo: open files by descriptor.

use super::Subject;
use super::listing::number;
use super::subject::{Class, reader_root};
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::fs::open_file::flags::O_CLOEXEC;
use crate::fs::synthetic::{Emit, Face, Link, Listing, Owner, Source, Target, Text, TextFile};
use crate::fs::vfs::inode::{FileType, Inode};
use crate::fs::vfs::place::Path;
use crate::syscall::Fd;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// /proc/PID/fd.
#[derive(Debug)]
pub struct Fds(pub Subject);

/// /proc/PID/fdinfo.
#[derive(Debug)]
pub struct FdInfos(pub Subject);

/// One descriptor.
#[derive(Debug)]
struct OneFd {
    subject: Subject,
    fd: Fd,
}

impl OneFd {
    fn named(subject: &Subject, name: &[u8]) -> Result<Self> {
        let fd = i32::try_from(number(name)?).map_err(|_| Errno::ENOENT)?;
        Ok(Self { subject: subject.clone(), fd: Fd(fd) })
    }

    /// The open file; ENOENT once it is closed.
    fn file(&self) -> Result<Arc<OpenFile>> {
        self.subject.check_access()?.fds().get(self.fd).map_err(|_| Errno::ENOENT.into())
    }
}

impl Listing for Fds {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let fd = OneFd::named(&self.0, name)?;
        let face = face_of(&fd, &*fd.file()?);
        Ok(Link::new(face, Arc::new(fd)))
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        list(&self.0, Class::Fd, FileType::Symlink, from, emit)
    }

    fn is_current(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        // The same number may mean another file by now, whose rights are shown by the link's.
        let Ok(fd) = OneFd::named(&self.0, name) else { return false };
        fd.file().is_ok_and(|file| permissions(&file) == child.access().permissions)
    }

    fn owner(&self) -> Owner {
        self.0.owner()
    }
}

impl Listing for FdInfos {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let fd = OneFd::named(&self.0, name)?;
        fd.file()?;
        let ino = self.0.ino(Class::FdInfo, fd.fd.0 as u64);
        Ok(TextFile::new(self.0.volume.face(ino, FileType::Regular, 0o444), Arc::new(fd)))
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        list(&self.0, Class::FdInfo, FileType::Regular, from, emit)
    }

    fn is_current(&self, name: &[u8], _: &Arc<dyn Inode>) -> bool {
        OneFd::named(&self.0, name).is_ok_and(|fd| fd.file().is_ok())
    }

    fn owner(&self) -> Owner {
        self.0.owner()
    }
}

fn list(subject: &Subject, class: Class, file_type: FileType, from: u64, emit: Emit<'_>) -> Result<()> {
    let fds = subject.check_access()?.fds();
    let mut next = u32::try_from(from).unwrap_or(u32::MAX);
    while let Some(fd) = fds.next_open(next) {
        next = fd.0 as u32 + 1;
        let name = format!("{fd}", fd = fd.0);
        if !emit(name.as_bytes(), subject.ino(class, fd.0 as u64), file_type, u64::from(next)) {
            break;
        }
    }
    Ok(())
}

fn face_of(fd: &OneFd, file: &OpenFile) -> Face {
    let ino = fd.subject.ino(Class::Fd, fd.fd.0 as u64);
    fd.subject.volume.face(ino, FileType::Symlink, permissions(file))
}

/// A link's own permissions tell how the file was opened.
fn permissions(file: &OpenFile) -> u32 {
    0o100 | if file.is_readable() { 0o400 } else { 0 } | if file.is_writable() { 0o200 } else { 0 }
}

impl Target for OneFd {
    fn name(&self) -> Result<Vec<u8>> {
        Ok(self.file()?.path().to_bytes(&reader_root()?))
    }

    fn place(&self) -> Option<Result<Path>> {
        Some(self.file().map(|file| file.path().clone()))
    }

    fn owner(&self) -> Owner {
        self.subject.owner()
    }
}

impl Source for OneFd {
    fn show(&self, text: &mut Text) -> Result<()> {
        let file = self.file()?;
        let closes = self.subject.process()?.fds().is_close_on_exec(self.fd).unwrap_or(false);
        let flags = file.flags() | if closes { O_CLOEXEC } else { 0 };
        let position = *file.position().lock();
        text.add(format_args!("pos:\t{position}\nflags:\t0{flags:o}\nmnt_id:\t{}\n", file.path().mount.id()));
        text.add(format_args!("ino:\t{}\n", file.inode()?.metadata().ino));
        Ok(())
    }

    fn owner(&self) -> Owner {
        self.subject.owner()
    }
}
