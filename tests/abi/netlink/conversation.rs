//! Messages by hand: what a case says to the kernel, and what it hears.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::errno::Errno;

use crate::case::{Failure, Outcome};

/// A socket, and the number of the next request.
#[derive(Debug)]
pub struct Netlink {
    pub socket: OwnedFd,
    sequence: u32,
}

/// A message that was heard.
#[derive(Clone, Debug)]
pub struct Heard {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub port: u32,
    pub payload: Vec<u8>,
}

pub const HEAD: usize = 16;

/// An attribute.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An attribute of text.
pub fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

/// A `struct ifinfomsg`.
pub fn link_head(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for word in [index, flags, change] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// The value of an attribute after the first `skip` bytes of a payload.
pub fn find(payload: &[u8], skip: usize, kind: u16) -> Option<Vec<u8>> {
    let mut rest = payload.get(skip..)?;
    while rest.len() >= 4 {
        let len = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        let found = u16::from_ne_bytes([rest[2], rest[3]]) & 0x3fff;
        if len < 4 || len > rest.len() {
            return None;
        }
        if found == kind {
            return Some(rest[4..len].to_vec());
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

impl Netlink {
    /// A new socket of a protocol.
    pub fn open(protocol: libc::c_int) -> nix::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: takes no memory.
        let fd = Errno::result(unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) })?;
        // SAFETY: new, and nobody else's.
        Ok(Self { socket: unsafe { OwnedFd::from_raw_fd(fd) }, sequence: 1 })
    }

    pub fn bind(&self, port: u32, groups: u32) -> nix::Result<()> {
        let address = address(port, groups);
        let len = size_of_val(&address) as u32;
        // SAFETY: the address is valid for its length.
        let result = unsafe { libc::bind(self.socket.as_raw_fd(), (&raw const address).cast(), len) };
        Errno::result(result).map(drop)
    }

    /// Port and groups.
    pub fn name(&self) -> nix::Result<(u32, u32)> {
        let mut address = address(0, 0);
        let mut len = size_of_val(&address) as u32;
        // SAFETY: the address is valid for the length that comes with it.
        let result =
            unsafe { libc::getsockname(self.socket.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
        Errno::result(result)?;
        Ok((address.nl_pid, address.nl_groups))
    }

    pub fn set_option(&self, name: libc::c_int, value: i32) -> nix::Result<()> {
        let fd = self.socket.as_raw_fd();
        // SAFETY: the value is valid for its length.
        let result = unsafe { libc::setsockopt(fd, libc::SOL_NETLINK, name, (&raw const value).cast(), 4) };
        Errno::result(result).map(drop)
    }

    /// Sends one message to the kernel; its sequence number.
    pub fn send(&mut self, kind: u16, flags: libc::c_int, payload: &[u8]) -> nix::Result<u32> {
        self.sequence += 1;
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&((HEAD + payload.len()) as u32).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags as u16).to_ne_bytes());
        bytes.extend_from_slice(&self.sequence.to_ne_bytes());
        bytes.extend_from_slice(&0_u32.to_ne_bytes());
        bytes.extend_from_slice(payload);
        self.send_bytes(&bytes, 0)?;
        Ok(self.sequence)
    }

    /// Sends bytes to a port.
    pub fn send_bytes(&self, bytes: &[u8], port: u32) -> nix::Result<usize> {
        let to = address(port, 0);
        let (at, len) = ((&raw const to).cast(), size_of_val(&to) as u32);
        // SAFETY: bytes and address are valid for their lengths.
        let sent =
            unsafe { libc::sendto(self.socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0, at, len) };
        Errno::result(sent).map(|sent| sent as usize)
    }

    /// The next datagram; with `flags` of recv(2).
    pub fn receive(&self, room: usize, flags: libc::c_int) -> nix::Result<Vec<u8>> {
        let mut bytes = vec![0; room];
        // SAFETY: the buffer is valid for its length.
        let len = unsafe { libc::recv(self.socket.as_raw_fd(), bytes.as_mut_ptr().cast(), room, flags) };
        let len = Errno::result(len)? as usize;
        bytes.truncate(len.min(room));
        Ok(bytes)
    }

    /// Asks, and hears everything up to the end of the answer: a list's end, an acknowledgement, or one message.
    pub fn ask(&mut self, kind: u16, flags: libc::c_int, payload: &[u8], room: usize) -> Outcome<Vec<Heard>> {
        let sequence = self.send(kind, libc::NLM_F_REQUEST | flags, payload)?;
        let mut all = Vec::new();
        loop {
            for heard in split(&self.receive(room, 0)?)? {
                if heard.sequence != sequence {
                    return Err(Failure::wrong(format!("{heard:?} answers another request than {sequence}")));
                }
                let is_last =
                    heard.flags & libc::NLM_F_MULTI as u16 == 0 || heard.kind == libc::NLMSG_DONE as u16;
                all.push(heard);
                if is_last {
                    return Ok(all);
                }
            }
        }
    }

    /// Asks for something to be done: the errno that comes back, 0 for none.
    pub fn order(&mut self, kind: u16, flags: libc::c_int, payload: &[u8]) -> Outcome<i32> {
        let heard = self.ask(kind, flags | libc::NLM_F_ACK, payload, 16384)?;
        let last = heard.last().ok_or_else(|| Failure::wrong("no answer"))?;
        if last.kind != libc::NLMSG_ERROR as u16 {
            return Err(Failure::wrong(format!("{last:?} is no acknowledgement")));
        }
        Ok(-word(&last.payload, 0).cast_signed())
    }

    /// The index of a link, by its name.
    pub fn index_of(&mut self, name: &str) -> Outcome<u32> {
        let payload = [link_head(0, 0, 0), text(libc::IFLA_IFNAME, name)].concat();
        let heard = self.ask(libc::RTM_GETLINK, 0, &payload, 16384)?;
        match heard.first() {
            Some(link) if link.kind == libc::RTM_NEWLINK => Ok(word(&link.payload, 4)),
            other => Err(Failure::wrong(format!("no link {name}: {other:?}"))),
        }
    }
}

/// A number of 32 bits in a payload.
pub fn word(payload: &[u8], at: usize) -> u32 {
    payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// The messages of a datagram.
pub fn split(mut bytes: &[u8]) -> Outcome<Vec<Heard>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let len = word(bytes, 0) as usize;
        if len < HEAD || len > bytes.len() {
            return Err(Failure::wrong(format!("a message of {len} bytes in {}", bytes.len())));
        }
        all.push(Heard {
            kind: u16::from_ne_bytes([bytes[4], bytes[5]]),
            flags: u16::from_ne_bytes([bytes[6], bytes[7]]),
            sequence: word(bytes, 8),
            port: word(bytes, 12),
            payload: bytes[HEAD..len].to_vec(),
        });
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(all)
}

fn address(port: u32, groups: u32) -> libc::sockaddr_nl {
    // SAFETY: all zeros are a valid address.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_pid = port;
    address.nl_groups = groups;
    address
}
