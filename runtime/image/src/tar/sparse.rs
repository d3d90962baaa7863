//! Maps of sparse files: which parts of the file the archive has; the rest are holes.
//!
//! <https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html>

use std::io::Read;

use super::header::number;
use super::pax::decimal;
use super::{BLOCK, Error};

/// How many pieces a map may have: memory is bounded, and 64 Ki holes are more than any real layer has.
const MAX_PIECES: usize = 1 << 16;

/// A part of the file that has data; offset and length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub offset: u64,
    pub length: u64,
}

/// Appends a piece; they must come in order and must not overlap.
pub fn push(pieces: &mut Vec<Piece>, offset: u64, length: u64) -> Result<(), Error> {
    let end = pieces.last().map_or(0, |last| last.offset + last.length);
    if offset < end || offset.checked_add(length).is_none() || pieces.len() >= MAX_PIECES {
        return Err(Error::Sparse);
    }
    pieces.push(Piece { offset, length });
    Ok(())
}

/// Appends the pieces of an old GNU header or extension block: 24 bytes each, an empty one ends the list.
pub fn push_old(pieces: &mut Vec<Piece>, fields: &[u8]) -> Result<(), Error> {
    for field in fields.as_chunks::<24>().0 {
        let (offset, length) = field.split_at(12);
        if offset.first() == Some(&0) {
            break;
        }
        push(pieces, number(offset, "sparse offset")?, number(length, "sparse length")?)?;
    }
    Ok(())
}

/// Reads the map that precedes the data in format 1.0: decimal lines (count, then offset and length of each piece), padded to
/// a whole block. Returns the pieces and how many bytes the map took.
pub fn read_map(reader: &mut impl Read) -> Result<(Vec<Piece>, u64), Error> {
    let mut lines = Lines { reader, block: [0; BLOCK], position: BLOCK, taken: 0 };
    let count = lines.next_number()?;
    let mut pieces = Vec::new();
    for _ in 0..count {
        let offset = lines.next_number()?;
        let length = lines.next_number()?;
        push(&mut pieces, offset, length)?;
    }
    Ok((pieces, lines.taken))
}

struct Lines<'a, R> {
    reader: &'a mut R,
    block: [u8; BLOCK],
    position: usize,
    taken: u64,
}

impl<R: Read> Lines<'_, R> {
    fn next_number(&mut self) -> Result<u64, Error> {
        let mut digits = Vec::new();
        loop {
            if self.position == BLOCK {
                self.reader.read_exact(&mut self.block)?;
                self.taken += BLOCK as u64;
                self.position = 0;
            }
            let byte = self.block.get(self.position).copied().ok_or(Error::Sparse)?;
            self.position += 1;
            if byte == b'\n' {
                return decimal(&digits).map_err(|_| Error::Sparse);
            }
            digits.push(byte);
            if digits.len() > 20 {
                return Err(Error::Sparse);
            }
        }
    }
}
