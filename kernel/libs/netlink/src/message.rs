//! The messages of one datagram.

use crate::{ALIGNMENT, Attributes, Refusal, Result};
use coffer_abi_types::netlink::nlmsghdr;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Bytes of a message's head.
pub const HEAD: usize = size_of::<nlmsghdr>();

/// A message: its head, and what follows.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Length, type, flags, sequence number, port.
    pub head: nlmsghdr,
    /// The rest, as long as the head says.
    pub payload: &'a [u8],
}

/// The messages in `datagram`, one after another; the first whose length is impossible ends them, as netlink(7) has it: nobody can
/// say where the next one would begin.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    core::iter::from_fn(move || {
        let (head, _) = nlmsghdr::read_from_prefix(rest).ok()?;
        let len = usize::try_from(head.nlmsg_len).ok()?;
        let payload = rest.get(HEAD..len)?;
        rest = rest.get(len.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some(Message { head, payload })
    })
}

impl<'a> Message<'a> {
    /// Whether all of `flags` are set.
    pub fn has(&self, flags: u16) -> bool {
        self.head.nlmsg_flags & flags == flags
    }

    /// The fixed part, and the attributes after it.
    ///
    /// # Errors
    /// Invalid if it is cut short.
    pub fn split<T: FromBytes + KnownLayout + Immutable>(&self) -> Result<(T, Attributes<'a>)> {
        let (fixed, rest) =
            T::read_from_prefix(self.payload).map_err(|_| Refusal::Invalid("the message is too short"))?;
        Ok((fixed, Attributes::new(rest)))
    }

    /// As [`Self::split`], but what is missing is zero: C libraries ask for lists with a family alone.
    pub fn split_lenient<T: FromBytes + KnownLayout + Immutable>(&self) -> (T, Attributes<'a>) {
        self.split().unwrap_or_else(|_| {
            let mut padded = [0; 64];
            padded.iter_mut().zip(self.payload).for_each(|(to, from)| *to = *from);
            let fixed = T::read_from_prefix(&padded).map_or_else(|_| T::new_zeroed(), |(fixed, _)| fixed);
            (fixed, Attributes::default())
        })
    }
}
