//! Records in a ring of bytes: the newest push the oldest out. Each has a sequence number, counted from 0.

use core::fmt::{self, Write};

/// The longest record in bytes.
pub(super) const MAX_LINE: usize = 512;
const LEN: usize = 128 << 10;
/// Two bytes of length, one of level.
const HEADER_LEN: usize = 3;

/// The ring. Offsets count all bytes ever written; modulo [`LEN`] they are places.
pub(super) struct Ring {
    bytes: [u8; LEN],
    first: Place,
    next: Place,
}

#[derive(Clone, Copy)]
struct Place {
    offset: usize,
    sequence: u64,
}

impl Ring {
    /// An empty ring.
    pub(super) const fn new() -> Self {
        let start = Place { offset: 0, sequence: 0 };
        Self { bytes: [0; LEN], first: start, next: start }
    }

    /// Adds a record of at most [`MAX_LINE`] bytes.
    pub(super) fn push(&mut self, level: u8, text: &[u8]) {
        let text = &text[..text.len().min(MAX_LINE)];
        while self.next.offset + HEADER_LEN + text.len() - self.first.offset > LEN {
            self.first = self.after(self.first);
        }
        let [low, high] = (text.len() as u16).to_le_bytes();
        for byte in [low, high, level].into_iter().chain(text.iter().copied()) {
            self.bytes[self.next.offset % LEN] = byte;
            self.next.offset += 1;
        }
        self.next.sequence += 1;
    }

    /// Copies whole records from sequence number `from` (or the oldest there is) on; returns (bytes, next sequence).
    pub(super) fn read(&self, from: u64, out: &mut [u8]) -> (usize, u64) {
        let mut place = self.first;
        while place.sequence < from && place.sequence < self.next.sequence {
            place = self.after(place);
        }
        let mut len = 0;
        while place.sequence < self.next.sequence {
            let mut cursor = Cursor { out: &mut out[len..], len: 0 };
            if self.format(place, &mut cursor).is_err() {
                break;
            }
            len += cursor.len;
            place = self.after(place);
        }
        (len, place.sequence)
    }

    fn format(&self, place: Place, out: &mut Cursor<'_>) -> fmt::Result {
        write!(out, "<{}>", self.byte(place.offset + 2))?;
        let start = place.offset + HEADER_LEN;
        for offset in start..start + self.text_len(place) {
            out.push(self.byte(offset))?;
        }
        out.push(b'\n')
    }

    fn after(&self, place: Place) -> Place {
        Place { offset: place.offset + HEADER_LEN + self.text_len(place), sequence: place.sequence + 1 }
    }

    fn text_len(&self, place: Place) -> usize {
        usize::from(u16::from_le_bytes([self.byte(place.offset), self.byte(place.offset + 1)]))
    }

    fn byte(&self, offset: usize) -> u8 {
        self.bytes[offset % LEN]
    }
}

struct Cursor<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Cursor<'_> {
    fn push(&mut self, byte: u8) -> fmt::Result {
        *self.out.get_mut(self.len).ok_or(fmt::Error)? = byte;
        self.len += 1;
        Ok(())
    }
}

impl Write for Cursor<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.push(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::format;

    #[test]
    fn records_come_back_in_order() {
        let mut ring = Box::new(Ring::new());
        ring.push(6, b"one");
        ring.push(3, b"two");
        let mut out = [0; 64];
        assert_eq!(ring.read(0, &mut out), (14, 2));
        assert_eq!(&out[..14], b"<6>one\n<3>two\n");
        assert_eq!(ring.read(1, &mut out), (7, 2));
        assert_eq!(ring.read(2, &mut out), (0, 2));
        assert_eq!(ring.read(99, &mut out), (0, 2));
    }

    #[test]
    fn a_record_that_does_not_fit_is_left_for_the_next_read() {
        let mut ring = Box::new(Ring::new());
        ring.push(6, b"one");
        ring.push(6, b"two");
        assert_eq!(ring.read(0, &mut [0; 10]), (7, 1));
        assert_eq!(ring.read(0, &mut []), (0, 0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes, and has nothing unsafe")]
    fn the_oldest_make_room_for_the_newest() {
        let mut ring = Box::new(Ring::new());
        // Somewhat more than fit.
        let count = 1500;
        for i in 0..count {
            ring.push(6, format!("{i:0100}").as_bytes());
        }
        let mut out = [0; 256];
        let (len, next) = ring.read(count - 1, &mut out);
        assert_eq!((len, next), (104, count));
        assert!(out[..len].ends_with(b"1499\n"));
        let (_, next) = ring.read(0, &mut out);
        assert_eq!(next, count - (LEN / 103) as u64 + 2);
    }
}
