//! What the kernel does with the messages that a program sends it: serves one after another, and says how each went.

use super::dump::{Dump, Listing};
use super::queue::Datagram;
use super::{NetlinkSocket, Protocol, diag, generic, rtnetlink};
use crate::error::{Errno, Error, Result};
use crate::net::ns::NetNs;
use crate::process::credentials::Capability;
use crate::thread::Thread;
use alloc::sync::Arc;
use coffer_abi_types::netlink::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_MIN_TYPE,
    NLMSGERR_ATTR_MSG, nlmsgerr, nlmsghdr,
};
use coffer_netlink::{Body, Message, Refusal, Writer, messages};

/// Room for an answer of one message: Linux's NLMSG_GOODSIZE and more.
const ANSWER_ROOM: usize = 8192;

/// A message on its way to who serves it.
#[derive(Debug)]
pub struct Request<'a> {
    /// The message.
    pub message: Message<'a>,
    /// Who sent it.
    pub socket: &'a Arc<NetlinkSocket>,
}

/// How a request went that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done; the sender is told if it asked to be.
    Done,
    /// A list is on its way, and its end will tell.
    Listed,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(why) => Self::with(Errno::EINVAL, why),
            Refusal::Range(why) => Self::with(Errno::ERANGE, why),
        }
    }
}

/// Serves all messages of a datagram.
///
/// # Errors
/// ECONNREFUSED where no kernel listens.
pub fn serve_all(socket: &Arc<NetlinkSocket>, datagram: &[u8]) -> Result<()> {
    let serve: fn(&Request<'_>) -> Result<Answer> = match socket.protocol() {
        Protocol::Route => rtnetlink::serve,
        Protocol::SocketDiagnosis => diag::serve,
        Protocol::Generic => generic::serve,
        Protocol::User | Protocol::DeviceEvents => return Err(Errno::ECONNREFUSED.into()),
    };
    for message in messages(datagram) {
        let request = Request { message, socket };
        let is_request = message.has(NLM_F_REQUEST) && message.head.nlmsg_type >= NLMSG_MIN_TYPE;
        let result = if is_request { serve(&request) } else { Ok(Answer::Done) };
        match result {
            Ok(Answer::Listed) => {}
            Ok(Answer::Done) if !message.has(NLM_F_ACK) => {}
            Ok(Answer::Done) => request.acknowledge(None),
            Err(error) => request.acknowledge(Some(&error)),
        }
    }
    Ok(())
}

impl Request<'_> {
    /// The namespace that it is about.
    pub fn namespace(&self) -> &Arc<NetNs> {
        self.socket.namespace()
    }

    /// Whether a list is asked for.
    pub fn wants_list(&self) -> bool {
        self.message.head.nlmsg_flags & NLM_F_DUMP != 0
    }

    /// Whether all of `flags` are set.
    pub fn has(&self, flags: u16) -> bool {
        self.message.has(flags)
    }

    /// Answers with one message.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn reply(&self, kind: u16, write: impl FnOnce(&mut Body<'_>)) -> Result<Answer> {
        self.send(kind, 0, write).map(|()| Answer::Done)
    }

    /// Answers with a list.
    ///
    /// # Errors
    /// EBUSY while another one is on its way, ENOBUFS.
    pub fn list(&self, listing: Listing) -> Result<Answer> {
        let dump = Dump::new(&self.message.head, self.socket.port(), listing);
        self.socket.start_dump(dump).map(|()| Answer::Listed)
    }

    fn send(&self, kind: u16, flags: u16, write: impl FnOnce(&mut Body<'_>)) -> Result<()> {
        let mut writer = Writer::new(ANSWER_ROOM + self.message.payload.len()).ok_or(Errno::ENOBUFS)?;
        let head = nlmsghdr {
            nlmsg_type: kind,
            nlmsg_flags: flags,
            nlmsg_seq: self.message.head.nlmsg_seq,
            nlmsg_pid: self.socket.port(),
            ..nlmsghdr::default()
        };
        if !writer.message(head, write) {
            return Err(Errno::EMSGSIZE.into());
        }
        self.socket.deliver(Datagram::from_kernel(writer.into_bytes(), 0));
        Ok(())
    }

    /// Says how it went; what went wrong comes with the message that it was, and in words for those who want them.
    fn acknowledge(&self, error: Option<&Error>) {
        let code = error.map_or(0, |error| -(error.errno() as i32));
        let is_capped = error.is_none() || self.socket.wants_capped_answers();
        let words = error.map(Error::why).filter(|why| !why.is_empty() && self.socket.wants_words());
        let mut flags = 0;
        if is_capped {
            flags |= NLM_F_CAPPED;
        }
        if words.is_some() {
            flags |= NLM_F_ACK_TLVS;
        }
        let sent = self.send(NLMSG_ERROR, flags, |body| {
            body.push(&nlmsgerr { error: code, msg: self.message.head });
            if !is_capped {
                body.push(self.message.payload);
            }
            if let Some(words) = words {
                body.text(NLMSGERR_ATTR_MSG, words);
            }
        });
        if let Err(error) = sent {
            self.socket.set_error(error.errno());
        }
    }
}

/// Whether the caller has a capability.
///
/// # Errors
/// EPERM.
pub fn require(capability: Capability) -> Result<()> {
    let owner = NetNs::current()?.owner().clone();
    let is_allowed =
        Thread::current().is_some_and(|thread| thread.process().credentials().has_in(&owner, capability));
    if is_allowed { Ok(()) } else { Err(Errno::EPERM.into()) }
}
