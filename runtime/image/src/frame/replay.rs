//! [`Replay`]: a tar read from its record and the unpacked files.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::Piece;
use crate::unpack::{EntryPath, Tree, status};

/// Reads the tar of a layer that was unpacked into a directory while `record` was written.
#[derive(Debug)]
pub struct Replay<R> {
    record: R,
    tree: Tree,
    file: Option<File>,
    current: Current,
}

#[derive(Debug)]
enum Current {
    Bytes(io::Cursor<Vec<u8>>),
    Data { offset: u64, left: u64 },
}

impl<R: Read> Replay<R> {
    /// Starts at the beginning of the tar.
    ///
    /// # Errors
    ///
    /// When `directory` cannot be opened.
    pub fn new(record: R, directory: &Path) -> io::Result<Self> {
        let current = Current::Bytes(io::Cursor::new(Vec::new()));
        Ok(Self { record, tree: Tree::open(directory)?, file: None, current })
    }

    /// Goes on to the next piece that has bytes. False at the end.
    fn advance(&mut self) -> io::Result<bool> {
        match Piece::read(&mut self.record)? {
            None => return Ok(false),
            Some(Piece::Bytes(bytes)) => self.current = Current::Bytes(io::Cursor::new(bytes)),
            Some(Piece::Data { offset, length }) => self.current = Current::Data { offset, left: length },
            Some(Piece::File(path)) => self.file = self.open(&path)?,
        }
        Ok(true)
    }

    /// Opens the file of an entry. None when it is none: a whiteout, say, whose data (there is none in practice) is in the record.
    fn open(&self, path: &[u8]) -> io::Result<Option<File>> {
        let path =
            EntryPath::parse(path).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let Some((parent, name)) = path.split() else { return Ok(None) };
        let Ok(parent) = self.tree.directory(parent) else { return Ok(None) };
        let is_file = |status: rustix::fs::Stat| {
            rustix::fs::FileType::from_raw_mode(status.st_mode) == rustix::fs::FileType::RegularFile
        };
        if !status(&parent, name).is_ok_and(is_file) {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Some(rustix::fs::openat(&parent, name, flags, Mode::empty())?.into()))
    }
}

impl<R: Read> Read for Replay<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = match &mut self.current {
                Current::Bytes(bytes) => bytes.read(buffer)?,
                Current::Data { left: 0, .. } => 0,
                Current::Data { offset, left } => {
                    let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    let buffer = buffer.get_mut(..wanted).unwrap_or_default();
                    let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
                    let count = file.read_at(buffer, *offset)?;
                    if count == 0 && !buffer.is_empty() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    *offset += count as u64;
                    *left -= count as u64;
                    count
                }
            };
            if count > 0 || buffer.is_empty() || !self.advance()? {
                return Ok(count);
            }
        }
    }
}
