//! [`Reader`]: headers and extensions merged into one [`Entry`] after another, and the current entry's data.

use std::io::{self, Read};

use super::header::Header;
use super::pax::Extensions;
use super::sparse::{self, Piece};
use super::{BLOCK, Entry, Error, Kind, Time};

/// The largest extension header that is read into memory, in bytes: paths are at most 4 KiB and attributes 64 KiB.
const EXTENSION_LIMIT: u64 = 1 << 20;

/// How much of an entry's data is handed over at a time, in bytes.
const CHUNK: usize = 128 << 10;

/// A source of bytes that can pass over some, perhaps without reading them.
pub trait Skip: Read {
    /// Passes over `bytes` bytes.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when there are not so many.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;

    /// Told before the data of a file is read, with the path as it stands in the archive.
    ///
    /// # Errors
    ///
    /// When a source that remembers the archive cannot.
    fn begin_file(&mut self, _path: &[u8]) -> io::Result<()> {
        Ok(())
    }

    /// Reads data that its taker keeps, at `offset` of the file that was told last. A source that remembers the archive
    /// need not remember these bytes.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when there are not so many.
    fn read_data(&mut self, _offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact(buffer)
    }
}

/// A source that can only be read.
#[derive(Debug)]
pub struct Stream<R>(pub R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Skip for Stream<R> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match io::copy(&mut self.0.by_ref().take(bytes), &mut io::sink())? {
            passed if passed == bytes => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Reads a tar from front to back.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    /// Bytes of the archive taken so far.
    position: u64,
    /// Bytes of the current entry's data that are not taken yet.
    remaining: u64,
    /// Bytes after the data up to the next block.
    padding: u64,
    /// Where the data goes in the file: one piece, unless the file is sparse.
    pieces: Vec<Piece>,
    buffer: Vec<u8>,
}

impl<R: Skip> Reader<R> {
    /// A reader at the start of an archive.
    pub fn new(source: R) -> Self {
        Self { source, position: 0, remaining: 0, padding: 0, pieces: Vec::new(), buffer: Vec::new() }
    }

    /// The source; right after [`Reader::next_entry`] it is at the first byte of the entry's data.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// Gives the source back, somewhere behind the last entry.
    pub fn into_source(self) -> R {
        self.source
    }

    /// The next entry, or None at the end of the archive: an empty block, or the source's end between two entries.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the archive; there is no going on after an error.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        self.skip(self.remaining + self.padding)?;
        (self.remaining, self.padding) = (0, 0);

        let mut extensions = Extensions::default();
        let mut block = [0; BLOCK];
        while self.read_block(&mut block)? && block != [0; BLOCK] {
            let header = Header::parse(&block, self.position - BLOCK as u64)?;
            match header.type_flag() {
                b'x' => extensions.parse(&self.read_extension(header.size()?)?)?,
                b'L' => extensions.path = Some(until_nul(self.read_extension(header.size()?)?)),
                b'K' => extensions.link = Some(until_nul(self.read_extension(header.size()?)?)),
                // Global pax headers carry comments in practice (git's commit id); `V` is a volume's label.
                b'g' | b'V' => {
                    let size = header.size()?;
                    self.skip(padded(size)?)?;
                }
                _ => return self.entry(&header, extensions).map(Some),
            }
        }
        Ok(None)
    }

    /// Hands the current entry's data to `sink` piece by piece, each with its offset in the file. Holes are not handed over.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] when the archive ends too soon; [`Error::Sink`] when `sink` fails.
    pub fn copy_data(&mut self, mut sink: impl FnMut(u64, &[u8]) -> io::Result<()>) -> Result<(), Error> {
        self.buffer.resize(CHUNK, 0);
        for piece in std::mem::take(&mut self.pieces) {
            let mut done = 0;
            while done < piece.length {
                let wanted = usize::try_from(piece.length - done).unwrap_or(usize::MAX).min(CHUNK);
                let buffer = self.buffer.get_mut(..wanted).unwrap_or_default();
                self.source.read_data(piece.offset + done, buffer)?;
                sink(piece.offset + done, buffer).map_err(Error::Sink)?;
                done += wanted as u64;
                self.remaining -= wanted as u64;
                self.position += wanted as u64;
            }
        }
        Ok(())
    }

    /// Merges the header and what preceded it.
    fn entry(&mut self, header: &Header<'_>, mut extensions: Extensions) -> Result<Entry, Error> {
        let flag = header.type_flag();
        let path = header.path();
        let kind = match flag {
            // Before POSIX, directories were files whose name ends in a slash.
            0 | b'0' if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharacterDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => return Err(Error::Type(char::from(other))),
        };
        let mut entry = Entry {
            path,
            link: header.link(),
            kind,
            mode: header.mode()?,
            uid: header.uid()?,
            gid: header.gid()?,
            modified: Time { seconds: header.modified()?, nanoseconds: 0 },
            size: 0,
            device: (0, 0),
            attributes: Vec::new(),
        };
        if matches!(kind, Kind::CharacterDevice | Kind::BlockDevice) {
            entry.device = header.device()?;
        }
        if kind == Kind::File {
            entry.size = self.start_data(header, &mut extensions)?;
        }
        extensions.apply(&mut entry);
        if kind == Kind::File {
            self.source.begin_file(&entry.path)?;
        }
        Ok(entry)
    }

    /// Sets up the reading of a file's data; returns the file's size, holes included.
    fn start_data(&mut self, header: &Header<'_>, extensions: &mut Extensions) -> Result<u64, Error> {
        let stored = extensions.size.unwrap_or(header.size()?);
        self.padding = padded(stored)? - stored;
        self.remaining = stored;

        let mut size = extensions.sparse.real_size.unwrap_or(stored);
        let mut pieces = std::mem::take(&mut extensions.sparse.pieces);
        if header.type_flag() == b'S' {
            let (fields, mut more, real_size) = header.old_sparse()?;
            size = real_size;
            sparse::push_old(&mut pieces, fields)?;
            // Extension blocks stand between the header and the data and are not part of its size.
            let mut block = [0; BLOCK];
            while more {
                if !self.read_block(&mut block)? {
                    return Err(Error::Truncated);
                }
                sparse::push_old(&mut pieces, block.get(..21 * 24).unwrap_or_default())?;
                more = block[504] != 0;
            }
        } else if extensions.sparse.is_version_1 {
            let (map, taken) = sparse::read_map(&mut self.source)?;
            self.position += taken;
            self.remaining = self.remaining.checked_sub(taken).ok_or(Error::Sparse)?;
            pieces = map;
        } else if extensions.sparse.real_size.is_none() {
            pieces = vec![Piece { offset: 0, length: stored }];
        }

        let end = pieces.last().map_or(0, |last| last.offset.saturating_add(last.length));
        if end > size || pieces.iter().map(|piece| piece.length).sum::<u64>() != self.remaining {
            return Err(Error::Sparse);
        }
        self.pieces = pieces;
        Ok(size)
    }

    fn read_extension(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        if size > EXTENSION_LIMIT {
            return Err(Error::ExtensionTooLarge(EXTENSION_LIMIT));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.source.read_exact(&mut bytes)?;
        self.position += size;
        self.skip(padded(size)? - size)?;
        Ok(bytes)
    }

    /// Reads one block. False when the source ends before its first byte.
    fn read_block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, Error> {
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(Error::Truncated),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.position += BLOCK as u64;
        Ok(true)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Error> {
        self.source.skip(bytes)?;
        self.position = self.position.checked_add(bytes).ok_or(Error::Truncated)?;
        Ok(())
    }
}

/// `size` rounded up to whole blocks.
fn padded(size: u64) -> Result<u64, Error> {
    size.checked_next_multiple_of(BLOCK as u64).ok_or(Error::Number("size"))
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
