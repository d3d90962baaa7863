//! [`Pump`]: moves bytes from one descriptor to another, never waiting.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};

use rustix::event::{PollFd, PollFlags};

/// How much is moved at a time, in bytes: a pipe's usual size.
const CAPACITY: usize = 64 << 10;

/// One direction of one stream. Both ends are non-blocking (a console, which is not, takes what it is given).
#[derive(Debug)]
pub struct Pump {
    /// None after the end of the input.
    from: Option<File>,
    /// None when nobody takes the output any more; then input is read and thrown away, so that its writer goes on.
    to: Option<File>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes written so far.
    written: u64,
    /// What to write when the input ends.
    last: Option<u8>,
}

impl Pump {
    pub fn new(from: File, to: File) -> Self {
        Self {
            from: Some(from),
            to: Some(to),
            buffer: vec![0; CAPACITY],
            start: 0,
            end: 0,
            written: 0,
            last: None,
        }
    }

    /// Writes one more byte at the end of the input.
    pub fn ending_with(mut self, byte: u8) -> Self {
        self.last = Some(byte);
        self
    }

    /// Whether nothing will be moved any more.
    pub fn is_done(&self) -> bool {
        self.from.is_none() && self.is_empty()
    }

    /// Bytes that were written, not those thrown away.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Moves bytes until one end would have to be waited for.
    pub fn step(&mut self) {
        loop {
            if !self.is_empty() && !self.write() {
                return;
            }
            if self.is_empty() && !self.read() {
                break;
            }
        }
        if self.is_done() {
            // For the reader at the other end this is the end of the input.
            self.to = None;
        }
    }

    /// What to poll for: the output when something is left to write, the input otherwise.
    pub fn wanted(&self) -> Option<PollFd<'_>> {
        match (&self.from, &self.to) {
            (_, Some(to)) if !self.is_empty() => Some(PollFd::new(to, PollFlags::OUT)),
            (Some(from), _) => Some(PollFd::new(from, PollFlags::IN)),
            _ => None,
        }
    }

    /// Takes its own answer out of those for all pumps, in order: whether what it polled is hung up and cannot be written.
    pub fn note_hang_up(&mut self, hung_up: &mut impl Iterator<Item = bool>) {
        let is_writing = !self.is_empty() && self.to.is_some();
        if self.wanted().is_some() && hung_up.next() == Some(true) && is_writing {
            self.discard();
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Writes what is there. False when that has to wait.
    fn write(&mut self) -> bool {
        let pending = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some(to) = &mut self.to else {
            self.start = self.end;
            return true;
        };
        match to.write(pending) {
            Ok(count) => {
                self.start += count;
                self.written += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The reader is gone: a container that closed its input, a host that went away.
            Err(_) => self.discard(),
        }
        true
    }

    /// Reads more. False when that has to wait or there will be no more.
    fn read(&mut self) -> bool {
        let Some(from) = &mut self.from else { return false };
        match from.read(&mut self.buffer) {
            Ok(count) if count > 0 => {
                (self.start, self.end) = (0, count);
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            // The end, or EIO, which is how a terminal's master says that nobody has the other end open.
            Ok(_) | Err(_) => {
                self.from = None;
                if let Some(byte) = self.last.take() {
                    self.buffer[0] = byte;
                    (self.start, self.end) = (0, 1);
                }
                !self.is_empty()
            }
        }
    }

    fn discard(&mut self) {
        self.to = None;
        self.start = self.end;
    }
}
