//! [`ControlFile`]: one thing that a group says or is told.

use super::directory::Stat;
use super::table::{Row, Taken};
use crate::cgroup::{Bell, Cgroup};
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::synthetic::{Reading, Source, Text};
use crate::fs::vfs::inode::{Access, Attributes, FileType, Inode, Metadata};
use crate::process::credentials::Credentials;
use crate::thread::Thread;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::mm::{VmReader, VmWriter};

/// A file of a group.
#[derive(Debug)]
pub struct ControlFile {
    row: &'static Row,
    stat: Stat,
    cgroup: Arc<Cgroup>,
}

/// What an opening shows and takes.
#[derive(Debug)]
struct Control {
    row: &'static Row,
    cgroup: Arc<Cgroup>,
    /// Who opened it: they answer for what is written, whoever holds the descriptor (Linux does so since CVE-2021-4197).
    opener: Arc<Credentials>,
}

/// An opening.
#[derive(Debug)]
struct Opening {
    control: Arc<Control>,
    reading: Reading,
    /// The state of the bell that was read last.
    heard: AtomicU64,
}

impl ControlFile {
    /// The file of `cgroup` that `row` describes.
    pub fn new(row: &'static Row, cgroup: &Arc<Cgroup>, owner: (u32, u32)) -> Arc<Self> {
        let stat = Stat::new(FileType::Regular, row.permissions, owner);
        Arc::new(Self { row, stat, cgroup: cgroup.clone() })
    }

    /// Its row in the table.
    pub fn row(&self) -> &'static Row {
        self.row
    }

    /// Its inode number.
    pub fn ino(&self) -> u64 {
        self.stat.metadata().ino
    }
}

impl Inode for ControlFile {
    fn metadata(&self) -> Metadata {
        self.stat.metadata()
    }

    fn access(&self) -> Access {
        self.stat.access()
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        self.stat.change(change);
        Ok(())
    }

    fn open(&self, _: u32) -> Result<Option<Arc<dyn FileOps>>> {
        if self.cgroup.is_removed() {
            return Err(Errno::ENODEV.into());
        }
        let opener = Thread::current().ok_or(Errno::EACCES)?.process().credentials();
        let control = Arc::new(Control { row: self.row, cgroup: self.cgroup.clone(), opener });
        let heard = control.bell().map_or(0, Bell::rings);
        let reading = Reading::new(control.clone());
        Ok(Some(Arc::new(Opening { control, reading, heard: AtomicU64::new(heard) })))
    }
}

impl Control {
    fn bell(&self) -> Option<&Bell> {
        self.row.bell.map(|bell| bell(&self.cgroup))
    }
}

impl Source for Control {
    fn show(&self, text: &mut Text) -> Result<()> {
        if self.cgroup.is_removed() {
            return Err(Errno::ENODEV.into());
        }
        self.row.show.map_or(Err(Errno::EINVAL.into()), |show| show(&self.cgroup, text))
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        if self.cgroup.is_removed() {
            return Err(Errno::ENODEV.into());
        }
        let word = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?.trim();
        let taken = Taken { cgroup: &self.cgroup, word, opener: &self.opener };
        self.row.store.map_or(Err(Errno::EINVAL.into()), |store| store(&taken))
    }
}

impl FileOps for Opening {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.hear(*file.position().lock());
        self.reading.read(file, writer)
    }

    fn read_at(&self, file: &OpenFile, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.hear(offset);
        self.reading.read_at(file, offset, writer)
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        self.reading.write(file, reader)
    }

    fn write_at(&self, file: &OpenFile, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        self.reading.write_at(file, offset, reader)
    }

    fn seek(&self, file: &OpenFile, offset: i64, whence: u32) -> Result<u64> {
        self.reading.seek(file, offset, whence)
    }

    fn poll(&self, _: &OpenFile) -> IoEvents {
        let ready = IoEvents::IN | IoEvents::OUT | IoEvents::RDNORM | IoEvents::WRNORM;
        let has_rung =
            self.control.bell().is_some_and(|bell| bell.rings() != self.heard.load(Ordering::Relaxed));
        if has_rung { ready | IoEvents::PRI | IoEvents::ERR } else { ready }
    }

    fn pollee(&self) -> Option<&Pollee> {
        self.control.bell().map(|bell| &bell.pollee)
    }
}

impl Opening {
    /// Whoever reads from the start knows of all changes before that.
    fn hear(&self, offset: u64) {
        if offset == 0
            && let Some(bell) = self.control.bell()
        {
            self.heard.store(bell.rings(), Ordering::Relaxed);
        }
    }
}
