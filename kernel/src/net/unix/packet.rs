//! What lies in a socket's inbox: bytes of one send, and what came along.

use super::names::Name;
use super::rights::Rights;
use crate::error::{Errno, Error, Result};
use crate::net::message::Source;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::ucred;

/// What a packet is charged for beside its bytes.
const OVERHEAD: usize = 256;

/// Bytes of one send, or of a part of it.
#[derive(Debug)]
pub struct Packet {
    pub(super) bytes: Vec<u8>,
    /// Bytes read already, of a stream.
    pub(super) start: usize,
    pub(super) rights: Rights,
    pub(super) credentials: Option<ucred>,
    /// The sender's name, of a datagram.
    pub(super) from: Option<Arc<Name>>,
}

impl Packet {
    /// The next `len` bytes of `source`, without anything else; fewer if a fault comes.
    ///
    /// # Errors
    /// EFAULT, ENOBUFS.
    pub fn take(source: &mut dyn Source, len: usize) -> Result<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Error::new(Errno::ENOBUFS))?;
        source.append_to(&mut bytes, len)?;
        Ok(Self { bytes, start: 0, rights: Rights::default(), credentials: None, from: None })
    }

    /// Bytes not yet read.
    pub fn left(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// What it counts for in its inbox.
    pub fn charge(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }
}
