//! Writing messages into a buffer of fixed size: a message either fits as a whole or is not there.

use crate::ALIGNMENT;
use alloc::vec::Vec;
use coffer_abi_types::netlink::{NLA_F_NESTED, nlattr, nlmsghdr};
use zerocopy::{Immutable, IntoBytes};

/// A datagram in the making.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    room: usize,
}

/// The inside of a message in the making. What does not fit is remembered, and the message given up at its end.
#[derive(Debug)]
pub struct Body<'a> {
    bytes: &'a mut Vec<u8>,
    room: usize,
    is_full: bool,
}

impl Writer {
    /// Room for `room` bytes; `None` when memory is short.
    pub fn new(room: usize) -> Option<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(room).ok()?;
        Some(Self { bytes, room })
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a message with the type, flags, sequence number and port of `head`; `false` if it does not fit.
    #[must_use]
    pub fn message(&mut self, head: nlmsghdr, write: impl FnOnce(&mut Body<'_>)) -> bool {
        let start = self.bytes.len();
        let mut body = Body { bytes: &mut self.bytes, room: self.room, is_full: false };
        body.push(&head);
        write(&mut body);
        let is_full = body.is_full;
        let len = u32::try_from(self.bytes.len() - start).ok().filter(|_| !is_full);
        let field = self.bytes.get_mut(start..).and_then(|message| message.first_chunk_mut::<4>());
        match (len, field) {
            (Some(len), Some(field)) => *field = len.to_ne_bytes(),
            _ => {
                self.bytes.truncate(start);
                return false;
            }
        }
        true
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Body<'_> {
    /// Adds plain old data, and what aligns whatever comes next.
    pub fn push<T: IntoBytes + Immutable + ?Sized>(&mut self, value: &T) {
        let bytes = value.as_bytes();
        let padded = bytes.len().next_multiple_of(ALIGNMENT);
        if self.is_full || self.room - self.bytes.len() < padded {
            self.is_full = true;
            return;
        }
        let end = self.bytes.len() + padded;
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(end, 0);
    }

    /// Adds an attribute.
    pub fn attribute<T: IntoBytes + Immutable + ?Sized>(&mut self, kind: u16, value: &T) {
        let bytes = value.as_bytes();
        let Ok(nla_len) = u16::try_from(size_of::<nlattr>() + bytes.len()) else {
            self.is_full = true;
            return;
        };
        self.push(&nlattr { nla_len, nla_type: kind });
        self.push(bytes);
    }

    /// Adds text, with its NUL.
    pub fn text(&mut self, kind: u16, value: &str) {
        let Some(nla_len) =
            (size_of::<nlattr>() + 1).checked_add(value.len()).and_then(|len| u16::try_from(len).ok())
        else {
            self.is_full = true;
            return;
        };
        let padded = usize::from(nla_len).next_multiple_of(ALIGNMENT);
        if self.is_full || self.room - self.bytes.len() < padded {
            self.is_full = true;
            return;
        }
        let end = self.bytes.len() + padded;
        self.push(&nlattr { nla_len, nla_type: kind });
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.resize(end, 0);
    }

    /// Adds an attribute that holds those that `write` adds.
    pub fn nested(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        self.holding(kind | NLA_F_NESTED, write);
    }

    /// As [`Self::nested`], without the flag: as those older than the flag are.
    pub fn holding(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.push(&nlattr { nla_len: 0, nla_type: kind });
        write(self);
        if self.is_full {
            return;
        }
        let len = u16::try_from(self.bytes.len() - start).ok();
        match (len, self.bytes.get_mut(start..).and_then(|attribute| attribute.first_chunk_mut::<2>())) {
            (Some(len), Some(field)) => *field = len.to_ne_bytes(),
            _ => self.is_full = true,
        }
    }
}
