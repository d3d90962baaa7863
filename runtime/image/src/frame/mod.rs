//! A layer's tar without the contents of its files: what is needed beside the unpacked files to write the same tar again.
//!
//! Keeping the tar as well as the files would take twice the room. While a layer is unpacked, [`Recorder`] writes down every byte
//! that is not a file's data; [`Replay`] puts both together, byte for byte, so that the digest of the layer stays what it was. The
//! record is a series of [`Piece`]s. A layer that writes one path twice loses data by being unpacked; its record holds all.

mod recorder;
mod replay;

use std::io::{self, Read, Write};

pub use recorder::Recorder;
pub use replay::Replay;

/// The longest run of bytes in one piece of a record.
const RUN_LIMIT: usize = 64 << 10;

/// One element of a record.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// Bytes of the tar.
    Bytes(Vec<u8>),
    /// The path of the file that later pieces of data are of.
    File(Vec<u8>),
    /// Data of that file.
    Data { offset: u64, length: u64 },
}

impl Piece {
    fn write(&self, sink: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => write_run(sink, 0, bytes),
            Self::File(path) => write_run(sink, 1, path),
            Self::Data { offset, length } => {
                sink.write_all(&[2])?;
                sink.write_all(&offset.to_le_bytes())?;
                sink.write_all(&length.to_le_bytes())
            }
        }
    }

    /// The next piece, or None at the end.
    fn read(source: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0; 1];
        if source.read(&mut kind)? == 0 {
            return Ok(None);
        }
        match kind {
            [0] => read_run(source).map(|bytes| Some(Self::Bytes(bytes))),
            [1] => read_run(source).map(|path| Some(Self::File(path))),
            [2] => Ok(Some(Self::Data { offset: read_number(source)?, length: read_number(source)? })),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn write_run(sink: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    sink.write_all(&[kind])?;
    sink.write_all(&length.to_le_bytes())?;
    sink.write_all(bytes)
}

fn read_run(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    source.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length));
    let mut bytes = Vec::new();
    match source.take(length).read_to_end(&mut bytes)? as u64 {
        read if read == length => Ok(bytes),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_number(source: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
