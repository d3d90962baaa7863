//! Lists that are too long for one datagram: made piece by piece, as the reader takes them.

use crate::error::{Errno, Result};
use alloc::boxed::Box;
use alloc::vec::Vec;
use coffer_abi_types::netlink::{NLM_F_MULTI, NLMSG_DONE, nlmsghdr};
use coffer_netlink::{Body, Writer};

/// A list as its protocol makes it: writes as many messages as fit, going on where it stopped; whether that was all.
pub type Listing = Box<dyn FnMut(&mut Batch) -> bool + Send>;

/// A list that somebody reads.
pub struct Dump {
    sequence: u32,
    port: u32,
    listing: Listing,
    is_listed: bool,
}

/// Room for some messages of a list.
#[derive(Debug)]
pub struct Batch {
    writer: Writer,
    head: nlmsghdr,
}

impl core::fmt::Debug for Dump {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Dump({} for {})", self.sequence, self.port)
    }
}

impl Batch {
    /// Adds a message; `false` if there is no room for it.
    #[must_use]
    pub fn add(&mut self, kind: u16, write: impl FnOnce(&mut Body<'_>)) -> bool {
        self.writer.message(nlmsghdr { nlmsg_type: kind, ..self.head }, write)
    }
}

/// A list of what is there now: a message of type `kind` for each item.
pub fn list<T: Send + 'static>(
    kind: u16,
    items: Vec<T>,
    write: impl Fn(&T, &mut Body<'_>) + Send + 'static,
) -> Listing {
    let mut items = items.into_iter().peekable();
    Box::new(move |batch| {
        while let Some(item) = items.peek() {
            if !batch.add(kind, |body| write(item, body)) {
                return false;
            }
            items.next();
        }
        true
    })
}

impl Dump {
    /// An answer to the request `head`, for `port`.
    pub fn new(head: &nlmsghdr, port: u32, listing: Listing) -> Self {
        Self { sequence: head.nlmsg_seq, port, listing, is_listed: false }
    }

    /// The next datagram of at most `room` bytes, and whether it is the last.
    ///
    /// # Errors
    /// ENOBUFS when memory is short; EMSGSIZE for a message that does not even fit alone.
    pub fn next(&mut self, room: usize) -> Result<(Vec<u8>, bool)> {
        let writer = Writer::new(room).ok_or(Errno::ENOBUFS)?;
        let head = nlmsghdr {
            nlmsg_flags: NLM_F_MULTI,
            nlmsg_seq: self.sequence,
            nlmsg_pid: self.port,
            ..nlmsghdr::default()
        };
        let mut batch = Batch { writer, head };
        if !self.is_listed {
            self.is_listed = (self.listing)(&mut batch);
            if !self.is_listed && batch.writer.is_empty() {
                return Err(Errno::EMSGSIZE.into());
            }
        }
        let is_last = self.is_listed && batch.add(NLMSG_DONE, |body| body.push(&0_i32));
        Ok((batch.writer.into_bytes(), is_last))
    }
}
