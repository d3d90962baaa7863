//! Files of text that is made when a reader begins at its start, and then stays the same for that reader.

use super::{Face, Owner, Text, refuse_change};
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::vfs::inode::{Attributes, Inode, Metadata};
use crate::fs::vfs::inode_file::seek_target;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::mm::{PAGE_SIZE, VmReader, VmWriter};
use ostd::sync::Mutex;

/// What a file shows and takes.
pub trait Source: Send + Sync + core::fmt::Debug + 'static {
    /// Writes the whole text.
    fn show(&self, text: &mut Text) -> Result<()>;

    /// Takes what was written, whole: at most a page.
    fn store(&self, bytes: &[u8]) -> Result<()> {
        let _ = bytes;
        Err(Errno::EIO.into())
    }

    /// Who owns it.
    fn owner(&self) -> Owner {
        (0, 0)
    }

    /// What stat(2) gives as its size.
    fn size(&self) -> u64 {
        0
    }

    /// Whether this opening is allowed, and by what it is served if not as text.
    fn open(&self, flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        let _ = flags;
        Ok(None)
    }
}

/// A file.
#[derive(Debug)]
pub struct TextFile {
    face: Face,
    source: Arc<dyn Source>,
}

/// An open one.
#[derive(Debug)]
pub struct Reading {
    source: Arc<dyn Source>,
    /// Made by the first read, and anew by each that begins at the start.
    text: Mutex<Option<Vec<u8>>>,
}

impl Reading {
    /// An opening of `source`.
    pub fn new(source: Arc<dyn Source>) -> Self {
        Self { source, text: Mutex::new(None) }
    }
}

impl TextFile {
    /// A file that shows `source`.
    pub fn new(face: Face, source: Arc<dyn Source>) -> Arc<Self> {
        Arc::new(Self { face, source })
    }
}

impl Inode for TextFile {
    fn metadata(&self) -> Metadata {
        self.face.metadata(self.source.owner(), 1, self.source.size())
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        refuse_change(change)
    }

    fn open(&self, flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        if let Some(ops) = self.source.open(flags)? {
            return Ok(Some(ops));
        }
        Ok(Some(Arc::new(Reading::new(self.source.clone()))))
    }
}

impl FileOps for Reading {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let mut position = file.position().lock();
        let len = self.read_at(file, *position, writer)?;
        *position += len as u64;
        Ok(len)
    }

    fn read_at(&self, _: &OpenFile, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        let mut text = self.text.lock();
        if offset == 0 {
            *text = None;
        }
        let bytes = match &mut *text {
            Some(bytes) => bytes,
            none => {
                let mut new = Text::default();
                self.source.show(&mut new)?;
                none.insert(new.into_bytes()?)
            }
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        Ok(writer.write(rest)?)
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let len = self.write_at(file, 0, reader)?;
        *file.position().lock() += len as u64;
        Ok(len)
    }

    fn write_at(&self, _: &OpenFile, _: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        let len = reader.remaining();
        if len > PAGE_SIZE {
            return Err(Error::with(Errno::EINVAL, "more than a page"));
        }
        let mut bytes = alloc::vec![0; len];
        reader.read_exact(&mut bytes)?;
        self.source.store(&bytes)?;
        Ok(len)
    }

    fn seek(&self, file: &OpenFile, offset: i64, whence: u32) -> Result<u64> {
        let mut position = file.position().lock();
        *position = seek_target(&**file.inode()?, *position, offset, whence)?;
        Ok(*position)
    }
}
