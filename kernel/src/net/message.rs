//! What is sent and what arrives: bytes in one buffer or several, and what comes along.

use crate::error::Result;
use crate::fs::open_file::OpenFile;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::{MSG_DONTWAIT, ucred};
use ostd::mm::{VmReader, VmWriter};

/// Bytes to send.
pub trait Source {
    /// Bytes left.
    fn remaining(&self) -> usize;

    /// Appends `len` bytes to `out`, or as many as there are; less than that: a fault came. Returns how many.
    ///
    /// # Errors
    /// EFAULT if it came before the first byte, ENOMEM.
    fn append_to(&mut self, out: &mut Vec<u8>, len: usize) -> Result<usize>;
}

/// Room for bytes that arrive.
pub trait Sink {
    /// Bytes that fit.
    fn remaining(&self) -> usize;

    /// Takes as many of `bytes` as fit; less than that: a fault came.
    ///
    /// # Errors
    /// EFAULT if it came before the first byte.
    fn write(&mut self, bytes: &[u8]) -> Result<usize>;
}

impl Source for VmReader<'_> {
    fn remaining(&self) -> usize {
        VmReader::remaining(self)
    }

    fn append_to(&mut self, out: &mut Vec<u8>, len: usize) -> Result<usize> {
        Ok(VmReader::append_to(self, out, len)?)
    }
}

impl Sink for VmWriter<'_> {
    fn remaining(&self) -> usize {
        VmWriter::remaining(self)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(VmWriter::write(self, bytes)?)
    }
}

/// Several readers in a row.
#[derive(Debug)]
pub struct Readers(pub Vec<VmReader<'static>>);

/// Several writers in a row.
#[derive(Debug)]
pub struct Writers(pub Vec<VmWriter<'static>>);

impl Source for Readers {
    fn remaining(&self) -> usize {
        self.0.iter().map(VmReader::remaining).sum()
    }

    fn append_to(&mut self, out: &mut Vec<u8>, len: usize) -> Result<usize> {
        let mut done = 0;
        for reader in &mut self.0 {
            match reader.append_to(out, len - done) {
                Ok(read) => done += read,
                Err(error) if done == 0 => return Err(error.into()),
                Err(_) => break,
            }
            if reader.remaining() > 0 || done == len {
                break;
            }
        }
        Ok(done)
    }
}

impl Sink for Writers {
    fn remaining(&self) -> usize {
        self.0.iter().map(VmWriter::remaining).sum()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut done = 0;
        for writer in &mut self.0 {
            match writer.write(&bytes[done..]) {
                Ok(written) => done += written,
                Err(error) if done == 0 => return Err(error.into()),
                Err(_) => break,
            }
            if writer.remaining() > 0 || done == bytes.len() {
                break;
            }
        }
        Ok(done)
    }
}

/// How, where to and with what bytes are sent.
#[derive(Debug, Default)]
pub struct Outgoing<'a> {
    /// MSG_*.
    pub flags: u32,
    /// The open file has O_NONBLOCK.
    pub is_nonblocking: bool,
    /// A `sockaddr`, if not to the peer.
    pub to: Option<&'a [u8]>,
    /// Open files that go along (SCM_RIGHTS).
    pub rights: Vec<Arc<OpenFile>>,
    /// Who the sender says that it is (SCM_CREDENTIALS), checked.
    pub credentials: Option<ucred>,
    /// Control messages of the family's own levels.
    pub control: Vec<ControlMessage>,
}

/// A control message (cmsg(3)) that only the socket's family understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlMessage {
    /// SOL_* or IPPROTO_*.
    pub level: u32,
    /// What it is.
    pub kind: i32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What arrived, beside the bytes.
#[derive(Debug, Default)]
pub struct Incoming {
    /// Bytes that arrived; of a datagram, its length even if it was cut short and MSG_TRUNC asked.
    pub len: usize,
    /// MSG_TRUNC, MSG_EOR.
    pub flags: u32,
    /// The sender's `sockaddr`; empty if it has none, `None` if the kind of socket does not tell.
    pub from: Option<Vec<u8>>,
    /// Open files that came along.
    pub rights: Vec<Arc<OpenFile>>,
    /// Who sent it, if the receiver wants to know (SO_PASSCRED).
    pub credentials: Option<ucred>,
    /// What else the receiver wants to know.
    pub control: Vec<ControlMessage>,
}

/// How to receive.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiveHow {
    /// MSG_*.
    pub flags: u32,
    /// The open file has O_NONBLOCK.
    pub is_nonblocking: bool,
}

impl ReceiveHow {
    /// Whether the call may sleep.
    pub fn may_wait(self) -> bool {
        !self.is_nonblocking && self.flags & MSG_DONTWAIT == 0
    }
}

impl Outgoing<'_> {
    /// Whether the call may sleep.
    pub fn may_wait(&self) -> bool {
        !self.is_nonblocking && self.flags & MSG_DONTWAIT == 0
    }
}
