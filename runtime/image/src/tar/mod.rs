//! A tar reader for hostile input: ustar, GNU and pax headers, long names, extended attributes, sparse files.
//!
//! Own code rather than the `tar` crate because that one neither limits the memory that a header's extension may
//! take, nor reads pax sparse files (what GNU tar writes), nor lets an index skip contents without reading them. Formats:
//! POSIX.1-2017 `pax`, <https://www.gnu.org/software/tar/manual/html_node/Standard.html>. [`Reader`] gives one [`Entry`] at a time.

mod header;
mod pax;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;

use std::io;

pub use reader::{Reader, Skip, Stream};
pub use sparse::Piece;

/// The unit of everything in a tar, in bytes.
pub const BLOCK: usize = 512;

/// What an entry creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    HardLink,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// A time as tar has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// One member of the archive, with all its headers merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As written: may be absolute, may contain `..`. The unpacker judges.
    pub path: Vec<u8>,
    /// The target of a hard or symbolic link, as written.
    pub link: Vec<u8>,
    pub kind: Kind,
    /// Permission bits with set-id and sticky, at most 0o7777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub modified: Time,
    /// Length of the file in bytes, holes included. 0 for everything but files.
    pub size: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes, name and value.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("tar ends in the middle of an entry")]
    Truncated,
    #[error("not a tar: header checksum does not match at byte {0}")]
    Checksum(u64),
    #[error("tar header field `{0}` is not a number or too large")]
    Number(&'static str),
    #[error("tar entry of type `{0}` is not supported")]
    Type(char),
    #[error("tar extension header is larger than {0} bytes")]
    ExtensionTooLarge(u64),
    #[error("tar extension header is malformed")]
    Extension,
    #[error("sparse map of a tar entry is malformed")]
    Sparse,
    #[error("cannot read: {0}")]
    Io(#[source] io::Error),
    #[error("cannot write: {0}")]
    Sink(#[source] io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Io(error),
        }
    }
}
